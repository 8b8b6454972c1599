"""Sessions (会话窗口): the run of signals up to the newest in which each follows the one before by less than a gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules.ruleset import Value
from streams.stages.cells import Cell, Item


class Session(Cell):
    """Keeps the signals that a session can reach back to, and works its value out from those of the present one when it is read.

    A late signal may join two runs, so a run that is over is kept for as long as one may be joined to it. `make` makes a fresh cell of the
    aggregate over nothing.
    """

    __slots__ = ("gap", "inner", "make", "own")

    def __init__(self, make: Callable[[], Cell], *, gap: int, own: bool) -> None:
        inner = make()
        super().__init__(inner.frame, inner.name, inner.key)
        self.make = make
        self.inner = inner
        self.gap = gap
        self.own = own

    def reads(self, value: Any) -> Value:
        """Return what the aggregate takes of `value`."""
        return self.inner.reads(value)

    def inside(self) -> list[Item]:
        """Return the signals of the present run; none once the gap has passed."""
        items, clock = self.items, self.clock if self.own else max(self.clock, self.key.clock)
        if not items or clock - items[-1][0] >= self.gap:
            return []
        start = self.frame.start(clock)
        first = len(items) - 1
        while first and items[first - 1][0] >= start and items[first][0] - items[first - 1][0] < self.gap:
            first -= 1
        return items[first:]

    def value(self) -> Value:
        """Return the aggregate over the present run."""
        cell = self.make()
        inside = self.inside()
        cell.put_back(inside, self.clock, len(inside))
        return cell.value()
