"""Why a rule did not hit, in a cluster: the log of one partition through the very thing that judged it, from its newest snapshot on.

Nothing is written: snapshots, progress and marks of the workers stay as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, NoReturn

from app.clock import SystemClock
from app.cluster.engines import Engines
from app.cluster.shelves import PastShelf
from app.settings import Settings
from connectors.kafka.log import KafkaFrames
from domain.errors import NotFound
from domain.frames import Frame, decode
from domain.instants import spoken
from domain.messages import both
from domain.partitions import partition_of
from domain.ports import Grant, History, Message
from domain.records import Record, TickEntry
from rules.ruleset import Rule
from storage import risk
from storage.database import Database
from storage.marks import SqlMarks
from storage.progress import SqlProgress
from storage.registry import get_object
from storage.stored_names import PartitionAdmission
from streams.pipeline import Pipeline
from streams.runtimes.group_partitions import GroupPartition
from streams.runtimes.partition_guard import Onlooking, aside_by
from streams.runtimes.partitions import Partition, Parts
from streams.runtimes.past import received_at
from streams.stages.groups import area_name
from streams.stages.inquiry import AREA, Inquiry, area_of, rule_of

LAST: Final = 1 << 62  # a number that no record has
NEVER: Final = 1 << 60  # records and seconds: no snapshot is made
TELL_EVERY: Final = 10  # messages
Told = Callable[[int, int], object]


class PartitionQuestions:
    """Asks the partition that judges a rule at a subject."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Ask of the cluster that `settings` name."""
        self._settings = settings
        self._database = database
        self._engines = Engines(settings, database)
        self._layout = settings.kafka.layout()

    def inquire(self, rule_id: str, subject: str, at: datetime | None, told: Told, *, restricted: bool) -> Inquiry:
        """Return why a rule is or is not true for an object's id or an area's name, as of `at` or of what is judged.

        Raises:
            NotFound: the rule set of that time has no such rule, or retention has deleted what the answer depends on.
            StoreUnavailable: brokers or database say nothing.
        """
        now = at or SystemClock().now()
        with self._database.read() as connection:
            version = risk.judged_by(connection, now, LAST)
        if not version:
            raise NotFound(both("why_not.no_set", at=spoken(now)))
        rule = rule_of(self._engines.stored(version), rule_id, now)
        pipeline, about = self._state(rule, version, subject, at, told)
        return pipeline.inquire(rule_id, about, restricted=restricted)

    def _state(self, rule: Rule, version: str, subject: str, at: datetime | None, told: Told) -> tuple[Pipeline, str]:
        """Return the pipeline that judges a rule at a subject, as it stood, and the subject's name there."""
        if subject.startswith(AREA):
            subject = area_of(rule, subject)
        number = partition_of(subject, self._layout.partitions)
        if not self._engines.several:
            return self._frames(0, at, told), subject
        spread = self._engines.spread_of(version)
        if isinstance(rule.by, int):
            area = subject if subject.startswith(AREA) else area_name(self._region(subject), rule.by)
            return self._groups(partition_of(area, self._layout.partitions), at, told).pipeline, area
        if any(each.id == rule.id for each in spread.groups.rules):
            return self._groups(number, at, told).beside, subject
        return self._frames(number, at, told), subject

    def _region(self, object_id: str) -> str:
        with self._database.read() as connection:
            found = get_object(connection, object_id)
        return found.region if found is not None else ""

    def _frames(self, number: int, at: datetime | None, told: Told) -> Pipeline:
        """Return the state of a partition of the frames."""
        topic = self._layout.topic("frames")
        source = KafkaFrames(self._settings.kafka.access(), topic)
        groups = self._layout.partitions if self._engines.several else 0
        grant = self._grant(topic, number)
        parts = replace(self._parts(topic, at, self._engines.objects), log=source, groups=groups)
        partition = Partition(grant, parts, _at_once())
        received: datetime | None = None
        for message in _following(source, partition, told):
            received = _received(message, received)
            if at is not None and received > at:
                break
            partition.take(message.offset, message.body, message.appended_at)
        if at is not None and at > partition.pipeline.now:
            partition.pipeline.step((Record(seq=partition.pipeline.position + 1, received_at=at, entry=TickEntry()),))
        return partition.pipeline

    def _groups(self, number: int, at: datetime | None, told: Told) -> GroupPartition:
        """Return a partition of groups as it stood."""
        topic = self._layout.topic("groups")
        source = KafkaFrames(self._settings.kafka.access(), topic)
        frames = self._layout.topic("frames")
        parts = replace(
            self._parts(topic, at, self._engines.areas),
            beside=self._engines.groups,
            log=KafkaFrames(self._settings.kafka.access(), frames),
            aside=lambda source: aside_by(SqlMarks(self._database, frames, source)),
        )
        partition = GroupPartition(self._grant(topic, number), parts, _at_once(), self._layout.partitions)
        partition.until = at
        for message in _following(source, partition, told):
            partition.take(message.offset, message.body, message.appended_at)
            if at is not None and partition.is_past(at):
                break
        for pipeline in (partition.pipeline, partition.beside):
            if at is not None and at > pipeline.now:
                pipeline.step((Record(seq=0, received_at=at, entry=TickEntry()),), growing=False)
        return partition

    def _grant(self, topic: str, number: int) -> Grant:
        found = SqlProgress(self._database, SystemClock()).standing(topic, number)
        if found is None:
            raise NotFound(both("cluster.nothing_judged", topic=topic, partition=number))
        return found

    def _parts(self, topic: str, at: datetime | None, pipeline: Callable[[History | None], Pipeline]) -> Parts:
        """Return what a partition is made of that only looks."""
        kafka = self._settings.kafka
        return Parts(
            pipeline=pipeline,
            admission=lambda number: PartitionAdmission(self._database, number),
            snapshots=lambda number: PastShelf(kafka.snapshots, self._database, topic, number, at),
            marks=lambda number: Onlooking(SqlMarks(self._database, topic, number)),
            commit=_never,
            clock=SystemClock(),
            snapshot_every=NEVER,
            snapshot_seconds=NEVER,
            spread_of=self._engines.spread_of,
            worked_out=self._engines.worked_out,
        )


def _following(source: KafkaFrames, partition: Partition, told: Told) -> Iterator[Message]:
    """Yield the messages behind what a partition has taken in, up to the last one that is committed."""
    first, last = partition.next_offset, partition.grant.offset_done
    if first > last:
        return
    for message in source.read(partition.grant.partition, first, last):
        yield message
        if message.offset % TELL_EVERY == 0:
            told(message.offset + 1 - first, last + 1 - first)


def _received(message: Message, before: datetime | None) -> datetime:
    """Return when a message of the frames counts as received."""
    frame = decode(message.body)
    if isinstance(frame, Frame):
        return received_at(frame, message.appended_at, before)
    return message.appended_at if before is None else max(message.appended_at, before)


def _at_once() -> threading.Event:
    """Return what lets nobody wait for a store that is away: whoever asks is told instead."""
    found = threading.Event()
    found.set()
    return found


def _never(grant: Grant, upto: int, records: object, outcomes: object, letters: object = ()) -> NoReturn:
    """Commit nothing: what is read is committed already."""
    del records, outcomes, letters
    raise AssertionError(f"{grant.topic}/{grant.partition}: offset {upto} is not committed, and was read in spite of it")
