"""One partition of a cluster: frames in the order of their offsets, through a pipeline of its own, committed with the offset.

Start: the newest snapshot that is not ahead of what is committed, then the frames behind it; those that are committed already are
stepped for the state alone. What this holds depends on the log and on nothing else, so another worker that starts from the same place
comes to the same. Nothing here knows of Kafka or Faust.

Frames may be stepped while those before them are being committed (`streams.runtimes.commits`): commits keep their order, and nothing is
said or kept of a frame before it is committed, neither an answer nor a snapshot.
"""

# Long because: the order of judging, committing, keeping and telling others is what makes a partition right.

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
import structlog

from domain.errors import Fenced, FengsuiError, StoreUnavailable
from domain.findings import Outcome
from domain.frames import BadFrame, Frame, decode
from domain.messages import both
from domain.packed import PackedState
from domain.partitions import Place, partition_of
from domain.ports import Clock, FrameLog, Grant, History, Letter, PartitionCommit
from domain.records import Record, RejectionEntry, RulesetEntry, TickEntry
from domain.rejections import RAW_LIMIT
from rules.ruleset import EMPTY
from rules.spread import Spread, spread
from streams.pipeline import Pipeline
from streams.runtimes.collector import taking_up
from streams.runtimes.commits import Commits
from streams.runtimes.keeping import Keeping, Kept, PartitionSnapshots
from streams.runtimes.partition_guard import Marks, Onlooking, PartitionGuard
from streams.runtimes.passing_on import known_to_all, letters, moved
from streams.runtimes.past import AHEAD, Admission, LogHistory, received_at
from streams.runtimes.sharing import Sharing
from streams.stages.passing import Passage

BACKOFF_FIRST: Final = 0.1  # seconds
BACKOFF_LAST: Final = 5.0
TICK_PATIENCE: Final = timedelta(seconds=2)  # before a tick that moved nothing is asked for again
FEED: Final = "kafka"  # under which messages that are no frames are kept as rejections
ONLOOKER: Final = 0  # the epoch of a partition that stands by: assignments begin with 1, so nothing is ever committed under it
HOMES: Final = 32_768  # objects whose partition is remembered
MARK: Final = timedelta(seconds=2)  # of a partition's time, after which all partitions of groups are told of it


