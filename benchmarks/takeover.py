"""What it costs to take a partition over: to make a snapshot of its state, to take it up again, and to judge what came after it.

    make bench ONLY=takeover ARGS="--objects 100000"

A partition with the shipped packs and five signals an object (those of `scaling`), with its snapshot and its row of progress in a real
PostgreSQL. It is taken over twice in one run: from the snapshot, with as many signals behind it as there may be between two snapshots, and
from a warm standby that followed until a moment ago; both must come to the same state. How many signals each of them judged is counted and
told: a standby that had some already would show. What Kafka and the look-ups of names add is not in it; neither is the session time-out,
after which alone a dead worker's partitions go to others. `joining` measures the whole of it where a worker joins.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import text

from app.clock import SystemClock
from app.cluster.shelves import DatabaseShelf
from app.pipelines import make_pipeline
from app.settings import SHIPPED_PACKS, Settings
from benchmarks.scaling import PER_OBJECT, entry
from benchmarks.services import postgres_server
from domain.findings import Outcome
from domain.frames import Frame, encode
from domain.packed import PackedState
from domain.partitions import Place
from domain.ports import Grant, Letter, Message, Offer
from domain.records import Record, RulesetEntry, SignalEntry
from rules.load import load_rules
from storage import progress
from storage.marks import SqlMarks
from storage.postgres import PostgresDatabase
from storage.progress import SqlProgress
from streams.pipeline import Pipeline
from streams.runtimes.allocator import settle_allocator
from streams.runtimes.collector import BatchCollector, look_at_everything, taking_up
from streams.runtimes.partitions import Partition, Parts
from streams.runtimes.standbys import Standbys
from tests.factories import at

FRAME: Final = 500  # signals
LACKS: Final = 5_000  # signals that a standby has not judged: a second's at 5,000/s, with looks a second apart
TOPIC: Final = "frames"
Done = TypeVar("Done")


class Log:
    """Frames in memory (`domain.ports.FrameLog`), and what they bring in: everything, under the numbers of their places."""

    def __init__(self, version: str) -> None:
        """Begin with the activation of a rule set."""
        self.messages: list[Message] = []
        self.judged = 0  # signals that were brought in, by whomever
        self._append(at(), (Offer(entry=RulesetEntry(version=version, by="bench")),))

    def add(self, first: int, count: int) -> None:
        """Append frames with the signals of these numbers."""
        for start in range(first, first + count, FRAME):
            entries = [entry(number) for number in range(start, start + FRAME)]
            self._append(entries[-1].signal.occurred_at, tuple(Offer(entry=one) for one in entries))

    def read(self, partition: int, first: int, last: int) -> Generator[Message]:
        """Yield messages."""
        del partition
        yield from self.messages[first : last + 1]

    def __call__(self, offset: int, frame: Frame, received_at: datetime) -> list[Record]:
        """Return the records of a frame (`streams.runtimes.past.Admission`)."""
        offers = enumerate(frame.offers)
        self.judged += sum(isinstance(offer.entry, SignalEntry) for offer in frame.offers)
        return [Record(seq=Place(0, offset, nth).seq(), received_at=received_at, entry=offer.entry) for nth, offer in offers]

    def settled(self, upto: int) -> None:
        """Nothing is kept here."""

    def _append(self, received_at: datetime, offers: tuple[Offer, ...]) -> None:
        body = encode(Frame(received_at=received_at, offers=offers))
        self.messages.append(Message(len(self.messages), received_at, body))


class Bench:
    """A partition's parts over a real database, without effects: a commit moves the row of progress, under its fence."""

    def __init__(self, database: PostgresDatabase) -> None:
        """Keep everything in `database`."""
        self.database = database
        self.clock = SystemClock()
        packs = {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(SHIPPED_PACKS).glob("*.yaml"))}
        self._ruleset = load_rules(packs)
        self.settings = Settings()
        self.log = Log(self._ruleset.version)
        self.progress = SqlProgress(database, self.clock)
        self.shelf = DatabaseShelf(database, TOPIC, 0)
        self.stopping = threading.Event()
        self.parts = Parts(
            pipeline=lambda _past: self.fresh(),
            admission=lambda _partition: self.log,
            snapshots=lambda _partition: self.shelf,
            marks=lambda partition: SqlMarks(database, TOPIC, partition),
            commit=self._commit,
            clock=self.clock,
            snapshot_every=2**40,  # when they are made is said here
            snapshot_seconds=2**40,
        )
        make: Callable[..., Partition] = self.made
        self.standbys = Standbys({TOPIC: make}, self.progress.standing, lambda *_: self.shelf, {TOPIC: self.log}, 2**40)
        self.standbys.want([(TOPIC, 0)], ())

    def fresh(self) -> Pipeline:
        """Return a pipeline that has taken in nothing."""
        return make_pipeline(self.settings, lambda _version: self._ruleset, None)

    def take_up(self, state: PackedState) -> None:
        """Make a pipeline of a snapshot, as a partition does."""
        with taking_up():
            self.fresh().restore(state)

    def made(self, grant: Grant, stopping: threading.Event) -> Partition:
        """Return a partition."""
        return Partition(grant, self.parts, stopping)

    def assign(self) -> Grant:
        """Take the partition over in the database."""
        return self.progress.assign(TOPIC, 0, "bench")

    def drain(self, partition: Partition) -> Partition:
        """Let it judge all that the log has."""
        for message in self.log.messages[partition.next_offset :]:
            partition.take(message.offset, message.body, message.appended_at)
        return partition

    def follow(self) -> None:
        """Let the standby come level; nothing is done for it but here."""
        self.standbys.look(busy=False)
        while not self.standbys.idle:
            time.sleep(0.01)

    def _commit(
        self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()
    ) -> Grant:
        del records, outcomes, letters
        with self.database.write() as connection:
            progress.hold(connection, grant)
            return progress.move(connection, grant, upto, self.clock.now())


