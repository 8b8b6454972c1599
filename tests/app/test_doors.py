"""Decision 14: no credential, no answer; no role, no deed; no part in a warning, no sign that it is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
import structlog
from litestar.routes import HTTPRoute
from structlog.testing import capture_logs

from app.api.application import make_litestar
from app.api.roles import NOBODY, OPEN
from app.logs import Sparing
from domain.principals import ROLES
from tests.app.offices import problem
from tests.app.world import LEAD, OTHER, PARTNER, World, penalty

PROBES = {("GET", "/healthz"), ("GET", "/readyz")}
LOGIN = ("POST", "/login")  # the token is in its form; it answers 401 by itself
NOT_ROUTES = (
    ("GET", "/nothing"), ("GET", "/v1"), ("GET", "/v1/warnings/"), ("GET", "/healthz/"), ("GET", "//healthz"),
    ("GET", "/static/console.css"),
    ("GET", "/static/../app/settings.py"), ("GET", "/openapi.json"), ("GET", "/schema"), ("GET", "/docs"), ("GET", "/favicon.ico"),
    ("POST", "/healthz/x"), ("PUT", "/v1/warnings"), ("PATCH", "/v1/access"), ("TRACE", "/v1/warnings"), ("HEAD", "/v1/warnings"),
    ("PROPFIND", "/v1/warnings"), ("GET", "/answer/none"), ("POST", "/answer/none"), ("GET", "/%00"), ("GET", "/v1/warnings?x=/healthz"),
)  # fmt: skip
SAMPLES = {"int": "1", "str": "x", "path": "x"}
HOLDERS = {"admin": "admin", "duty": "duty", "auditor": "auditor", "department": "lead", "department_lead": "lead-head",
           "feed": "feed", "monitor": "monitor"}  # fmt: skip


def routes(world: World) -> Iterator[tuple[str, str, frozenset[str] | None]]:
    """Yield (method, path, roles) of everything that the router knows; None where a route declares no roles."""
    for route in make_litestar(world.app.services).routes:
        assert isinstance(route, HTTPRoute), f"{route.path}: a test for this kind of route is missing"
        path = re.sub(r"/\{\w+:(\w+)\}", lambda found: "/" + SAMPLES[found[1]], route.path)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" or "options_handler" not in str(handler.fn):  # the framework's own: it has no options to set
                yield method, path, handler.opt.get("roles")


def test_every_route_declares_who_may_call_it(shared: World) -> None:
    """A route that forgot its roles fails here, not in production."""
    declared = list(routes(shared))
    assert len(declared) > 40
    assert [(method, path) for method, path, roles in declared if roles is None] == []
    unknown = {role for _, _, roles in declared for role in roles or ()} - set(ROLES) - OPEN
    assert unknown == set()
    assert {(method, path) for method, path, roles in declared if roles == OPEN} == PROBES | {LOGIN}


def test_without_a_credential_everything_but_the_two_probes_is_401(shared: World) -> None:
    """Generated from the router, and for paths that it does not know: the answer never tells them apart."""
    asked = {(method, path) for method, path, _ in routes(shared)} | set(NOT_ROUTES)
    asked |= {("OPTIONS", path) for _, path in asked if ("GET", path) not in PROBES}
    bodies = set()
    for method, path in sorted(asked - PROBES - {LOGIN}):
        for headers in ({}, {"authorization": "Bearer no-such-token"}, {"cookie": "fengsui_session=none"}, {"authorization": "Basic YTpi"}):
            response = shared.http.request(method, path, headers=headers)
            assert response.status_code == 401, f"{method} {path} with {headers}"
            assert response.headers["www-authenticate"].startswith("Bearer")
            bodies.add(response.text)
    assert len(bodies - {""}) == 1, "one and the same refusal"
    for method, path in PROBES:
        assert shared.http.request(method, path).status_code == 200
        assert shared.http.request("OPTIONS", path).status_code == 403
    assert shared.http.post("/login", data={"token": "guess"}).status_code == 401
    page = shared.http.get("/", headers={"accept": "text/html"})
    assert page.status_code == 401
    assert 'name="token"' in page.text, "a browser is shown where to sign in"


def test_a_role_that_a_route_does_not_name_gets_403_from_it(shared: World) -> None:
    """Every route against every role that has no business there; a refusal says which roles it takes."""
    for method, path, roles in routes(shared):
        assert roles is not None
        for role, holder in HOLDERS.items():
            if roles == OPEN or role in roles:
                continue
            response = shared.ask(holder, method, path)
            assert response.status_code == 403, f"{role}: {method} {path} gave {response.status_code}"
            if roles != NOBODY and path.startswith("/v1"):
                assert ", ".join(sorted(roles)) in problem(response)["detail"]


@pytest.fixture(scope="module")
def warning(shared: World) -> str:
    """A gas warning with tasks of two departments."""
    return shared.warn(700)


def test_a_department_without_a_part_finds_nothing_of_a_warning_on_any_way(shared: World, warning: str) -> None:
    """List, canonical form, story, object page, console and answers: what it gets is what it gets for an id that does not exist."""
    task = shared.assigned(LEAD, warning).data["task"]["id"]
    answer = {"action": "receive"}
    ways = [
        ("GET", f"/v1/warnings/{warning}", {}),
        ("GET", f"/v1/warnings/{warning}/explain", {}),
        ("POST", f"/v1/warnings/{warning}/responses", {"json": answer}),
        ("POST", f"/v1/warnings/{warning}/responses", {"json": answer | {"task": task}}),
        ("POST", f"/v1/warnings/{warning}/responses", {"json": answer | {"task": "t-none"}}),
        ("POST", f"/v1/warnings/{warning}/responses", {"json": answer, "headers": {"idempotency-key": f"receive-{task}"}}),
        ("GET", f"/v1/warnings?after={warning}", {}),
        ("GET", f"/warnings/{warning}", {"headers": {"accept": "text/html"}}),
        ("POST", f"/warnings/{warning}", {"data": answer | {"task": task}}),
    ]
    for method, path, options in ways:
        there = shared.ask("other", method, path, **options)
        absent = shared.ask("other", method, path.replace(warning, "w-none"), **options)
        assert there.status_code == absent.status_code == 404, f"{method} {path}"
        assert there.text == absent.text.replace("w-none", warning), f"{method} {path}"
    assert shared.warnings("other") == []
    assert warning not in shared.call("GET", "/", "other").text
    assert warning not in shared.call("GET", "/live", "other").text
    seen = shared.read("/v1/objects/o-gas", "other")
    assert (seen["open_warnings"], seen["former_warnings"]) == ([], [])
    assert warning not in shared.call("GET", "/objects/o-gas", "other").text
    assert warning not in shared.call("GET", "/inbox", "other").text


def test_refusals_of_parties_are_in_the_audit_trail_and_those_of_strangers_in_the_metrics(
    shared: World, warning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger cannot make a warning's chain grow, however often he tries; that he tried is counted and logged, sparingly."""
    monkeypatch.setattr("app.answers.strangers", Sparing(structlog.get_logger()))  # other tests have used up this minute's lines
    path = f"/v1/warnings/{warning}/responses"
    before = len(shared.story(warning, "auditor")["audit"])
    with capture_logs() as lines:
        for _ in range(30):
            assert shared.ask("other", "POST", path, json={"action": "receive"}).status_code == 404
    assert len(shared.story(warning, "auditor")["audit"]) == before
    written = [one for one in lines if one["event"] == "answer.refused"]
    assert 0 < len(written) <= 20
    assert {one["department"] for one in written} == {OTHER}
    counted = re.search(r'fengsui_requests_refused_total\{reason="stranger"\} ([\d.]+)', shared.call("GET", "/metrics", "monitor").text)
    assert counted is not None
    assert float(counted[1]) >= 30
    assert shared.ask("partner", "POST", path, json={"action": "handle"}).status_code == 422
    refused = [one for one in shared.story(warning, "auditor")["audit"] if one["what"] == "refused"]
    assert {one["detail"]["department"] for one in refused} == {PARTNER}


