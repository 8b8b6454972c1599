"""What a cluster costs by the signal, the object, the partition and the warning: the figures that docs/scaling.md multiplies.

    make bench ONLY=scaling ARGS="--objects 20000"

Real brokers, a real PostgreSQL and workers with the shipped packs, and one rule that makes warnings. Two halves of the objects go
through one after the other, five signals each; what the second half adds is told, so that what a process costs at rest is a figure of
its own. Then a second worker joins, the first is killed, and the clock runs until signals of all partitions are committed again. One
broker keeps one copy.

The lines `plan` multiply these figures: they are extrapolations. What they assume of a city, a province and the nation is in `SIZES`.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from sqlalchemy import text

from app.pipelines import make_pipeline
from benchmarks.services import activate_shipped, services
from domain.objects import Resolution
from domain.records import Record, RulesetEntry, SignalEntry
from rules.load import load_rules
from storage.tables import metadata
from tests.cluster.world import Cluster
from tests.factories import at, make_entry

PARTITIONS: Final = 4
PER_OBJECT: Final = 5
CALL: Final = 5_000
SNAPSHOT_EVERY: Final = 2_000
KINDS: Final = ("gas.leak", "gas.inspection", "food.hygiene", "licence.change", "inspection.passed")
PATIENCE: Final = 900.0  # seconds
OF_A_SIGNAL: Final = frozenset({"signals", "hits", "rejections", "blinds"})  # the other tables grow with warnings
PASSING: Final = {"letters", "partition_snapshots", "backfills"}  # written and deleted again: they do not grow with warnings


@dataclass(frozen=True, slots=True)
class Size:
    """An assumption: objects that are active, signals a day on average, and how many times as many come in the busiest seconds."""

    name: str
    objects: int
    signals_a_day: int
    peak: float = 5.0


SIZES: Final = (
    Size("city", 300_000, 2_000_000),
    Size("province", 5_000_000, 40_000_000),
    Size("nation", 100_000_000, 1_000_000_000),
)
WARNED: Final = 0.0002  # warnings per signal that a plan assumes: the bench makes far more of them, so that there is something to measure
BUSY: Final = 0.5  # share of its rate that a worker is given at the peak
REPLICAS: Final = 3
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is at one moment; bytes, rows and counts."""

    signals: int
    warnings: int
    hits: int
    signal_rows: int
    signal_bytes: int
    warning_rows: int
    warning_bytes: int
    kafka_bytes: int
    snapshot_bytes: int
    resident_bytes: int

    def since(self, before: Standing) -> Standing:
        """Return what was added."""
        return Standing(**{one.name: getattr(self, one.name) - getattr(before, one.name) for one in fields(self)})


def entry(number: int) -> SignalEntry:
    """Return a signal: objects take turns, so that an object has five in a quarter of an hour of event time."""
    thing, turn = divmod(number, PER_OBJECT)
    resolution = Resolution(object_id=f"obj-{thing:07d}", method="id", confidence=1.0)
    kind = KINDS[turn] if thing % 100 else KINDS[0]  # one object in a hundred leaks five times
    return make_entry(
        id=f"s-{number}", kind=kind, resolution=resolution, occurred_at=at(number / 60_000), text="小区楼道有燃气异味，已通知物业"
    )


def _bytes_under(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def standing(cluster: Cluster, kafka_folder: Path, pid: int) -> Standing:
    """Look at everything; the database's figures are exact, since nothing that is counted was deleted."""
    rows, sizes = {}, {}
    with cluster.database.read() as connection:
        for table in metadata.tables:
            rows[table] = int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            sizes[table] = int(connection.execute(text(f"SELECT pg_total_relation_size('{table}')")).scalar_one())
    others = set(rows) - OF_A_SIGNAL - PASSING
    newest = (
        sorted(folder.glob("*"), key=lambda one: one.stat().st_mtime)[-1:] for folder in (cluster.folder / "snapshots").glob("*-[0-9]")
    )
    return Standing(
        signals=rows["signals"],
        warnings=rows["warnings"],
        hits=rows["hits"],
        signal_rows=sum(rows[table] for table in OF_A_SIGNAL),
        signal_bytes=sum(sizes[table] for table in OF_A_SIGNAL),
        warning_rows=sum(rows[table] for table in others),
        warning_bytes=sum(sizes[table] for table in others),
        kafka_bytes=sum(_bytes_under(folder, "*.log") for folder in kafka_folder.rglob(f"{cluster.topic}-*") if folder.is_dir()),
        snapshot_bytes=sum(path.stat().st_size for found in newest for path in found if path.is_file()),
        resident_bytes=_resident(pid),
    )


def of_a_partition(cluster: Cluster, many: int = 16) -> int:
    """Return the bytes that an empty pipeline with all rules takes, in this process."""
    ruleset = load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(cluster.rules.glob("*.yaml"))})
    record = Record(seq=1, received_at=at(), entry=RulesetEntry(version=ruleset.version, by="bench"))
    pipelines = [make_pipeline(cluster.settings, lambda _version: ruleset, None)]
    pipelines[0].step([record])  # what all of them share is made with the first
    before = _resident(os.getpid())
    for _ in range(many):
        pipelines.append(make_pipeline(cluster.settings, lambda _version: ruleset, None))
        pipelines[-1].step([record])
    return (_resident(os.getpid()) - before) // many


