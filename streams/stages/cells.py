"""One indicator of one key: the signals inside the window, and what they come to.

A cell keeps each signal's contribution by its time and number, so that a correction takes away exactly what it put in. Sums are
exact: they are kept as whole multiples of 2^-60, and of 2^-1074, the smallest step of a float, and rounded once when they are read.
So neither the order of arrival nor what has come and gone can be seen in a value.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from rules.ruleset import Value
from streams.stages.windows import NEVER, Frame

if TYPE_CHECKING:
    from streams.stages.keys import Key

Item = tuple[Any, ...]
"""(time, seq, value, signal): int, int, Value, Live, in this order; seq is unique, so values are never compared.

The type does not say so: the compiled engine would take tuples of such a type apart, and put them together anew, wherever they pass.
"""
KEPT: Final = 1_000  # signals of a key inside an indicator without a window: as many withdrawals change nothing but what they should
_INT_MAX: Final = 1 << 53  # greater integers are kept as floats
_SHORT: Final = 24
_FEW: Final = 8  # signals
STEPS: Final = 1 << 1074  # every finite float is a whole multiple of 1/STEPS
COARSE: Final = 1 << 60  # nearly every number that is met is a whole multiple of 1/COARSE, which are much smaller integers
SCALE: Final = float(COARSE)
LEAST: Final = 2.0**-8  # from here to `MOST` every float is such a multiple, and how many of them it is, is a float too
MOST: Final = 2.0**900
LARGE: Final = 1 << 1000  # what is less is rounded to a float once, and divided without rounding


def number(value: Any) -> float | None:
    """Return `value` as a finite float; None for what is no number (text, NaN, infinity), truth values count as 0 and 1."""
    if value.__class__ is not float:
        if not isinstance(value, int | float):
            return None
        try:
            value = float(value)
        except OverflowError:
            return None
    return value + 0.0 if math.isfinite(value) else None  # + 0.0: -0.0 and 0.0 are one value


def plain(value: Any) -> Value:
    """Return `value` if it can be told apart from others (text, finite number, truth value), else None."""
    if value.__class__ is str:
        return intern(value) if len(value) <= _SHORT else value  # sources and kinds are few, and each signal comes with its own
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int) and abs(value) <= _INT_MAX:
        return value
    return number(value)


class Cell(ABC):
    """The contents of one window for one key.

    `clock` is the greatest instant seen and never goes back, also when the signal that moved it is withdrawn. `seen` counts the
    signals ever taken and not taken back while they were inside: at 0 the cell is as if it had never been.
    """

    __slots__ = ("clock", "drops", "frame", "items", "key", "name", "seen")

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        self.frame = frame
        self.name = name  # of the indicator
        self.key = key
        self.clock = -NEVER
        self.drops = NEVER  # the first clock at which a signal falls out
        self.seen = 0
        self.items: list[Item] = []

    def reads(self, value: Any) -> Value:
        """Return what the indicator takes of `value`."""
        return plain(value)

    def advance(self, clock: int) -> None:
        """Move the clock forward to `clock`, at which nothing falls out yet: `move` in little."""
        self.clock = clock

    def move(self, clock: int) -> list[Item]:
        """Move the clock forward to `clock` and return what fell out; a clock that lies back changes nothing."""
        if clock <= self.clock:
            return []
        self.clock = clock
        if clock < self.drops:
            return []
        items = self.items
        gone = bisect_left(items, (self.frame.start(clock),))
        dropped = items[:gone]
        del items[:gone]
        for item in dropped:
            if item[2] is not None:
                self.lose(item[2])
        self.drops = self.frame.leaves(items[0][0]) if items else NEVER
        return dropped

    def add(self, item: Item) -> bool:
        """Take in a signal, the clock having been moved to it; False when it is older than the window, which ignores it."""
        items = self.items
        t: int = item[0]
        value: Value = item[2]
        if t < self.clock and t < self.frame.start(self.clock):
            return False
        last: int = items[-1][0] if items else -NEVER
        if t > last:
            items.append(item)
            if len(items) == 1:
                self.drops = self.frame.leaves(t)
        else:
            insort(items, item)
            self.drops = self.frame.leaves(items[0][0])
        self.seen += 1
        if value is not None:
            self.gain(value)
        return True

    def discard(self, t: int, seq: int) -> bool:
        """Take back the signal `seq` at `t`; False when it is not inside any more."""
        items = self.items
        place = bisect_left(items, (t, seq))
        if place == len(items) or items[place][1] != seq:
            return False
        value = items.pop(place)[2]
        if value is not None:
            self.lose(value)
        self.seen -= 1
        return True

    def shed(self, keep: int) -> Item | None:
        """Forget the signal that matters least where more than `keep` are inside; return it, for nothing falls out without a window."""
        if len(self.items) <= keep:
            return None
        item = self.items.pop(self.least_wanted())
        if item[2] is not None:
            self.lose(item[2])
        return item

    def least_wanted(self) -> int:
        """Return the place, among several signals, of the one that is the last to decide the value."""
        return 0

    def put_back(self, items: list[Item], clock: int, seen: int) -> None:
        """Take up the contents of a snapshot."""
        self.items, self.clock, self.seen = items, clock, seen
        for item in items:
            if item[2] is not None:
                self.gain(item[2])
        if items:
            self.drops = self.frame.leaves(items[0][0])

    def values(self) -> list[Value]:
        """Return the contributions in order, none where they are all unknown, as those of a count."""
        values = [item[2] for item in self.items]
        return values if any(value is not None for value in values) else []

    def gain(self, value: Value) -> None:  # noqa: B027  # a count and the newest value keep nothing beside the items
        """Add `value`, which is not None, to the aggregate."""

    def lose(self, value: Value) -> None:  # noqa: B027  # as above
        """Take `value`, which is not None, out of the aggregate."""

    def takes(self, t: int, *, correction: bool) -> bool:  # noqa: ARG002  # for `rolled`
        """Tell whether a signal at `t`, itself a correction or not, may count."""
        return True

    def lighter(self, dropped: list[Item]) -> bool:
        """Tell whether the value may have changed by what `move` just returned."""
        return bool(dropped)

    def inside(self) -> list[Item]:
        """Return the signals that the value is made of."""
        return self.items

    def memory(self) -> Any:
        """Return what a snapshot must hold beside the signals, as plain data; None for nothing."""
        return None

    def since(self, memory: Any, start: int) -> Any:  # noqa: ARG002  # for `rolled`
        """Return the part of `memory` that a window from `start` on holds."""
        return memory

    def remember(self, memory: Any) -> None:  # noqa: B027  # most cells have nothing beside the signals
        """Take up `memory`."""

    @abstractmethod
    def value(self) -> Value:
        """Return the aggregate as of `clock`."""


class Count(Cell):
    """The number of signals."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the number of signals inside."""
        return len(self.items)


