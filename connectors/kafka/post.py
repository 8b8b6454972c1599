"""Sends what was committed and has to go to a topic: each letter until the brokers have it (acks=all, idempotent), then it is struck out.

Letters of one partition to the same place go in batches, the next one once the one before has arrived: so none overtakes another,
whatever fails between. A letter that arrived and could not be struck out is sent again; whoever reads knows it by its id.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from connectors.kafka.access import Access
from connectors.kafka.own_loop import OwnLoop
from connectors.kafka.producing import open_producer
from domain.errors import StoreUnavailable
from domain.ports import Letter

IDLE_SECONDS: Final = 0.5  # between two looks, where nobody says that there is something
PAUSE_SECONDS: Final = 1.0  # after which what failed is tried again
CLOSE_SECONDS: Final = 10.0
_log = structlog.get_logger(__name__)


class Item(NamedTuple):
    """A letter that waits, with its number and the partition (topic, number) that wrote it."""

    id: int
    sender: tuple[str, int]
    letter: Letter


class Post:
    """A thread of its own, from `start` to `close`."""

    def __init__(
        self, access: Access, topic: Callable[[str], str], waiting: Callable[[], Sequence[Item]], strike: Callable[[Sequence[int]], None]
    ) -> None:
        """`topic` gives the full name of a letter's topic; `waiting` the next letters, each sender's in order; `strike` forgets some.

        Both of the last may raise StoreUnavailable, and are then called again.
        """
        self._access = access
        self._topic = topic
        self._waiting = waiting
        self._strike = strike
        self._own = OwnLoop("post", self._work)
        self._more = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None

    def start(self) -> None:
        """Begin; brokers that cannot be reached are tried until they are."""
        self._own.start()

    def look(self) -> None:
        """There is something to send; from any thread."""
        self._own.call(self._more.set)

    def close(self) -> None:
        """End behind the letters that are under way; the others wait where they are kept."""
        self._own.close(CLOSE_SECONDS)

    def ended(self) -> bool:
        """Tell whether nothing is sent any more, though nobody closed it."""
        return self._own.ended

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What follows runs in the thread of the post.

    async def _work(self) -> None:
        while not self._own.closing.is_set():
            self._more.clear()
            try:
                sent = await self._round()
            except (KafkaError, StoreUnavailable) as error:
                _log.warning("post.not_sent", error=repr(error))
                await self._drop_producer()
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if not sent:
                await self._rest()
        await self._drop_producer()

    async def _rest(self) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._more, self._own.closing)]
        await asyncio.wait(waits, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _round(self) -> int:
        """Send what waits; return how much of it arrived."""
        items = await asyncio.to_thread(self._waiting)
        if not items:
            return 0
        if self._producer is None:
            self._producer = await open_producer(self._access, "fengsui-post")
        lanes: defaultdict[tuple[tuple[str, int], str, int], list[Item]] = defaultdict(list)
        for item in items:
            lanes[item.sender, item.letter.to, item.letter.partition].append(item)
        arrived: list[int] = []
        ends = await asyncio.gather(*(self._lane(self._producer, lane, arrived) for lane in lanes.values()), return_exceptions=True)
        if arrived:
            await asyncio.to_thread(self._strike, arrived)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return len(arrived)

    async def _lane(self, producer: AIOKafkaProducer, items: Sequence[Item], arrived: list[int]) -> None:
        """Send letters of one sender to one place in one batch, which arrives as a whole; what has no room in it waits for a round."""
        topic, partition, batch, packed = self._topic(items[0].letter.to), items[0].letter.partition, producer.create_batch(), []
        for item in items:
            if batch.append(timestamp=None, key=item.letter.key or None, value=item.letter.body) is None:
                break
            packed.append(item.id)
        await producer.partitions_for(topic)  # else the producer may not know of the topic yet
        sent = await producer.send_batch(batch, topic, partition=partition)
        await sent
        arrived += packed

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
