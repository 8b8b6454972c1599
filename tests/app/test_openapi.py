"""What `/openapi.json` tells: every route, parameter and body with its meaning in both languages and an example that works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.api import bodies
from connectors.inbound.canonical import read_signal
from domain.instants import parse_rfc3339
from tests.app.test_doors import routes
from tests.app.world import World

BOTH = re.compile(r"[^/]*[\u4e00-\u9fff].* / .*[A-Za-z]{3}", re.DOTALL)  # Chinese first, English second
METHODS = {"get", "post", "put", "delete"}


@pytest.fixture(scope="module")
def document(shared: World) -> dict[str, Any]:
    """The document as a client gets it."""
    answer: dict[str, Any] = shared.ask("duty", "GET", "/openapi.json").json()
    return answer


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (method, path, operation)."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if method in METHODS:
                yield method, path, told


def test_every_route_of_the_api_is_told(shared: World, document: dict[str, Any]) -> None:
    """What the router knows under `/v1`, the probes and the metrics; nothing else."""
    known = {(method.lower(), path) for method, path, _ in routes(shared) if path.startswith(("/v1", "/healthz", "/readyz", "/metrics"))}
    told = {(method, re.sub(r"\{\w+\}", "x", path)) for method, path, _ in operations(document)}
    assert told == {(method, path) for method, path in known if method in METHODS}
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_is_for_and_who_may_call_it(document: dict[str, Any]) -> None:
    """A summary in both languages, a description, the roles, what a refusal looks like."""
    assert BOTH.fullmatch(document["info"]["description"])
    summaries = [told["summary"] for _, _, told in operations(document)]
    assert len(set(summaries)) == len(summaries)
    for method, path, told in operations(document):
        assert BOTH.match(told["summary"]), f"{method} {path}: {told['summary']}"
        assert len(told["description"]) > 20, f"{method} {path}"
        assert "400" not in told["responses"], "the framework's own form, which nobody gets"
        if path in {"/healthz", "/readyz"}:
            assert told["security"] == []
        else:
            assert told["x-roles"]
            refusal = told["responses"]["4XX"]["content"]["application/problem+json"]["schema"]["$ref"]
            assert set(document["components"]["schemas"][refusal.rsplit("/", maxsplit=1)[-1]]["required"]) == {"title", "status", "detail"}


def test_every_parameter_says_what_it_means_with_an_example(document: dict[str, Any]) -> None:
    """In both languages; the example may be the empty one that a list starts with."""
    seen = 0
    for method, path, told in operations(document):
        for one in told.get("parameters", []):
            seen += 1
            where = f"{method} {path} {one['name']}"
            assert BOTH.match(one["description"]), where
            assert [example["value"] for example in one["examples"].values()], where
    assert seen > 25


def test_every_body_says_what_it_holds_with_an_example(document: dict[str, Any]) -> None:
    """Whatever changes something by a body tells its media types and shows one."""
    with_body = {path: told["requestBody"] for _, path, told in operations(document) if "requestBody" in told}
    assert {"/v1/signals", "/v1/feeds/{feed}/records", "/v1/import/objects", "/v1/warnings/{warning_id}/responses"} <= set(with_body)
    for path, body in with_body.items():
        assert BOTH.match(body["description"]), path
        assert any(media.get("example") for media in body["content"].values()), path


def test_the_examples_of_parameters_are_taken(shared: World, document: dict[str, Any]) -> None:
    """Every list with all of its example values answers 200; what an example's id does not name is 404, never 400."""
    for method, path, told in operations(document):
        if method != "get" or path == "/metrics":
            continue
        given = {one["name"]: (one["in"], next(iter(one["examples"].values()))["value"]) for one in told.get("parameters", [])}
        address = path.format(**{name: value for name, (place, value) in given.items() if place == "path"})
        query = {name: str(value).lower() for name, (place, value) in given.items() if place == "query"}
        answer = shared.ask("admin", "GET", address, params=query)
        assert answer.status_code in ({200, 404} if "{" in path else {200}), f"{address} {query}: {answer.text}"


def test_the_examples_of_bodies_are_taken(world: World) -> None:
    """The registers, a penalty and a signal go in as they are shown."""
    for what, name, body in (
        ("departments", "d.yaml", bodies.DEPARTMENTS),
        ("catalogue", "c.csv", bodies.CATALOGUE),
        ("objects", "o.csv", bodies.OBJECTS),
    ):
        done = world.ask("admin", "POST", f"/v1/import/{what}?name={name}", content=body.encode())
        assert (done.status_code, done.json()["problems"]) == (200, []), what
    penalties = world.ask("feed", "POST", "/v1/feeds/penalties/records", content=bodies.PENALTIES.encode())
    assert penalties.json()["accepted"] == 1, penalties.text
    assert read_signal(dict(bodies.SIGNAL), parse_rfc3339("2026-03-02T08:00:00+08:00")).kind == "gas.leak"
