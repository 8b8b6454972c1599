"""Campaign `chaos`: a cluster of real processes under load while workers, brokers and the database are killed, stopped and brought back.

    python -m tests.campaigns.chaos [--signals N] [--seed N] [--small] [--plant skip_frame]

Three brokers (replication 3, two in sync), PostgreSQL, workers that a supervisor restarts. The oracle is a pipeline of its own over the
consumed log. Lost: acknowledged and not in the database. Twice: a signal with two rows, or a warning that the oracle does not have.
"""

from __future__ import annotations

import itertools
import logging
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

from deploy.kafka.local import LocalKafka
from domain.errors import StoreUnavailable
from domain.ports import Offer, Receipt
from tests.campaigns.entry import Campaign, Run, play
from tests.cluster.world import Cluster, leak
from tests.conftest import which
from tests.postgres import PostgresServer

PARTITIONS = 6
CALL = 50
ZOMBIE_SECONDS = 14.0  # beyond the session time-out of the workers
FAULTS = ("kill_worker", "zombie", "kill_broker", "all_brokers", "postgres", "add_worker", "remove_worker")
CONSUMING_SECONDS = 60.0


class Load(threading.Thread):
    """Sends numbered signals until all are acknowledged; what the door refuses is sent again, as a sender does."""

    def __init__(self, cluster: Cluster, count: int, rate: float) -> None:
        """Send `count` signals at no more than `rate` a second."""
        super().__init__(daemon=True)
        self._cluster = cluster
        self._count = count
        self._rate = rate
        self.acknowledged: set[int] = set()
        self.refused = 0

    def run(self) -> None:
        """Send."""
        began = time.monotonic()
        under_way: list[tuple[range, Future[list[Receipt]]]] = []
        for start in range(0, self._count, CALL):
            numbers = range(start, min(start + CALL, self._count))
            while True:
                try:
                    future = self._cluster.intake.submit([Offer(entry=leak(number, 600)) for number in numbers])
                except StoreUnavailable:
                    self.refused += 1
                    time.sleep(0.2)
                    continue
                under_way.append((numbers, future))
                break
            ahead = start / self._rate - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
        for numbers, future in under_way:
            future.result(180)
            self.acknowledged.update(numbers)


class Supervisor(threading.Thread):
    """Starts workers anew that end, as systemd or Docker would; `wanted` are the names that are to run."""

    def __init__(self, cluster: Cluster, environment: dict[str, str]) -> None:
        """Keep the workers of `cluster` running."""
        super().__init__(daemon=True)
        self._cluster = cluster
        self._environment = environment
        self.wanted: set[str] = set()
        self.ended: Counter[int] = Counter()
        self.lock = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self._over.wait(0.2):
            with self.lock:
                for name in sorted(self.wanted):
                    worker = self._cluster.workers.get(name)
                    status = worker.poll() if worker is not None else None
                    if worker is not None and status is not None:
                        self.ended[status] += 1
                    if worker is None or status is not None:
                        self._cluster.start(name, **self._environment)

    def stop(self) -> None:
        """Start nothing more."""
        self._over.set()
        self.join()


class Chaos:
    """The faults; each returns when what it broke is whole again."""

    def __init__(
        self, cluster: Cluster, kafka: LocalKafka, postgres: PostgresServer, supervisor: Supervisor, chance: random.Random
    ) -> None:
        self._cluster, self._kafka, self._postgres, self._supervisor, self._chance = cluster, kafka, postgres, supervisor, chance
        self._names = itertools.count(1)
        for _ in range(2):
            self.add_worker()

    def deed(self, name: str) -> Callable[[], None]:
        """Return a fault by its name."""
        found: Callable[[], None] = getattr(self, name)
        return found

    def _one(self) -> str:
        return self._chance.choice(sorted(self._supervisor.wanted))

    def _send(self, name: str, number: int) -> None:
        worker = self._cluster.workers.get(name)
        if worker is not None and worker.poll() is None:
            worker.send_signal(number)

    def kill_worker(self) -> None:
        """Kill -9 of a worker."""
        self._send(self._one(), signal.SIGKILL)

    def zombie(self) -> None:
        """SIGSTOP of a worker beyond the session time-out, then SIGCONT: what it still wants to write is refused."""
        name = self._one()
        self._send(name, signal.SIGSTOP)
        time.sleep(ZOMBIE_SECONDS)
        self._send(name, signal.SIGCONT)

    def kill_broker(self) -> None:
        """Kill -9 of a broker, and its return."""
        node = self._chance.randrange(3)
        self._kafka.signal_broker(node, signal.SIGKILL)
        time.sleep(self._chance.uniform(2, 6))
        self._kafka.start_broker(node)
        self._kafka.await_ready()

    def all_brokers(self) -> None:
        """All brokers at once, down for some seconds."""
        for node in range(3):
            self._kafka.signal_broker(node, signal.SIGKILL)
        time.sleep(self._chance.uniform(3, 8))
        for node in range(3):
            self._kafka.start_broker(node)
        self._kafka.await_ready()

    def postgres(self) -> None:
        """PostgreSQL crashes in the middle of whatever it does, and comes back."""
        self._postgres.stop(signal.SIGQUIT)
        time.sleep(self._chance.uniform(1, 5))
        self._postgres.start()

    def add_worker(self) -> None:
        """One worker more."""
        with self._supervisor.lock:
            self._supervisor.wanted.add(f"worker-{next(self._names)}")

    def remove_worker(self) -> None:
        """One worker less, in order; one stays."""
        if len(self._supervisor.wanted) < 2:
            return
        name = self._one()
        with self._supervisor.lock:
            self._supervisor.wanted.discard(name)
            self._send(name, signal.SIGTERM)


