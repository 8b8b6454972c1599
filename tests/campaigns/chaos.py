"""Campaign `chaos`: a cluster of real processes under load while workers, brokers and the database are killed, stopped and brought back.

    python -m tests.campaigns.chaos [--signals N] [--seed N] [--small] [--plant skip_frame]

Three brokers (replication 3, two in sync), PostgreSQL behind a proxy that loses answers, workers and duty loops that a supervisor
restarts, a receiver of webhooks. The oracle is `fengsui replay` of the consumed log, in a process of its own. Lost: acknowledged and not
in the database, or a warning that the receiver never heard of. Twice: a signal with two rows, or a warning that the oracle does not have.
"""

from __future__ import annotations

import itertools
import logging
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from app.clock import SystemClock
from connectors.kafka.access import Access
from connectors.kafka.intake import KafkaIntake
from deploy.kafka.local import LocalKafka
from domain.departments import Department
from domain.errors import StoreUnavailable
from domain.objects import Resolution
from domain.ports import Offer, Receipt
from domain.records import SignalEntry
from storage import access, obligations
from storage.admission import storable
from storage.duty_tables import outbox
from tests.campaigns.entry import Campaign, Run, play
from tests.campaigns.faults import CONSUMING_SECONDS, SECONDS, Faults, Supervisor
from tests.campaigns.oracle import differences, export, replayed
from tests.campaigns.receiver import Receiver
from tests.cluster.world import RULES as LEAKS
from tests.cluster.world import Cluster
from tests.conftest import which
from tests.cutting import CuttingProxy
from tests.factories import at, make_entry
from tests.postgres import PASSWORD, PostgresServer

PARTITIONS = 6
CALLS = 200  # of a whole load
LEAST = 50  # signals of a call
TRICKLE_SECONDS = 4.0  # between calls while the load waits for the faults
AGAIN = 10  # one call in so many is told again, by another edge
STAGE = 10_000  # signals about the same objects, so that warnings are raised from the first fault to the last
OBJECTS = 60  # of a stage, which lasts a week
SMALL = ("kill_worker", "zombie", "kill_broker", "lost_answer")
SETTLED_SECONDS = 300.0
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1kdXR5LWRlc2s="
# A second rule raises the level of what the first one found: warnings are updated too.
RULES = (
    LEAKS.replace("points: 65", "points: 50")
    + """\
  - id: many-leaks
    title: 十五次以上泄漏反映
    status: active
    basis: [城镇燃气管理条例第四十一条]
    when: leaks >= 15
    points: 40
    say: "{leaks}次"
"""
)


def complaint(number: int) -> SignalEntry:
    """Return the complaint of that number, a minute after the one before; each object of a stage gets 166 of them."""
    stage, place = divmod(number, STAGE)
    resolution = Resolution(object_id=f"obj-{stage}-{place * 7 % OBJECTS}", method="id", confidence=1.0)
    return make_entry(id=f"s-{number}", resolution=resolution, occurred_at=at(number / 60))


