"""Warm standbys: partitions of other workers, kept in memory as far as they are committed, so that a takeover has next to nothing to do.

A standby takes up the newest snapshot once and then follows the log of its partition up to the offset that the database has as done. It is
a partition of the epoch `ONLOOKER`, under which nothing is ever committed or kept; a takeover gives it the grant that the assignment
made. What decides is the row of the partition, as ever: a standby that may hold anything but what a replay to there comes to is thrown
away, and the partition is made anew as without one. It follows while its worker has nothing better to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Final, NamedTuple, Protocol

import structlog

from domain.errors import FengsuiError, StoreUnavailable
from domain.ports import FrameLog, Grant
from streams.runtimes.collector import look_at_everything
from streams.runtimes.keeping import PartitionSnapshots
from streams.runtimes.partitions import ONLOOKER, Partition

Slot = tuple[str, int]  # topic and partition
Make = Callable[[Grant, threading.Event], Partition]
GROWTH: Final = 7  # bytes of memory for a byte of a snapshot
HANDOVER_SECONDS: Final = 2.0  # for which an assignment waits for the frame that a standby is just judging
YIELDS: Final = 9.0  # times as long as it worked a standby waits where its worker has more to do than it gets done
STEP_SECONDS: Final = 0.5  # between two looks whether that is still so
_log = structlog.get_logger(__name__)


class Standing(Protocol):
    """What the database says of a partition (`storage.progress.SqlProgress.standing`)."""

    def __call__(self, topic: str, partition: int) -> Grant | None:
        """Return the newest grant, None before the first assignment; raises StoreUnavailable."""
        ...


class Told(NamedTuple):
    """For how many partitions this worker is to stand by, which are warm, and how many seconds ago the worst of those was level."""

    wanted: int
    warm: tuple[Slot, ...]
    age: float


class _Standby:
    """One partition; whoever touches it holds `lock`."""

    def __init__(self, partition: Partition, loading: float, level_at: float) -> None:
        self.partition = partition
        self.lock = threading.Lock()
        self.gone = False  # taken over, or thrown away
        self.snapshot = partition.next_offset - 1  # the one that it began with
        self.loading = loading  # seconds that taking the snapshot up took
        self.pace = 0.0  # seconds that a frame takes
        self.level_at = level_at  # when it was last as far as the database said

    def slower(self, newest: int | None) -> bool:
        """Tell whether it is so far behind that the newest snapshot is there sooner."""
        return newest is not None and self.pace * (newest + 1 - self.partition.next_offset) > self.loading


class Standbys:
    """Those of one worker. `want`, `look` and `take` may be called by any thread; the work is done in one of its own."""

    def __init__(
        self,
        make: Mapping[str, Make],
        standing: Standing,
        shelf: Callable[[str, int], PartitionSnapshots],
        logs: Mapping[str, FrameLog],
        room: int,
        *,
        on_outcome: Callable[[str], object] = lambda _outcome: None,
        collect: Callable[[], object] = look_at_everything,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make` makes the partitions of each topic, `logs` are read; `room` is the memory in bytes that they may take together.

        Those that were thrown away count until `collect` was called, which is when their room is needed: cycles keep their state alive.
        `on_outcome` is told what became of a standby: `taken` over; or passed over because it was `behind` a snapshot, `busy`, `overtaken`
        by what the database says, `failed`, or there was `no_room`.
        """
        self._make = make
        self._standing = standing
        self._shelf = shelf
        self._logs = logs
        self._room = room
        self._on_outcome = on_outcome
        self._collect = collect
        self._now = now
        self._lock = threading.RLock()  # of what follows
        self._wanted: set[Slot] = set()
        self._kept: dict[Slot, _Standby] = {}
        self._refused: dict[Slot, int] = {}  # the snapshot that could not be taken up: the next one may do
        self._under_way: dict[Slot, Future[None]] = {}
        self._litter = 0  # bytes of the snapshots of those that were thrown away
        self._busy = False
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="standbys")

    def want(self, slots: Iterable[Slot], mine: Collection[Slot]) -> None:
        """Stand by for these from now on; others are let go of, but for those that are `mine` by now."""
        with self._lock:
            self._wanted = {(topic, partition) for topic, partition in slots if topic in self._make} - {*mine}
            for slot in [slot for slot in self._kept if slot not in self._wanted and slot not in mine]:
                self._let_go(self._kept.pop(slot))
            self._refused.clear()

    def look(self, *, busy: bool) -> None:
        """Bring them up to date, in the background; `busy`: the worker has more to do than it gets done."""
        self._busy = busy
        if self._stopping.is_set():
            return
        with self._lock:
            for slot in sorted(self._wanted - self._under_way.keys()):
                self._under_way[slot] = done = self._pool.submit(self._tend, slot)
                done.add_done_callback(partial(self._tended, slot))

    def take(self, grant: Grant) -> Partition | None:
        """Return the partition of a new grant, ready to go on; None where there is no standby that is good for it.

        Raises:
            StoreUnavailable: what the partition's guard left cannot be read.
        """
        slot = (grant.topic, grant.partition)
        with self._lock:
            self._wanted.discard(slot)
            kept = self._kept.pop(slot, None)
        if kept is None:
            return None
        kept.gone = True
        outcome = "busy"
        if kept.lock.acquire(timeout=HANDOVER_SECONDS):
            try:
                outcome = "behind" if kept.slower(self._newest(slot)) else "taken" if kept.partition.take_over(grant) else "overtaken"
            finally:
                kept.lock.release()
        if outcome != "taken":
            self._let_go(kept)
            self._passed_over(slot, outcome)
            return None
        _log.info("standby.taken", topic=slot[0], partition=slot[1], behind=grant.offset_done + 1 - kept.partition.next_offset)
        self._on_outcome(outcome)
        return kept.partition

    def told(self) -> Told:
        """Return how they stand."""
        with self._lock:
            now = self._now()
            age = max((now - one.level_at for one in self._kept.values()), default=0.0)
            return Told(len(self._wanted), tuple(sorted(self._kept)), age)

    @property
    def idle(self) -> bool:
        """Whether what the last look began is done."""
        return not self._under_way

    def close(self) -> None:
        """Let go of all; what is under way ends with its frame."""
        self._stopping.set()
        self.want((), ())
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _newest(self, slot: Slot) -> int | None:
        """Return the offset of the newest snapshot, None for none or where nobody can say."""
        try:
            return self._shelf(*slot).newest()
        except StoreUnavailable as error:
            _log.warning("standby.snapshots_away", topic=slot[0], partition=slot[1], error=str(error))
            return None

    def _passed_over(self, slot: Slot, outcome: str, error: str = "") -> None:
        _log.warning("standby.passed_over", topic=slot[0], partition=slot[1], outcome=outcome, error=error)
        self._on_outcome(outcome)

    def _drop(self, slot: Slot, outcome: str, error: str = "") -> None:
        """Throw one away, where it is not taken over by now."""
        with self._lock:
            kept = self._kept.pop(slot, None)
        if kept is not None:
            self._let_go(kept)
        self._passed_over(slot, outcome, error)

    def _let_go(self, kept: _Standby) -> None:
        kept.gone = True
        with self._lock:
            self._litter += kept.partition.size

    def _fits(self, size: int) -> bool:
        """Tell whether there is room for one more, with or without what is left of those that were thrown away."""
        with self._lock:
            used = size + sum(other.partition.size for other in self._kept.values())
            if GROWTH * used <= self._room < GROWTH * (used + self._litter):
                self._collect()
                self._litter = 0
        return GROWTH * used <= self._room

    # What follows runs in the thread.

    def _tended(self, slot: Slot, done: Future[None]) -> None:
        """Whatever one of them fails on, the worker and the others go on; it is made anew from the next snapshot."""
        with self._lock:
            self._under_way.pop(slot, None)
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._stopping.is_set():
            if not isinstance(error, FengsuiError):
                _log.error("standby.defect", topic=slot[0], partition=slot[1], exc_info=error)
            if isinstance(error, StoreUnavailable):
                _log.warning("standby.waits", topic=slot[0], partition=slot[1], error=str(error))
            else:
                self._refuse(slot, self._newest(slot))
                self._drop(slot, "failed", repr(error))

    def _refuse(self, slot: Slot, newest: int | None) -> None:
        """Wait for a newer snapshot than this one."""
        with self._lock:
            self._refused[slot] = -1 if newest is None else newest

    def _tend(self, slot: Slot) -> None:
        """Bring one up to date."""
        standing, kept = self._standing(*slot), self._kept.get(slot)
        if standing is None or self._stopping.is_set():
            return
        newest = self._shelf(*slot).newest()
        if kept is not None:
            with kept.lock:
                if kept.gone:
                    return
                if newest is not None:
                    kept.partition.kept_elsewhere(newest)
                outcome = "behind" if kept.slower(newest) else "" if kept.partition.follow_to(standing) else "overtaken"
            if outcome:
                self._refuse(slot, kept.snapshot)
                self._drop(slot, outcome)
                kept = None
        if kept is None and newest is not None and newest > self._refused.get(slot, -1):
            kept = self._load(slot, standing, newest)
        if kept is not None:
            self._follow(slot, kept, standing.offset_done)

    def _load(self, slot: Slot, standing: Grant, newest: int) -> _Standby | None:
        """Take up the newest snapshot, where there is room for it."""
        began = self._now()
        grant = Grant(topic=slot[0], partition=slot[1], epoch=ONLOOKER, offset_done=standing.offset_done)
        partition = self._make[slot[0]](grant, self._stopping)
        kept = _Standby(partition, self._now() - began, began)
        outcome = "failed" if partition.next_offset <= newest else "" if self._fits(partition.size) else "no_room"
        with self._lock:
            wanted = slot in self._wanted
            if wanted and not outcome:
                self._kept[slot] = kept
            else:
                self._let_go(kept)
        if wanted and outcome:
            self._refuse(slot, newest)
            self._passed_over(slot, outcome)
        elif wanted:
            _log.info("standby.warm", topic=slot[0], partition=slot[1], snapshot=kept.snapshot, size=partition.size)
            self._yield_for(kept.loading)
        return kept if wanted and not outcome else None

    def _follow(self, slot: Slot, kept: _Standby, upto: int) -> None:
        """Judge what was committed since, for the state alone."""
        first = kept.partition.next_offset
        if first <= upto:
            with closing(self._logs[slot[0]].read(slot[1], first, upto)) as messages:
                for message in messages:
                    with kept.lock:
                        if kept.gone or self._stopping.is_set():
                            return
                        began = self._now()
                        kept.partition.take(message.offset, message.body, message.appended_at)
                        spent = self._now() - began
                    kept.pace = spent if not kept.pace else 0.9 * kept.pace + 0.1 * spent
                    self._yield_for(spent)
        if kept.partition.next_offset <= upto:
            self._drop(slot, "failed", f"the log has no message {kept.partition.next_offset}")
        kept.level_at = self._now()

    def _yield_for(self, spent: float) -> None:
        """Leave the interpreter to the partitions that the worker has."""
        until = self._now() + YIELDS * spent
        while self._busy and self._now() < until and not self._stopping.wait(min(STEP_SECONDS, YIELDS * spent)):
            pass
