"""The pipeline in a thread of `serve`: synced records in, commits out, snapshots on the way, ticks when time alone has to act.

The journal is the queue: what the appender hands over is only a shortcut to its newest records, so nothing is lost when the thread
falls behind. A record that kills the process twice is set aside loudly, so that one bad record cannot hold everything up for good.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from domain.errors import FengsuiError, StoreUnavailable
from domain.findings import Outcome
from domain.ports import Clock, Commit, JournalReader
from domain.records import AnyEntry, Record, TickEntry
from streams.pipeline import Pipeline

BATCH = 1_000  # records of one step and one commit
QUEUED = 20_000  # records kept as a shortcut; beyond that the journal is read again
RETRY_SECONDS = 0.2
WAKE_SECONDS = 0.25  # how late a tick may be
_log = structlog.get_logger(__name__)


class Snapshots(Protocol):
    """Where the engine keeps its state."""

    def save(self, position: int, state: bytes) -> None:
        """Keep the state after record `position`; raises StoreUnavailable, and the earlier ones stand."""
        ...

    def load(self) -> bytes | None:
        """Return the newest sound state, None for a replay from the beginning."""
        ...


class Engine(threading.Thread):
    """Runs one pipeline; `take` hands it records, `wait_idle` waits until everything synced is committed."""

    def __init__(
        self,
        pipeline: Pipeline,
        journal: JournalReader,
        commit: Commit,
        *,
        append: Callable[[Sequence[AnyEntry]], object],
        clock: Clock,
        snapshots: Snapshots,
        applied: Callable[[], int],
        poison: Path,
        snapshot_every: int = 50_000,
        on_step: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """`append` submits entries to the journal and waits for the sync; `applied` reads the committed position at the start."""
        super().__init__(name="engine", daemon=True)
        self.pipeline = pipeline
        self._journal = journal
        self._commit = commit
        self._append = append
        self._clock = clock
        self._snapshots = snapshots
        self._applied = applied
        self._guard = _PoisonGuard(poison)
        self._snapshot_every = snapshot_every
        self._on_step = on_step
        self._queue: deque[Record] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._committed = 0
        self._saved_at = 0
        self._trouble = "starting"
        self._next_wake: datetime | None = None

    def take(self, records: Sequence[Record]) -> None:
        """Hand over synced records, in order; never blocks."""
        with self._changed:
            if len(self._queue) + len(records) <= QUEUED:
                self._queue.extend(records)
            self._changed.notify_all()

    def trouble(self) -> str:
        """Return why work does not move, "" while it does."""
        if not self.is_alive():
            return "the engine has ended; see the log"
        return self._trouble

    def next_wake(self) -> datetime | None:
        """Return when time alone will change something, None where nothing waits for it."""
        return self._next_wake

    def idle(self) -> bool:
        """Say whether everything synced is committed and nothing waits for the present instant."""
        wake = self._next_wake
        return not self._trouble and self._committed >= self._journal.head() and (wake is None or wake > self._clock.now())

    def wait_idle(self, timeout: float = 120.0) -> None:
        """Return once it is idle; raises TimeoutError after `timeout` seconds and RuntimeError where the thread has ended."""
        with self._changed:
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self.idle() or not self.is_alive(), timeout):
                raise TimeoutError(f"engine not idle after {timeout} s: {self._trouble or self._committed}")
        if not self.is_alive():
            raise RuntimeError("the engine has ended; see its log")

    def stop(self) -> None:
        """End after the step that is under way, with a last snapshot."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Recover, then step until `stop`."""
        try:
            self._recover()
            while not self._ending:
                self._turn()
            self._save()
        except FengsuiError as error:
            self._trouble = str(error)
            _log.critical("engine_ended", error=str(error))
            raise
        finally:
            with self._changed:
                self._changed.notify_all()

    def _recover(self) -> None:
        """Restore the newest snapshot and take the rest of the journal; what was committed before is recomputed and dropped."""
        state = self._snapshots.load()
        if state is not None:
            self.pipeline.restore(state)
        self._saved_at = self.pipeline.position
        committed, head = self._applied(), self._journal.head()
        if committed > head:
            raise StoreUnavailable(
                f"the database is at record {committed}, the journal ends at {head}: they are not of one backup; restore both together"
            )
        batch: list[Record] = []
        for record in self._journal.read(self.pipeline.position):
            batch.append(record)
            # A batch never straddles the committed position: what is below is dropped by the commit, what is above is new.
            if len(batch) == BATCH or record.seq == committed:
                self._step(batch)
                batch = []
        if batch:
            self._step(batch)
        self._trouble = ""
        _log.info("engine_recovered", position=self.pipeline.position, snapshot=self._saved_at)

    def _turn(self) -> None:
        batch = self._next_batch()
        if batch:
            self._step(batch)
            if self.pipeline.position - self._saved_at >= self._snapshot_every:
                self._save()
            return
        self._next_wake = self.pipeline.next_wake()
        if self._next_wake is not None and self._next_wake <= self._clock.now():
            self._append([TickEntry()])
            return
        with self._changed:
            self._changed.notify_all()
            if not self._ending and self._committed >= self._journal.head():
                self._changed.wait(WAKE_SECONDS)

    def _next_batch(self) -> list[Record]:
        """Return the records after the pipeline's position: from the shortcut where it follows on, else from the journal."""
        position = self.pipeline.position
        with self._changed:
            while self._queue and self._queue[0].seq <= position:
                self._queue.popleft()
            if self._queue and self._queue[0].seq == position + 1:
                return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        if self._journal.head() <= position:
            return []
        batch: list[Record] = []
        for record in self._journal.read(position):
            batch.append(record)
            if len(batch) == BATCH:
                break
        return batch

    def _step(self, batch: list[Record]) -> None:
        began = time.perf_counter()
        outcomes = self._stepped(batch)
        while True:
            try:
                self._commit(batch, outcomes)
                break
            except StoreUnavailable as error:
                self._trouble = str(error)
                _log.error("commit_waits", error=str(error))
                with self._changed:
                    if self._changed.wait_for(lambda: self._ending, RETRY_SECONDS):
                        return  # nothing of the batch is committed: the next start takes it again
        self._on_step(time.perf_counter() - began)
        if self._committed:
            self._trouble = ""
        with self._changed:
            self._committed = batch[-1].seq
            self._next_wake = self.pipeline.next_wake()
            self._changed.notify_all()

    def _stepped(self, batch: list[Record]) -> list[Outcome]:
        """Step a batch; after two deaths inside it record by record, and a record that alone was deadly is set aside."""
        alone = self._guard.suspects(batch)
        outcomes: list[Outcome] = []
        for part in [[record] for record in batch] if alone else [batch]:
            if alone and self._guard.condemned(part[0].seq):
                _log.critical("record_quarantined", seq=part[0].seq, reason="the process died at it twice")
                self.pipeline.skip(part[0])
                continue
            self._guard.enter(part[0].seq, part[-1].seq)
            outcomes += self.pipeline.step(part)
            self._guard.leave()
        return outcomes

    def _save(self) -> None:
        position = self.pipeline.position
        if position == self._saved_at:
            return
        try:
            self._snapshots.save(position, self.pipeline.snapshot())
            self._saved_at = position
        except StoreUnavailable as error:
            _log.error("snapshot_failed", error=str(error))  # the journal still has everything


