"""The API and the console over a cluster's PostgreSQL: what they show comes from the workers, what people decide goes back by Kafka."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from app.api.application import make_litestar
from app.cluster.api import ApiRole
from app.server import Server
from app.settings import Egress
from deploy.kafka.local import LocalKafka
from domain.objects import Resolution
from domain.partitions import partition_of
from domain.signals import ObjectRef
from storage import risk
from storage.intake_reads import place_in_queue, queue_for_people
from tests.app.world import CATALOGUE, DEPARTMENTS, OBJECTS
from tests.cluster.world import PATIENCE, RULES, Cluster, leak
from tests.factories import at, make_entry
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
TOP = Path(__file__).resolve().parents[2]
SAMPLES = {"int": "1", "str": "x", "path": "x"}


class Console:
    """A running api of a cluster, and who asks it."""

    def __init__(self, cluster: Cluster, role: ApiRole) -> None:
        self.cluster = cluster
        self.role = role
        self.http = httpx.Client(base_url=role.settings.base_url, timeout=PATIENCE, trust_env=False)
        self.tokens = {"admin": (role.settings.data / "admin-token").read_text().strip()}

    def ask(self, method: str, path: str, who: str = "admin", **options: Any) -> httpx.Response:
        options["headers"] = {"authorization": f"Bearer {self.tokens[who]}"} | dict(options.get("headers", {}))
        return self.http.request(method, path, **options)

    def call(self, method: str, path: str, who: str = "admin", **options: Any) -> Any:
        response = self.ask(method, path, who, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if "json" in response.headers["content-type"] else response.text

    def grant(self, name: str, role: str, department: str = "") -> None:
        body = {"name": name, "role": role, "department": department, "feed": ""}
        self.tokens[name] = self.call("POST", "/v1/access", json=body)["token"]

    def queue(self) -> set[str]:
        """Return the signals that wait for a person."""
        found = [one for named in ("true", "false") for one in self.call("GET", f"/v1/unresolved?named={named}", "duty")]
        return {one["entry"]["signal"]["id"] for one in found}


def _in_force(cluster: Cluster) -> str:
    with cluster.database.read() as connection:
        return risk.active_ruleset(connection)


@pytest.fixture
def console(kafka: LocalKafka, postgres: PostgresServer, prefix: str, tmp_path: Path) -> Iterator[Console]:
    """Give an api beside a worker with three partitions and rules in force."""
    cluster = Cluster(kafka, postgres.fresh(), prefix, tmp_path / "cluster", partitions=3)
    version = cluster.activate()
    cluster.start()
    cluster.until(lambda: _in_force(cluster) == version)
    settings = cluster.settings.model_copy(update={"data": tmp_path / "api", "port": 0, "egress": Egress(allow=("127.0.0.0/8",))})
    with ApiRole(settings) as role:
        server = Server(role)
        server.start()
        made = Console(cluster, role)
        for what, name, body in (("departments", "d.yaml", DEPARTMENTS), ("catalogue", "c.csv", CATALOGUE), ("objects", "o.csv", OBJECTS)):
            assert made.call("POST", f"/v1/import/{what}?name={name}", content=body.encode())["problems"] == []
        made.grant("duty", "duty")
        made.grant("lead", "department", "zhujian")
        yield made
        made.http.close()
        server.stop()
    cluster.close()


def test_what_the_workers_judged_is_shown_and_answered(console: Console) -> None:
    """A warning that a worker raised stands in API and console, for the departments that have a part in it and for no others."""
    cluster = console.cluster
    cluster.send([leak(number, 4) for number in range(12)])
    cluster.await_done()
    cluster.until(lambda: len(console.call("GET", "/v1/warnings", "duty")["warnings"]) == 4)
    [first, *_] = console.call("GET", "/v1/warnings", "duty")["warnings"]
    story = console.call("GET", f"/v1/warnings/{first['id']}/explain", "duty")
    assert story["why"]
    page = console.ask("GET", f"/warnings/{first['id']}", "duty", headers={"accept": "text/html"})
    assert page.status_code == 200
    console.grant("stranger", "department", "yingji")
    assert console.call("GET", "/v1/warnings", "stranger")["warnings"] == []
    assert console.ask("GET", f"/v1/warnings/{first['id']}", "stranger").status_code == 404
    status = console.call("GET", "/v1/status")
    assert status["head"] == status["applied"] > 0
    assert status["ruleset"] == console.role.services.rulebook.active
    assert console.call("GET", "/v1/rules")["version"] == status["ruleset"]
    console.grant("prometheus", "monitor")
    told = console.call("GET", "/metrics", "prometheus")
    for name in ("fengsui_warnings_open{", "fengsui_timers_late_seconds 0", "fengsui_rules_active{", "fengsui_build_info{"):
        assert name in told
    assert "\nfengsui_duty_leases " not in told, "no loop runs here"


def test_no_route_and_no_page_breaks_where_no_engine_is(console: Console) -> None:
    """Every GET of the router answers with what there is or says what is not to be seen here; none with an error of ours."""
    seen = 0
    for route in make_litestar(console.role.services).routes:
        assert isinstance(route, HTTPRoute)
        path = re.sub(r"/\{\w+:(\w+)\}", lambda found: "/" + SAMPLES[found[1]], route.path)
        for method in set(route.route_handler_map) & {"GET"}:
            response = console.ask(method, path)
            assert response.status_code < 500, f"{path}: {response.text}"
            seen += 1
    assert seen > 30
    told = console.call("GET", "/v1/rules/leaks/why-not?object=o-gas")
    assert (told["subject"], [one["reason"] for one in told["obstacles"]][:1]) == ("o-gas", ["unseen"])
    answered = console.ask("GET", "/objects/o-gas?rule=leaks", "duty", headers={"accept": "text/html"}).text
    assert ("why-rule" in answered, "leaks &gt;= 3" in answered) == (True, True)
    [version] = console.call("GET", "/v1/rules/versions")
    assert version["times"] == 1, "one activation, in three partitions"
    own = [row["name"] for row in console.call("GET", "/v1/access") if row["role"] == "admin"]
    assert [name.startswith("admin@") and name.endswith("/api") for name in own] == [True]
    pages = {lang: console.ask("GET", f"/feeds?lang={lang}", headers={"accept": "text/html"}).text for lang in ("zh", "en")}
    assert [("各接入进程数据目录 inbox" in page, "of each edge's inbox" in html.unescape(page)) for page in pages.values()] == [
        (True, False),
        (False, True),
    ], "each reader in his language"
    notices = [console.ask("GET", f"/rules?lang={lang}", headers={"accept": "text/html"}).text for lang in ("zh", "en")]
    assert [("推断的复核在研判进程中" in page, "put in force by fengsui rules publish" in page) for page in notices] == [
        (True, False),
        (False, True),
    ]
    assert console.ask("POST", "/v1/rules/rollback", json={"version": "x"}).status_code == 404
    state = console.call("POST", "/v1/rules/rollback", json={"version": version["version"][:8], "reason": "如常"})
    assert (state["active"], state["preparing"], state["pinned"]["reason"]) == (version["version"], "", "如常")


def test_the_command_that_goes_back_stays_until_that_is_done(console: Console) -> None:
    """It says that it goes on without it, page and status say what is under way, and at the end what is in force."""
    cluster, role = console.cluster, console.role
    first = _in_force(cluster)
    (cluster.rules / "gas.yaml").write_text(RULES.replace("leaks >= 3", "leaks >= 2"))
    second = cluster.activate()
    cluster.until(lambda: bool(console.call("GET", "/v1/rules/state")["active"] == second))
    command = [sys.executable, "-m", "app.cli", "rules", "rollback", first[:8], "--reason", "误报"]
    command += ["--url", role.settings.base_url, "--data", str(role.settings.data)]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stderr is not None
        with cluster.database.turn("publish"):
            assert f"preparing {first[:12]} · " in asked.stderr.readline()
            assert first[:12] in console.ask("GET", "/rules?lang=en", headers={"accept": "text/html"}).text
            assert console.call("GET", "/v1/rules/state")["preparing"] == first
        told, _ = asked.communicate(timeout=PATIENCE)
    assert (asked.returncode, f"active {first[:12]}" in told, "preparing" in told) == (0, True, False)


def test_the_queue_of_a_person_is_newest_first_whatever_the_partition(console: Console) -> None:
    """Numbers grow within a partition alone: what came in last stands first, and the next page goes on behind it."""
    cluster = console.cluster
    names = {partition_of(f"feed\0{name}", 3): name for name in (f"n-{number}" for number in range(50))}
    for number in (2, 0):
        cluster.send([make_entry(id=names[number], feed="feed", resolution=Resolution(), object=ObjectRef(name=names[number]))])
        cluster.await_done()
    with console.role.database.read() as connection:
        first, second = queue_for_people(connection)
        assert (first.entry.signal.id, second.entry.signal.id) == (names[0], names[2])
        assert first.seq < second.seq
        assert queue_for_people(connection, limit=1) == [first]
        assert queue_for_people(connection, behind=place_in_queue(first)) == [second]


def test_what_a_person_confirms_counts_in_the_partition_of_the_object(console: Console) -> None:
    """Signals that nobody could place lie in partitions by their names; confirmed, they count together where the object's are, once."""
    cluster = console.cluster
    home = partition_of("o-gas", 3)
    away = [name for name in (f"n-{number}" for number in range(50)) if partition_of(f"feed\0{name}", 3) != home]
    here = [name for name in (f"n-{number}" for number in range(50)) if name not in away]
    names = sorted([away[0], away[1], here[0]])
    cluster.send([make_entry(id=name, feed="feed", resolution=Resolution(), occurred_at=at(number)) for number, name in enumerate(names)])
    cluster.await_done()
    cluster.until(lambda: console.queue() == set(names))
    for name in names:
        for _ in range(2):  # said twice counts once
            console.call("POST", f"/v1/unresolved/feed/{name}", "duty", json={"object_id": "o-gas"})
        assert name not in console.queue()
    cluster.until(cluster.judged)  # what the partitions tell each other too
    [warning] = console.call("GET", "/v1/warnings", "duty")["warnings"]
    told = console.call("GET", f"/v1/warnings/{warning['id']}/explain", "duty")
    assert (warning["subject"], sorted(one["id"] for one in told["evidence"])) == ("o-gas", names)
    placed = make_entry(
        id="placed", feed="feed", resolution=Resolution(object_id="o-gas", method="name", confidence=0.9), occurred_at=at(9)
    )
    cluster.send([placed])
    cluster.await_done()
    console.call("POST", "/v1/unresolved/feed/placed", "duty", json={"object_id": "o-gas"})  # as it is
    console.call("POST", f"/v1/unresolved/feed/{names[0]}", "duty", json={"object_id": "o-food"})
    cluster.await_done()
    page = console.call("GET", "/v1/objects/o-food", "duty")
    assert [one["id"] for one in page["signals"]] == [names[0]]
    assert len(console.call("GET", "/v1/warnings", "duty")["warnings"]) == 1
