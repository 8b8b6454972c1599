"""The door of a cluster: offers become frames on their partitions, and are answered once the brokers have them (acks=all, idempotent).

Group commit without waiting, as in the journal's appender, but per partition: while one frame is on its way the next one gathers, so
frames grow with the load and a lone signal waits for nobody. One frame of a partition at a time: its records keep their order.

A frame that the brokers do not take now is offered to them until they do, under the same sequence number: it is never written twice. Its
senders may stop waiting and send again; while one waits for long, new offers are refused.

The same content again is answered as a duplicate where that is known here, from what this edge sent lately and from the rows of the
database; what is judged for good is judged by the worker of the partition, in the order of its log.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, Self

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from connectors.kafka.access import Access
from connectors.kafka.diagnosis import diagnose
from connectors.kafka.producing import open_producer
from domain.digest import digest_of
from domain.errors import FengsuiError, StoreUnavailable
from domain.frames import Frame, encode, split
from domain.messages import both
from domain.partitions import MOST_IN_FRAME, Place, named_by, partition_of, routing_key
from domain.ports import Clock, Offer, Receipt
from domain.records import AnyEntry, ResolutionEntry, SignalEntry

MOST_OFFERS: Final = 50_000  # queued and in flight
MOST_BYTES: Final = 128 * 1024 * 1024  # of their encoded entries
STUCK_SECONDS: Final = 10.0  # after which a frame that is not acknowledged keeps others from being offered
CLOSE_SECONDS: Final = 10.0  # that what is queued gets at the end
RECENT: Final = 100_000  # names that this edge remembers having sent
START_SECONDS: Final = 30.0

Name = tuple[str, str]  # (feed, id)
_log = structlog.get_logger(__name__)


class Sent(msgspec.Struct, frozen=True):
    """Where the newest content of a name is: its digest, its partition, and its number (0 while that is not known)."""

    digest: str
    partition: int
    seq: int = 0


@dataclass(slots=True)
class _Call:
    """One call's promise, and which of its offers still wait."""

    future: Future[list[Receipt]]
    entries: list[AnyEntry]
    receipts: list[Receipt | None]
    size: int
    waiting: int = 0


@dataclass(slots=True)
class _Lane:
    """What waits for one partition: (call, place in it, size, offer), in order."""

    queue: deque[tuple[_Call, int, int, Offer]] = field(default_factory=deque)
    under_way: list[tuple[_Call, int, int, Offer]] = field(default_factory=list)
    busy: bool = False
    since: float = 0.0  # since when a frame has been under way, 0 for none; of `time.monotonic`


