"""What the workers of a cluster have judged, of all partitions in one order: the journal that one process would have of it.

Records stand in the order of their receipt; of one instant those of a partition stay together, by its number, in the order of its log.
What every partition was told stands there once, a confirmation as one process has it, and what partitions tell each other not at all.
A frame brings in what it brought in for its worker (`storage.stored_names`), and what was set aside is left out. So the records can be
replayed, and the same warnings come of them, but for signals that came in at the very instant of an activation: each partition changes
its rules at its own place, these records at that of the first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from app.cluster.aside import left_out
from app.folder import Part, Told, silent
from app.settings import Settings
from connectors.kafka.log import KafkaFrames
from domain.errors import NotFound, StoreUnavailable
from domain.frames import Frame, decode
from domain.instants import spoken
from domain.messages import both
from domain.partitions import Place
from domain.records import (
    AnyEntry,
    CatalogueEntry,
    FeedEntry,
    MovedEntry,
    ObjectsEntry,
    OutcomeEntry,
    Prepared,
    Record,
    ResolutionEntry,
    RulesetEntry,
)
from storage import risk
from storage.database import Database
from storage.progress import holdings
from storage.registry import all_objects, registry_version
from storage.stored_names import PartitionAdmission
from storage.tables import activations, progress
from streams.runtimes.past import AHEAD, LogHistory, received_at

OBJECTS_PER_RECORD: Final = 1000
TELL_EVERY: Final = 100  # records
EVERYWHERE: Final = (RulesetEntry, ObjectsEntry, CatalogueEntry, OutcomeEntry, FeedEntry)  # every partition is told of these
ALL: Final = Part()
Turn = tuple[datetime, int, int, AnyEntry]


class Span(NamedTuple):
    """The messages of a partition: the first that is kept, the first that is not judged yet, and the next one to be written."""

    partition: int
    first: int
    end: int
    written: int


class ConsumedLog:
    """The log up to what was judged when this was made: read again it gives the same records under the same numbers."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Ask brokers and database how far it goes; raises StoreUnavailable."""
        kafka = settings.kafka
        topic = kafka.layout().topic("frames")
        self._database, self._topic = database, topic
        self._log = KafkaFrames(kafka.access(), topic)
        with database.read() as connection:
            done = {each.partition: each.offset_done + 1 for each in holdings(connection) if each.topic == topic}
            self._aside = frozenset(left_out(connection))
        bounds = self._log.bounds_of(range(kafka.partitions))
        self.spans = tuple(Span(number, first, done.get(number, 0), end) for number, (first, end) in sorted(bounds.items()))

    @property
    def unjudged(self) -> int:
        """How many messages of the log are not judged yet: they are left out."""
        return sum(max(0, span.written - max(span.first, span.end)) for span in self.spans)

    def whole_since(self) -> datetime | None:
        """Return since when the log holds everything that was received, None where nothing of it was ever deleted."""
        cut = [span for span in self.spans if span.first > 0]
        begun = [self._received(span.partition, span.first) if span.first < span.written else self._moved(span.partition) for span in cut]
        return max(begun, default=None)

    def part(self, wanted: Part) -> Part:
        """Return `wanted`, beginning where the log does.

        Raises:
            NotFound: it begins before that: retention deleted it.
        """
        begins = self.whole_since()
        if begins is None:
            return wanted
        if wanted.since is not None and wanted.since < begins:
            raise NotFound(both("cluster.log_begins", begins=spoken(begins), wanted=spoken(wanted.since)))
        return msgspec.structs.replace(wanted, since=wanted.since or begins)

    def records(self, wanted: Part = ALL, partitions: Sequence[int] = (), told: Told = silent) -> Iterator[Record]:
        """Yield the records of a part, of some partitions (none named: all), numbered from 1.

        Objects, catalogue and rules are those of the log; where retention has deleted its beginning, those of the database, of which
        objects and catalogue are as they stand today. `told` hears how many messages of how many are read.

        Raises:
            StoreUnavailable: the brokers or the database say nothing.
            NotFound: retention deletes the log while it is read.
        """
        chosen = [span for span in self.spans if not partitions or span.partition in partitions]
        starts = self._starts(chosen, wanted.since)
        read = dict.fromkeys(starts, 0)
        whole = sum(max(0, span.end - starts[span.partition]) for span in chosen)
        seq = 0
        for at, entry in self._scene(chosen, wanted.since):
            seq += 1
            yield Record(seq=seq, received_at=at, entry=entry)
        turns = [self._turns(span, starts[span.partition], wanted, lead=span is chosen[0]) for span in chosen]
        for at, number, place, entry in heapq.merge(*turns):
            seq += 1
            read[number] = Place.of(place).offset + 1 - starts[number]
            if seq % TELL_EVERY == 0:
                told(sum(read.values()), whole)
            yield Record(seq=seq, received_at=at, entry=as_one(entry))
        told(whole, whole)

    def _starts(self, chosen: Sequence[Span], since: datetime | None) -> dict[int, int]:
        """Return where the reading of each partition begins; of the first one at its beginning, which has all that sets the scene."""
        starts = {span.partition: span.first for span in chosen}
        if since is not None:
            later = self._log.behind(since - AHEAD, starts)  # an edge's clock may be ahead of the brokers' by so much
            for span in chosen[1:]:
                starts[span.partition] = max(span.first, later.get(span.partition, span.end))
        return starts

    def _turns(self, span: Span, start: int, wanted: Part, *, lead: bool) -> Iterator[Turn]:
        """Yield what a partition brings in, with its turn."""
        number = span.partition
        history = LogHistory(number, self._log, partial(PartitionAdmission, self._database), lambda _name: None, aside=lambda: self._aside)
        if start >= span.end:
            return
        for record in history.records(Place(number, start, 0).seq() - 1, Place(number, span.end, 0).seq()):
            at, entry = record.received_at, record.entry
            if wanted.until is not None and at >= wanted.until and not (lead and wanted.answers):
                return
            if not wanted.has(record):
                continue
            if _stands_here(entry, number, lead=lead):
                yield at, number, record.seq, entry

    def _scene(self, chosen: Sequence[Span], since: datetime | None) -> Iterator[tuple[datetime, AnyEntry]]:
        """Yield what was in force where the log begins, if its beginning was deleted."""
        lead = chosen[0]
        if since is None or not lead.first:
            return
        with self._database.read() as connection:
            version, things = registry_version(connection), all_objects(connection)
            catalogue, ruleset = risk.current_catalogue(connection), _in_force(connection, lead)
        at = min(since, self._received(lead.partition, lead.first)) if lead.first < lead.end else since
        for start in range(0, len(things), OBJECTS_PER_RECORD):
            yield at, ObjectsEntry(version=version, objects=tuple(things[start : start + OBJECTS_PER_RECORD]))
        yield at, CatalogueEntry(catalogue=catalogue)
        if ruleset is not None:
            yield at, RulesetEntry(version=ruleset)

    def _received(self, partition: int, offset: int) -> datetime:
        """Return when the message at an offset was received."""
        for message in self._log.read(partition, offset, offset):
            frame = decode(message.body)
            return received_at(frame, message.appended_at, None) if isinstance(frame, Frame) else message.appended_at
        raise StoreUnavailable(both("cluster.log_moves", partition=partition))

    def _moved(self, partition: int) -> datetime:
        """Return by when everything of a partition was received of which nothing is kept: when it was judged."""
        with self._database.read() as connection:
            row = connection.execute(
                select(progress.c.moved_at, progress.c.assigned_at).where(
                    progress.c.topic == self._topic, progress.c.partition == partition
                )
            ).one_or_none()
        if row is None:
            raise NotFound(both("cluster.log_gone", topic=self._topic, partition=partition))
        found: datetime = row.moved_at or row.assigned_at
        return found


def as_one(entry: AnyEntry) -> AnyEntry:
    """Return an entry as one process has it that judges all: it counts back from the first record on, and knows what is confirmed."""
    if isinstance(entry, ResolutionEntry):
        return msgspec.structs.replace(entry, partition=-1, content=None)
    if isinstance(entry, RulesetEntry) and entry.prepared is not None:
        return msgspec.structs.replace(entry, prepared=Prepared(first=1))
    return entry


def _stands_here(entry: AnyEntry, partition: int, *, lead: bool) -> bool:
    """Say whether an entry is taken from this partition: of what all have one is enough."""
    if isinstance(entry, ResolutionEntry):
        return lead if entry.partition < 0 else entry.partition == partition
    return not isinstance(entry, MovedEntry) and (lead or not isinstance(entry, EVERYWHERE))


def _in_force(connection: Connection, lead: Span) -> str | None:
    """Return the rule set that a partition had where its log begins."""
    before = (activations.c.seq >= Place(lead.partition, 0, 0).seq(), activations.c.seq < Place(lead.partition, lead.first, 0).seq())
    newest = select(activations.c.version).where(*before).order_by(activations.c.seq.desc()).limit(1)
    return connection.scalar(newest)
