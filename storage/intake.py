"""The one door to the journal: one thread numbers, writes, syncs, and only then answers.

Group commit without waiting: while one group is being synced the next one queues up, so the group grows with the load and a lone
sender waits for nobody. Order within a group: write, sync, index, answers, runtime.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol, Self

import msgspec
import structlog

from domain.errors import FengsuiError, StoreUnavailable
from domain.messages import both
from domain.ports import Clock, Offer, Receipt
from domain.records import Record
from storage.admission import Plan, admit, storable
from storage.crashpoints import planted, reach
from storage.identity import Identity

_log = structlog.get_logger(__name__)

MAX_OFFERS = 50_000  # queued and in flight
MAX_BYTES = 128 * 1024 * 1024  # of their encoded entries
GROUP_BATCHES = 256
GROUP_OFFERS = 8_192  # a group is closed once it holds this many, so that nobody waits for a whole queue's sync


class AppendableJournal(Protocol):
    """What the appender needs of a journal."""

    def head(self) -> int:
        """Return the `seq` of the last synced record."""
        ...

    def last_received(self) -> datetime | None:
        """Return the newest synced `received_at`."""
        ...

    def append(self, records: Sequence[Record]) -> None:
        """Write records, all or none; raises StoreUnavailable where the disk does not take them."""
        ...

    def sync(self) -> None:
        """Put them on the disk; does not return where that fails."""
        ...


class _Batch(msgspec.Struct, frozen=True):
    """One call's offers and the promise made to the caller."""

    offers: list[Offer]
    size: int
    future: Future[list[Receipt]]


class Appender:
    """`domain.ports.Intake` over a journal; `close` it before the journal.

    `on_synced` gets the synced records of each group in order, after the answers, in the appender's thread. `on_duplicates` gets counts
    by feed the same way: duplicates are not journalled (a sender may repeat a whole table every night), so their counters are kept by
    whoever listens and a crash may lose the last few, which nothing else depends on.
    """

    def __init__(
        self,
        journal: AppendableJournal,
        identity: Identity,
        clock: Clock,
        *,
        on_synced: Callable[[Sequence[Record]], None] = lambda _records: None,
        on_duplicates: Callable[[Mapping[str, int]], None] = lambda _counts: None,
        max_offers: int = MAX_OFFERS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Start the thread; `received_at` of new records is never earlier than that of the journal's last."""
        self._journal = journal
        self._identity = identity
        self._clock = clock
        self._on_synced = on_synced
        self._on_duplicates = on_duplicates
        self._max_offers = max_offers
        self._max_bytes = max_bytes
        self._received = journal.last_received()
        self._queue: deque[_Batch] = deque()
        self._group: list[_Batch] = []
        self._offers = 0  # queued and in flight
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        if planted("ack_before_sync"):
            _log.critical("planted_defect", name="ack_before_sync")
        self._thread = threading.Thread(target=self._run, name="appender", daemon=True)
        self._thread.start()

    def submit(self, offers: Sequence[Offer]) -> Future[list[Receipt]]:
        """Queue offers, all or none; the future resolves after the disk has them, never before, and cannot be cancelled.

        Raises:
            StoreUnavailable: the queue is full, or the appender is closed; nothing was accepted.
            ValueError: a system entry cannot be written; nothing was accepted.
        """
        future: Future[list[Receipt]] = Future()
        future.set_running_or_notify_cancel()  # whoever stops waiting does not undo what is queued
        if not offers:
            future.set_result([])
            return future
        kept, sizes = zip(*map(storable, offers), strict=True)
        size = sum(sizes)
        with self._changed:
            if self._closing:
                raise StoreUnavailable(both("journal.closed"))
            if self._offers + len(offers) > self._max_offers or self._bytes + size > self._max_bytes:
                raise StoreUnavailable(
                    both(
                        "journal.full",
                        held=self._offers,
                        most=self._max_offers,
                        bytes=self._bytes,
                        most_bytes=self._max_bytes,
                        count=len(offers),
                        size=size,
                    )
                )
            self._offers += len(offers)
            self._bytes += size
            self._queue.append(_Batch(list(kept), size, future))
            self._changed.notify_all()
        return future

    def pending(self) -> tuple[int, int]:
        """Return how many offers wait for their answer, and their bytes."""
        with self._changed:
            return self._offers, self._bytes

    def alive(self) -> bool:
        """Tell whether the thread runs; if it does not, nothing is ever accepted again and the process should end."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Take nothing more, answer all that is queued, write the index, stop the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._identity.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            while self._collect():
                plan = self._commit()
                self._release()
                if plan is not None and plan.records:
                    self._on_synced(plan.records)
                if plan is not None and plan.duplicates:
                    self._on_duplicates(plan.duplicates)
        finally:  # reached by closing, or by a defect: then nobody may be left waiting for ever
            with self._changed:
                self._closing = True
                left = [*self._group, *self._queue]
                self._queue.clear()
            _fail(left, StoreUnavailable(both("journal.stopped")))

    def _collect(self) -> bool:
        """Wait for work and take a group from the queue; False once closed and empty."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            offers = 0
            while self._queue and len(self._group) < GROUP_BATCHES and offers < GROUP_OFFERS:
                batch = self._queue.popleft()
                self._group.append(batch)
                offers += len(batch.offers)
            return bool(self._group)

    def _commit(self) -> Plan | None:
        """Number, write and sync the group, tell the index, then the senders; None where the store refused it."""
        try:
            plan = self._admitted()
            if plan.records:
                self._journal.append(plan.records)
                self._journal.sync()
                self._received = plan.records[-1].received_at
                self._identity.update(plan.records)
        except FengsuiError as error:
            _log.error("intake_refused", offers=sum(len(batch.offers) for batch in self._group), error=str(error))
            _fail(self._group, error)
            return None
        reach("intake.before_answer")
        self._answer(plan.receipts)
        reach("intake.after_answer")
        return plan

    def _admitted(self) -> Plan:
        now = self._clock.now()
        received_at = now if self._received is None else max(now, self._received)
        offers = [offer for batch in self._group for offer in batch.offers]
        plan = admit(offers, self._identity, head=self._journal.head(), received_at=received_at)
        if planted("ack_before_sync"):
            self._answer(plan.receipts)
            time.sleep(0.02)  # the records are nowhere but in this process: a kill in here loses what was acknowledged
        return plan

    def _release(self) -> None:
        """Free the group's room in the queue."""
        with self._changed:
            self._offers -= sum(len(batch.offers) for batch in self._group)
            self._bytes -= sum(batch.size for batch in self._group)
            self._group = []

    def _answer(self, receipts: Sequence[Receipt]) -> None:
        """Give each batch its receipts."""
        at = 0
        for batch in self._group:
            until = at + len(batch.offers)
            if not batch.future.done():
                batch.future.set_result(list(receipts[at:until]))
            at = until


def _fail(batches: Sequence[_Batch], error: FengsuiError) -> None:
    for batch in batches:
        if not batch.future.done():
            batch.future.set_exception(error)