class _PoisonGuard:
    """A small file that says which records are being stepped now, so that the next life knows at which ones this one died.

    It covers the step alone: a death in between, whatever its cause, accuses nobody.
    """

    def __init__(self, path: Path) -> None:
        """Read what the last life left: first and last record of its open step, and how many lives ended in it before."""
        self._path = path
        parts = path.read_text().split() if path.exists() else []
        self._first, self._last, before = (int(part) for part in parts) if len(parts) == 3 else (0, 0, -1)
        self._deaths = before + 1

    def suspects(self, batch: Sequence[Record]) -> bool:
        """Say whether two lives ended inside a step that overlaps this batch."""
        return self._deaths >= 2 and batch[0].seq <= self._last and batch[-1].seq >= self._first

    def condemned(self, seq: int) -> bool:
        """Say whether a life ended with this record alone, after two had ended in its batch."""
        return self._first == self._last == seq and self._deaths >= 3

    def enter(self, first: int, last: int) -> None:
        """Note that these records are being stepped; they inherit the deaths of a step that they overlap."""
        inherited = self._deaths if first <= self._last and last >= self._first else 0
        self._path.write_text(f"{first} {last} {inherited}\n")

    def leave(self) -> None:
        """The step is over and nobody died."""
        self._path.write_text("")
