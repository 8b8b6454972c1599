"""When time alone changes a risk next: a queue whose front is exact.

A signal that refreshes a risk only moves its next fall later, so the exact instant is worked out when it could be the first, not at
every signal.
"""

from __future__ import annotations

import heapq

from streams.stages.fuse import FuseStage, Risk
from streams.stages.raising import RaiseStage


class Wakes:
    """The risks with an open episode, by the time of their next change. It keeps no state that a snapshot needs."""

    def __init__(self, fuse: FuseStage, raising: RaiseStage) -> None:
        self._fuse = fuse
        self._raising = raising
        self._queue: list[tuple[int, str, bool, str]] = []

    def schedule(self, risk: Risk) -> None:
        """Note that something happened to `risk`: where it was settled its next change is not known, else it is no sooner than it was."""
        if risk.episode is None:
            risk.due = None
        elif risk.due is None:
            risk.due, risk.stale = self._raising.soonest(risk), True
            heapq.heappush(self._queue, (risk.due, risk.subject, risk.shadow, risk.matter))
        else:
            risk.stale = True

    def pending(self, now: int) -> bool:
        """Tell whether a risk may be due by `now`; cheap, and sometimes too cautious."""
        return bool(self._queue) and self._queue[0][0] <= now

    def earliest(self) -> int | None:
        """Return an instant before which time changes no risk; None where it never does."""
        return self._queue[0][0] if self._queue else None

    def near(self, until: int) -> list[Risk]:
        """Return the risks that time may change by `until`."""
        return [self._fuse.risks[subject][shadow, matter] for due, subject, shadow, matter in self._queue if due <= until]

    def first(self) -> Risk | None:
        """Return the risk that time changes first, its `due` exact; None where time changes none."""
        queue = self._queue
        while queue:
            due, subject, shadow, matter = queue[0]
            risk = self._fuse.risks[subject][shadow, matter]
            if risk.due == due:
                self._fuse.sync(risk)
                if not risk.stale:
                    return risk
            heapq.heappop(queue)
            if risk.due == due:
                risk.due, risk.stale = self._raising.next_due(risk), False
                if risk.due is not None:
                    heapq.heappush(queue, (risk.due, subject, shadow, matter))
        return None
