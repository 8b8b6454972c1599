"""The worker of a cluster: Faust gives membership, assignment and consumption, and nothing else is left to it.

Its offsets are not trusted: every resume would seek to what Kafka has as committed, so the one method that does so is overridden, and
what counts is the row of the partition, committed with the effects. Its tables and its exactly-once mode are not used. No exception
leaves the loop, since Faust would then commit past the message: whatever is not foreseen ends the process, and the supervisor starts it
anew. The messages of a partition are taken one by one, in order, in threads of our own, while heartbeats go on in another.
"""

# Long because: it is the only file that imports Faust, and what is made of its classes belongs together.
from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import faust
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, TopicT
from faust.types.transports import ConsumerT
from mode.utils.queues import ThrowableQueue

from domain.errors import Fenced, StoreUnavailable
from domain.frames import Frame, encode
from domain.messages import both
from domain.ports import Grant, Offer, Progress
from domain.records import TickEntry
from streams.runtimes.allocator import settle_allocator
from streams.runtimes.collector import BatchCollector
from streams.runtimes.hands import MANY, Hands
from streams.runtimes.partitions import Partition
from streams.runtimes.standbys import Make, Standbys
from streams.runtimes.standstill import Standstill

STUCK: Final = 70  # exit status: the supervisor starts the worker anew
LOOK_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 120.0  # for which the loop itself, or the brokers, may say nothing
ASK_SECONDS: Final = 2.0
ASSIGN_SECONDS: Final = 45.0  # longer than a database lets a process that stands still hold a row
FETCH_SECONDS: Final = 0.05  # for which a broker waits for news of partitions before it says that there is none
FETCH_BYTES: Final = 4 * 1024 * 1024  # of one partition at a time
HELD_SECONDS: Final = 0.01  # after which a partition that is not held back any more is asked for
BUFFER: Final = 16  # frames that wait in memory; each may have two megabytes
HELD_FRAMES: Final = 4  # that wait for a partition that counts back, before the others stay with the brokers

Slot = TP  # topic and partition
_log = structlog.get_logger(__name__)


def _no_news(record: logging.LogRecord) -> bool:
    """Leave out what Kafka's client says at each heartbeat of a rebalance: that it failed. It did not, and it is one rebalance."""
    return "because it is rebalancing" not in str(record.msg)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the worker belongs: addresses HOST:PORT, comma-separated, how to log in, topics and partitions, its group and its own name.

    `topic` is that of the frames, where ticks go too; `more` are others that are worked on, each with as many partitions.
    Faust makes folders in `folder`, which stay empty.
    """

    bootstrap: str
    topic: str
    partitions: int
    group: str
    owner: str
    folder: Path
    context: ssl.SSLContext | None = None
    mechanism: str = ""
    user: str = ""
    password: str = ""
    session_seconds: float = 15.0
    stuck_seconds: float = 60.0
    more: tuple[str, ...] = ()

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics that are worked on."""
        return (self.topic, *self.more)

    def credentials(self) -> SASLCredentials | SSLCredentials | None:
        """Return what Faust logs in with."""
        if self.mechanism:
            return SASLCredentials(username=self.user, password=self.password, mechanism=self.mechanism, ssl_context=self.context)
        return SSLCredentials(context=self.context) if self.context is not None else None


@dataclass(frozen=True, slots=True)
class _Gap:
    """The frame at the offset `wanted` has not come, but that at `found`, `since` when; when it was `asked` for last."""

    wanted: int
    found: int
    since: float
    asked: float


class _Consumer(driver.Consumer):
    """Faust's consumer, which goes on where the host says."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._resumed = asyncio.Event()

    async def perform_seek(self) -> None:
        """Seek every partition of the topic to what follows what is committed in the database."""
        assert isinstance(self.app, _App)
        host = self.app.host
        generation = self.app.consumer_generation_id
        wanted = await host.assigned(generation, [TP(*tp) for tp in self.assignment() if tp.topic in host.cluster.topics])
        await self.seek_wait(wanted)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Go on with partitions that were held back, at once; not with those that the host holds back itself."""
        assert isinstance(self.app, _App)
        super().resume_partitions(set(tps) - self.app.host.held_back)
        self._resumed.set()

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109  Faust's signature
        """Where all partitions are held back wait until one goes on: Faust would sleep for a second, for most of which a worker is idle."""
        if not self._get_active_partitions():
            self._resumed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._resumed.wait(), LOOK_SECONDS)
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109  Faust's signature
        """While partitions are held back wait for the others for a moment only: one that goes on meanwhile would have to wait too."""
        return await super()._getmany(active_partitions, HELD_SECONDS if self._paused_partitions else timeout)

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread with the consumer."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """Return a consumer that asks again soon.

        A broker answers the requests of a consumer one after another, and one about partitions without news takes as long as it may: what
        the others have in store comes only then. Faust leaves it 1.5 s.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = int(FETCH_SECONDS * 1000)  # noqa: SLF001  Faust has no setting for it; it is read at the start
        return consumer


