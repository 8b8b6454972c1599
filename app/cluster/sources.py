"""Topics of other systems as doors of an edge: each message goes the way of `POST /v1/feeds/{feed}/records` or `POST /v1/signals`."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from app.cluster.plants import kill_if_deadly
from app.cluster.source_guard import Watched
from app.metrics import Metrics, Sample
from app.second_chances import CANONICAL
from app.settings import Kafka, Source
from connectors.inbound.canonical import TOLERANCE
from connectors.inbound.edge import Edge
from connectors.inbound.envelope import Message, record_input, signals_input
from connectors.inbound.mapping_model import Mapping as FeedMapping
from connectors.inbound.survival import Defect, survived
from connectors.kafka.foreign import Foreign, look_for
from connectors.kafka.layout import NAMES
from connectors.kafka.sources import Count, Lane, Sources
from domain.errors import FileProblems, Problem, StoreUnavailable
from domain.messages import both
from domain.ports import Clock
from storage.crashpoints import reach
from storage.database import Database


def standing(kafka: Kafka) -> Iterator[tuple[bool, str]]:
    """Yield whether each source can be read, and how many partitions it has or what is wrong."""
    for source in kafka.sources:
        try:
            partitions = look_for(_foreign(kafka, source), kafka.access())
        except StoreUnavailable as error:
            yield False, str(error)
        else:
            yield True, both("foreign.read", topic=source.topic, partitions=partitions)


def make_sources(
    kafka: Kafka, edge: Edge, mappings: Mapping[str, FeedMapping], clock: Clock, metrics: Metrics, database: Database
) -> Sources:
    """Return the readers of all sources, which nothing has started yet; `database` is that of all edges.

    Raises:
        FileProblems: a source's feed has no mapping, and its messages are not said to be canonical.
        StoreUnavailable: a password file cannot be read.
    """
    lanes, alone = [], threading.Lock()
    for source in kafka.sources:
        mapping = mappings.get(source.feed)
        if mapping is None and not _is_canonical(source):
            legal = ", ".join(sorted(mappings))
            told = both("foreign.unknown_feed", topic=source.topic, feed=source.feed, legal=legal)
            raise FileProblems([Problem(file="kafka.sources", line=0, column=0, message=told)])
        door = Door(source, mapping, edge, clock)
        name = f"{kafka.group_of(source)} {source.topic} {source.bootstrap}".rstrip()
        hold = partial(Watched, database, name, take=door.take, refuse=door.set_aside, alone=alone)
        group, count = kafka.group_of(source), _counter(source, metrics)
        lanes.append(Lane(_foreign(kafka, source), source.feed, group, hold, count, kafka.session_seconds))
    sources = Sources(lanes, kafka.access())
    metrics.sources.append(lambda: _samples(sources))
    return sources


class Door:
    """Takes the messages of one source, as the intake's routes take the bodies of requests."""

    def __init__(self, source: Source, mapping: FeedMapping | None, edge: Edge, clock: Clock) -> None:
        """Take for the feed of `source`; `mapping` is that of the feed, where it has one."""
        self._source = source
        self._mapping = mapping
        self._edge = edge
        self._clock = clock

    def take(self, messages: Sequence[Message]) -> None:
        """Take messages in their order; return once all in-sync brokers have what they brought, refusals too.

        A message that no reader survives is kept as a rejection: the topic goes on behind it.

        Raises:
            StoreUnavailable: not all of it was taken; to take it again repeats nothing.
        """
        reach("source.before_offer")
        with self._survived() as defect:
            self._offer(messages)
        if defect.text:
            for message in messages:
                self._take_alone(message)
        reach("source.before_commit")

    def set_aside(self, message: Message) -> None:
        """Keep a message as a rejection without reading it: it brought edges down; raises as `take`."""
        told = both("foreign.deadly", topic=self._source.topic)
        self._edge.refuse(self._source.feed, message.body, told, self._clock.now())

    def _take_alone(self, message: Message) -> None:
        with self._survived() as defect:
            self._offer([message])
        if defect.text:
            told = both("foreign.unreadable", topic=self._source.topic, error=defect.text)
            self._edge.refuse(self._source.feed, message.body, told, self._clock.now())

    def _survived(self) -> AbstractContextManager[Defect]:
        return survived("source.message_fails", topic=self._source.topic, feed=self._source.feed)

    def _offer(self, messages: Sequence[Message]) -> None:
        for message in messages:
            kill_if_deadly(message.body)
        source, mapping, now = self._source, self._mapping, self._clock.now()
        if mapping is not None and not _is_canonical(source):
            self._edge.take_each(mapping, [record_input(one, source.content_type) for one in messages], now)
            return
        inputs = [signals_input(one, source.content_type) for one in messages]
        revisable, tolerance = (mapping.revisable, mapping.future) if mapping is not None else (False, TOLERANCE)
        self._edge.take_signals_each(source.feed, inputs, now, revisable=revisable, tolerance=tolerance)


def _foreign(kafka: Kafka, source: Source) -> Foreign:
    try:
        access = kafka.access_of(source)
    except StoreUnavailable as error:
        raise StoreUnavailable(both("kafka.source_wrong", topic=source.topic, error=error)) from error
    return Foreign(source.topic, access, own=source.topic in {kafka.layout().topic(name) for name in NAMES})


def _is_canonical(source: Source) -> bool:
    return source.canonical or source.feed == CANONICAL


def _counter(source: Source, metrics: Metrics) -> Count:
    def count(outcome: str, messages: int) -> None:
        if messages:
            metrics.source_messages.labels(feed=source.feed, topic=source.topic, outcome=outcome).inc(messages)

    return count


def _samples(sources: Sources) -> Iterable[Sample]:
    for reader in sources.readers:
        labels = (reader.lane.feed, reader.lane.foreign.topic)
        yield Sample("fengsui_source_lag_messages", reader.lag, labels)
        yield Sample("fengsui_source_trouble", float(bool(reader.trouble)), labels)
