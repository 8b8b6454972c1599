"""How much a worker takes, with durable effects: frames from real brokers through the pipeline into a real PostgreSQL.

    make bench ONLY=cluster ARGS="--signals 200000"

Twice: one rule over complaints, whose warnings open tasks, and RiskBench's input with its 20 rules, whose hits are kept. The log is filled
first, with nobody reading; then one worker takes it, and two workers take twice as much of a log of their own, in one run: what a signal
costs grows with the state, so both begin with none. A rate is the rows that came from when every partition had moved until the last commit,
divided by that time. Beside it what a signal costs in CPU time of the workers and of the database, which is synced at each commit, and in
that of two workers what their standbys cost, since one that is done follows the other; two are measured without them too. Then a plain
Faust agent with a Table, one signal a message, on the same brokers. Brokers, database and workers share the machine's cores.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from sqlalchemy import func, select

from benchmarks.riskbench.generate import write
from benchmarks.services import services
from connectors.inbound.canonical import read_signal
from deploy.kafka.local import LocalKafka
from domain.objects import Resolution
from domain.records import SignalEntry
from storage.tables import signals
from tests.cluster.world import RULES, TOP, Cluster
from tests.factories import at, make_entry
from tests.postgres import DURABLE, PostgresServer

PARTITIONS: Final = 4
OBJECTS: Final = 20_000
CALL: Final = 8_000
PLAIN: Final = 20_000  # messages for the plain agent, which is slow
RISKBENCH: Final = TOP / "benchmarks" / "riskbench" / "rules20" / "riskbench.yaml"
TICKS: Final = os.sysconf("SC_CLK_TCK")

Entries = Callable[[int, int], Iterable[SignalEntry]]
"""Gives so many signals; those of another run (its number) have other ids and other objects."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Signals a second, and microseconds of CPU time for each: of all workers, and of the database."""

    signals: float
    workers_us: float
    database_us: float


def complaints(count: int, run: int) -> Iterable[SignalEntry]:
    """Give signals of 20,000 objects; one object in a hundred has the three complaints that make a warning."""
    for number in range(count):
        name = f"obj-{run}-{number * 7919 % OBJECTS:05d}"
        kind = "gas.leak" if number % 100 == 0 else "gas.inspection"
        found = Resolution(object_id=name, method="id", confidence=1.0)
        yield make_entry(id=f"s-{run}-{number}", kind=kind, resolution=found, occurred_at=at(number / 3600))


def riskbench(path: Path) -> Entries:
    """Return what gives the signals of a file of RiskBench."""

    def entries(count: int, run: int) -> Iterable[SignalEntry]:
        later = datetime.fromisoformat("9000-01-01T00:00:00+00:00")
        with path.open("rb") as lines:
            for line in islice(lines, count):
                told = read_signal(msgspec.json.decode(line), later)
                found = Resolution(object_id=f"{run}-{told.object.id or told.object.code}", method="id", confidence=1.0)
                yield make_entry(feed="riskbench", signal=msgspec.structs.replace(told, id=f"{run}-{told.id}"), resolution=found)

    return entries


class Side:
    """One rule set, and so many workers, with a topic and a database of their own."""

    def __init__(self, cluster: Cluster, postgres: PostgresServer, entries: Entries) -> None:
        """Put the rules in force."""
        self.cluster = cluster
        self._postgres = postgres
        self._entries = entries
        cluster.activate()

    def rate(self, workers: int, count: int, **kafka: object) -> Rate:
        """Fill the log, start that many workers, with settings of `kafka`, measure."""
        cluster, names = self.cluster, [f"w{workers}-{number}" for number in range(workers)]
        left = iter(self._entries(count, workers))
        while call := list(islice(left, CALL)):
            cluster.send(call, call=CALL)
        before = cluster.done()
        for name in names:
            cluster.start(name, snapshot_every=50_000, **kafka)
        cluster.until(lambda: all(cluster.done().get(number, -1) > before.get(number, -1) for number in range(PARTITIONS)), 120)
        began, rows, spent, served = time.perf_counter(), self._rows(), self._spent(names), self._served()
        cluster.await_done(900)
        seconds, taken = time.perf_counter() - began, self._rows() - rows
        found = Rate(taken / seconds, (self._spent(names) - spent) / taken * 1e6, (self._served() - served) / taken * 1e6)
        for name in names:
            cluster.kill(name, signal.SIGTERM)
        return found

    def _rows(self) -> int:
        with self.cluster.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(signals)) or 0

    def _spent(self, names: Sequence[str]) -> float:
        """Return the CPU seconds of workers so far."""
        return sum(_cpu(self.cluster.workers[name].pid)[1] for name in names)

    def _served(self) -> float:
        """Return the CPU seconds of the server and of all that it started."""
        found = [_cpu(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return _cpu(self._postgres.pid)[1] + sum(seconds for parent, seconds in found if parent == self._postgres.pid)


def _cpu(pid: int) -> tuple[int, float]:
    """Return the parent of a process and the CPU seconds that it and those whose end it saw have had; see proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0.0
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def plain(kafka: LocalKafka, folder: Path) -> float:
    """Return what a plain agent with a Table takes a second."""
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic("plain", PARTITIONS, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks=1, linger_ms=20)
    for number in range(PLAIN):
        producer.send("plain", value=b'{"object": "obj-%05d", "severity": 1}' % (number % OBJECTS), partition=number % PARTITIONS)
    producer.flush()
    producer.close()
    told = folder / "plain"
    command = [sys.executable, "-m", "benchmarks.plain_agent", kafka.bootstrap, str(PLAIN), str(told)]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
        end = time.monotonic() + 300
        while not told.exists() and time.monotonic() < end:
            time.sleep(0.2)
        agent.kill()
    return float(told.read_text()) if told.exists() else 0.0


def main() -> None:
    """Measure and print a line for each rule set, and one for the plain agent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--signals", type=int, default=200_000, help="for one worker; two get twice as many")
    given = parser.parse_args()
    with services(DURABLE) as parts:
        write(parts.folder / "riskbench.ndjson", 2 * given.signals)
        sides: dict[str, tuple[str, Entries]] = {
            "one rule with points": (RULES, complaints),
            "RiskBench, 20 rules": (RISKBENCH.read_text(encoding="utf-8"), riskbench(parts.folder / "riskbench.ndjson")),
        }
        print(f"{given.signals:,} signals a worker, {PARTITIONS} partitions, each commit synced; load average {os.getloadavg()[0]:.1f}")
        for number, (name, (rules, entries)) in enumerate(sides.items()):
            rates = []
            for nth, (workers, kafka) in enumerate(((1, {}), (2, {}), (2, {"standby_mb": 0}))):
                with parts.cluster(f"bench{number}-{nth}", PARTITIONS, rules) as cluster:
                    rates.append(Side(cluster, parts.postgres, entries).rate(workers, workers * given.signals, **kafka))
            one, two, bare = rates
            print(
                f"{name}: 1 worker {one.signals:,.0f}/s ({one.workers_us:.1f} us CPU a signal, database {one.database_us:.1f}), "
                f"2 workers {two.signals:,.0f}/s ({two.workers_us:.1f}, {two.database_us:.1f}), ratio {two.signals / one.signals:.2f}, "
                f"without standbys {bare.signals:,.0f}/s ({bare.workers_us:.1f}), ratio {bare.signals / one.signals:.2f}",
                flush=True,
            )
        print(f"plain Faust agent with a Table: {plain(parts.kafka, parts.folder):,.0f}/s; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
