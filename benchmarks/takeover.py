"""What it costs to take a partition over: to make a snapshot of its state, to take it up again, and to judge what came after it.

    make bench ONLY=takeover ARGS="--objects 100000"

A pipeline with the shipped packs and five signals an object (those of `scaling`), a snapshot of it in a real PostgreSQL, a second pipeline
that takes it up and judges the signals behind it: as many as there may be between two snapshots. What Kafka and the look-ups of names
add is not in it; neither is the session time-out, after which alone a dead worker's partitions go to others.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import text

from app.clock import SystemClock
from app.cluster.shelves import DatabaseShelf
from app.pipelines import make_pipeline
from app.settings import SHIPPED_PACKS, Settings
from benchmarks.scaling import PER_OBJECT, entry
from domain.records import Record, RulesetEntry
from rules.load import load_rules
from storage.postgres import PostgresDatabase
from streams.pipeline import Pipeline
from streams.runtimes.collector import settle_collector
from streams.runtimes.keeping import Kept
from tests.conftest import which
from tests.factories import at
from tests.postgres import PostgresServer

FRAME: Final = 500  # signals
Done = TypeVar("Done")


def frame(first: int) -> list[Record]:
    """Return the signals of a frame; their numbers begin with 2, behind the activation."""
    made = [(number, entry(number)) for number in range(first, first + FRAME)]
    return [Record(seq=number + 2, received_at=one.signal.occurred_at, entry=one) for number, one in made]


def timed(what: str, work: Callable[[], Done]) -> Done:
    """Do something and print how long it took; return what it returns."""
    began, used = time.perf_counter(), time.process_time()
    done = work()
    print(f"takeover: {what:<52} {time.perf_counter() - began:6.2f} s, {time.process_time() - used:6.2f} s CPU", flush=True)
    return done


def judge(pipeline: Pipeline, first: int, count: int) -> None:
    """Step signals in frames."""
    for start in range(first, first + count, FRAME):
        pipeline.step(frame(start))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    objects = parser.parse_args().objects
    settings = Settings()
    server = which("postgres")
    assert server, "PostgreSQL is missing: make services"
    ruleset = load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(Path(SHIPPED_PACKS).glob("*.yaml"))})

    def fresh() -> Pipeline:
        return make_pipeline(settings, lambda _version: ruleset, None)

    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(Path(server).parent))
        database = PostgresDatabase.connect(postgres.fresh(), SystemClock())
        stack.callback(database.close)
        settle_collector()
        pipeline, shelf, count = fresh(), DatabaseShelf(database, "frames", 0), objects * PER_OBJECT
        pipeline.step([Record(seq=1, received_at=at(), entry=RulesetEntry(version=ruleset.version, by="bench"))])
        judge(pipeline, 0, count)
        print(f"takeover: {objects:,} objects, {count:,} signals, shipped packs; load average {os.getloadavg()[0]:.1f}")
        state = timed("snapshot: the partition stands still", pipeline.snapshot)
        timed("snapshot into PostgreSQL", lambda: shelf.save(Kept(count, at(), state)))
        with database.read() as connection:
            stored = int(connection.execute(text("SELECT sum(length(body)) FROM partition_snapshots")).scalar_one())
        print(f"takeover: size of the state {len(state) / 2**20:,.0f} MiB, in PostgreSQL {stored / 2**20:,.0f} MiB")
        pipeline, state = fresh(), b""  # their memory is not the successor's
        kept = timed("read from PostgreSQL", shelf.load)
        assert kept is not None
        successor = fresh()
        timed("take up", lambda: successor.restore(kept.state))
        timed(f"judge the {settings.snapshot_every:,} signals behind it", lambda: judge(successor, count, settings.snapshot_every))


if __name__ == "__main__":
    main()