class _Transport(driver.Transport):
    Consumer: ClassVar[type[ConsumerT]] = _Consumer


class InTurn(dict[Callable[[], object], None]):
    """What asks to go on again, in the order in which it was held back; to a queue of Faust it is the set that it would use."""

    def add(self, ask: Callable[[], object]) -> None:
        """Put one at the end."""
        self[ask] = None

    def pop(self) -> Callable[[], object]:  # type: ignore[override]  # of a set, which has no keys
        """Take the one that waits the longest."""
        first = next(iter(self))
        del self[first]
        return first


class _App(faust.App):
    """Faust's application, which knows its host and the topic of frames."""

    host: Host
    frames: TopicT

    def FlowControlQueue(self, *given: Any, **options: Any) -> ThrowableQueue[Any]:  # noqa: N802  Faust's name
        """Return a queue that lets the partitions it holds back go on in turn.

        Faust takes any of them, which for as long as a worker is behind is the same few again and again: the others stand still.
        """
        queue = super().FlowControlQueue(*given, **options)
        queue._pending_pressure_drop_callbacks = InTurn()  # type: ignore[assignment]  # noqa: SLF001  Faust has no other way
        return queue


class Host:
    """The partitions of this worker, and the threads that touch them."""

    def __init__(
        self,
        cluster: Cluster,
        make: Mapping[str, Make],
        progress: Progress,
        *,
        standbys: Standbys | None = None,
        die: Callable[[int], Any] = os._exit,
        on_look: Callable[[Mapping[TP, Partition], Mapping[TP, int]], object] = lambda _partitions, _ends: None,
    ) -> None:
        """`make` makes the partitions of each topic; `die` ends the process; `on_look` is told the partitions and their logs' ends.

        `standbys` keep those warm that this worker would be given if others died.
        """
        self.cluster = cluster
        self._make = make
        self._progress = progress
        self._standbys = standbys
        self._die = die
        self._on_look = on_look
        self._hands: Hands[TP] = Hands(self._failed, self._counting_back)
        self._stopping = threading.Event()
        self._given_up = threading.Event()  # the assignment that is under way
        self._partitions: dict[TP, Partition] = {}
        self.held_back: set[TP] = set()  # whose messages wait with the brokers while it counts back
        self._generation = -1
        self._gaps: dict[TP, _Gap] = {}
        self._short: dict[TP, float] = {}  # partition → since when its log has been shorter than what is done of it
        self._orphaned: dict[TP, float] = {}  # partition → since when its messages come although another one has it
        self._standstill: Standstill[TP] = Standstill()
        self._beat = time.monotonic()
        self.app = self._make_app()
        threading.Thread(target=self._watch_the_loop, name="watchdog", daemon=True).start()

    def run(self) -> None:
        """Work until SIGINT or SIGTERM, or until something ends the process."""
        settle_allocator()
        self._collector = BatchCollector()
        worker = faust.Worker(self.app, override_logging=False, redirect_stdouts=False, daemon=True, quiet=True)
        try:
            worker.execute_from_commandline()
        finally:
            self._hands.close()

    @property
    def partitions(self) -> tuple[TP, ...]:
        """The partitions that are worked on now."""
        return tuple(self._partitions)

    async def assigned(self, generation: int, partitions: Iterable[TP]) -> dict[TP, int]:
        """Take the partitions of a generation over, once; return the offset at which each goes on.

        Where the group gives them to others meanwhile it stops: what is taken over by then is what is returned.
        """
        self._given_up.set()
        given_up = self._given_up = threading.Event()
        offsets = await self._hands.alone(lambda: self._assign(generation, sorted(partitions), given_up), given_up.set)
        self._hold_back()  # none: nothing waits
        return offsets

    async def take(self, partition: TP, offset: int, message: bytes | None, appended_at: datetime) -> None:
        """Take in one message; what comes too early is asked for again, what comes again is passed over.

        It returns when the message waits for its partition's turn.
        """
        await self._hands.begin(partition, lambda: self._take(partition, offset, message, appended_at))
        if self._crowded(partition):
            self._hold_back()

    async def revoked(self) -> None:
        """Finish what is under way, but for an assignment, and keep snapshots for whoever comes next."""
        self._given_up.set()
        await self._hands.alone(self._keep_all)

    async def look(self) -> None:
        """Send ticks that are due, and end the process where work stands still."""
        self._beat = time.monotonic()
        self._hold_back()
        if self._standbys is not None:
            self._standbys.look(busy=self._hands.behind)
        for number, partition in sorted(self._partitions.items()):
            if partition.failed:  # in a thread, for which nothing here may wait
                self._hands.begin_if_idle(number, partial(self._unless_fenced, partition, partition.settle))
                continue
            for home, due in partition.ticks_due():
                frame = Frame(received_at=due, offers=(Offer(entry=TickEntry()),), by=self.cluster.owner)
                await self.app.frames.send(partition=home, value=encode(frame))
        await self._seek_again()
        done = {slot: held.grant.offset_done + 1 for slot, held in self._partitions.items()}  # before it is asked how long the logs are
        try:
            ends = await self._ends()
        except (TimeoutError, KafkaError) as error:
            _log.warning("worker.brokers_silent", error=repr(error))
            return
        self._look_for_short_logs(done, ends)
        behind = self._behind(ends)
        for slot, stood in self._standstill.look(behind).items():
            if stood > self.cluster.stuck_seconds:
                self._end(both("worker.stuck", seconds=f"{stood:.0f}", where=f"{_named(slot)}: {behind[slot][0]} < {ends[slot]}"))
        self._on_look(self._partitions, ends)
        self._beat = time.monotonic()

    def _look_for_short_logs(self, done: Mapping[TP, int], ends: Mapping[TP, int]) -> None:
        """End the process where a log stays shorter than what is done of it: it is another log, or the brokers lost its end.

        What comes in would get the offsets of what is done already, and pass for that in silence. A broker that was away may say for a
        moment what it knew before.
        """
        now = time.monotonic()
        self._short = {slot: self._short.get(slot, now) for slot, offset in done.items() if ends.get(slot, offset) < offset}
        for slot, since in self._short.items():
            if now - since > self.cluster.session_seconds:
                self._end(both("worker.short_log", where=_named(slot), end=ends[slot], done=done[slot]))

    def _behind(self, ends: Mapping[TP, int]) -> dict[TP, tuple[int, int]]:
        """Return how far the partitions are that have work and could do it: in their logs, and in what they count back.

        Where every thread counts back the other partitions have none.
        """
        partitions = sorted(self._partitions.items())
        free = sum(one.counting_back for _, one in partitions) < MANY
        able = [(number, one) for number, one in partitions if (free or one.counting_back) and not one.waiting]
        far = {number: (one.settled_offset, one.counted_back) for number, one in able}
        return {number: at for number, at in far.items() if at[0] < ends.get(number, 0)}

    def _counting_back(self, partition: TP) -> bool:
        held = self._partitions.get(partition)
        return held is not None and held.counting_back

    def _crowded(self, partition: TP) -> bool:
        """Whether a partition counts back, and enough waits for it: its next messages would hold those of the others up."""
        return self._counting_back(partition) and self._hands.waiting(partition) >= HELD_FRAMES

    def _hold_back(self) -> None:
        """Leave the messages of partitions that count back with the brokers, and go on with those that do not any more."""
        wanted = {number for number in list(self._partitions) if self._crowded(number)}
        begun, over = wanted - self.held_back, self.held_back - wanted
        self.held_back = wanted
        if begun:
            self.app.consumer.pause_partitions(begun)
        if over:
            self.app.consumer.resume_partitions(over & self._partitions.keys())
        self._hands.look_again()

    async def _ends(self) -> Mapping[TP, int]:
        """Ask the brokers for the ends of our partitions: a consumer that fell silent knows only what it once heard."""
        tps = list(self._partitions)
        if not tps:
            return {}
        found = await asyncio.wait_for(self.app.consumer.highwaters(*tps), SILENT_SECONDS)
        return {TP(*tp): offset for tp, offset in found.items()}

    def _failed(self, error: BaseException) -> None:
        """End the process before Faust could commit past what was not taken in."""
        _log.critical("worker.ended", error=str(error), exc_info=error)
        self._end(str(error))

    def _end(self, reason: str) -> None:
        _log.critical("worker.ended", reason=reason, status=STUCK)
        self._die(STUCK)

    async def _ask_again(self, partition: TP, wanted: int, offset: int) -> None:
        """A frame is missing: seek back to it, at once and then with each look.

        Where what comes then still lies behind it after a session's time it is gone, and nothing after it may be taken.
        """
        gap, now = self._gaps.get(partition), time.monotonic()
        if gap is None or gap.wanted != wanted:
            self._gaps[partition] = _Gap(wanted, offset, now, now)
            _log.error("partition.gap", topic=partition.topic, partition=partition.partition, wanted=wanted, found=offset)
            await self._seek(partition, wanted)
        elif now - gap.since > self.cluster.session_seconds:
            self._end(both("worker.gap", topic=partition.topic, partition=partition.partition, wanted=wanted, found=gap.found))

    async def _seek_again(self) -> None:
        """Ask once more for frames that are missing: what was in the buffers has come meanwhile."""
        now = time.monotonic()
        for partition, gap in sorted(self._gaps.items()):
            held = self._partitions.get(partition)
            if held is None or held.next_offset != gap.wanted:
                self._gaps.pop(partition, None)
            elif now - gap.asked > ASK_SECONDS:
                self._gaps[partition] = replace(gap, asked=now)
                await self._seek(partition, gap.wanted)

    async def _seek(self, partition: TP, wanted: int) -> None:
        """Go back to a frame; while the partition is on its way to another worker, or the brokers are away, the next look tries again."""
        with suppress(TimeoutError, KafkaError):
            await self.app.consumer.seek_wait({partition: wanted})

    def _watch_the_loop(self) -> None:
        """End the process where the loop itself stands still; in a thread of its own."""
        while time.monotonic() - self._beat < SILENT_SECONDS + 2 * LOOK_SECONDS:
            time.sleep(1)
        self._end(both("worker.silent", seconds=f"{SILENT_SECONDS:.0f}"))

    # What follows runs in the threads of the partitions.

    def _assign(self, generation: int, partitions: list[TP], given_up: threading.Event) -> dict[TP, int]:
        """Take partitions over one by one; who fences somebody who has one by a newer assignment costs the group a restart."""
        if generation != self._generation:
            for old in list(self._partitions.values()):  # what is under way is done before it would be fenced
                self._unless_fenced(old, old.settle)
            self._generation = -1
            self._gaps.clear()
            self._orphaned.clear()
            self._standstill.forget()
            before, self._partitions = self._partitions, {}
            for number in partitions:
                grant = self._granted(number, given_up)
                if grant is None:
                    _log.warning("worker.assignment_given_up", generation=generation, taken=len(self._partitions), of=len(partitions))
                    self._partitions |= before  # under the grants they had: the next assignment renews them, or lets them go
                    return {}
                held = before.pop(number, None)
                if held is None or not held.renew(grant):
                    held = self._warm(grant) or self._make[number.topic](grant, self._stopping)
                self._partitions[number] = held
            self._generation = generation
        return {number: held.next_offset for number, held in self._partitions.items()}

    def _granted(self, partition: TP, given_up: threading.Event) -> Grant | None:
        """Take a partition over, None where the assignment was given up.

        It asks again for a while where the database is away, or the row is held by a process that stands still.
        """
        end = time.monotonic() + ASSIGN_SECONDS
        while not given_up.is_set():
            try:
                return self._progress.assign(*partition, self.cluster.owner, still=lambda: not given_up.is_set())
            except Fenced:
                break
            except StoreUnavailable as error:
                _log.warning("partition.not_assigned", topic=partition.topic, partition=partition.partition, error=str(error))
                if time.monotonic() > end or self._stopping.wait(ASK_SECONDS):
                    raise
        return None

    def _warm(self, grant: Grant) -> Partition | None:
        return None if self._standbys is None else self._standbys.take(grant)

    def _keep_only(self, mine: set[TP]) -> None:
        self._partitions = {number: held for number, held in self._partitions.items() if number in mine}

    def _take(self, partition: TP, offset: int, message: bytes | None, appended_at: datetime) -> None:
        held, began = self._partitions.get(partition), time.monotonic()
        if held is None:
            self._orphan(partition)
        elif offset > held.next_offset:
            asked = asyncio.run_coroutine_threadsafe(self._ask_again(partition, held.next_offset, offset), self.app.loop)
            asked.add_done_callback(self._asked)
        elif offset == held.next_offset:
            self._gaps.pop(partition, None)
            self._unless_fenced(held, lambda: held.take(offset, message, appended_at))
            self._standstill.took(began)
            self._collector.batch_done()

    def _orphan(self, partition: TP) -> None:
        """A message of a partition that another worker has: usual while an assignment moves, not for longer."""
        since = self._orphaned.setdefault(partition, time.monotonic())
        if time.monotonic() - since > self.cluster.session_seconds:
            self._end(both("worker.fenced", where=_named(partition)))

    def _asked(self, done: Future[None]) -> None:
        error = done.exception()
        if error is not None:
            self._failed(error)

    def _keep_all(self) -> None:
        for held in list(self._partitions.values()):
            try:
                self._unless_fenced(held, held.let_go)
            except StoreUnavailable as error:  # the process is stopping: the others are let go of all the same
                grant = held.grant
                _log.warning("partition.not_let_go", topic=grant.topic, partition=grant.partition, error=str(error))

    def _unless_fenced(self, held: Partition, work: Callable[[], object]) -> None:
        """Do something for a partition, and let go of it where it is somebody else's."""
        try:
            work()
        except Fenced as error:
            grant = held.grant
            _log.warning("partition.fenced", topic=grant.topic, partition=grant.partition, epoch=grant.epoch, reason=str(error))
            number = TP(grant.topic, grant.partition)
            if self._partitions.get(number) is held:
                del self._partitions[number]

    # Faust's application.

    def _make_app(self) -> _App:
        cluster = self.cluster
        logging.getLogger("aiokafka.consumer.group_coordinator").addFilter(_no_news)
        app = _App(
            cluster.group,
            broker=";".join(f"kafka://{address.strip()}" for address in cluster.bootstrap.split(",")),
            broker_credentials=cluster.credentials(),
            broker_session_timeout=cluster.session_seconds,
            broker_heartbeat_interval=cluster.session_seconds / 5,
            broker_rebalance_timeout=60.0,
            broker_max_poll_interval=300.0,
            broker_max_poll_records=BUFFER,
            broker_commit_interval=5.0,  # for tools that show the lag; nothing resumes from it
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=FETCH_BYTES,
            producer_acks=-1,
            producer_max_request_size=40 * 1024 * 1024,
            processing_guarantee="at_least_once",
            stream_buffer_maxsize=BUFFER,
            stream_wait_empty=False,
            store="memory://",
            datadir=cluster.folder,  # else the working folder, which a container may not write to
            table_standby_replicas=1,  # there are no tables, but whoever stands by for a partition is given it first
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
        )
        app.host = self
        app.transport = _Transport(app.conf.broker_consumer, app)
        raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
        app.frames = app.topic(cluster.topic, allow_empty=True, partitions=cluster.partitions, **raw)
        taken = app.topic(*cluster.topics, allow_empty=True, partitions=cluster.partitions, **raw)

        async def frames(stream: Any) -> AsyncIterator[None]:
            """Take the messages of all partitions one by one."""
            async for event in stream.events():
                message = event.message
                at = datetime.fromtimestamp(message.timestamp, UTC)
                await self.take(TP(message.topic, message.partition), message.offset, message.value, at)
                yield

        app.agent(taken, concurrency=1, name="frames")(frames)

        async def look() -> None:
            await self.look()

        app.timer(LOOK_SECONDS)(look)
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_partitions_revoked.connect(self._on_revoked)
        app.on_before_shutdown.connect(self._on_shutdown)
        return app

    async def _on_assigned(self, *given: Any, **_: Any) -> None:
        """Let go of what is not ours any more: where nothing is, Faust asks for no offsets either."""
        mine = {TP(*tp) for tp in given[-1] if tp.topic in self.cluster.topics}
        if not mine:
            _log.warning("worker.no_partition", partitions=self.cluster.partitions, hint="there are more workers than partitions")
        await self._hands.alone(lambda: self._keep_only(mine))
        if self._standbys is not None:
            self._standbys.want(self.app.assignor.assigned_standbys(), mine)

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        had, began = len(self._partitions), time.monotonic()
        await self.revoked()
        if had:
            _log.info("worker.rebalancing", partitions=had, kept_in=round(time.monotonic() - began, 2), hint="a worker came or went")

    async def _on_shutdown(self, *_: Any, **__: Any) -> None:
        self._stopping.set()
        if self._standbys is not None:
            self._standbys.close()
        await self.revoked()


def _named(partition: TP) -> str:
    return f"{partition.topic}/{partition.partition}"
