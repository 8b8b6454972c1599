"""The garbage collector's pace while the engine runs.

The engine keeps millions of small containers that no cycle keeps alive once they are let go of; walking them at Python's usual pace costs
a third of the time. Young objects are looked at less often, and what is there at the start is not looked at again.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

YOUNG: Final = 5_000  # allocations between two looks at the young: everything stands still meanwhile, for a millisecond or two
OLDER: Final = (5, 4_000)
BATCH: Final = 100_000  # of those that are left behind by a batch, or several, when they are looked at
UNWATCHED: Final = 2_000_000  # allocations after which it does look between two batches: where one goes on and on, or none comes
LITTLE: Final = 0.02  # of these was kept alive by cycles alone: as good as nothing
PASSED_OVER: Final = 9  # looks behind batches, after one that found so little
GROWN: Final = 5_000_000  # of them before everything is looked at, at the least


def settle_collector(young: int = YOUNG) -> None:
    """Set the pace for the rest of the process, with so many allocations between two looks at the young."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, *OLDER)


@contextmanager
def settled_collector(young: int = YOUNG) -> Iterator[None]:
    """Set the pace for a block, with so many allocations between two looks at the young, and put back what was before."""
    before = gc.get_threshold()
    gc.set_threshold(young, *OLDER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def look_at_everything() -> int:
    """Free what only cycles keep alive, also of what was left alone, in a second for ten million; return how many containers are left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()


class _States:
    """The states that are being taken up, in any thread of the process, and how much they made since everything was looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._many = self._before = self.made = 0
        self._enabled = True

    @contextmanager
    def taking_up(self) -> Iterator[None]:
        with self._lock:
            if not self._many:
                self._enabled, self._before = gc.isenabled(), gc.get_count()[0]
                gc.disable()
            self._many += 1
        try:
            yield
        finally:
            with self._lock:
                self._many -= 1
                if not self._many:
                    self.made += max(0, gc.get_count()[0] - self._before)
                    gc.freeze()
                    gc.collect(0)  # of nothing: what was made so far counts no more
                    if self._enabled:
                        gc.enable()


_states: Final = _States()


def taking_up() -> AbstractContextManager[None]:
    """Return a block in which a state is made of a snapshot: nothing is looked at meanwhile, and what is there at its end is left alone.

    All of it stays alive, and the collector would walk it once or twice, which takes half as long as making it.
    """
    return _states.taking_up()


class BatchCollector:
    """The pace of a process that takes in batches, in any of its threads.

    In the middle of a batch nearly everything is alive, and looking at it is in vain. Behind one, what is left is looked at once and then
    left alone, until as much has come as was there when everything was looked at last, or was taken up since: so cycles are found, sooner
    or later, and what is kept is looked at twice at the most on the average. What the engine keeps leads to all of its state, so that the
    more there is, the longer a look takes; where one finds next to nothing, what the next ones would see is left alone without.
    """

    def __init__(self) -> None:
        """Set the pace for the rest of the process."""
        gc.set_threshold(UNWATCHED, *OLDER)
        self._pass_over = 0  # looks
        self._everything()

    def batch_done(self) -> None:
        """Look at what the batches since the last time left behind, if it is enough."""
        left = gc.get_count()[0]
        if left < BATCH:
            return
        self._grown += left
        if self._grown > max(GROWN, self._kept + _states.made):
            self._everything()
            return
        if self._pass_over:
            self._pass_over -= 1
        elif gc.collect(0) < LITTLE * left:
            self._pass_over = PASSED_OVER
        gc.freeze()

    def _everything(self) -> None:
        self._kept = look_at_everything()
        self._grown = _states.made = 0
