"""One partition of groups: what the partitions of the frames pass on, in one order, through two pipelines.

One keeps the areas that are the partition's own, and no objects. The other keeps the objects that are, by their numbers, and beside them
whole groups (of an industry, a parent, a matter), for the rules about objects that read what their group came to (`rules.spread`).

The order is that of `received_at`, then of the source, then of its offsets, whoever was quicker: a record is judged once every source
is known to be past it. So the answer is the same however the sources' messages fall between each other, and whether something did not
happen is decided when everybody who could have told is past that time. A source that stands still holds its groups up; how much may
wait is bounded, and what is beyond goes on in the order that is known by then. All of it depends on the log alone.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import msgspec
import structlog

from domain.errors import StoreCorrupt
from domain.findings import Outcome
from domain.frames import BadFrame, decode_passing
from domain.messages import both
from domain.partitions import IN_GROUPS, Place
from domain.ports import Grant, Letter
from domain.records import AnyEntry, Record, RulesetEntry, TickEntry
from streams.pipeline import Pipeline
from streams.runtimes.groups_past import GroupsPast, Which, kept
from streams.runtimes.partitions import Partition, Parts
from streams.runtimes.past import LogHistory
from streams.stages.pieces import chunks, framed, frames

MOST_WAITING: Final = 200_000  # records
PATIENCE: Final = timedelta(seconds=2)  # before a source whose time is waited for is asked for a tick, and asked again
_log = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """A record that waits for the time of all sources; the first four say when it is its turn."""

    received_at: datetime
    source: int
    offset: int
    nth: int
    seq: int
    entry: AnyEntry


class _Saved(msgspec.Struct, kw_only=True):
    """What a snapshot begins with, before what waits and the pipelines; by source: the offset that was seen last, and its time."""

    seen: dict[int, int]
    marks: dict[int, datetime]
    waiting: int
    released: int
    passed_over: list[int] = msgspec.field(default_factory=list)


class GroupPartition(Partition):
    """Called by one thread at a time. Its records have rows already: their sources wrote them."""

    SPACE = IN_GROUPS

    def __init__(self, grant: Grant, parts: Parts, stopping: threading.Event, sources: int) -> None:
        """Take up the newest snapshot; `sources` is the number of partitions of the frames, which is that of the groups too.

        Raises:
            StoreCorrupt: the guard's file is damaged.
            NotFound: the rule set of the snapshot is not stored.
        """
        self._sources = sources
        self._seen: dict[int, int] = {}
        self._marks: dict[int, datetime] = {}
        self._waiting: list[Waiting] = []  # a heap
        self._released = 0
        self._asked: dict[int, datetime] = {}
        self.until: datetime | None = None  # what was received later is not judged, where somebody asks how things stood then
        self._passed_over: set[int] = set()  # the numbers of records that brought the engine down here
        self._pasts: tuple[GroupsPast, ...] = ()
        self._recounted = False  # whether what was judged last counted back
        super().__init__(grant, parts, stopping)

    @property
    def waits(self) -> int:
        """How many records wait for the time of all sources."""
        return len(self._waiting)

    @property
    def beside(self) -> Pipeline:
        """The state of its objects, for looking at; `pipeline` is that of its areas."""
        return self._objects

    def is_past(self, at: datetime) -> bool:
        """Say whether every source is past an instant: all that was received by then is judged."""
        return len(self._marks) == self._sources and min(self._marks.values()) > at

    def ticks_due(self) -> list[tuple[int, datetime]]:
        """Return the sources whose time is waited for, by a record or by something that falls due; each once in a while."""
        now, until = self._parts.clock.now(), self._awaited
        if until is None or until > now or self._position < self.grant.offset_done:
            return []
        marks = dict(self._marks)
        found = [
            source
            for source in range(self._sources)
            if (source not in marks or marks[source] <= until) and (source not in self._asked or now - self._asked[source] >= PATIENCE)
        ]
        self._asked |= dict.fromkeys(found, now)
        return [(source, now) for source in found]

    @property
    def counting_back(self) -> bool:
        """Whether it reads the logs of the frames anew for new indicators."""
        return any(past.busy for past in self._pasts)

    @property
    def counted_back(self) -> int:
        """How much it was told of the past so far."""
        return sum(past.told for past in self._pasts)

    def _fresh(self) -> Pipeline:
        parts, mine, partitions = self._parts, self.grant.partition, self._sources
        if parts.beside is None:
            raise TypeError("a partition of groups has two pipelines: say how to make the second one")
        areas, groups = self._past_of("areas"), self._past_of("groups")
        self._pasts = tuple(past for past in (areas, groups) if past is not None)
        pipeline, self._objects = parts.pipeline(areas), parts.beside(groups)
        pipeline.keep(partial(kept, "areas", mine, partitions))
        self._objects.keep(partial(kept, "groups", mine, partitions))
        return pipeline

    def _past_of(self, which: Which) -> GroupsPast | None:
        parts, wait, log = self._parts, self._until_taken, self._parts.log
        if log is None:
            return None
        sources = [
            LogHistory(source, log, parts.admission, lambda _name: None, wait, aside=partial(wait, partial(parts.aside, source)))
            for source in range(self._sources)
        ]
        worked_out = parts.worked_out
        return GroupsPast(
            which,
            sources,
            lambda: self._seen,
            lambda name: wait(partial(worked_out, name)),
            lambda: self._passed_over,
            parts.sharing,
        )

    def _through(self, records: Sequence[Record], *, growing: bool) -> list[Outcome]:
        for record in records:
            if isinstance(record.entry, RulesetEntry) and record.entry.prepared is not None:
                self._recounted = True
                turn = (record.received_at, Place.of(record.seq).partition)
                in_order = all((at, source) >= turn for source, at in self._marks.items()) and len(self._marks) == self._sources
                for past in self._pasts:
                    past.expect(record.seq, record.entry.prepared, in_order=in_order)
        return [*super()._through(records, growing=growing), *self._objects.step(records, growing=growing)]

    def _counted_back(self, records: Sequence[Record]) -> bool:
        del records  # those that were judged have their rows
        recounted, self._recounted = self._recounted, False
        return recounted

    def _pass_over(self, record: Record) -> None:
        self._passed_over.add(record.seq)
        super()._pass_over(record)
        self._objects.skip(record)

    def _judge(
        self, offset: int, message: bytes | None, appended_at: datetime
    ) -> tuple[Sequence[Record], Sequence[Outcome], Sequence[Letter]]:
        passing = decode_passing(message)
        if isinstance(passing, BadFrame):
            return self._quarantine(offset, passing, message, appended_at), [], []
        if passing.offset <= self._seen.get(passing.source, -1):
            return [], [], []  # sent again: whoever sent it first did not get to say so
        self._seen[passing.source] = passing.offset
        self._marks[passing.source] = passing.received_at
        for nth, each in enumerate(passing.records):
            heapq.heappush(self._waiting, Waiting(passing.received_at, passing.source, passing.offset, nth, each.seq, each.entry))
        records = self._due()
        numbers = range(self._released + 1, self._released + 1 + len(records))
        outcomes = self._step(records, numbers, growing=False)
        self._released += len(records)
        self._keeping.worked(len(records), 0.0)  # whoever measures the time is told of no records
        return [], outcomes, []

    def _next(self) -> datetime | None:
        """Return the time that all sources have to tell next: of the first record that waits, or of what time alone brings about."""
        due = (self._pipeline.next_wake(), self._objects.next_wake(), self._waiting[0].received_at if self._waiting else None)
        return min((at for at in due if at is not None), default=None)

    def _due(self) -> list[Record]:
        """Return the records that every source is past, in order; at their end a tick, where time alone does something by then."""
        found: list[Record] = []
        reached: tuple[datetime, int] | None = None
        if len(self._marks) == self._sources:
            reached = min((at, source) for source, at in self._marks.items())
            if self.until is not None:
                reached = min(reached, (self.until, self._sources))
        while self._waiting and (len(self._waiting) > MOST_WAITING or (reached is not None and self._waiting[0][:2] <= reached)):
            next_ = heapq.heappop(self._waiting)
            if reached is None or next_[:2] > reached:
                _log.warning("groups.not_waited_for", partition=self.grant.partition, received_at=next_.received_at.isoformat())
            found.append(Record(seq=next_.seq, received_at=next_.received_at, entry=next_.entry))
        if reached is not None and (found or self._pipeline.may_be_due(reached[0]) or self._objects.may_be_due(reached[0])):
            found.append(Record(seq=0, received_at=reached[0], entry=TickEntry()))
        return found

    def _state(self) -> Iterator[bytes]:
        own = _Saved(
            seen=self._seen,
            marks=self._marks,
            released=self._released,
            waiting=len(self._waiting),
            passed_over=sorted(self._passed_over),
        )
        yield framed(msgspec.msgpack.encode(own))
        yield from (framed(msgspec.msgpack.encode(some)) for some in chunks(sorted(self._waiting, key=_turn)))
        yield from self._pipeline.parts()
        yield from self._objects.parts()

    def _put_back(self, state: Iterable[bytes]) -> None:
        train = frames(state)
        try:
            own = msgspec.msgpack.decode(next(train, b""), type=_Saved)
            while len(self._waiting) < own.waiting:
                self._waiting += msgspec.msgpack.decode(next(train, b""), type=list[Waiting])
        except msgspec.MsgspecError as error:
            raise StoreCorrupt(both("snapshot.no_group", error=error)) from error
        self._pipeline.take_up(train)
        self._objects.take_up(train)
        self._seen, self._marks, self._released, self._passed_over = own.seen, own.marks, own.released, set(own.passed_over)


def _turn(waiting: Waiting) -> tuple[datetime, int, int, int]:
    return waiting[:4]