def feed(cluster: Cluster, first: int, count: int) -> float:
    """Send signals and wait until they are committed; return seconds."""
    began = time.perf_counter()
    for start in range(first, first + count, CALL):
        cluster.send([entry(number) for number in range(start, min(start + CALL, first + count))], call=CALL)
    cluster.await_done(PATIENCE)
    return time.perf_counter() - began


def takeover(cluster: Cluster, first: int) -> float:
    """Return the seconds from the death of one of two workers until signals of all partitions are committed."""
    cluster.start("second", snapshot_every=SNAPSHOT_EVERY)
    cluster.until(lambda: '"epoch"' in cluster.status("second"), 120)
    began = time.perf_counter()
    cluster.kill("one", signal.SIGKILL)
    feed(cluster, first, 200 * PER_OBJECT)
    return time.perf_counter() - began


def tell(empty: int, partition: int, added: Standing, seconds: float, again: float) -> None:
    """Print one figure a line: what, by what, how much."""
    objects, warnings = added.signals / PER_OBJECT, max(1, added.warnings)
    lines = (
        ("worker at rest, resident", "worker", f"{empty / 2**20:,.0f} MiB"),
        ("empty partition, resident", "partition", f"{partition / 2**20:,.1f} MiB"),
        ("worker, resident", "million objects", f"{added.resident_bytes / objects * 1e6 / 2**30:.2f} GiB"),
        ("snapshots", "million objects", f"{added.snapshot_bytes / objects * 1e6 / 2**30:.2f} GiB"),
        ("throughput with durable effects, one worker", "second", f"{added.signals / seconds:,.0f} signals"),
        ("Kafka log, one copy", "signal", f"{added.kafka_bytes / added.signals:,.0f} bytes"),
        ("PostgreSQL, signals and hits", "signal", f"{added.signal_bytes / added.signals:,.0f} bytes"),
        ("PostgreSQL, signals and hits", "signal", f"{added.signal_rows / added.signals:.2f} rows"),
        ("warnings", "thousand signals", f"{added.warnings / added.signals * 1000:.1f}"),
        ("PostgreSQL, obligations of a warning", "warning", f"{added.warning_bytes / warnings:,.0f} bytes"),
        ("PostgreSQL, obligations of a warning", "warning", f"{added.warning_rows / warnings:.1f} rows"),
        ("takeover, session 6 s", "dead worker", f"{again:.1f} s"),
    )
    for what, by, value in lines:
        print(f"scaling: {what:<44} by {by:<17} {value}")


def plan(size: Size, empty: int, added: Standing, seconds: float) -> str:
    """Return what a deployment of that size comes to, in a line: all of it is multiplied."""
    objects, warnings = added.signals / PER_OBJECT, max(1, added.warnings)
    mean = size.signals_a_day / DAY
    peak = mean * size.peak
    workers = max(2, math.ceil(peak / (added.signals / seconds * BUSY)))
    partitions = max(24, 12 * math.ceil(4 * workers / 12))
    memory = added.resident_bytes / objects * size.objects + workers * empty
    rows = added.signal_rows / added.signals + WARNED * added.warning_rows / warnings
    stored = added.signal_bytes / added.signals + WARNED * added.warning_bytes / warnings
    log = added.kafka_bytes / added.signals
    year = size.signals_a_day * 365.0
    return (
        f"{size.name}: {size.objects:,} objects, {mean:,.0f} signals/s, at the peak {peak:,.0f}; {workers:,} workers,"
        f" {partitions:,} partitions,"
        f" {memory / 2**30:,.1f} GiB memory of all workers, {2 * added.snapshot_bytes / objects * size.objects / 2**30:,.1f} GiB snapshots,"
        f" {rows * peak:,.0f} PostgreSQL rows/s at the peak, {stored * year / 2**40:,.2f} TiB PostgreSQL a year,"
        f" {REPLICAS * log * year / 2**40:,.2f} TiB Kafka a year, {log * peak * (REPLICAS + 1) * 8 / 1e6:,.0f} Mbit/s network"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    given = parser.parse_args()
    with services() as parts, parts.cluster("scaling", PARTITIONS) as cluster:
        cluster.also["KAFKA__SNAPSHOTS"] = cluster.folder / "snapshots"
        activate_shipped(cluster)
        worker = cluster.start("one", snapshot_every=SNAPSHOT_EVERY)
        cluster.await_done(PATIENCE)
        empty = _resident(worker.pid)
        half = given.objects // 2 * PER_OBJECT
        feed(cluster, 0, half)
        before = standing(cluster, parts.kafka_folder, worker.pid)
        seconds = feed(cluster, half, half)
        added = standing(cluster, parts.kafka_folder, worker.pid).since(before)
        again = takeover(cluster, 2 * half)
        print(f"scaling: {given.objects:,} objects, {PARTITIONS} partitions, shipped packs; load average {os.getloadavg()[0]:.1f}")
        tell(empty, of_a_partition(cluster), added, seconds, again)
        for size in SIZES:
            print(f"plan: {plan(size, empty, added, seconds)}")


if __name__ == "__main__":
    main()
