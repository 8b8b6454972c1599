"""One partition of a cluster without brokers: a database in memory, a log of frames, and workers that come and go."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from datetime import timedelta

from sqlalchemy import select

from app.commit import Consequences, PartitionedCommit
from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from app.pipelines import make_pipeline
from app.settings import SHIPPED_POLICIES, Settings
from domain.clock import ManualClock
from domain.errors import NotFound, StoreUnavailable
from domain.findings import Outcome
from domain.frames import Frame, encode
from domain.ports import Grant, History, Letter, Message, Offer
from domain.records import AnyEntry, Record
from rules.load import load_rules
from storage.calendars import load_calendar
from storage.database import Database
from storage.marks import SqlMarks
from storage.progress import SqlProgress
from storage.stored_names import PartitionAdmission
from storage.tables import rejections, signals, warnings
from streams.pipeline import Pipeline
from streams.runtimes.keeping import Kept
from streams.runtimes.partitions import Partition, Parts
from tests.cluster.world import RULES
from tests.factories import T0

SET = load_rules({"gas.yaml": RULES})
MORE = load_rules({"gas.yaml": RULES.replace("window: 7d", "window: 14d").replace("leaks >= 3", "leaks >= 4")})
SETS = {each.version: each for each in (SET, MORE)}
NUMBER = 3


class _Shelf:
    """Snapshots in memory."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []

    def save(self, kept: Kept) -> None:
        self.kept.append(kept)

    def load(self) -> Kept | None:
        return self.kept[-1] if self.kept else None

    def newest(self) -> int | None:
        return self.kept[-1].offset if self.kept else None


class Shop:
    """A database in memory, a log of frames, and partitions that are made anew as after a crash."""

    def __init__(self, committing: Executor | None = None) -> None:
        self.clock = ManualClock(T0)
        self.database = Database.in_memory()
        desk = Desk(load_calendar([2025, 2026, 2027], None), SHIPPED_POLICIES)
        consequences = Consequences(desk, EffectWriter(base_url="http://x", link_key=b"k" * 32), self.clock, Metrics())
        self.commit = PartitionedCommit(self.database, consequences, self.clock)
        self.progress = SqlProgress(self.database, self.clock)
        self.shelf = _Shelf()
        self.log: list[bytes] = []
        self.trouble: list[Exception] = []
        self.upto: list[int] = []  # the ends of commits
        self.read_from: list[int] = []
        self.worked_out: dict[str, list[bytes]] = {}
        self.aside: list[int] = []
        self.stopping = threading.Event()
        self.gate = threading.Event()  # closed it holds commits up
        self.gate.set()
        self.parts = Parts(
            pipeline=self.pipeline,
            admission=lambda partition: PartitionAdmission(self.database, partition),
            snapshots=lambda _partition: self.shelf,
            marks=lambda partition: SqlMarks(self.database, "frames", partition),
            commit=self._commit,
            clock=self.clock,
            snapshot_every=100,
            stopwatch=lambda: 0.0,  # how long anything takes is the machine's affair
            on_set_aside=self.aside.append,
            committing=committing,
            log=self,
            worked_out=lambda name: iter(self.worked_out[name]) if name in self.worked_out else None,
        )

    def pipeline(self, history: History | None) -> Pipeline:
        return make_pipeline(Settings(), self.load, history)

    def load(self, version: str) -> object:
        if version not in SETS:
            raise NotFound(f"rule set {version} is not stored")
        return SETS[version]

    def read(self, partition: int, first: int, last: int) -> Generator[Message]:
        """Yield messages of the log (`domain.ports.FrameLog`), with one breakdown in the middle."""
        assert partition == NUMBER
        self.read_from.append(first)
        for offset in range(first, last + 1):
            if offset == 2 and len(self.read_from) == 1:
                raise StoreUnavailable("the brokers are away")
            yield Message(offset, T0, self.log[offset])

    def _commit(
        self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()
    ) -> Grant:
        assert self.gate.wait(30)
        if self.trouble:
            raise self.trouble.pop(0)
        self.upto.append(upto)
        return self.commit(grant, upto, records, outcomes, letters)

    def frame(self, *entries: AnyEntry, minutes: float = 0.0) -> None:
        """Append a frame to the log."""
        received = T0 + timedelta(minutes=minutes)
        self.log.append(encode(Frame(received_at=received, offers=tuple(Offer(entry=entry) for entry in entries))))

    def taken_over(self) -> Partition:
        """Return the partition as a worker has it that takes it over now."""
        return Partition(self.progress.assign("frames", NUMBER, "w"), self.parts, self.stopping)

    def drain(self, partition: Partition, until: int | None = None) -> None:
        while partition.next_offset < (len(self.log) if until is None else until):
            at = partition.next_offset
            partition.take(at, self.log[at], T0)
        partition.settle()

    def rows(self) -> tuple[list[str], list[tuple[str, str]], list[str]]:
        """Return what the database has: ids of signals, (id, level) of warnings, reasons of rejections."""
        with self.database.read() as connection:
            return (
                sorted(connection.scalars(select(signals.c.id))),
                sorted((row.id, row.level) for row in connection.execute(select(warnings.c.id, warnings.c.level))),
                list(connection.scalars(select(rejections.c.reason).order_by(rejections.c.seq))),
            )
