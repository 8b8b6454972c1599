"""Several duty loops on one real PostgreSQL: what one of them alone would do is done, once, whichever of them dies in the middle."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, update

from app.cluster.duty import DutyRole
from app.settings import Egress, Kafka, Settings
from app.wiring import make_desk, make_writer
from connectors.kafka.topics import Topics
from deploy.kafka.local import LocalKafka, free_port
from dispatch.route import route
from domain.findings import WarningRaised
from storage import access, audit, obligations, outbox
from storage.crashpoints import CRASH_VARIABLE
from storage.database import Database
from storage.duty_tables import attempts, timers
from storage.duty_tables import audit as trail
from storage.duty_tables import outbox as messages
from storage.findings import apply_outcomes
from storage.postgres import PostgresDatabase
from tests.app.offices import WALL, Offices
from tests.cluster.world import PATIENCE, environment, start_role
from tests.dispatch.timeline import CATALOGUE, DIRECTORY
from tests.factories import make_warning
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
TOP = Path(__file__).resolve().parents[2]
LATER = timedelta(days=4)  # after which reminders, dues and rungs of every warning have passed
LONGER = timedelta(hours=1)  # than any run of a test
WARNINGS = 6
WAVES = 20  # at most
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1kdXR5LXRlc3Rz"


class Ahead:
    """The real clock, a while ahead: leases of now have run out there."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return WALL.now() + self._by


