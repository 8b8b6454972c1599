"""The duty loop: pays owed journal entries, fires due timers, delivers the outbox; the same in every mode.

Timers fire inside the transaction that carries their effects out, so each fires once. Deliveries are claimed, sent outside any
transaction and marked: where the process dies in between, they are sent again with the same id.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, wait
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import Connection

from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics, Sample
from app.synced import offer, refused, synced
from connectors.outbound.egress import Network
from connectors.outbound.webhook import TIMEOUT, WebhookSender
from dispatch.deliver import Attempt, Dead, Delivered, Gone, judge
from dispatch.effects import EscalationRaised
from dispatch.escalate import fire, in_due_order
from dispatch.lifecycle import apply
from domain.errors import Conflict, DeliveryRejected, StoreUnavailable
from domain.ports import Clock, Intake, Receipt
from domain.records import AnyEntry
from domain.tasks import Action, Command, Stage, Timer
from storage import access, obligations, outbox
from storage.crashpoints import reach
from storage.database import Database

LEASE = timedelta(seconds=60)  # longer than any attempt may last
TIMERS_A_TURN = 500  # after an outage: the rest waits for the next turn, deliveries go out in between
IN_FLIGHT = 64
SYNC_SECONDS = 5.0  # for which a turn waits for the journal; the timers come after it
CLOCK_SECONDS = 60.0  # between two looks at the database's clock
POLL_SECONDS = 0.5  # a timer is at most this late
_entry = msgspec.msgpack.Decoder(AnyEntry)
log = structlog.get_logger(__name__)


class DutyLoop(threading.Thread):
    """One thread with an event loop of its own; `nudge` makes it look at once, `idle` says whether anything is left to do."""

    def __init__(
        self,
        *,
        database: Database,
        desk: Desk,
        writer: EffectWriter,
        intake: Intake,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        egress: tuple[Network, ...],
        attempt_seconds: float = TIMEOUT,
        lockstep: bool = False,
        owner: str = "serve",
    ) -> None:
        """`clock` decides what is due, `wall` stamps signatures, `egress` are the networks that may be sent to.

        An attempt is given up after `attempt_seconds`. `owner` names this process among those that share the database: what it had
        claimed before it died is taken up again at its next start, and by others once the lease has run out.

        In `lockstep` it does nothing by itself: `work` does all that is due at the clock's instant and returns when nothing is under way.
        """
        super().__init__(name="duty", daemon=True)
        self._database = database
        self._desk = desk
        self._writer = writer
        self._intake = intake
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._egress = egress
        self._attempt_seconds = attempt_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake = asyncio.Event()
        self._ending = False
        self._in_flight: set[asyncio.Task[None]] = set()
        self._paying: tuple[list[int], Future[list[Receipt]]] | None = None  # owed entries that are queued in the journal, and its answer
        self._turning = threading.Lock()
        self._lockstep = lockstep
        self._clocks_at = 0.0  # on the monotonic clock
        self._owner = owner
        self._broken = frozenset[str]()  # timers that failed in this life; the next one tries them again
        self._sender: WebhookSender | None = None
        self._opened = threading.Event()  # once there is a sender
        self.at_once = IN_FLIGHT  # deliveries under way; with 1 they arrive by due time, then id, whichever receiver is quicker
        self.done = 0  # owed entries paid, timers fired, attempts made
        self.attempts = 0  # of deliveries
        metrics.sources.append(self._samples)

    def run(self) -> None:
        """Turn until `stop`."""
        asyncio.run(self._main())

    def nudge(self) -> None:
        """Look at once: something became due."""
        if not self._lockstep:
            self._wake()

    def work(self) -> datetime | None:
        """Do all that is due now, return when it is done, and say when the next timer or delivery is due; for lock-step callers."""
        ahead = self._agenda()
        if not ahead.owed and (ahead.next_at is None or ahead.next_at > self._clock.now()):
            return ahead.next_at  # the thread is not woken for nothing
        while not self._opened.wait(timeout=1.0):
            self._check_alive()
        assert self._loop is not None, "it is there before the sender"
        doing = asyncio.run_coroutine_threadsafe(self._all_due(), self._loop)
        while not wait([doing], timeout=1.0).done:
            self._check_alive()
        doing.result()
        return self._agenda().next_at

    def _check_alive(self) -> None:
        if not self.is_alive():
            raise RuntimeError("the duty loop has ended; see its log")

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._awake.set)

    def stop(self) -> None:
        """End after the turn that is under way; attempts under way are finished."""
        self._ending = True
        self._wake()
        if self.is_alive():
            self.join()

    def idle(self) -> bool:
        """Say whether nothing is due at the clock's present instant and nothing is under way."""
        if self._in_flight or self._turning.locked():
            return False
        ahead = self._agenda()
        return not self._in_flight and not ahead.owed and (ahead.next_at is None or ahead.next_at > self._clock.now())

    def _samples(self) -> list[Sample]:
        """Say how much is in this loop's hands; nothing once it has ended, which is what an alert waits for."""
        paying = self._paying
        return [Sample("fengsui_duty_leases", float(len(self._in_flight) + (len(paying[0]) if paying else 0)))] if self.is_alive() else []

    def _agenda(self) -> obligations.Agenda:
        """Return what is ahead; a broken timer is not: it stays due for ever, and nobody waits for it in this life."""
        with self._database.read() as connection:
            return obligations.agenda(connection, self._broken)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        with self._database.write() as connection:
            outbox.release_leases(connection, self._owner)
        async with WebhookSender(self._wall, self._egress, self._attempt_seconds) as self._sender:
            self._opened.set()
            while not self._ending:
                self._awake.clear()
                busy = not self._lockstep and await self._look()
                if not busy:
                    await self._rest()
            if self._in_flight:
                await asyncio.wait(self._in_flight)

    async def _look(self) -> bool:
        """Do what is due, as far as the stores are there; return whether there may be more at once."""
        try:
            busy = await asyncio.to_thread(self._turn)
            self._send_due()
        except StoreUnavailable:
            self._metrics.loop_errors.labels(loop="duty").inc()
            log.exception("duty.store_unavailable")
            return False
        return busy

    async def _all_due(self) -> None:
        """Look until nothing is due and nothing is under way."""
        while True:
            busy = await self._look()
            if self._in_flight:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            elif not busy:
                return

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._awake.wait(), None if self._lockstep else POLL_SECONDS)
        except TimeoutError:
            return

    def _turn(self) -> bool:
        """Pay what is owed and fire what is due; return whether there is more of it.

        Raises:
            StoreUnavailable: the database does not answer, or its clock and this machine's went apart: nothing is due for sure then.
        """
        with self._turning:
            if time.monotonic() >= self._clocks_at:
                self._database.check_clock(self._wall)
                self._clocks_at = time.monotonic() + CLOCK_SECONDS
            try:
                paid = self._pay()
            except StoreUnavailable as error:  # a journal that stands still is no reason for a department to be reminded late
                self._metrics.loop_errors.labels(loop="duty").inc()
                log.exception("duty.journal_waits", reason=str(error))
                paid = False
            return paid | self._fire_due()

    def _pay(self) -> bool:
        """Journal what is owed, once: entries that are queued already are waited for, not offered again."""
        if self._paying is None:
            with self._database.read() as connection:
                if not obligations.owed(connection, 1):
                    return False
            with self._database.write() as connection:
                owed = obligations.claim_owed(connection, self._clock.now(), LEASE, self._owner)
            if not owed:
                return False
            try:
                self._paying = [id_ for id_, _ in owed], offer(self._intake, [_entry.decode(body) for _, body in owed])
            except StoreUnavailable:
                self._release([id_ for id_, _ in owed])
                raise
        ids, answer = self._paying
        try:
            receipts = synced(answer, SYNC_SECONDS)
        except StoreUnavailable:
            if refused(answer):
                self._paying = None
                self._release(ids)
            raise
        with self._database.write() as connection:
            obligations.paid(connection, ids)
        self._paying = None
        self.done += len(receipts)
        return True

    def _release(self, ids: list[int]) -> None:
        with self._database.write() as connection:
            obligations.release_owed(connection, ids)

    def _fire_due(self) -> bool:
        now = self._clock.now()
        with self._database.read() as connection:
            found = obligations.due_timers(connection, now, TIMERS_A_TURN + len(self._broken))
        due = [timer for timer in in_due_order(found) if timer.id not in self._broken]
        fired = False
        passed = set[str]()  # warnings that another loop is busy with: what is due of them later must not come before what is due now
        for timer in due:
            if timer.warning_id in passed:
                continue
            reach("timer.before_fire")
            try:
                if self._fire(timer, now):
                    fired = True
                else:
                    passed.add(timer.warning_id)
            except Conflict as error:
                fired = True
                log.info("timer.overtaken", timer=timer.id, reason=str(error))  # an answer came first and has the last word
            except StoreUnavailable:
                raise
            except Exception:  # the outer loop: one timer that cannot fire must not hold up all the others
                fired = True
                self._broken |= {timer.id}
                self._metrics.loop_errors.labels(loop="timer").inc()
                log.critical("timer.broken", timer=timer.id, warning=timer.warning_id, exc_info=True)
            reach("timer.after_fire")
        return fired

    def _fire(self, timer: Timer, now: datetime) -> bool:
        """Fire a timer; return False where somebody else does, or decides about its case: the next turn looks again."""
        with self._database.write() as connection:
            case = obligations.hold_due(connection, timer.id)
            if case is None:
                assert obligations.get_case(connection, timer.warning_id) is not None, "a timer is written with its case"
                return False
            tasks = obligations.tasks_of(connection, timer.warning_id)
            applied = fire(case, tasks, timer, self._desk.context(connection), now)
            self._writer.write(connection, [applied], now)
        self.done += 1
        self._metrics.timers.labels(kind=timer.what).inc()
        self._metrics.timer_delay.observe((self._clock.now() - timer.due_at).total_seconds())
        for effect in applied.effects:
            if isinstance(effect, EscalationRaised):
                self._metrics.escalations.labels(act=effect.escalation.act).inc()
        return True

    def _send_due(self) -> None:
        room = self.at_once - len(self._in_flight)
        if room <= 0:
            return
        now = self._clock.now()
        with self._database.read() as connection:
            first = outbox.next_attempt_at(connection)
        if first is None or first > now:
            return
        with self._database.write() as connection:
            claimed = outbox.claim(connection, now, LEASE, room, self._owner)
        for delivery in claimed:
            task = asyncio.get_running_loop().create_task(self._deliver(delivery))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._awake.set()
        error = task.exception()
        if error is not None:
            self._metrics.loop_errors.labels(loop="delivery").inc()
            log.error("delivery.not_recorded", exc_info=error)  # its lease runs out and it is sent again

    async def _deliver(self, delivery: outbox.Delivery) -> None:
        address = await asyncio.to_thread(self._address, delivery)
        if address is None:
            await asyncio.to_thread(self._to_inbox, delivery)
            return
        url, secrets = address
        assert self._sender is not None, "deliveries begin inside `_main`"
        reach("outbox.before_send")
        with self._metrics.delivery_seconds.time():
            try:
                attempt = await self._sender.send(url, secrets, delivery.id, self._writer.outgoing(delivery))
            except DeliveryRejected as error:
                log.warning("delivery.forbidden", delivery=delivery.id, reason=str(error))
                attempt = Attempt(failure="forbidden_address")
        reach("outbox.after_send")
        await asyncio.to_thread(self._record, delivery, url, attempt)

    def _address(self, delivery: outbox.Delivery) -> tuple[str, list[str]] | None:
        """Return where a delivery goes and what signs it, None where its endpoint is switched off."""
        with self._database.read() as connection:
            found = {endpoint.id: endpoint for endpoint in access.list_endpoints(connection, delivery.recipient)}
            secrets = access.signing_secrets(connection, delivery.recipient, self._clock.now())
        endpoint = found.get(delivery.endpoint_id)
        return (endpoint.url, secrets) if endpoint is not None and endpoint.state == "active" else None

    def _to_inbox(self, delivery: outbox.Delivery) -> None:
        """Let the department read what it cannot be sent."""
        with self._database.write() as connection:
            outbox.to_inbox(connection, delivery.endpoint_id, self._clock.now())
        self.done += 1
        log.warning("delivery.to_inbox", delivery=delivery.id, recipient=delivery.recipient, endpoint=delivery.endpoint_id)

    def _record(self, delivery: outbox.Delivery, url: str, attempt: Attempt) -> None:
        """Write what came of an attempt at `url`; a success moves the task on in the same transaction."""
        now, n = self._clock.now(), delivery.attempt + 1
        judged = judge(delivery.id, n - delivery.series_from, attempt, now)
        row = outbox.AttemptRow(delivery_id=delivery.id, n=n, at=now, status=attempt.status or 0, detail=attempt.failure or "")
        with self._database.write() as connection:
            obligations.hold_case(connection, delivery.warning_id)
            match judged:
                case Delivered():
                    if outbox.record_attempt(connection, row, next_at=None, state="sent", owner=self._owner):
                        delivered(self._writer, self._desk, connection, delivery, now)
                case Dead():
                    outbox.record_attempt(connection, row, next_at=None, state="dead", owner=self._owner)
                case Gone():
                    outbox.record_attempt(connection, row, next_at=now, state="waiting", owner=self._owner)
                    if access.disable_endpoint(connection, delivery.endpoint_id, url):
                        outbox.to_inbox(connection, delivery.endpoint_id, now)
                case _:
                    outbox.record_attempt(connection, row, next_at=judged.at, state="waiting", owner=self._owner)
                    if judged.slow_down:
                        outbox.slow_down(connection, delivery.endpoint_id, judged.at)
        self.done += 1
        self.attempts += 1
        outcome = {Delivered: "sent", Dead: "dead"}.get(type(judged), "failed")
        self._metrics.deliveries.labels(outcome=outcome).inc()
        if isinstance(judged, Gone):
            log.error("endpoint.gone", endpoint=delivery.endpoint_id, recipient=delivery.recipient, reason=judged.reason)
        elif isinstance(judged, Dead):
            log.error("delivery.dead", delivery=delivery.id, recipient=delivery.recipient, reason=judged.reason)


def delivered(writer: EffectWriter, desk: Desk, connection: Connection, delivery: outbox.Delivery, now: datetime) -> None:
    """A recipient has been told: its rung says so, and a task that was only generated is pushed now."""
    obligations.deliver_rung(connection, delivery.warning_id, delivery.id, now)
    if not delivery.task_id:
        return
    task = obligations.get_task(connection, delivery.task_id)
    if task.stage is not Stage.GENERATED or task.department != delivery.recipient:
        return
    case = obligations.get_case(connection, delivery.warning_id)
    assert case is not None, "a task is written with its case"
    command = Command(action=Action.DELIVER, role="system")
    tasks = obligations.tasks_of(connection, delivery.warning_id)
    writer.write(connection, [apply(case, tasks, task.id, command, desk.context(connection), now)], now)