class Load(threading.Thread):
    """Sends numbered signals until `enough` is set and `count` are acknowledged; what is refused is sent again, as a sender does.

    One call in ten is told once more by a second edge, which knows nothing of the first: the workers have to see that.
    """

    def __init__(self, edges: list[KafkaIntake], count: int, seconds: float) -> None:
        """Spread `count` signals over `seconds`; where the faults take longer, a call comes every four seconds while it waits."""
        super().__init__(daemon=True)
        self._edges = edges
        self._count = count
        self._call = max(count // CALLS, LEAST)
        self._rate = count / seconds
        self._ahead = 0.0
        self._allowed = 0.0  # signals, by the faults that are done
        self.enough = threading.Event()
        self.acknowledged: set[int] = set()
        self.refused = 0
        self.repeated = 0

    def hurry(self) -> None:
        """Send two seconds' load at once."""
        self._ahead += 2.0
        self._allowed += 2.0 * self._rate

    def allow(self, share: float) -> None:
        """Send so much of the whole, from 0 to 1, and no more than a trickle beyond."""
        self._allowed = max(self._allowed, share * self._count)

    def run(self) -> None:
        """Send."""
        began = time.monotonic()
        under_way: list[tuple[int, range, Future[list[Receipt]]]] = []
        for start in itertools.count(0, self._call):
            if start >= self._count and self.enough.is_set():
                break
            numbers = range(start, start + self._call)
            under_way.append((0, numbers, self._submit(0, numbers)))
            if start // self._call % AGAIN == AGAIN - 1:
                self.repeated += self._call
                under_way.append((1, numbers, self._submit(1, numbers)))
            if start >= self._allowed:
                self.enough.wait(TRICKLE_SECONDS)
            while not self.enough.is_set() and start / self._rate > time.monotonic() - began + self._ahead:
                time.sleep(0.02)
        for edge, numbers, future in under_way:
            self._await(edge, numbers, future)
            self.acknowledged.update(numbers)

    def _submit(self, edge: int, numbers: range) -> Future[list[Receipt]]:
        offers = [Offer(entry=complaint(number)) for number in numbers]
        while True:
            try:
                return self._edges[edge].submit(offers)
            except StoreUnavailable:
                self.refused += 1
                time.sleep(0.2)

    def _await(self, edge: int, numbers: range, future: Future[list[Receipt]]) -> None:
        while True:
            try:
                future.result(180)
            except StoreUnavailable:
                self.refused += 1
                future = self._submit(edge, numbers)
            else:
                return


def check(cluster: Cluster, load: Load, faults: Faults, receiver: Receiver) -> list[str]:
    """Return what is wrong in the end."""
    wrong = list(faults.wrong)
    rows = Counter(cluster.signal_ids())
    lost = [number for number in load.acknowledged if f"s-{number}" not in rows]
    if lost:
        wrong.append(f"{len(lost)} acknowledged signals are not there, e.g. s-{min(lost)}")
    twice = [name for name, count in rows.items() if count > 1]
    if twice:
        wrong.append(f"{len(twice)} signals were taken twice, e.g. {min(twice)}")
    consumed = cluster.folder / "consumed.ndjson"
    logged = export(cluster, consumed)
    if logged != len(rows):
        wrong.append(f"the log has {logged} signals, the database {len(rows)}")
    expected = replayed(cluster.rules, consumed, cluster.folder)
    wrong += differences(cluster.warnings(), expected, "the cluster")
    if not expected:
        wrong.append("no warning was raised: nothing was compared")
    wrong += receiver.complaints[:3]
    heard, known = receiver.warnings, {id_ for id_, _, _ in expected}
    if heard != known:
        wrong.append(f"the receiver heard of {len(heard - known)} warnings too many, and never of {len(known - heard)}")
    for name, seconds in sorted(faults.slowest.items()):
        if seconds > CONSUMING_SECONDS:
            wrong.append(f"after {name} a partition stood still for {seconds:.0f} s")
    return wrong


def run(top: Path, *, count: int, chosen: list[str], seed: int, plant: str) -> tuple[list[str], str]:
    """Make one run; return what is wrong and the line of figures."""
    chance = random.Random(seed)  # repeatable on purpose
    with ExitStack() as stack:
        (top / "kafka").mkdir()
        kafka = stack.enter_context(LocalKafka(top / "kafka", brokers=3))
        server = which("postgres")
        assert server, "PostgreSQL is missing: make services"
        postgres = stack.enter_context(PostgresServer(Path(server).parent))
        proxy = CuttingProxy(postgres.port, marks=(b"gas.leak", b"chaos"))
        stack.enter_context(proxy)
        url = postgres.fresh()
        cluster = Cluster(kafka, url, "chaos", top / "cluster", partitions=PARTITIONS, rules=RULES, replicas=3)
        stack.callback(cluster.close)
        cluster.also = _through(proxy, url, top)
        receiver = stack.enter_context(Receiver())
        furnish(cluster, receiver)
        cluster.activate()
        another = KafkaIntake(Access(kafka.bootstrap), cluster.topic, PARTITIONS, SystemClock(), prepare=storable, by="another")
        stack.enter_context(another)
        supervisor = Supervisor(cluster, {"plant": plant} if plant else {})
        load = Load([cluster.intake, another], count, sum(SECONDS[name] + 4 for name in chosen))
        faults = Faults(cluster, kafka, postgres, proxy, supervisor, chance, load.hurry)
        faults.begin()
        load.start()
        for number, name in enumerate(chosen, start=1):
            load.allow(number / len(chosen))
            time.sleep(chance.uniform(1, 3))
            faults.bring_about(name)
        load.enough.set()
        load.join()
        cluster.await_done(SETTLED_SECONDS)
        undelivered = delivered(cluster)
        supervisor.stop()
        wrong = undelivered + check(cluster, load, faults, receiver)
        told = ", ".join(f"{name} {times} ({faults.slowest[name]:.0f} s)" for name, times in sorted(Counter(chosen).items()))
        lost = ", ".join(f"{name} {times}" for name, times in sorted(faults.outcomes.items())) or "none"
        line = (
            f"chaos: {len(load.acknowledged)} signals acknowledged, {load.repeated} told twice, {len(cluster.warnings())} warnings, "
            f"{len(receiver.warnings)} at the receiver; faults (slowest to go on): {told}; {sum(supervisor.ended.values())} processes "
            f"restarted, {faults.all_fenced()} writes fenced, commits without an answer: {lost}; "
            f"consuming again within {max(faults.slowest.values()):.0f} s, seed {seed}"
        )
    return wrong, line


def furnish(cluster: Cluster, receiver: Receiver) -> None:
    """Give the duty desk, to which all these warnings go, a receiver."""
    now = SystemClock().now()
    desk = Department(id="desk", name="市风险值班台", kind="duty_desk")
    receiver.secrets[desk.id] = SECRET
    with cluster.database.write() as connection:
        obligations.put_departments(connection, [desk])
        url = f"{receiver.url}/{desk.id}"
        access.put_endpoint(connection, access.Endpoint(id="e-desk", department=desk.id, url=url, state="active", created_at=now))
        access.rotate_secret(connection, desk.id, SECRET, now, timedelta(0))


def delivered(cluster: Cluster) -> list[str]:
    """Wait until nothing is left to deliver; return what is wrong where that does not come."""
    end = time.monotonic() + SETTLED_SECONDS
    while True:
        with cluster.database.read() as connection:
            states = Counter(connection.scalars(select(outbox.c.state).where(outbox.c.endpoint_id != "")))
        if set(states) <= {"sent"}:
            return [] if states else ["no warning was told to anybody"]
        if time.monotonic() > end:
            return [f"deliveries after {SETTLED_SECONDS:.0f} s: {dict(states)}"]
        time.sleep(0.5)


def _through(proxy: CuttingProxy, url: str, top: Path) -> dict[str, object]:
    """Return the settings with which workers reach the database of `url` through the proxy."""
    secret = top / "database-password"
    secret.write_text(PASSWORD)
    name = url.partition("@/")[2].partition("?")[0]
    return {
        "DATABASE_URL": f"postgresql://fengsui@127.0.0.1:{proxy.port}/{name}",
        "DATABASE_PASSWORD_FILE": secret,
        "LINK_KEY": top / "link-key",
        "EGRESS__ALLOW": '["127.0.0.0/8"]',
    }


def body(given: Run) -> tuple[list[str], str]:
    """Bring the faults about and compare."""
    chance = random.Random(given.seed)  # repeatable on purpose
    known = given.given.only.split(",") if given.given.only else list(SMALL if given.small else SECONDS)
    chosen = chance.sample(known, len(known))
    if given.given.faults:
        chosen = [*chosen, *(chance.choice(known) for _ in range(given.given.faults))][: given.given.faults]
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # that brokers are away is the point
    return run(given.folder, count=given.count, chosen=chosen, seed=given.seed, plant=given.plant)


CAMPAIGN = Campaign(
    module="tests.campaigns.chaos",
    about=__doc__,
    plants=("skip_frame",),
    counts="signals",
    full=100_000,
    small=5_000,
    more={
        "faults": {"type": int, "default": 0, "help": "how many; 0 for each kind once"},
        "only": {"default": "", "help": "faults to choose from, comma-separated"},
    },
)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
