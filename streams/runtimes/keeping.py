"""When a snapshot of a partition is due, and where it goes.

What a takeover has to judge again is bounded by records and by the seconds that judging them took, whatever comes first. But a snapshot
costs as much as the state is large, and the partition stands still meanwhile: under load it waits until ten times as much work was done,
though not beyond those seconds; one that takes longer than they are waits for as long as it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from domain.packed import PackedState

SHARE: Final = 10.0  # of work for each part of keeping


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot: the state after the frame at `offset`, and the greatest `received_at` by then."""

    offset: int
    received_at: datetime | None
    state: PackedState


class PartitionSnapshots(Protocol):
    """Where the snapshots of one partition are kept."""

    def save(self, kept: Kept) -> None:
        """Keep a snapshot; raises StoreUnavailable."""
        ...

    def load(self) -> Kept | None:
        """Return the newest sound one of this version of the software, None for a replay from the beginning."""
        ...

    def newest(self) -> int | None:
        """Return the offset of the newest one of this version, sound or not, None for none; much cheaper than `load`."""
        ...


class Keeping:
    """The snapshots of one partition: one after `every` records or `seconds` of judging."""

    def __init__(self, shelf: PartitionSnapshots, every: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """Keep on `shelf`; `now` tells seconds that only grow."""
        self._now = now
        self._shelf = shelf
        self._every = every
        self._seconds = seconds
        self._records = 0
        self._worked = self._cost = 0.0

    def load(self) -> Kept | None:
        """Return what is on the shelf."""
        return self._shelf.load()

    def kept_elsewhere(self) -> None:
        """Take account of a snapshot that somebody else made: the next one is due as much later."""
        self._records, self._worked = 0, 0.0

    def worked(self, records: int, seconds: float) -> None:
        """Take account of a frame that was judged."""
        self._records += records
        self._worked += seconds

    @property
    def due(self) -> bool:
        """Whether there is as much to be judged again as there may be."""
        enough = self._records >= self._every or self._worked >= self._seconds
        return enough and self._worked >= max(self._cost, min(SHARE * self._cost, self._seconds))

    def save(self, make: Callable[[], Kept]) -> None:
        """Make a snapshot and keep it; where that fails the next one is due as if it had not.

        Raises:
            StoreUnavailable: it is not kept.
        """
        began = self._now()
        try:
            self._shelf.save(make())
        finally:
            self._records, self._worked, self._cost = 0, 0.0, self._now() - began
