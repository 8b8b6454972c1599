"""The embedded runtime: one thread that takes synced records through the pipeline and commits what follows.

Start: the newest snapshot, then the journal. What is at or below the applied position is stepped for the state alone; batches are cut
there, so every outcome is committed once. A database that does not take writes is asked again with the same arguments until it does;
nothing is dropped. Records handed over by the appender are a short cut: whatever is missing is read from the journal.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import structlog

from domain.errors import FengsuiError, StoreCorrupt, StoreUnavailable
from domain.findings import Outcome
from domain.messages import both
from domain.ports import Clock, Commit, JournalReader
from domain.records import AnyEntry, Record, TickEntry
from streams.pipeline import Pipeline
from streams.runtimes.allocator import settle_allocator
from streams.runtimes.collector import look_at_everything, settle_collector, taking_up
from streams.runtimes.poison import PoisonGuard

BATCH: Final = 512  # records of one step and one transaction
HANDED_LIMIT: Final = 16_384  # records that wait in memory; beyond that they are read from the journal
POLL: Final = 0.05  # seconds between two looks at the clock, which may be moved by hand
BACKOFF_FIRST: Final = 0.1  # seconds
BACKOFF_LAST: Final = 5.0
TICK_PATIENCE: Final = 1.0  # seconds before a tick that moved nothing is asked for again

_log = structlog.get_logger(__name__)


class Snapshots(Protocol):
    """Where snapshots are kept."""

    def save(self, position: int, state: bytes) -> None:
        """Keep the state after record `position`.

        Raises:
            StoreUnavailable: the disk does not take it.
        """
        ...

    def load(self) -> bytes | None:
        """Return the newest sound state, None for a replay from the beginning."""
        ...


class Engine:
    """The risk engine of `serve`. All methods may be called from any thread; the pipeline is touched by the engine's own only."""

    def __init__(
        self,
        pipeline: Pipeline,
        journal: JournalReader,
        commit: Commit,
        *,
        append: Callable[[Sequence[AnyEntry]], None],
        clock: Clock,
        snapshots: Snapshots,
        applied: Callable[[], int],
        poison: Path,
        snapshot_every: int = 50_000,
        on_step: Callable[[float], object] = lambda _seconds: None,
        on_quarantine: Callable[[int], object] = lambda _seq: None,
    ) -> None:
        """`pipeline` has taken in nothing. `append` journals entries and returns when they are synced. `applied` is the position of
        the last commit. `poison` is the guard's file. `on_step` is told the seconds of a step with its commit, `on_quarantine` the
        number of a record that is set aside.

        Raises:
            StoreCorrupt: the guard's file is damaged.
        """  # noqa: D205  # one argument a sentence reads best here
        self._pipeline = pipeline
        self._journal = journal
        self._commit = commit
        self._append = append
        self._clock = clock
        self._snapshots = snapshots
        self._applied_of_store = applied
        self._guard = PoisonGuard(poison)
        self._snapshot_every = snapshot_every
        self._on_step = on_step
        self._on_quarantine = on_quarantine
        self._state = threading.Condition()
        self._handed: deque[Record] = deque()
        self._reading: Iterator[Record] | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stopping = threading.Event()
        self._busy = True  # until the first look at the journal
        self._position = 0
        self._applied = 0
        self._wake: datetime | None = None
        self._complete: Mapping[str, datetime] = {}
        self._too_late: Mapping[str, tuple[int, datetime]] = {}
        self._judged_by = ""  # the rule set that `_complete` is about
        self._goal = 0  # the head at the start: below it the engine is still catching up
        self._trouble = ""
        self._failed = ""
        self._saved = 0
        self._rebuild = False
        self._ticked: tuple[datetime, float] | None = None

    def start(self) -> None:
        """Take up the newest snapshot and begin; the journal is caught up with in the engine's own thread.

        Raises:
            StoreCorrupt: more was applied than the journal has.
        """
        self._set_aside(self._guard.died())
        settle_allocator()
        self._take_up()
        settle_collector()
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way, keep a snapshot, and end the thread."""
        self._stopping.set()
        with self._state:
            self._state.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def take(self, records: Sequence[Record]) -> None:
        """Hand over records that are synced, in order; never waits."""
        with self._state:
            if len(self._handed) + len(records) > HANDED_LIMIT:
                self._handed.clear()
            else:
                self._handed.extend(records)
            self._state.notify_all()

    def applied(self) -> int:
        """Return the number of the last record whose outcomes are committed."""
        return self._applied

    def has_applied(self, seq: int) -> bool:
        """Say whether the outcomes of record `seq` are committed."""
        return self._applied >= seq

    def next_wake(self) -> datetime | None:
        """Return when time alone changes something next, as of the last step; None for never."""
        return self._wake

    def complete_from(self) -> Mapping[str, datetime]:
        """Return from when on each rule knows the whole of what it reads, by id, as of the last step."""
        return self._complete

    def too_late(self) -> Mapping[str, tuple[int, datetime]]:
        """Return what `Pipeline.too_late` does, as of the last step."""
        return self._too_late

    def quarantined(self) -> tuple[int, ...]:
        """Return the numbers of the records that were set aside because they brought the engine down."""
        return self._guard.quarantined

    def trouble(self) -> str:
        """Return what keeps the engine from working or from being up to date, "" for nothing."""
        if self._failed or self._trouble:
            return self._failed or self._trouble
        if self._position < self._goal:
            return f"catching up with the journal: {self._position} of {self._goal} records"
        return "" if self._thread.is_alive() else "the engine is not running"

    def idle(self) -> bool:
        """Tell whether every synced record is committed and nothing is due at the clock's instant."""
        with self._state:
            return self._idle()

    def _idle(self) -> bool:
        due = self._wake is not None and self._wake <= self._clock.now()
        return not self._busy and not due and self._applied >= self._journal.head()

    def wait_idle(self) -> None:
        """Return when the engine is idle; for callers that move the clock by hand.

        Raises:
            FengsuiError: the engine failed, or was stopped.
        """
        with self._state:
            self._state.notify_all()
            while not self._idle():
                if self._failed or not self._thread.is_alive():
                    raise FengsuiError(self._failed or both("engine.stopped"))
                self._state.wait(POLL)

    # What follows runs in the engine's thread (`_take_up` also in `start`, before there is one).

    def _take_up(self) -> None:
        """Bring a pipeline that has taken in nothing to the newest snapshot that is not ahead of what was applied."""
        self._applied = self._applied_of_store()
        self._goal = self._journal.head()
        if self._applied > self._goal:
            raise StoreCorrupt(both("engine.ahead", applied=self._applied, end=self._goal))
        state = self._snapshots.load()
        if state is not None:
            with taking_up():
                self._pipeline.restore(state)
            if self._pipeline.position > self._applied:
                _log.warning("engine.snapshot_ahead", position=self._pipeline.position, applied=self._applied)
                self._pipeline = self._pipeline.fresh()
        self._position = self._saved = self._pipeline.position
        self._wake = self._pipeline.next_wake()
        self._too_late = self._pipeline.too_late()
        self._judged_by = ""
        self._note_ruleset()
        self._reading = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except StoreUnavailable as error:
                self._pause(error)
            except FengsuiError as error:
                with suppress(StoreUnavailable):  # at worst the next process steps these records one by one
                    self._guard.forgive()
                self._fail(error)
                return
            except Exception as error:  # noqa: BLE001  # the outer loop: the guard decides whether the record is set aside
                _log.exception("engine.died", position=self._position)
                if not self._guard.entered:
                    self._fail(error)
                    return
                self._rebuild = True
        self._keep_snapshot()

    def _pause(self, error: StoreUnavailable) -> None:
        """A store was away while the pipeline was at work: start anew from the snapshot after a pause, nothing is set aside for it."""
        self._trouble = str(error)
        _log.warning("engine.store_unavailable", error=str(error))
        if not self._rebuild:  # else the guard may still have to write down who died
            self._guard.forget()
        self._rebuild = True
        self._stopping.wait(BACKOFF_FIRST)

    def _fail(self, error: Exception) -> None:
        """Stop for good, and say so: the supervisor or the operator has to act."""
        _log.error("engine.failed", error=str(error), position=self._position)
        with self._state:
            self._failed = f"the engine stopped at record {self._position}: {error}"
            self._state.notify_all()

    def _set_aside(self, seq: int | None) -> None:
        if seq is not None:
            _log.critical(
                "engine.record_quarantined", seq=seq, hint="it brought the engine down twice; it has no effect until it is looked at"
            )
            self._on_quarantine(seq)

    def _work(self) -> None:
        """Do one thing: a batch, a tick, or wait for either; after a death or a pause begin anew first."""
        if self._rebuild:
            self._set_aside(self._guard.died())
            self._pipeline = self._pipeline.fresh()
            look_at_everything()  # only cycles keep the state of before alive, which takes as much room as what comes
            self._take_up()
            self._rebuild = False
        batch = self._next_batch()
        if batch:
            self._apply(batch)
            return
        if self._ask_for_tick():
            return
        with self._state:
            self._busy = False
            self._trouble = ""
            self._state.notify_all()
            if not self._handed and self._position >= self._journal.head() and not self._stopping.is_set():
                self._state.wait(POLL)

    def _next_batch(self) -> list[Record]:
        """Return the next records in order: those handed over if they follow, else from the journal; never across the applied position."""
        with self._state:
            handed = self._handed
            while handed and handed[0].seq <= self._position:
                handed.popleft()
            self._busy = bool(handed) or self._position < self._journal.head()
            batch: list[Record] = []
            if handed and handed[0].seq == self._position + 1:
                self._reading = None
                while handed and len(batch) < BATCH and handed[0].seq == self._position + 1 + len(batch):
                    batch.append(handed.popleft())
        if not batch and self._busy:
            if self._reading is None:
                self._reading = self._journal.read(self._position)
            batch = list(islice(self._reading, BATCH))
            if not batch:
                self._reading = None
        return self._cut(batch)

    def _cut(self, batch: list[Record]) -> list[Record]:
        """Shorten a batch to what may be stepped together; the rest is read again."""
        size = len(batch)
        if batch and batch[0].seq <= self._applied < batch[-1].seq:
            size = self._applied - batch[0].seq + 1
        apart = {*self._guard.suspects, *self._guard.quarantined}
        for place, record in enumerate(batch[:size] if apart else ()):
            if record.seq in apart:
                size = max(place, 1)
                break
        if size < len(batch):
            self._reading = None
        return batch[:size]

    def _apply(self, batch: list[Record]) -> None:
        """Step a batch and commit it."""
        began = time.perf_counter()
        outcomes: list[Outcome] = []
        if batch[0].seq in self._guard.quarantined:
            self._pipeline.skip(batch[0])
        else:
            self._guard.enter(batch[0].seq, batch[-1].seq)
            outcomes = self._pipeline.step(batch)
            self._guard.leave()
        if batch[-1].seq > self._applied and not self._commit_until_taken(batch, outcomes):
            return
        self._note_ruleset()
        with self._state:
            self._position = batch[-1].seq
            self._applied = max(self._applied, self._position)
            self._wake = self._pipeline.next_wake()
            self._too_late = self._pipeline.too_late()
            self._state.notify_all()
        self._on_step(time.perf_counter() - began)
        if self._position - self._saved >= self._snapshot_every:
            self._keep_snapshot()

    def _note_ruleset(self) -> None:
        """Where another rule set judges since, tell others from when on its rules know everything."""
        if self._pipeline.ruleset.version != self._judged_by:
            self._judged_by, self._complete = self._pipeline.ruleset.version, self._pipeline.complete_from()

    def _commit_until_taken(self, batch: list[Record], outcomes: list[Outcome]) -> bool:
        """Commit, again and again while the store does not take it; False when the engine is stopped before."""
        pause = BACKOFF_FIRST
        while True:
            try:
                self._commit(batch, outcomes)
            except StoreUnavailable as error:
                self._trouble = str(error)
                _log.warning("engine.commit_waits", error=str(error), first=batch[0].seq, last=batch[-1].seq)
                if self._stopping.wait(pause):
                    return False
                pause = min(2 * pause, BACKOFF_LAST)
            else:
                self._trouble = ""
                return True

    def _ask_for_tick(self) -> bool:
        """Have a tick journalled if one is due; tell whether that was done."""
        wake = self._wake
        if wake is None or wake > self._clock.now():
            return False
        if self._ticked is not None and self._ticked[0] == wake and time.monotonic() - self._ticked[1] < TICK_PATIENCE:
            return False
        with self._state:
            self._busy = True
        self._ticked = (wake, time.monotonic())
        try:
            self._append([TickEntry()])
        except StoreUnavailable as error:
            self._trouble = str(error)
            _log.warning("engine.tick_waits", error=str(error))
            return False
        return True

    def _keep_snapshot(self) -> None:
        """Keep the state after the last commit; where the disk does not take it, later is soon enough."""
        if self._pipeline.position != self._position or self._position == self._saved:
            return
        try:
            self._snapshots.save(self._position, self._pipeline.snapshot())
        except StoreUnavailable as error:
            _log.warning("engine.snapshot_failed", error=str(error))
        self._saved = self._position