def test_a_cooperating_department_sees_and_moves_its_own_part_alone(shared: World, warning: str) -> None:
    """It reads its task, not the lead's, and cannot answer for the lead, whatever it writes into the body."""
    tale = shared.story(warning, "partner")
    assert [task["department"] for task in tale["tasks"]] == [PARTNER]
    assert {one["recipient"] for one in tale["deliveries"]} == {PARTNER}
    leads_task = shared.assigned(LEAD, warning).data["task"]["id"]
    path = f"/v1/warnings/{warning}/responses"
    assert shared.ask("partner", "POST", path, json={"action": "receive", "task": leads_task}).status_code == 404
    planted = {"action": "receive", "task": leads_task, "department": LEAD}
    assert shared.ask("partner", "POST", path, json=planted).status_code == 400, "the department is never the body's to say"
    assert {task["stage"] for task in shared.story(warning)["tasks"]} == {"pushed"}


def test_a_signature_speaks_for_the_department_of_the_task_and_for_no_other(shared: World, warning: str) -> None:
    """Signed with another department's secret, without a task, or for a task of another warning: 401, and nothing happens."""
    told = shared.assigned(LEAD, warning).data
    path = f"/v1/warnings/{warning}/responses"
    body = b'{"action": "receive", "task": "%s"}' % told["task"]["id"].encode()
    stranger = shared.offices[OTHER].sign("x-1", body)
    assert shared.http.post(path, content=body, headers=stranger).status_code == 401
    nameless = b'{"action": "receive"}'
    assert shared.http.post(path, content=nameless, headers=shared.offices[LEAD].sign("x-2", nameless)).status_code == 401
    signed = shared.offices[LEAD].sign("x-3", body)
    assert shared.http.post("/v1/warnings/w-none/responses", content=body, headers=signed).status_code == 404
    assert shared.http.post("/v1/access", content=body, headers=signed).status_code == 403, "a signature answers tasks, nothing else"
    assert {task["stage"] for task in shared.story(warning)["tasks"]} == {"pushed"}