class KafkaIntake:
    """`domain.ports.Intake` over a topic; safe to use from several threads. `start` it first, `close` it last."""

    def __init__(
        self,
        access: Access,
        topic: str,
        partitions: int,
        clock: Clock,
        *,
        prepare: Callable[[Offer], tuple[Offer, int]],
        whereabouts: Callable[[Sequence[Name]], Mapping[Name, Sent]] = lambda _names: {},
        on_sent: Callable[[Sequence[AnyEntry]], None] = lambda _entries: None,
        on_duplicates: Callable[[Mapping[str, int]], None] = lambda _counts: None,
        by: str = "",
    ) -> None:
        """`prepare` returns an offer as it can be written with its size (`storage.admission.storable`); `whereabouts` finds names in rows.

        `on_sent` gets the entries of each call that the brokers have, `on_duplicates` counts by feed; both in the intake's own thread.
        """
        self._access = access
        self._topic = topic
        self._clock = clock
        self._prepare = prepare
        self._whereabouts = whereabouts
        self._on_sent = on_sent
        self._on_duplicates = on_duplicates
        self._by = by
        self._lanes = [_Lane() for _ in range(partitions)]
        self._recent: OrderedDict[Name, Sent] = OrderedDict()
        self._lock = threading.Lock()
        self._offers = 0
        self._bytes = 0
        self._closing = False
        self._loop: asyncio.AbstractEventLoop  # from `start` on
        self._thread = threading.Thread(target=self._run, name="kafka-intake", daemon=True)
        self._producer: AIOKafkaProducer | None = None
        self._mending = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Connect.

        Raises:
            StoreUnavailable: the brokers cannot be reached or do not let us in.
        """
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result(START_SECONDS)
        except (KafkaError, TimeoutError) as error:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_SECONDS)  # whoever closes finds it ended
            raise StoreUnavailable(diagnose(self._access)) from error

    def submit(self, offers: Sequence[Offer]) -> Future[list[Receipt]]:
        """Queue offers; the future resolves once all in-sync brokers have them, and cannot be cancelled.

        What belongs to several partitions may be kept by some of them when the call fails: sending it again repeats nothing.

        Raises:
            StoreUnavailable: the queue is full, or the intake is closed; nothing was accepted.
            ValueError: a system entry cannot be written; nothing was accepted.
        """
        future: Future[list[Receipt]] = Future()
        future.set_running_or_notify_cancel()  # whoever stops waiting does not undo what is queued
        kept = [self._prepare(_with_digest(offer)) for offer in offers]
        call = _Call(future, [offer.entry for offer, _ in kept], [None] * len(kept), sum(size for _, size in kept))
        if not kept:
            future.set_result([])
            return future
        named = {name for offer, _ in kept for name in _names(offer.entry)}
        with self._lock:
            unknown = [name for name in sorted(named) if name not in self._recent]
        stored = self._whereabouts(unknown) if unknown else {}
        with self._lock:
            self._make_room(call)
            plan = self._plan(call, kept, stored)
            # Inside the lock: what was planned first is queued first.
            self._loop.call_soon_threadsafe(self._enqueue, call, plan)
        return future

    def trouble(self) -> str:
        """Return why nothing is taken now, "" while everything is; it may take seconds to find out."""
        if not self._thread.is_alive():
            return both("kafka.closed")
        waited = self._stuck()
        if not waited:
            return ""
        return self._unanswered(waited, diagnose(self._access))

    def _unanswered(self, waited: float, why: str) -> str:
        # behind both languages, since it has both itself
        return f"{both('kafka.stuck', topic=self._topic, seconds=f'{waited:.0f}')} ({why})"

    def _stuck(self) -> float:
        """Return for how many seconds the brokers have left a frame unanswered, 0 for no longer than is usual."""
        oldest = min((lane.since for lane in self._lanes if lane.since), default=0.0)
        waited = time.monotonic() - oldest if oldest else 0.0
        return waited if waited > STUCK_SECONDS else 0.0

    def alive(self) -> bool:
        """Tell whether the thread runs; if it does not, nothing is ever accepted again and the process should end."""
        return self._thread.is_alive()

    def pending(self) -> tuple[int, int]:
        """Return how many offers wait for their answer, and their bytes."""
        with self._lock:
            return self._offers, self._bytes

    def close(self) -> None:
        """Take nothing more, answer all that is queued (with a refusal what the brokers do not take within seconds), disconnect."""
        with self._lock:
            self._closing = True
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_room(self, call: _Call) -> None:
        if self._closing or not self._thread.is_alive():
            raise StoreUnavailable(both("kafka.closed"))
        if waited := self._stuck():
            raise StoreUnavailable(self._unanswered(waited, both("kafka.in_sync")))
        if self._offers + len(call.entries) > MOST_OFFERS or self._bytes + call.size > MOST_BYTES:
            raise StoreUnavailable(both("kafka.queue_full", offers=self._offers, bytes=self._bytes))
        self._offers += len(call.entries)
        self._bytes += call.size

    def _plan(self, call: _Call, kept: Sequence[tuple[Offer, int]], stored: Mapping[Name, Sent]) -> list[tuple[int, int, int, Offer]]:
        """Decide where each offer goes: (partition, place in the call, size, offer); duplicates are answered and go nowhere."""
        plan: list[tuple[int, int, int, Offer]] = []
        for place, (offer, size) in enumerate(kept):
            entry = offer.entry
            home, key = named_by(entry), routing_key(entry)
            if home is not None:
                plan.append((home, place, size, offer))
                continue
            if key is None:
                plan += [(partition, place, size, offer) for partition in range(len(self._lanes))]
                continue
            partition = partition_of(key, len(self._lanes))
            if isinstance(entry, SignalEntry):
                name = (entry.feed, entry.signal.id)
                found = [self._recent.get(one) or stored.get(one) for one in _names(entry)]
                known = found[0]
                if known is not None and known.digest == entry.digest and known.seq:
                    call.receipts[place] = Receipt(status="duplicate", seq=known.seq)
                    continue
                # A name stays where its first content is, and a correction goes to what it corrects.
                partition = next((one.partition for one in found if one is not None), partition)
                self._remember(name, Sent(entry.digest, partition))
            plan.append((partition, place, size, offer))
        return plan

    def _remember(self, name: Name, sent: Sent) -> None:
        self._recent[name] = sent
        self._recent.move_to_end(name)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    # What follows runs in the intake's own thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _connect(self) -> AIOKafkaProducer:
        self._producer = producer = await open_producer(self._access, "fengsui-edge")
        return producer

    def _enqueue(self, call: _Call, plan: list[tuple[int, int, int, Offer]]) -> None:
        call.waiting = len(plan)
        for partition, place, size, offer in plan:
            lane = self._lanes[partition]
            lane.queue.append((call, place, size, offer))
            if not lane.busy:
                lane.busy = True
                task = self._loop.create_task(self._drain(partition, lane))
                self._draining.add(task)
                task.add_done_callback(self._drained)
        if not plan:
            self._answer(call)

    async def _drain(self, partition: int, lane: _Lane) -> None:
        """Send what waits for a partition, frame after frame, until nothing does."""
        while lane.queue:
            [first, *_] = split([(size, offer) for _, _, size, offer in islice(lane.queue, MOST_IN_FRAME)], MOST_IN_FRAME)
            items = lane.under_way = [lane.queue.popleft() for _ in first]
            try:
                offset = await self._send(partition, Frame(received_at=self._clock.now(), offers=tuple(first), by=self._by))
            except FengsuiError as error:
                self._fail(items, error)
            else:
                for nth, (call, place, _, offer) in enumerate(items):
                    self._sent(call, place, offer.entry, Place(partition, offset, nth))
            lane.under_way = []
        lane.busy = False

    def _drained(self, task: asyncio.Task[None]) -> None:
        """A lane is empty; a defect in it ends the thread, which `trouble` tells: a lane that nobody drains would take offers for ever."""
        self._draining.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("kafka.intake_ended", exc_info=error)
            self._loop.stop()

    async def _send(self, partition: int, frame: Frame) -> int:
        """Return the offset at which all in-sync brokers have `frame`; raises StoreUnavailable."""
        lane, producer = self._lanes[partition], None
        lane.since = time.monotonic()
        try:
            async with self._mending:
                producer = self._producer if self._producer is not None else await self._connect()
            acknowledged = await producer.send_and_wait(self._topic, encode(frame), partition=partition)
        except KafkaError as error:  # none that passes: those are tried again for as long as it takes
            _log.error("kafka.frame_refused", partition=partition, records=len(frame.offers), error=repr(error))
            if producer is None:
                raise StoreUnavailable(await asyncio.to_thread(diagnose, self._access)) from error
            if self._producer is producer:
                self._producer = None
            self._give_up(producer)
            raise StoreUnavailable(
                both("kafka.refused", address=self._access.bootstrap, error=f"{type(error).__name__}: {error}")
            ) from error
        finally:
            lane.since = 0.0
        return int(acknowledged.offset)

    def _give_up(self, producer: AIOKafkaProducer) -> None:
        """Stop a producer whose sequence may have a hole now; what others have under way ends there."""
        task = self._loop.create_task(producer.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def _sent(self, call: _Call, place: int, entry: AnyEntry, at: Place) -> None:
        """The brokers have one offer of a call, or one of its copies."""
        acts = isinstance(entry, ResolutionEntry) and entry.partition == at.partition  # of those that have it the one that matters
        if call.receipts[place] is None or acts:
            call.receipts[place] = Receipt(status="accepted", seq=at.seq())
        if isinstance(entry, SignalEntry):
            name = (entry.feed, entry.signal.id)
            with self._lock:
                known = self._recent.get(name)
                if known is not None and known.digest == entry.digest and not known.seq:
                    self._recent[name] = Sent(known.digest, known.partition, at.seq())
        call.waiting -= 1
        if not call.waiting:
            self._answer(call)

    def _answer(self, call: _Call) -> None:
        self._release(call)
        receipts = [receipt for receipt in call.receipts if receipt is not None]
        if call.future.done():
            return
        call.future.set_result(receipts)
        pairs = list(zip(call.entries, receipts, strict=True))
        self._on_sent([entry for entry, receipt in pairs if receipt.status == "accepted"])
        again = Counter(entry.feed for entry, receipt in pairs if receipt.status == "duplicate" and isinstance(entry, SignalEntry))
        if again:
            self._on_duplicates(again)

    def _fail(self, items: Iterable[tuple[_Call, int, int, Offer]], error: FengsuiError) -> None:
        """Tell the callers; what was remembered of these names is forgotten, so that the next try is sent."""
        failed: dict[int, _Call] = {}
        counted: defaultdict[int, int] = defaultdict(int)
        for call, _, _, offer in items:
            failed[id(call)] = call
            counted[id(call)] += 1
            with self._lock:
                for name in _names(offer.entry)[:1]:
                    self._recent.pop(name, None)
        for key, call in failed.items():
            if not call.future.done():
                call.future.set_exception(error)
            call.waiting -= counted[key]
            if not call.waiting:
                self._release(call)

    def _release(self, call: _Call) -> None:
        with self._lock:
            self._offers -= len(call.entries)
            self._bytes -= call.size

    async def _finish(self) -> None:
        if self._draining:
            await asyncio.wait(self._draining, timeout=CLOSE_SECONDS)
        for lane in self._lanes:
            self._fail([*lane.under_way, *lane.queue], StoreUnavailable(both("kafka.closed")))
        if not self._draining and self._producer is not None:
            await self._producer.stop()  # it would wait for ever for what the brokers do not take


def _with_digest(offer: Offer) -> Offer:
    entry = offer.entry
    if not isinstance(entry, SignalEntry) or entry.digest:
        return offer
    return msgspec.structs.replace(offer, entry=msgspec.structs.replace(entry, digest=digest_of(entry.signal)))


def _names(entry: AnyEntry) -> list[Name]:
    """Return the name of a signal, then of what it corrects or withdraws; nothing for other entries."""
    if not isinstance(entry, SignalEntry):
        return []
    signal = entry.signal
    return [(entry.feed, one) for one in dict.fromkeys(chain((signal.id,), (signal.corrects, signal.withdraws))) if one]