class Desks:
    """A database with open warnings whose clocks ran out, and duty loops on it."""

    def __init__(self, settings: Settings, offices: Offices, folder: Path) -> None:
        self.settings = settings
        self.offices = offices
        self.folder = folder
        self.database: Database = PostgresDatabase.connect(settings.database_url, WALL)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()
        self.database.close()

    def furnish(self) -> None:
        """Give every department a receiver."""
        then = WALL.now() - LATER
        with self.database.write() as connection:
            obligations.put_departments(connection, DIRECTORY.departments)
            for unit in DIRECTORY.departments:
                office = self.offices[unit.id]
                endpoint = access.Endpoint(id=f"e-{unit.id}", department=unit.id, url=office.url, state="active", created_at=then)
                access.put_endpoint(connection, endpoint)
                access.rotate_secret(connection, unit.id, SECRET, then, timedelta(0))
                office.secrets.append(SECRET)

    def warn(self, numbers: Iterable[int]) -> None:
        """Route warnings of some days ago."""
        then = WALL.now() - LATER
        desk, writer = make_desk(self.settings, WALL), make_writer(self.settings, self.folder)
        with self.database.write() as connection:
            for number in numbers:
                warning = make_warning(id=f"w{number:03}", subject=f"o-{number}", object_id=f"o-{number}", raised_at=then, updated_at=then)
                apply_outcomes(connection, [WarningRaised(warning=warning)])
                writer.write(connection, [route(warning, CATALOGUE, desk.context(connection), then)], then)

    def start(self, name: str, crash: str = "", role: str = "duty", metrics_port: int = 0) -> subprocess.Popen[bytes]:
        """Start `fengsui duty`, or another role."""
        given = {
            "DATA": self.folder / name,
            "PORT": 0,
            "METRICS_PORT": metrics_port,
            "LINK_KEY": self.folder / "link-key",
            "EGRESS__ALLOW": '["127.0.0.0/8"]',
        }
        variables = environment(self.settings, **given) | ({CRASH_VARIABLE: crash} if crash else {})
        self.running[name] = start_role(role, variables, self.folder / f"{name}.log")
        return self.running[name]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def until(self, fine: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not fine():
            if time.monotonic() > end:
                told = [f"{name}: {one.poll()}\n{self.log(name)[-3000:]}" for name, one in self.running.items()]
                logs = "\n".join(told)
                raise AssertionError(f"not within {PATIENCE} s\n{logs}")
            time.sleep(0.05)

    def waiting(self) -> list[outbox.Delivery]:
        """Return the deliveries that are not sent yet."""
        with self.database.read() as connection:
            return outbox.listed(connection, state="waiting", limit=10_000)

    def claimed_by(self, name: str) -> set[str]:
        """Return the deliveries that the loop of a data folder has claimed."""
        return {one.id for one in self.waiting() if one.lease_until is not None and one.lease_owner.endswith(f"/{name}")}

    def prolong(self, claimed: set[str], by: timedelta) -> None:
        """Let leases end later: how long a test takes is the machine's affair."""
        with self.database.write() as connection:
            connection.execute(update(messages).where(messages.c.id.in_(claimed)).values(lease_until=WALL.now() + by))

    def given_up(self) -> set[str]:
        """Return the deliveries of which an attempt had no answer in time: those may have arrived, and were sent again."""
        with self.database.read() as connection:
            return set(connection.scalars(select(attempts.c.delivery_id).where(attempts.c.status == 0)))

    def only_behind(self, claimed: set[str]) -> bool:
        """Say whether nothing is left but these, what their receivers have no room for, and what had no answer in time and waits for it."""
        waiting = self.waiting()
        busy = Counter(one.endpoint_id for one in waiting if one.id in claimed)
        return all(one.id in claimed or one.attempt or busy[one.endpoint_id] >= outbox.PER_ENDPOINT for one in waiting)

    def due(self) -> int:
        with self.database.read() as connection:
            return len(obligations.due_timers(connection, WALL.now(), 10_000))

    def states(self) -> Counter[str]:
        with self.database.read() as connection:
            return Counter(outbox.counts(connection))

    def over(self) -> bool:
        """Say whether everything is sent and nothing is due."""
        return set(self.states()) == {"sent"} and not self.due()

    def fired(self) -> Counter[str]:
        """Return how many timers fired, by what they do."""
        with self.database.read() as connection:
            return Counter(row.what for row in connection.execute(select(timers).where(timers.c.state == "fired")))

    def acts(self) -> Counter[str]:
        """Return how often the trails tell of each act; every chain of them is whole."""
        with self.database.read() as connection:
            assert audit.verify_all(connection) == {}
            return Counter(row.what for row in connection.execute(select(trail)))

    def deliveries(self) -> list[str]:
        with self.database.read() as connection:
            return sorted(one.id for one in outbox.listed(connection, limit=10_000))

    def arrived(self) -> list[str]:
        """Return the ids that receivers took, one for each time."""
        return sorted(one.id for office in self.offices for one in office.attempts if one.status == 204)


@pytest.fixture
def make(kafka: LocalKafka, postgres: PostgresServer, prefix: str, tmp_path: Path) -> Iterator[Callable[[], Desks]]:
    """Give what makes a deployment with receivers of its own."""
    given = Kafka(bootstrap=kafka.bootstrap, prefix=prefix, partitions=3, replicas=1, min_insync=1, reduced_durability=True)
    with Topics(given.access(), given.layout()) as topics:
        topics.apply()
    made: list[tuple[Desks, Offices]] = []

    def one() -> Desks:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        offices = Offices(*(unit.id for unit in DIRECTORY.departments)).__enter__()
        egress, key = Egress(allow=("127.0.0.0/8",)), folder / "link-key"
        settings = Settings(data=folder / "test", database_url=postgres.fresh(), kafka=given, egress=egress, link_key=key)
        made.append((Desks(settings, offices, folder), offices))
        return made[-1][0]

    yield one
    for desks, offices in made:
        desks.close()
        offices.__exit__(None, None, None)


def test_two_loops_share_the_work_though_one_is_killed_in_the_middle(make: Callable[[], Desks]) -> None:
    """Killed between claim and sending: no timer fires twice, no delivery is lost, and what it had claimed another takes up and sends."""
    desks = make()
    dying = desks.start("dying", crash="outbox.before_send:10")
    living = desks.start("living")
    desks.until(lambda: all((desks.folder / name / "duty.json").exists() for name in ("dying", "living")))
    desks.furnish()
    for wave in range(WAVES):  # which of the two comes first to the work is the machine's affair
        desks.warn(range(wave * WARNINGS, (wave + 1) * WARNINGS))
        desks.until(lambda: dying.poll() is not None or desks.over())
        if dying.poll() is not None:
            break
    assert dying.poll() == -signal.SIGKILL
    claimed = desks.claimed_by("dying")
    assert claimed
    desks.prolong(claimed, LONGER)
    desks.until(lambda: not desks.due() and desks.only_behind(claimed))
    assert desks.claimed_by("dying") == claimed, "the living one leaves that alone until the lease ends"
    living.terminate()  # its leases would be over too for one whose clock is ahead
    assert living.wait(PATIENCE) == 0
    with DutyRole(desks.settings.model_copy(update={"data": desks.folder / "heir"}), clock=Ahead(LONGER)) as heir:
        desks.until(lambda: heir.duty.idle() and set(desks.states()) == {"sent"})
    fired, acts = desks.fired(), desks.acts()
    assert fired["due"] >= WARNINGS
    assert (acts["overdue"], acts["no_answer"]) == (fired["due"], fired["answer"]), "each timer says once that it fired"
    assert fired["due"] + fired["rung"] >= acts["urge"] + acts["supervise"] + acts["report"] > 0
    arrived = desks.arrived()
    assert sorted(set(arrived)) == desks.deliveries(), "each came at least once"
    again = {id_ for id_, times in Counter(arrived).items() if times > 1}
    assert again <= claimed | desks.given_up(), "twice only what the dead one sent and could not write down"
    assert [office.complaints for office in desks.offices if office.complaints] == []


def _scraped(port: int) -> dict[str, float]:
    """Return what a process tells on its port of metrics, by name, labels left out and added up; nothing where it does not answer."""
    found: dict[str, float] = defaultdict(float)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for one in family.samples:
                    found[one.name] += one.value
    except OSError:
        return {}
    return dict(found)


def test_a_loop_serves_its_metrics_and_says_when_the_database_is_away(make: Callable[[], Desks], postgres: PostgresServer) -> None:
    """On a port of its own, without a credential: what fired and how late, what was sent; with the database gone, that it is."""
    desks, port = make(), free_port()
    desks.start("watched", metrics_port=port)
    desks.until(lambda: "fengsui_duty_leases" in _scraped(port))
    desks.furnish()
    desks.warn(range(2))
    desks.until(desks.over)
    desks.until(lambda: _scraped(port)["fengsui_deliveries_total"] >= len(desks.arrived()))
    told = _scraped(port)
    assert told["fengsui_timers_fired_total"] == told["fengsui_timer_delay_seconds_count"] == sum(desks.fired().values()) > 0
    assert told["fengsui_timer_delay_seconds_sum"] > timedelta(days=1).total_seconds(), "they had waited for days"
    assert [told[f"fengsui_{name}"] for name in ("timers_due", "outbox_waiting", "outbox_late_seconds", "store_away")] == [0, 0, 0, 0]
    assert not {name for name in told if name.startswith("fengsui_warnings_open")}, "what stands in the database the api tells"
    postgres.stop()
    try:
        desks.until(lambda: _scraped(port).get("fengsui_store_away") == 1)
        away = _scraped(port)
        assert "fengsui_timers_due" not in away
        assert away["fengsui_duty_leases"] == 0
        said = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        assert (said.status_code, "see that the server runs" in said.text) == (503, True)
    finally:
        postgres.start()
    desks.until(lambda: _scraped(port).get("fengsui_timers_due") == 0)
    desks.until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200)


@pytest.mark.parametrize(("role", "sign"), [("duty", "duty.json"), ("api", "admin-token")])
def test_a_role_of_another_version_ends_and_says_why(make: Callable[[], Desks], postgres: PostgresServer, role: str, sign: str) -> None:
    """The tables are brought to a newer version under a running role, or were before its start: it ends and names what to do."""
    desks = make()
    running = desks.start("old", role=role)
    desks.until((desks.folder / "old" / sign).exists)
    with postgres.admin(desks.settings.database_url.partition("@/")[2].partition("?")[0]) as admin:
        admin.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    assert running.wait(PATIENCE) == 2
    assert "another version" in desks.log("old")
    assert desks.start("late", role=role).wait(PATIENCE) == 2
    assert "newer version" in desks.log("late")