def check(cluster: Cluster, load: Load) -> list[str]:
    """Return what is wrong in the end."""
    wrong = []
    rows = Counter(cluster.signal_ids())
    lost = [number for number in load.acknowledged if f"s-{number}" not in rows]
    if lost:
        wrong.append(f"{len(lost)} acknowledged signals are not there, e.g. s-{min(lost)}")
    twice = [name for name, count in rows.items() if count > 1]
    if twice:
        wrong.append(f"{len(twice)} signals were taken twice, e.g. {min(twice)}")
    found, expected = cluster.warnings(), cluster.replayed()
    if found != expected:
        differ = sorted(set(found) ^ set(expected))
        wrong.append(f"{len(differ)} warnings differ from the replay of the log, e.g. {differ[:2]}")
    if not expected:
        wrong.append("no warning was raised: nothing was compared")
    return wrong


def run(top: Path, *, count: int, faults: list[str], seed: int, plant: str) -> tuple[list[str], str]:
    """Make one run; return what is wrong and the line of figures."""
    chance = random.Random(seed)  # repeatable on purpose
    with ExitStack() as stack:
        (top / "kafka").mkdir()
        kafka = stack.enter_context(LocalKafka(top / "kafka", brokers=3))
        server = which("postgres")
        assert server, "PostgreSQL is missing: make services"
        postgres = stack.enter_context(PostgresServer(Path(server).parent))
        cluster = Cluster(kafka, postgres.fresh(), "chaos", top / "cluster", partitions=PARTITIONS, replicas=3)
        stack.callback(cluster.close)
        cluster.activate()
        supervisor = Supervisor(cluster, {"plant": plant} if plant else {})
        chaos = Chaos(cluster, kafka, postgres, supervisor, chance)
        supervisor.start()
        load = Load(cluster, count, rate=count / (12.0 * len(faults) + 20))
        load.start()
        slowest = 0.0
        for name in faults:
            time.sleep(chance.uniform(2, 5))
            chaos.deed(name)()
            slowest = max(slowest, _consuming_again(cluster))
        load.join()
        cluster.await_done(120)
        supervisor.stop()
        wrong = check(cluster, load)
        if slowest > CONSUMING_SECONDS:
            wrong.append(f"after a fault nothing was consumed for {slowest:.0f} s")
        fenced = sum(log.read_text(errors="replace").count("partition.fenced") for log in (top / "cluster").glob("worker-*.log"))
        told = ", ".join(f"{name} {times}" for name, times in sorted(Counter(faults).items()))
        ended = sum(supervisor.ended.values())
    line = (
        f"chaos: {len(load.acknowledged)} signals acknowledged, faults: {told}; {ended} workers restarted, "
        f"{fenced} writes fenced, consuming again within {slowest:.0f} s, seed {seed}"
    )
    return wrong, line


def _consuming_again(cluster: Cluster) -> float:
    """Return after how many seconds the database's progress moves on, or everything is done."""
    began = time.monotonic()
    before: dict[int, int] | None = None
    while time.monotonic() - began < 3 * CONSUMING_SECONDS:
        try:
            done, ends = cluster.done(), cluster.ends()
        except (StoreUnavailable, AssertionError):
            time.sleep(0.2)
            continue
        if before is None:
            before = done
        if any(done.get(number, -1) > before.get(number, -1) for number in ends) or all(done.get(n, -1) >= end for n, end in ends.items()):
            break
        time.sleep(0.2)
    return time.monotonic() - began


def body(given: Run) -> tuple[list[str], str]:
    """Bring the faults about and compare."""
    chance = random.Random(given.seed)  # repeatable on purpose
    only, number = given.given.only, 3 if given.small else max(given.given.faults, 1)
    known = only.split(",") if only else ["kill_worker", "zombie", "kill_broker"] if given.small else list(FAULTS)
    faults = [*known, *(chance.choice(known) for _ in range(number))][:number]
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # that brokers are away is the point
    return run(given.folder, count=given.count, faults=faults, seed=given.seed, plant=given.plant)


CAMPAIGN = Campaign(
    module="tests.campaigns.chaos",
    about=__doc__,
    plants=("skip_frame",),
    counts="signals",
    full=100_000,
    small=5_000,
    more={
        "faults": {"type": int, "default": 14, "help": "how many; three in small"},
        "only": {"default": "", "help": "faults to choose from, comma-separated"},
    },
)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
