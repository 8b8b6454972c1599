"""The pace of work that has time, in a process that answers others: threads share one interpreter, so who computes holds all others up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rules.pauses import paced
from streams.runtimes.collector import settled_collector

WORK: Final = 0.0002  # seconds after which it rests: less than a thread may keep the others waiting
SHARE: Final = 5  # it works for one part in so many of the time
LONGEST: Final = 0.01  # seconds of one rest
YOUNG: Final = 1_000  # allocations between two looks of the collector: everything stands still for as long as one takes


class Pace:
    """Rests again and again, so that others have the interpreter for most of the time. One thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter, sleep: Callable[[float], object] = time.sleep) -> None:
        """`clock` and `sleep` are in seconds."""
        self._clock = clock
        self._sleep = sleep
        self._since = clock()

    def rest(self) -> None:
        """Wait where enough was done since the last time; what others took meanwhile counts as done, so it yields more to who is busy."""
        worked = self._clock() - self._since
        if worked >= WORK:
            self._sleep(min(worked * (SHARE - 1), LONGEST))
            self._since = self._clock()


@contextmanager
def beside_others() -> Iterator[None]:
    """Have rule sets read within the block so that other threads hardly notice; one block at a time, the collector being the process's."""
    with settled_collector(YOUNG), paced(Pace().rest):
        yield