def signed_in(world: World, who: str) -> httpx.Client:
    """Return a browser with a session."""
    browser = httpx.Client(base_url=str(world.http.base_url), trust_env=False)
    origin = str(world.http.base_url).rstrip("/")
    token = world.headers(who)["authorization"].removeprefix("Bearer ")
    response = browser.post("/login", data={"token": token}, headers={"origin": origin})
    assert response.status_code == 303
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    return browser


def test_a_cookie_moves_nothing_from_another_site(shared: World, warning: str) -> None:
    """A session's POST needs the page's own origin: none, another's or a lookalike is refused before the route runs."""
    browser = signed_in(shared, "duty")
    own = str(shared.http.base_url).rstrip("/")
    path, answer = f"/v1/warnings/{warning}/responses", {"action": "supervise", "note": "跨站"}
    for origin in ("", "null", "https://evil.example", own + ".evil.example", own.replace("http://", "http://evil@evil.example?")):
        for method, target in (
            ("POST", path),
            ("POST", f"/warnings/{warning}"),
            ("POST", "/logout"),
            ("PUT", "/v1/departments/x/endpoint"),
        ):
            headers = {"origin": origin} if origin else {}
            assert browser.request(method, target, json=answer, headers=headers).status_code == 403, f"{origin}: {method} {target}"
    assert browser.get("/v1/warnings").status_code == 200, "reading needs no origin"
    foreign = browser.post("/login", data={"token": "x"}, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403


def test_a_session_ends_with_its_credential_its_time_and_its_sign_out(world: World) -> None:
    """Revoking a token ends what was opened with it at the next request; so do twelve hours and signing out."""
    own = str(world.http.base_url).rstrip("/")
    granted = world.call("POST", "/v1/access", json={"name": "暂用", "role": "duty"}).json()
    world.tokens["temp"] = granted["token"]
    browser, other = signed_in(world, "temp"), signed_in(world, "auditor")
    leaving = signed_in(world, "duty")
    assert [one.get("/v1/warnings").status_code for one in (browser, other, leaving)] == [200, 200, 200]
    world.call("DELETE", f"/v1/access/{granted['fingerprint']}")
    assert browser.get("/v1/warnings").status_code == 401
    assert world.ask("temp", "GET", "/v1/warnings").status_code == 401
    kept = leaving.cookies["fengsui_session"]
    assert leaving.post("/logout", headers={"origin": own}).status_code == 303
    assert world.http.get("/v1/warnings", headers={"cookie": f"fengsui_session={kept}"}).status_code == 401
    world.at("12h1m")
    assert other.get("/v1/warnings").status_code == 401


def test_a_feeds_credential_sends_its_own_feed_and_reads_nothing(shared: World) -> None:
    """The body cannot name a feed, the route cannot name another's, and no list opens."""
    assert shared.ask("feed", "POST", "/v1/feeds/licences/records", content=b"a,b").status_code == 403
    assert shared.signals({"id": "x", "feed": "licences"}).json()["reasons"] == {"unknown_field": 1}
    for path in ("/v1/warnings", "/v1/feeds", "/v1/feeds/penalties/rejections", "/v1/objects/o-gas", "/metrics", "/"):
        assert shared.ask("feed", "GET", path).status_code == 403, path


def test_a_one_time_link_opens_one_task_for_one_answer(world: World) -> None:
    """A department without a system answers on the page of the link; used, foreign and outdated links open nothing."""
    world.post(penalty(1))
    link = world.assigned(LEAD).data["links"]["answer"].removeprefix(str(world.http.base_url).rstrip("/"))
    page = world.http.get(link, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "长安燃气有限公司" in page.text
    key = re.search(r'name="key" value="([^"]+)"', page.text)
    fields = {"action": "receive", "operator": "李四"} | ({"key": key[1]} if key else {})
    done = world.http.post(link, data=fields)
    assert done.status_code == 303
    assert world.http.post(link, data=fields).status_code == 401, "it served its one answer"
    following = done.headers["location"].partition("?")[0]
    assert following != link
    assert world.http.get(following).status_code == 200
    for path in ("/v1/warnings", "/", f"/v1/warnings/{world.warnings()[0]['id']}"):
        assert world.http.get(path, headers={"authorization": f"Bearer {link.rsplit('/', 1)[1]}"}).status_code == 401
    [entry] = [one for one in world.story(world.warnings()[0]["id"])["audit"] if one["what"] == "receive"]
    assert entry["actor"] == "link:李四", "said by whoever held the link, recorded as a claim"
    world.at("16d")
    assert world.http.get(following).status_code == 401


def test_a_signed_answer_that_does_not_pass_is_told_what_a_signature_needs(shared: World) -> None:
    """Without a task nobody knows whose secret to try; the sentence is the same for a wrong signature and an unknown task."""
    signature = {"webhook-id": "a-1", "webhook-timestamp": "0", "webhook-signature": "v1,AAAA"}
    told = {
        problem(shared.http.post("/v1/warnings/w/responses", headers=signature, content=body))["detail"]
        for body in (b'{"action": "receive"}', b'{"action": "receive", "task": "t"}', b"no JSON")
    }
    (detail,) = told
    assert "写明 task" in detail
    assert "Bearer" not in detail


def test_a_page_that_there_is_none_of_is_told_on_a_page(shared: World) -> None:
    """A browser gets a page in the reader's language with the way back, on paths of the console; a program a problem document."""
    found = {lang: shared.ask("duty", "GET", f"/warning?lang={lang}", headers={"accept": "text/html"}) for lang in ("zh", "en")}
    assert [(each.status_code, each.headers["content-type"].split(";")[0]) for each in found.values()] == [(404, "text/html")] * 2
    assert ("没有 /warning 这个页面" in found["zh"].text, "there is no page /warning" in found["en"].text) == (True, True)
    assert 'href="/"' in found["zh"].text
    for path, accept in (("/warning", "application/json"), ("/v1/nothing", "text/html")):
        answer = shared.ask("duty", "GET", path, headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