Taken = TypeVar("Taken")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What partitions are made of; each function makes one thing for one partition.

    `commit` is fenced by the grant; where `committing` is given it runs there while next frames are stepped. `on_set_aside` is told
    the number of a record that brought the engine down twice, or of a message that is no frame. A snapshot is due after `snapshot_every`
    records or `snapshot_seconds` of judging by `stopwatch`. `groups` is the number of partitions of groups, 0 for none, and `spread_of`
    says how the rules of a version are spread over both; `beside` makes the second pipeline of a partition of groups, for its objects.
    Activations that count back read `log`, which is that of the frames, without what is `aside` in a partition of it for partitions of
    groups; `worked_out` is what was counted of it beforehand, and `sharing` gives partitions of groups what one of them counted.
    """

    pipeline: Callable[[History | None], Pipeline]
    admission: Callable[[int], Admission]
    snapshots: Callable[[int], PartitionSnapshots]
    marks: Callable[[int], Marks]
    commit: PartitionCommit
    clock: Clock
    snapshot_every: int = 50_000
    snapshot_seconds: float = 15.0
    stopwatch: Callable[[], float] = time.monotonic
    on_set_aside: Callable[[int], object] = lambda _seq: None
    committing: Executor | None = None
    groups: int = 0
    spread_of: Callable[[str], Spread] = lambda _version: spread(EMPTY)
    beside: Callable[[History | None], Pipeline] | None = None
    log: FrameLog | None = None
    aside: Callable[[int], Collection[int]] = lambda _source: ()
    worked_out: Callable[[str], Iterator[bytes] | None] = lambda _name: None
    sharing: Sharing = field(default_factory=Sharing)


_COMPUTING: Final = threading.Lock()
"""Held by the one partition of the process that steps: threads that fight over the interpreter take half as long again for the same."""


class Partition:
    """Called by one thread at a time."""

    SPACE = 0  # where the numbers begin of what stands in its topic and nowhere else

    def __init__(self, grant: Grant, parts: Parts, stopping: threading.Event) -> None:
        """Take up the newest snapshot; once `stopping` is set nothing is waited for any more.

        Under the epoch `ONLOOKER` it stands by for a partition that somebody else has: see `follow_to` and `take_over`.

        Raises:
            StoreCorrupt: the guard's mark is damaged, or the snapshot.
            NotFound: the rule set of the snapshot is not stored.
        """
        self.grant = grant
        self._parts = parts
        self._stopping = stopping
        self._admit = parts.admission(grant.partition)
        self._keeping = Keeping(parts.snapshots(grant.partition), parts.snapshot_every, parts.snapshot_seconds, parts.stopwatch)
        self._guard = PartitionGuard(self._guarded_by(), grant.epoch)
        self._past: LogHistory | None = None
        self._pipeline = self._fresh()
        self._marked: datetime | None = None  # the time that all partitions of groups know of
        self._received: datetime | None = None
        self._position = self._saved = -1
        self._ticked: tuple[datetime, datetime] | None = None
        self._commits = Commits(self._commit, parts.committing)
        self.waiting = ""  # what the database says while it is waited for, "" for none
        self.size = 0  # bytes of the snapshot that was taken up
        self._take_account()
        kept = self._keeping.load()
        if kept is not None and (kept.offset <= grant.offset_done or self.stands_by):  # which `follow_to` looks at
            self._received = kept.received_at
            self._position = self._saved = kept.offset
            self.size = len(kept.state)
            with taking_up():
                self._put_back(kept.state)
        if not self.stands_by:
            self._begin()

    def _begin(self) -> None:
        """Begin to work for the grant."""
        grant = self.grant
        with suppress(Fenced):  # who is replaced already hears of it at the first commit
            self._note_replayed()
        self._awaited = self._next()  # kept for other threads: to look for it moves what the pipeline has in its queues
        _log.info(
            "partition.taken",
            topic=grant.topic,
            partition=grant.partition,
            epoch=grant.epoch,
            done=grant.offset_done,
            snapshot=self._position,
        )

    @property
    def next_offset(self) -> int:
        """The offset of the frame that is wanted next."""
        return self._position + 1

    @property
    def settled_offset(self) -> int:
        """The offset of the first frame that is not known to be committed."""
        grant = self._commits.grant
        return grant.offset_done + 1 if grant is not None and self._commits.under_way else self._position + 1

    @property
    def failed(self) -> bool:
        """Whether the last commit failed: `settle` says how."""
        return self._commits.failed

    @property
    def stands_by(self) -> bool:
        """Whether somebody else has the partition."""
        return self.grant.epoch == ONLOOKER

    def follow_to(self, standing: Grant) -> bool:
        """Standing by, let `take` go on as far as is committed; False where this state is not what a replay to there comes to.

        So it is once a record was set aside, or where the database is older than it was.

        Raises:
            StoreUnavailable: what is set aside cannot be read.
        """
        aside = PartitionGuard(self._guarded_by(), ONLOOKER).quarantined
        if standing.offset_done < self._position or aside != self._guard.quarantined:
            return False
        self.grant = msgspec.structs.replace(self.grant, offset_done=standing.offset_done)
        return True

    def kept_elsewhere(self, offset: int) -> None:
        """Standing by, hear of a newer snapshot than the one that was taken up."""
        if offset > self._saved:
            self._saved = offset
            self._keeping.kept_elsewhere()

    def take_over(self, grant: Grant) -> bool:
        """Go on under a grant instead of standing by; False where this state may be another than what a replay comes to: make it anew.

        Raises:
            StoreCorrupt: the guard's mark is damaged.
            StoreUnavailable: the mark cannot be read.
        """
        guard = PartitionGuard(self._parts.marks(grant.partition), grant.epoch)
        if grant.offset_done < self._position or guard.entered or guard.quarantined != self._guard.quarantined:
            return False
        self.grant, self._guard = grant, guard
        self._take_account()
        self._begin()
        return True

    @property
    def pipeline(self) -> Pipeline:
        """The state, for looking at."""
        return self._pipeline

    @property
    def counting_back(self) -> bool:
        """Whether it reads its log anew for new indicators: a frame may take long then."""
        return self._past is not None and self._past.busy

    @property
    def counted_back(self) -> int:
        """How much of the past was read: it grows for as long as that goes on."""
        return 0 if self._past is None else self._past.told

    def renew(self, grant: Grant) -> bool:
        """Go on under a newer grant with the state as it is; False where somebody else had the partition in between."""
        try:
            self.settle()
        except Fenced:
            return False
        if grant.epoch != self.grant.epoch + 1 or grant.offset_done != self.grant.offset_done:
            return False
        self.grant = grant
        self._guard.epoch = grant.epoch
        return True

    def take(self, offset: int, message: bytes | None, appended_at: datetime) -> int:
        """Take in the message at `offset` where it is the one wanted next; return the offset that is wanted then.

        `appended_at` is the brokers' time. It returns after the commit, which is asked for as long as the store is away; where commits
        have a thread of their own it returns before, unless too many frames wait for theirs, and `settle` waits for all.

        Raises:
            Fenced: the partition is somebody else's, here or at a frame before.
            NotFound: it activates a rule set that is not stored: the frame is not taken in.
            FengsuiError: it is of a newer version of Fengsui.
        """
        if offset != self._position + 1:
            return self._position + 1
        began = self._parts.stopwatch()
        records, outcomes, written = self._judge(offset, message, appended_at)
        self._keeping.worked(len(records), self._parts.stopwatch() - began)
        if offset >= self.grant.offset_done:
            self._awaited = self._next()
        if offset > self.grant.offset_done:
            self._until_taken(self._guard.judged)
            self._commits.add(self.grant, offset, records, outcomes, written)
            self._hear(self._commits.grant)
        else:
            self._admit.settled(offset)
        self._position = offset
        self._note_replayed()
        counted_back = self._counted_back(records)
        if (self._keeping.due or counted_back) and not self.stands_by:  # whoever comes next need not count back again
            self.keep()
        return offset + 1

    def settle(self) -> None:
        """Wait until everything that was taken in is committed.

        Raises:
            Fenced: the partition is somebody else's; what was taken in last is not committed.
            StoreUnavailable: the process is stopping, and the store is away.
        """
        self._hear(self._commits.settle())

    def _hear(self, grant: Grant | None) -> None:
        """Hear of what is committed by now."""
        if grant is not None:
            self.grant = grant
            self._admit.settled(grant.offset_done)

    def _fresh(self) -> Pipeline:
        """Return a pipeline for this partition, which has taken in nothing."""
        self._past = None if self._parts.log is None else self._past_in(self._parts.log)
        pipeline = self._parts.pipeline(self._past)
        if partitions := self._parts.groups:
            home_of = lru_cache(HOMES)(lambda about: partition_of(about, partitions))  # it is asked at each signal
            pipeline.passage = Passage(self._parts.spread_of, home_of, self.grant.partition)
        return pipeline

    def _counted_back(self, records: Sequence[Record]) -> bool:
        """Tell whether what was judged last, of which these records are to be written, read the past."""
        return any(isinstance(record.entry, RulesetEntry) and record.entry.prepared is not None for record in records)

    def _past_in(self, log: FrameLog) -> LogHistory:
        wait, parts = self._until_taken, self._parts
        return LogHistory(
            self.grant.partition, log, parts.admission, parts.worked_out, wait, before_reading=self.settle, aside=self.quarantined
        )

    def _guarded_by(self) -> Marks:
        marks = self._parts.marks(self.grant.partition)
        return Onlooking(marks) if self.stands_by else marks

    def _judge(
        self, offset: int, message: bytes | None, appended_at: datetime
    ) -> tuple[Sequence[Record], Sequence[Outcome], Sequence[Letter]]:
        """Take a message in; return the records to write, what follows from them, and what others are to be told."""
        frame = decode(message)
        if isinstance(frame, BadFrame):
            return self._quarantine(offset, frame, message, appended_at), [], []
        records = self._admitted(offset, frame, appended_at)
        outcomes = self._step(records)
        return records, outcomes, self._letters(offset, records) if self._parts.groups else []

    def _letters(self, offset: int, records: Sequence[Record]) -> list[Letter]:
        """Return what the partitions of groups need of a frame, and how far the time is here."""
        passage, mine, received = self._pipeline.passage, self.grant.partition, self._received
        assert passage is not None
        assert received is not None
        noted = passage.take()
        if not mine:
            noted += known_to_all(records, self._guard.quarantined)
        late = passage.passes and (self._marked is None or received >= self._marked + MARK)
        to_all = late or any(isinstance(each.entry, TickEntry) for each in records) or any(each.to is None for each in noted)
        if to_all:
            self._marked = received
        moves = [moved(home, entry, received, mine) for home, entry in passage.take_moved()]
        return [*moves, *letters(mine, offset, received, noted, self._parts.groups, to_all=to_all)]

    def ticks_due(self) -> list[tuple[int, datetime]]:
        """Return the partitions of the frames that a tick is to be written to, each with its instant."""
        due = self.tick_due()
        return [] if due is None else [(self.grant.partition, due)]

    def tick_due(self) -> datetime | None:
        """Return the instant with which a tick is due now, None for none; the same one is not asked for again for a moment.

        As `ticks_due` it may be asked by another thread than the one that takes in.
        """
        now, wake = self._parts.clock.now(), self._awaited
        if wake is None or wake > now or self._position < self.grant.offset_done:
            return None
        if self._ticked is not None and self._ticked[0] == wake and now - self._ticked[1] < TICK_PATIENCE:
            return None
        self._ticked = (wake, now)
        return now

    def keep(self) -> None:
        """Keep a snapshot of the state, where there is a newer one; where the disk does not take it, later is soon enough.

        Raises:
            Fenced: the partition is somebody else's.
        """
        self.settle()
        if self._position == self._saved:
            return
        try:
            self._keeping.save(lambda: Kept(self._position, self._received, PackedState.of(self._state())))
        except StoreUnavailable as error:
            _log.warning("partition.snapshot_failed", partition=self.grant.partition, error=str(error))
        self._saved = self._position

    def let_go(self) -> None:
        """Leave the partition in order: with a snapshot, and so that whoever comes next has nothing to suspect.

        Raises:
            Fenced: the partition is somebody else's.
        """
        self.keep()
        try:
            self._guard.let_go()
        except StoreUnavailable as error:
            _log.warning("partition.left_in_suspicion", partition=self.grant.partition, error=str(error))

    def quarantined(self) -> tuple[int, ...]:
        """Return the numbers of records that brought the engine down and were set aside."""
        return self._guard.quarantined

    def _next(self) -> datetime | None:
        """Return the instant at which time alone changes something next, None for never."""
        return self._pipeline.next_wake()

    def _state(self) -> Iterator[bytes]:
        return self._pipeline.parts()

    def _put_back(self, state: Iterable[bytes]) -> None:
        self._pipeline.restore(state)

    def _admitted(self, offset: int, frame: Frame, appended_at: datetime) -> list[Record]:
        """Return the records of a frame; time never goes back, and no edge whose clock is wrong takes it far ahead."""
        if frame.received_at > appended_at + AHEAD:
            _log.warning("partition.clock_ahead", edge=frame.by, said=frame.received_at.isoformat(), brokers=appended_at.isoformat())
        self._received = received_at(frame, appended_at, self._received)
        at = self._received
        return self._until_taken(lambda: self._admit(offset, frame, at))

    def _step(self, records: Sequence[Record], numbers: Sequence[int] = (), *, growing: bool = True) -> list[Outcome]:
        """Step the records, those apart that brought the engine down before; `numbers` are theirs where they have others for the guard."""
        numbers = numbers or [record.seq for record in records]
        outcomes: list[Outcome] = []
        for start, end in self._guard.cut(numbers):
            part = records[start:end]
            if numbers[start] in self._guard.quarantined:
                self._pass_over(part[0])
                continue
            self._until_taken(partial(self._guard.enter, numbers[start], numbers[end - 1]))
            try:
                with _turn_for(part):
                    outcomes += self._through(part, growing=growing)
            except FengsuiError:
                self._until_taken(self._guard.forgive)
                raise
            self._until_taken(self._guard.leave)
        return outcomes

    def _through(self, records: Sequence[Record], *, growing: bool) -> list[Outcome]:
        return self._pipeline.step(records, growing=growing)

    def _pass_over(self, record: Record) -> None:
        self._pipeline.skip(record)

    def _quarantine(self, offset: int, found: BadFrame, message: bytes | None, appended_at: datetime) -> list[Record]:
        """Return the record of a message that is no frame: a rejection with its place and its bytes, and no effect.

        Raises:
            FengsuiError: it is of a newer version of Fengsui.
        """
        if found.reason == "newer":
            raise FengsuiError(both("worker.newer", partition=self.grant.partition, offset=offset, detail=found.detail))
        place = Place(self.grant.partition, offset, 0)
        self._received = appended_at if self._received is None else max(appended_at, self._received)
        entry = RejectionEntry(
            feed=FEED,
            batch=sha256(message or b"").hexdigest(),
            position=offset,
            reason=f"{found.reason}_message",
            field=f"{self.grant.topic}/{place.partition}",
            message=both(f"worker.{found.reason}", partition=place.partition, offset=offset, detail=found.detail),
            raw=(message or b"")[:RAW_LIMIT],
        )
        seq = place.seq() + self.SPACE
        if not self.stands_by:
            _log.error("partition.message_quarantined", partition=place.partition, offset=offset, reason=found.reason, detail=found.detail)
            self._parts.on_set_aside(seq)
        return [Record(seq=seq, received_at=self._received, entry=entry)]

    def _commit(
        self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()
    ) -> Grant:
        return self._until_taken(lambda: self._parts.commit(grant, upto, records, outcomes, letters))

    def _until_taken(self, ask: Callable[[], Taken]) -> Taken:
        """Ask the database until it does it; raises StoreUnavailable only when the process is stopping."""
        pause = BACKOFF_FIRST
        while True:
            try:
                done = ask()
            except StoreUnavailable as error:
                self.waiting = str(error)
                _log.warning("partition.store_unavailable", partition=self.grant.partition, error=str(error))
                if self._stopping.wait(pause):
                    raise
                pause = min(2 * pause, BACKOFF_LAST)
            else:
                self.waiting = ""
                return done

    def _take_account(self) -> None:
        """Look at what the worker before left; who is replaced already hears of it at the first commit."""
        try:
            seq = self._until_taken(self._guard.begin)
        except Fenced as error:
            _log.warning("partition.fenced", topic=self.grant.topic, partition=self.grant.partition, reason=str(error))
            return
        if seq is not None:
            _log.critical("partition.record_quarantined", seq=seq, hint="it brought the engine down twice; it has no effect")
            self._parts.on_set_aside(seq)

    def _note_replayed(self) -> None:
        if self._position >= self.grant.offset_done:
            self._until_taken(self._guard.replayed)


def _turn_for(records: Sequence[Record]) -> AbstractContextManager[Any]:
    """Return the turn to step these records; an activation waits for none, since it may read the whole log to count back."""
    return nullcontext() if any(isinstance(record.entry, RulesetEntry) for record in records) else _COMPUTING