def timed(what: str, work: Callable[[], Done]) -> Done:
    """Do something and print how long it took; return what it returns."""
    began, used = time.perf_counter(), time.process_time()
    done = work()
    print(f"takeover: {what:<70} {time.perf_counter() - began:6.2f} s, {time.process_time() - used:6.2f} s CPU", flush=True)
    return done


def judging(bench: Bench, what: str, signals: int, work: Callable[[], Done]) -> Done:
    """Do something in which so many signals are judged, no more and no less, and print as `timed` does."""
    before = bench.log.judged
    done = timed(f"{what}, {signals:,} signals judged", work)
    assert bench.log.judged - before == signals, f"{what}: {bench.log.judged - before:,} signals were judged"
    return done


def memory() -> int:
    """Return the bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(bench: Bench, objects: int) -> None:
    """Measure and print."""
    count, behind = objects * PER_OBJECT, bench.settings.snapshot_every
    print(f"takeover: {objects:,} objects, {count:,} signals, shipped packs; load average {os.getloadavg()[0]:.1f}")
    bench.log.add(0, count)
    holder = bench.drain(bench.made(bench.assign(), bench.stopping))
    state = timed("snapshot: the partition stands still", holder.pipeline.snapshot)
    size = len(state)
    timed("the same, and into PostgreSQL", holder.keep)
    with bench.database.read() as connection:
        stored = int(connection.execute(text("SELECT sum(length(body)) FROM partition_snapshots")).scalar_one())
    print(f"takeover: size of the state {size / 2**20:,.0f} MiB, in PostgreSQL {stored / 2**20:,.0f} MiB")
    kept = timed("read from PostgreSQL", bench.shelf.load)
    assert kept is not None

    timed("take up", partial(bench.take_up, kept.state))
    state, kept = b"", None
    look_at_everything()  # else the state that was just taken up is still there, and its room is what the next one is given
    before = memory()
    judging(bench, "in the background: a standby takes the snapshot up", 0, bench.follow)
    print(f"takeover: memory of a standby {(memory() - before) / size:.1f} times the size of the state")
    bench.log.add(count, behind - LACKS)
    bench.drain(holder)
    judging(bench, "in the background: it follows", behind - LACKS, bench.follow)
    bench.log.add(count + behind - LACKS, LACKS)
    bench.drain(holder)
    grant = bench.assign()
    cold = judging(bench, "TAKEOVER from the snapshot", behind, lambda: bench.drain(bench.made(grant, bench.stopping)))
    found = bench.assign()

    def warm() -> Partition:
        partition = bench.standbys.take(found)
        assert partition is not None
        return bench.drain(partition)

    taken = judging(bench, "TAKEOVER from the standby", LACKS, warm)
    assert taken.pipeline.snapshot() == cold.pipeline.snapshot(), "a standby came to another state than snapshot and log"
    bench.standbys.close()


def main() -> None:
    """Measure over a database of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    objects = parser.parse_args().objects
    with postgres_server() as postgres, closing(PostgresDatabase.connect(postgres.fresh(), SystemClock())) as database:
        settle_allocator()
        BatchCollector()
        measure(Bench(database), objects)


if __name__ == "__main__":
    main()
