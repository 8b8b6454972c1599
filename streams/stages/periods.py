"""A value against its own history (自身历史): the window before, the ones before that, and whether anything comes at all.

A cell of these keeps the signals of the present period and of those before it, and works out each period's value as the indicator that
it is about does. A period counts only if the first signal ever taken in was there when it began: before that there is no history, which is
not the same as a history of nothing. That first time stays, also when the signal is withdrawn while others remain.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from rules.ruleset import Indicator, Value
from streams.stages.cells import Cell, Item, Max, Mean, Min, number
from streams.stages.keys import Key
from streams.stages.measures import Stddev, order_statistic
from streams.stages.windows import NEVER, Always, Stretched


def middle(ordered: list[float]) -> float:
    """Return the middle one of a rising list, or the mean of the two in the middle."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else math.fsum(ordered[half - 1 : half + 1]) / 2


_CELLS: Final[dict[str, type[Cell]]] = {"mean": Mean, "stddev": Stddev, "min": Min, "max": Max}


def taken(values: list[float], take: str, rank: float) -> Value:
    """Return what `values`, oldest first, come to by a word of `rules.vocabulary.TAKES`; None for none.

    >>> [taken([4.0, 1.0, 2.0], word, 50.0) for word in ("mean", "median", "min", "percentile", "first", "last")]
    [2.3333333333333335, 2.0, 1.0, 2.0, 4.0, 2.0]
    """
    if not values:
        return None
    if take in {"first", "last"}:
        return values[0 if take == "first" else -1]
    ordered = sorted(values)
    if take == "median":
        return middle(ordered)
    if take == "percentile":
        return order_statistic(ordered, rank)
    made = _CELLS[take](Always(), "", Key(""))  # a bare aggregate, in no window and for no key
    for value in values:
        made.gain(value)
    return made.value()


class Periods(Cell):
    """The signals of the present period and of `stretched.periods` before it; `make` makes a fresh cell of the indicator it is about."""

    __slots__ = ("begun", "indicator", "inner", "make", "own", "stretched")

    def __init__(self, make: Callable[[], Cell], indicator: Indicator) -> None:
        inner = make()
        self.stretched = Stretched(inner.frame, indicator.periods)
        super().__init__(self.stretched, inner.name, inner.key)
        self.make = make
        self.inner = inner
        self.indicator = indicator
        self.own = indicator.as_of == "own"
        self.begun = NEVER

    def reads(self, value: Any) -> Value:
        """Return what the indicator it is about takes of `value`."""
        return self.inner.reads(value)

    def add(self, item: Item) -> bool:
        """Take in a signal, and note when the first one was."""
        taken_in = super().add(item)
        if taken_in:
            self.begun = min(self.begun, item[0])
        return taken_in

    def memory(self) -> Any:
        """Return when the first signal was."""
        return self.begun

    def remember(self, memory: Any) -> None:
        """Take it up."""
        self.begun = memory

    def now(self) -> int:
        """Return the clock that the present period is of."""
        return self.clock if self.own else max(self.clock, self.key.clock)

    def between(self, start: int, end: int) -> list[Item]:
        """Return the signals from `start` to before `end`."""
        return self.items[bisect_left(self.items, (start,)) : bisect_left(self.items, (end,))]

    def came_to(self, items: list[Item]) -> float | None:
        """Return a period's value as a number."""
        cell = self.make()
        cell.put_back(items, self.clock, len(items))
        return number(cell.value())

    def inside(self) -> list[Item]:
        """Return the signals of the present period: those before it are what it is compared with, no evidence."""
        return self.between(self.stretched.inner.start(self.now()), NEVER)

    def past(self) -> list[float | None]:
        """Return the values of the periods before the present one that had begun after the first signal, the newest first."""
        borders = self.stretched.borders(self.now())
        return [self.came_to(self.between(start, end)) for end, start in pairwise(borders) if self.begun <= start]


class History(Periods):
    """The mean, the deviation, … of the values of the periods before the present one."""

    __slots__ = ()

    def value(self) -> Value:
        """Return None while fewer periods than wanted (by default all) have a value."""
        values = [value for value in reversed(self.past()) if value is not None]
        if len(values) < (self.indicator.needs or self.indicator.periods):
            return None
        return taken(values, self.indicator.take, self.indicator.rank)


class Spike(Periods):
    """The present value divided by that of the period before, which must have had `needs` signals, one at least."""

    __slots__ = ()

    def value(self) -> Value:
        """Return above 1 for a rise, below 1 for a fall; None where there is nothing to compare with."""
        start, before = self.stretched.borders(self.now())
        earlier = self.between(before, start)
        if self.begun > before or len(earlier) < max(self.indicator.needs, 1):
            return None
        above, below = self.came_to(self.between(start, NEVER)), self.came_to(earlier)
        if above is None or not below:
            return None
        ratio = above / below
        return ratio if math.isfinite(ratio) else None


class Flatline(Periods):
    """Whether the present value is below a limit, once there was a signal before the period began."""

    __slots__ = ()

    def value(self) -> Value:
        """Return None before the first whole period."""
        start = self.stretched.inner.start(self.now())
        value = self.came_to(self.between(start, NEVER))
        return None if self.begun > start or value is None else value < self.indicator.below


BASELINES: Final[dict[str, type[Periods]]] = {"history": History, "spike": Spike, "flatline": Flatline}
