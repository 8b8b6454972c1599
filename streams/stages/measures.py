"""More of what the signals of a window come to: spread, order, direction, and what is new about the newest.

As in `cells`, every number is worked out exactly from whole numbers and rounded once.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal

from rules.ruleset import Value
from streams.stages.cells import STEPS, Cell, Distinct, Extreme, Item, Mean, Sum, number
from streams.stages.windows import Frame

if TYPE_CHECKING:
    from streams.stages.keys import Key

SECOND: Final = 1_000_000


def rounded(exact: Fraction) -> float | None:
    """Return the float nearest to `exact`; None where it is greater than any float."""
    try:
        return float(exact)
    except OverflowError:
        return None


def ratio_of_steps(above: int, below: int) -> float | None:
    """Return above / below, correctly rounded; None where it is greater than any float."""
    try:
        return above / below
    except OverflowError:
        return None


def steps(value: Value) -> int:
    """Return a finite float as a whole number of the smallest step of a float."""
    above, below = value.as_integer_ratio()  # type: ignore[union-attr]  # `reads` lets only floats in
    return above * (STEPS // below)


def spread(numbers: int, total: int, squares: int) -> float | None:
    """Return the sample standard deviation of `numbers` values from their sum and the sum of their squares, in steps.

    None for fewer than two: one value has no spread.
    """
    if numbers < 2:
        return None
    variance = rounded(Fraction(numbers * squares - total * total, numbers * (numbers - 1) * STEPS * STEPS))
    return None if variance is None else math.sqrt(variance)


class Stddev(Sum):
    """The sample standard deviation (n - 1); None for fewer than two numbers."""

    __slots__ = ("squares",)

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.squares = 0

    def gain(self, value: Value) -> None:
        """Add a number and its square."""
        super().gain(value)
        self.squares += steps(value) ** 2

    def lose(self, value: Value) -> None:
        """Take away a number and its square."""
        super().lose(value)
        self.squares -= steps(value) ** 2

    def value(self) -> Value:
        """Return the deviation in the unit of the numbers."""
        return spread(self.numbers, self.exact(), self.squares)


def order_statistic(ordered: list[float], rank: float) -> float | None:
    """Return the smallest of `ordered` (rising) that at least `rank` per cent are not greater than (nearest rank); None for nothing.

    >>> [order_statistic([1.0, 2.0, 3.0, 4.0], rank) for rank in (25, 50, 50.1, 100)]
    [1.0, 2.0, 3.0, 4.0]
    """
    return ordered[math.ceil(Fraction(str(rank)) * len(ordered) / 100) - 1] if ordered else None


class Percentile(Extreme):
    """An order statistic: always a number that was really there."""

    __slots__ = ("rank",)

    def __init__(self, frame: Frame, name: str, key: Key, *, rank: float) -> None:
        super().__init__(frame, name, key)
        self.rank = rank

    def value(self) -> Value:
        """Return the number at the rank; None when there are none."""
        return order_statistic(self.ordered, self.rank)


class First(Cell):
    """The oldest value by time, then by number; a signal without a value is passed over."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the oldest value inside, None when there is none."""
        return next((item[2] for item in self.items if item[2] is not None), None)


class Since(Cell):
    """The time since the first or the last signal inside, in seconds; None when there is none."""

    __slots__ = ("end",)

    def __init__(self, frame: Frame, name: str, key: Key, *, end: Literal["first", "last"]) -> None:
        super().__init__(frame, name, key)
        self.end = end

    def least_wanted(self) -> int:
        """Return the place of the signal at the other end."""
        return -1 if self.end == "first" else 0

    def value(self) -> Value:
        """Return the seconds up to the object's newest signal."""
        if not self.items:
            return None
        t: int = self.items[0 if self.end == "first" else -1][0]
        return (max(self.key.clock, self.clock) - t) / SECOND


class Trend(Cell):
    """The slope of the numbers over time by least squares, per `per` microseconds; None where all are of one instant."""

    __slots__ = ("per",)

    def __init__(self, frame: Frame, name: str, key: Key, *, per: int) -> None:
        super().__init__(frame, name, key)
        self.per = per

    def reads(self, value: Any) -> Value:
        """Return `value` if it is a number."""
        return number(value)

    def value(self) -> Value:
        """Return by how much the numbers rise in `per`."""
        return slope([(t, value) for t, _, value, _ in self.items if value is not None], self.per)


def slope(points: list[tuple[int, Any]], per: int) -> float | None:
    """Return (n Σtv - Σt Σv) / (n Σt² - (Σt)²) x `per`, exactly and rounded once; None for fewer than two instants."""
    if not points:
        return None
    origin, n = points[0][0], len(points)
    sum_t = sum_tt = sum_v = sum_tv = 0
    for moment, value in points:
        t, v = moment - origin, steps(value)
        sum_t += t
        sum_tt += t * t
        sum_v += v
        sum_tv += t * v
    below = n * sum_tt - sum_t * sum_t
    return rounded(Fraction((n * sum_tv - sum_t * sum_v) * per, below * STEPS)) if below else None


class Percentage(Mean):
    """The share, in [0, 1], of the signals inside for which a condition is true among those for which it is known."""

    __slots__ = ()


class NewValue(Distinct):
    """Whether the newest value was never seen before inside the window; None where there is none before it."""

    __slots__ = ()

    def value(self) -> Value:
        """Return true where the newest value is there once; a late signal with the same value makes it an old one."""
        newest = next((item[2] for item in reversed(self.items) if item[2] is not None), None)
        times = self.times()
        if newest is None or sum(times.values()) < 2:
            return None
        return times[newest] == 1


class Change(Cell):
    """Whether the newest value differs from the one before it; None for fewer than two values."""

    __slots__ = ()

    def value(self) -> Value:
        """Compare the last two values by time, then by number."""
        newest: Value = None
        for item in reversed(self.items):
            if item[2] is None:
                continue
            if newest is not None:
                return bool(item[2] != newest)
            newest = item[2]
        return None


class Enough(Cell):
    """Another cell's value once at least `least` of its signals have a value (or, for counts, are there); None before."""

    __slots__ = ("inner", "known", "least")

    def __init__(self, inner: Cell, *, least: int) -> None:
        super().__init__(inner.frame, inner.name, inner.key)
        self.inner = inner
        self.least = least
        self.known = 0
        self.items = inner.items

    def reads(self, value: Any) -> Value:
        """Return what the inner cell takes of `value`."""
        return self.inner.reads(value)

    def advance(self, clock: int) -> None:
        """Move both clocks."""
        self.clock = self.inner.clock = clock

    def move(self, clock: int) -> list[Item]:
        """Move both clocks."""
        dropped = super().move(clock)
        self.inner.clock = self.clock
        return dropped

    def put_back(self, items: list[Item], clock: int, seen: int) -> None:
        """Take up the contents of a snapshot in both."""
        super().put_back(items, clock, seen)
        self.inner.items, self.inner.clock = items, clock

    def gain(self, value: Value) -> None:
        """One more is known."""
        self.known += 1
        self.inner.gain(value)

    def lose(self, value: Value) -> None:
        """One less is known."""
        self.known -= 1
        self.inner.lose(value)

    def least_wanted(self) -> int:
        """Return what the inner cell wants least."""
        return self.inner.least_wanted()

    def value(self) -> Value:
        """Return the inner value, None while there is not enough."""
        return self.inner.value() if self.known >= self.least else None
