"""Reads topics of other systems: what a message brought is in our log before the source's offset is committed, so nothing is lost.

All edges read a source as one consumer group, which gives each partition to one of them; the messages of a partition are taken in their
order. What was taken and not committed, because the process died between, is taken again and known by the ids of its signals.

Memory is bounded: nothing more is fetched than a poll and what the client fetches ahead, and the next poll waits for the last one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from connectors.inbound.envelope import Message
from connectors.inbound.survival import survived
from connectors.kafka.access import Access
from connectors.kafka.diagnosis import diagnose
from connectors.kafka.foreign import Foreign, look_for
from connectors.kafka.own_loop import OwnLoop
from domain.errors import FengsuiError, StoreUnavailable
from domain.messages import both

POLL_MS: Final = 500
MOST_MESSAGES: Final = 1_000  # of one poll
FETCH_BYTES: Final = 16 * 2**20  # that one broker sends at once; a single larger message comes nevertheless
PARTITION_BYTES: Final = 2**20
REBALANCE_MS: Final = 60_000  # a partition is handed over after what was polled of it is taken, which may wait 30 s for the brokers
PAUSE_SECONDS: Final = 1.0  # before what our own stores did not take is tried again
RETRY_SECONDS: Final = 10.0  # before a source that cannot be read is looked at again
LOOK_SECONDS: Final = 30.0  # without a message, after which it is asked whether the topic is still there: the client never says
CLOSE_SECONDS: Final = 45.0
LEAVE_SECONDS: Final = 5.0
HANDS: Final = 8  # partitions whose messages are taken at once
_log = structlog.get_logger(__name__)

Count = Callable[[str, int], None]  # outcome ("taken", "skipped", "lost"), how many messages


class Held(Protocol):
    """One partition of a source, from the time on at which we were given it."""

    def take(self, offsets: Sequence[int], messages: Sequence[Message]) -> None:
        """Return once all that the messages brought is acknowledged; raises FengsuiError where it is not."""
        ...

    def let_go(self) -> None:
        """Leave it in order: everything that was taken is done."""
        ...


@dataclass(frozen=True, slots=True)
class Lane:
    """One source: what is read, and who takes it.

    `hold` is told the number of a partition that we were given, and raises FengsuiError where it is to be asked again. After
    `session_seconds` of silence the partitions of an edge go to others.
    """

    foreign: Foreign
    feed: str
    group: str
    hold: Callable[[int], Held]
    count: Count
    session_seconds: float = 15.0


class Reader:
    """Reads one source, in the loop of `Sources`."""

    def __init__(self, lane: Lane, own: Access, closing: asyncio.Event, hands: ThreadPoolExecutor) -> None:
        """Read `lane` until `closing`; `own` are the brokers of our cluster, whose topics are no source."""
        self._lane = lane
        self._own = own
        self._closing = closing
        self._hands = hands
        self._next: dict[TopicPartition, int] = {}  # offset of the next message to take
        self._held: dict[TopicPartition, Held] = {}
        self._in_hand = asyncio.Lock()
        self.trouble = ""
        self.lag = 0

    @property
    def lane(self) -> Lane:
        """What is read."""
        return self._lane

    async def run(self) -> None:
        """Read until `closing`; what cannot be read is told once and tried again."""
        while not self._closing.is_set():
            try:
                with survived("source.failed", topic=self._lane.foreign.topic) as defect:  # the other sources and doors go on
                    await self._read()
                if defect.text:
                    self._tell(f"{self._lane.foreign.topic}: {defect.text}")
            except (FengsuiError, OSError) as error:
                self._tell(str(error))
            self.lag = 0
            await self._rest(RETRY_SECONDS)

    async def _read(self) -> None:
        """Look for the source and read it until `closing`; raises StoreUnavailable where it cannot be read."""
        try:
            await asyncio.to_thread(look_for, self._lane.foreign, self._own)
            await self._consume()
        except KafkaError as error:
            raise StoreUnavailable(await asyncio.to_thread(_explained, self._lane.foreign, error)) from error

    def _tell(self, trouble: str) -> None:
        """Say what keeps a source from being read, when it begins and when it is over."""
        if trouble and trouble != self.trouble:
            _log.error("source.trouble", topic=self._lane.foreign.topic, feed=self._lane.feed, reason=trouble)
        elif self.trouble and not trouble:
            _log.info("source.read", topic=self._lane.foreign.topic, feed=self._lane.feed)
        self.trouble = trouble

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return

    async def _consume(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._lane.foreign.access.stream_options(),
            client_id="fengsui-edge",
            group_id=self._lane.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
            session_timeout_ms=round(self._lane.session_seconds * 1000),
            heartbeat_interval_ms=round(self._lane.session_seconds * 200),
            rebalance_timeout_ms=REBALANCE_MS,
        )
        consumer.subscribe([self._lane.foreign.topic], listener=_Handover(self._in_hand, self._let_go))
        try:
            await consumer.start()
            self._tell("")
            heard = time.monotonic()
            while not self._closing.is_set():
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_MESSAGES)
                if found:
                    heard = time.monotonic()
                elif time.monotonic() - heard > LOOK_SECONDS:
                    await asyncio.to_thread(look_for, self._lane.foreign, self._own)
                    heard = time.monotonic()
                async with self._in_hand:
                    refused = await self._poll(consumer, found)
                if refused or found or not self.lag:  # an empty poll says nothing of what waits to be taken again
                    self._tell(refused)
                if refused:
                    await self._rest(PAUSE_SECONDS)
        finally:
            await self._let_go()
            # A group whose brokers are away cannot be left in order: they notice by themselves.
            await asyncio.wait({asyncio.ensure_future(consumer.stop())}, timeout=LEAVE_SECONDS)

    async def _let_go(self) -> None:
        """Leave all partitions in order: what was taken of them is committed, or comes again."""
        self._next.clear()
        held, self._held = list(self._held.values()), {}
        await asyncio.gather(*(self._in_hands(one.let_go) for one in held))

    async def _in_hands(self, work: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._hands, work)

    async def _poll(self, consumer: AIOKafkaConsumer, found: dict[TopicPartition, list[ConsumerRecord[Any, Any]]]) -> str:
        """Take what a poll brought and commit it; return why some of it was not taken, which the next poll then brings again."""
        for place, records in found.items():
            await self._look_for_gap(consumer, place, records[0].offset)
        ends = await asyncio.gather(*(self._take(place, records) for place, records in found.items()), return_exceptions=True)
        done: dict[TopicPartition, int] = {}
        refused = ""
        for (place, records), end in zip(found.items(), ends, strict=True):
            if isinstance(end, FengsuiError):
                refused = str(end)
                self._next[place] = records[0].offset
                if place in consumer.assignment():
                    consumer.seek(place, records[0].offset)
            elif isinstance(end, BaseException):
                raise end
            else:
                done[place] = self._next[place] = records[-1].offset + 1
        await self._commit(consumer, done)
        self.lag = sum(self._behind(consumer, place) for place in consumer.assignment())
        return refused

    async def _take(self, place: TopicPartition, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Hand over the messages of one partition; a null value is a deletion by key (a tombstone), and there is nothing to take."""
        there = [record for record in records if record.value is not None]

        def take() -> None:
            if place not in self._held:
                self._held[place] = self._lane.hold(place.partition)
            self._held[place].take([record.offset for record in there], [Message(record.value, record.headers) for record in there])

        if there:
            await self._in_hands(take)
        self._lane.count("taken", len(there))
        self._lane.count("skipped", len(records) - len(there))

    async def _commit(self, consumer: AIOKafkaConsumer, done: dict[TopicPartition, int]) -> None:
        if not done:
            return
        try:
            await consumer.commit(done)
        except (CommitFailedError, IllegalStateError) as error:  # others have the partitions now, and take it again
            _log.info("source.not_committed", topic=self._lane.foreign.topic, reason=str(error))
            self._next.clear()

    async def _look_for_gap(self, consumer: AIOKafkaConsumer, place: TopicPartition, first: int) -> None:
        """Say where the source's retention deleted messages that nobody had read; other gaps are compaction and transactions."""
        expected = self._next.get(place)
        if expected is None:
            expected = await consumer.committed(place)
        if expected is None or first <= expected:
            return
        kept = (await consumer.beginning_offsets([place]))[place]
        if kept > expected:
            self._lane.count("lost", kept - expected)
            _log.critical(
                "source.lost",
                topic=place.topic,
                partition=place.partition,
                messages=kept - expected,
                reason=both("foreign.lost", topic=place.topic, partition=place.partition, first=expected, kept=kept),
            )

    def _behind(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        end, at = consumer.highwater(place), self._next.get(place)
        return max(0, end - at) if end is not None and at is not None else 0


class _Handover(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no annotations
    """Lets go of partitions only between two polls: what is in hand is committed first."""

    def __init__(self, in_hand: asyncio.Lock, let_go: Callable[[], Awaitable[None]]) -> None:
        self._in_hand = in_hand
        self._let_go = let_go

    async def on_partitions_revoked(self, revoked: object) -> None:
        """Wait for what is in hand."""
        del revoked
        async with self._in_hand:
            await self._let_go()

    def on_partitions_assigned(self, assigned: object) -> None:
        """Do nothing: where to go on is what the group has committed."""


class Sources:
    """All sources of one edge, in a thread of their own from `start` to `close`."""

    def __init__(self, lanes: Sequence[Lane], own: Access) -> None:
        """Read `lanes`; `own` are our brokers. Nothing runs before `start`."""
        self._own = OwnLoop("sources", self._all)
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="source")
        self.readers = tuple(Reader(lane, own, self._own.closing, self._hands) for lane in lanes)

    def start(self) -> None:
        """Begin; sources that cannot be read are looked for until they can."""
        if self.readers:
            self._own.start()

    def ended(self) -> bool:
        """Tell whether the thread has ended by itself."""
        return bool(self.readers) and self._own.ended

    def close(self) -> None:
        """Take what is in hand, commit it, leave the groups."""
        self._own.close(CLOSE_SECONDS)
        self._hands.shutdown(wait=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _all(self) -> None:
        await asyncio.gather(*(reader.run() for reader in self.readers))


def _explained(foreign: Foreign, error: KafkaError) -> str:
    """Return why a source cannot be read, with what to do."""
    name = type(error).__name__
    why = diagnose(foreign.access) if name in {"KafkaConnectionError", "KafkaTimeoutError", "NodeNotReadyError"} else f"{name}: {error}"
    return foreign.trouble(why)