class Sum(Cell):
    """The exact sum of the numbers inside, rounded once; 0.0 when there are none (an indicator never seen has no cell)."""

    __slots__ = ("coarse", "numbers", "steps")

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.numbers = 0
        self.coarse = 0
        self.steps = 0  # of numbers that are no multiples of 1/COARSE

    def reads(self, value: Any) -> Value:
        """Return `value` if it is a number."""
        return number(value)

    def gain(self, value: Value) -> None:
        """Add a number's steps."""
        assert isinstance(value, float)  # `reads` lets nothing else in
        if LEAST <= abs(value) < MOST:
            self.coarse += int(value * SCALE)
        else:
            self._put(value, 1)
        self.numbers += 1

    def lose(self, value: Value) -> None:
        """Take away a number's steps."""
        assert isinstance(value, float)  # see `gain`
        if LEAST <= abs(value) < MOST:
            self.coarse -= int(value * SCALE)
        else:
            self._put(value, -1)
        self.numbers -= 1

    def _put(self, value: float, times: int) -> None:
        """Add the steps of any number."""
        above, below = value.as_integer_ratio()
        if below <= COARSE:
            self.coarse += times * above * (COARSE // below)
        else:
            self.steps += times * above * (STEPS // below)

    def exact(self) -> int:
        """Return the sum in steps."""
        return self.steps + self.coarse * (STEPS // COARSE)

    def total(self) -> float | None:
        """Return the sum, correctly rounded; None where it is greater than any float."""
        try:
            return self.exact() / STEPS if self.steps or abs(self.coarse) > LARGE else float(self.coarse) / SCALE
        except OverflowError:
            return None

    def value(self) -> Value:
        """Return the sum."""
        return self.total()


class Mean(Sum):
    """The sum divided by the number of numbers; None when there are none."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the arithmetic mean."""
        total = self.total()
        return None if total is None or not self.numbers else total / self.numbers


class Extreme(Cell):
    """Keeps the numbers inside in rising order."""

    __slots__ = ("ordered",)

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.ordered: list[float] = []

    def reads(self, value: Any) -> Value:
        """Return `value` if it is a number."""
        return number(value)

    def gain(self, value: Value) -> None:
        """Put a number in its place."""
        insort(self.ordered, value)  # type: ignore[misc]  # `reads` lets only floats in

    def lose(self, value: Value) -> None:
        """Remove one number equal to `value`."""
        del self.ordered[bisect_left(self.ordered, value)]  # type: ignore[type-var]  # `reads` lets only floats in


class Min(Extreme):
    """The smallest number; None when there are none."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the smallest number inside."""
        return self.ordered[0] if self.ordered else None


class Max(Extreme):
    """The greatest number; None when there are none."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the greatest number inside."""
        return self.ordered[-1] if self.ordered else None


class Distinct(Cell):
    """The number of different values; what is not given does not count.

    How often each value is inside is only kept where there are more signals than can be looked through at each reading.
    """

    __slots__ = ("_times",)

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self._times: dict[Value, int] | None = None

    def gain(self, value: Value) -> None:
        """Count one more of `value`."""
        if self._times is not None:
            self._times[value] = self._times.get(value, 0) + 1

    def lose(self, value: Value) -> None:
        """Count one less of `value`."""
        if self._times is None:
            return
        left = self._times[value] - 1
        if left:
            self._times[value] = left
        else:
            del self._times[value]

    def times(self) -> dict[Value, int]:
        """Return how often each value is inside."""
        if self._times is not None:
            return self._times
        found: dict[Value, int] = {}
        for item in self.items:
            if item[2] is not None:
                found[item[2]] = found.get(item[2], 0) + 1
        if len(self.items) > _FEW:
            self._times = found
        return found

    def value(self) -> Value:
        """Return the number of different values inside."""
        return len(self.times())


class Last(Cell):
    """The newest value by time, then by number; a signal without a value is passed over."""

    __slots__ = ()

    def least_wanted(self) -> int:
        """Return the place of the oldest signal, but for the only one with a value."""
        later = any(item[2] is not None for item in reversed(self.items[1:]))
        return 0 if later or self.items[0][2] is None else 1

    def value(self) -> Value:
        """Return the newest value inside, None when there is none."""
        for item in reversed(self.items):
            value: Value = item[2]
            if value is not None:
                return value
        return None
