"""For how long each partition has stood still although there is work for it: what the watchdog of a worker goes by.

A worker that is far behind takes its partitions one after the other, as many frames at a time as one fetch brought: some of them wait
while it does nothing but work. A consumer that fell silent leaves it idle. So time that was spent on frames, of whichever partition,
counts for a tenth, all other time in full; a frame that never comes to its end is no work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, TypeVar

AT_WORK: Final = 0.1  # what a second of work on other partitions counts

Which = TypeVar("Which", bound=Hashable)


class Standstill(Generic[Which]):
    """Told of every frame that was taken, by several threads, and asked again and again by one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read the time from `monotonic`, in seconds."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked = monotonic()
        self._worked = 0.0
        self._worked_until = self._looked
        self._stood: dict[Which, tuple[object, float]] = {}  # partition → how far it is, and for how long it has been

    def took(self, began: float) -> None:
        """Count a frame that was begun then and is taken now; what several took at the same time counts once."""
        with self._lock:
            now = self._monotonic()
            self._worked += now - max(began, self._worked_until)
            self._worked_until = now

    def forget(self) -> None:
        """Begin anew: the partitions are others."""
        self._stood.clear()
        self._look()

    def look(self, behind: Mapping[Which, object]) -> dict[Which, float]:
        """Return by partition for how many seconds it has stood still; `behind` are those with work, and how far each is."""
        passed = self._look()
        self._stood = {
            number: (far, max(0.0, stood + passed) if at == far else 0.0)
            for number, far in behind.items()
            for at, stood in [self._stood.get(number, (None, 0.0))]
        }
        return {number: stood for number, (_, stood) in self._stood.items()}

    def _look(self) -> float:
        """Return the seconds since it was called before, those of work at a tenth: below 0 where a long frame came to its end."""
        with self._lock:
            now = self._monotonic()
            passed = now - self._looked - (1 - AT_WORK) * self._worked
            self._looked, self._worked = now, 0.0
            return passed
