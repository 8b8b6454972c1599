"""What the signals of a window of years come to, each aggregate with what it has to keep of a day."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Final

from rules.ruleset import Value
from streams.stages.cells import STEPS, Item, number
from streams.stages.folding import Rolled
from streams.stages.measures import ratio_of_steps, spread, steps
from streams.stages.windows import Frame

if TYPE_CHECKING:
    from streams.stages.keys import Key


class RolledCount(Rolled):
    """The number of signals."""

    __slots__ = ("folded",)

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.folded = 0

    def fold(self, part: Any, item: Item) -> int:
        """Count one more."""
        del item
        self.folded += 1
        return 1 + (part or 0)

    def join(self, part: Any) -> None:
        """Add a day."""
        self.folded += part

    def part_with(self, part: Any) -> None:
        """Take away a day."""
        self.folded -= part

    def value(self) -> Value:
        """Return the number of signals."""
        return len(self.items) + self.folded


def compact(whole: int) -> tuple[int, int]:
    """Return `whole` without the zeros at the end of its binary form, and how many those are: sums in steps end in very many.

    >>> compact(40), compact(0)
    ((5, 3), (0, 0))
    """
    zeros = (whole & -whole).bit_length() - 1 if whole else 0
    return whole >> zeros, zeros


class RolledSum(Rolled):
    """The exact sum; a day is [numbers, sum, sum of squares], the sums compact and in steps, the last only for a deviation."""

    __slots__ = ("numbers", "squares", "total")

    squared = False

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.numbers = self.total = self.squares = 0

    def reads(self, value: Any) -> Value:
        """Return `value` if it is a number."""
        return number(value)

    def gain(self, value: Value) -> None:
        """Add a number."""
        self._change(1, steps(value))

    def lose(self, value: Value) -> None:
        """Take away a number."""
        self._change(-1, steps(value))

    def _change(self, sign: int, own: int) -> None:
        self.numbers += sign
        self.total += sign * own
        if self.squared:
            self.squares += sign * own * own

    def fold(self, part: Any, item: Item) -> Any:
        """Put one more number into a day; the whole window has it already."""
        numbers, (total, zeros), (squares, more) = part or (0, (0, 0), (0, 0))
        if item[2] is None:
            return numbers, (total, zeros), (squares, more)
        own = steps(item[2])
        return numbers + 1, compact((total << zeros) + own), compact((squares << more) + own * own if self.squared else 0)

    def join(self, part: Any) -> None:
        """Add a day."""
        numbers, (total, zeros), (squares, more) = part
        self.numbers += numbers
        self.total += total << zeros
        self.squares += squares << more

    def part_with(self, part: Any) -> None:
        """Take away a day."""
        numbers, (total, zeros), (squares, more) = part
        self.numbers -= numbers
        self.total -= total << zeros
        self.squares -= squares << more

    def plain(self, part: Any) -> Any:
        """Write the sums as text: they may be longer than msgpack's integers."""
        numbers, (total, zeros), (squares, more) = part
        return [numbers, hex(total), zeros, hex(squares), more]

    def parse(self, plain: Any) -> Any:
        """Read the sums."""
        numbers, total, zeros, squares, more = plain
        return numbers, (int(total, 16), zeros), (int(squares, 16), more)

    def value(self) -> Value:
        """Return the sum."""
        return ratio_of_steps(self.total, STEPS)


class RolledMean(RolledSum):
    """The rounded sum divided by the number of numbers, as for every other mean."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the mean; None for nothing."""
        rounded = ratio_of_steps(self.total, STEPS)
        return None if rounded is None or not self.numbers else rounded / self.numbers


class RolledStddev(RolledSum):
    """The sample standard deviation."""

    __slots__ = ()

    squared = True

    def value(self) -> Value:
        """Return the deviation; None for fewer than two numbers."""
        return spread(self.numbers, self.total, self.squares)


class RolledMin(Rolled):
    """The smallest number; a day is its own smallest, None where it has none. `ordered` are the single ones, `best` that of the days."""

    __slots__ = ("best", "ordered", "stale")

    sign = 1

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.ordered: list[float] = []
        self.best: Any = None
        self.stale = False  # whether `best` has to be looked for again

    def reads(self, value: Any) -> Value:
        """Return `value` if it is a number."""
        return number(value)

    def gain(self, value: Value) -> None:
        """Put a number in its place."""
        insort(self.ordered, value)  # type: ignore[misc]  # `reads` lets only floats in

    def lose(self, value: Value) -> None:
        """Remove one number equal to `value`."""
        del self.ordered[bisect_left(self.ordered, value)]  # type: ignore[type-var]  # `reads` lets only floats in

    def fold(self, part: Any, item: Item) -> Any:
        """Keep the better of two."""
        if item[2] is None:
            return part
        self.lose(item[2])
        self.stale = True
        return self._best([each for each in (part, item[2]) if each is not None])

    def join(self, part: Any) -> None:
        """Look for the best again."""
        del part
        self.stale = True

    def part_with(self, part: Any) -> None:
        """Look for the best again."""
        self.join(part)

    def _best(self, numbers: list[Any]) -> Any:
        return min(numbers, key=lambda each: self.sign * each, default=None)

    def value(self) -> Value:
        """Return the best of all days."""
        if self.stale:
            self.best = self._best([part for part in self.days.values() if part is not None])
            self.stale = False
        single = self.ordered[0 if self.sign > 0 else -1] if self.ordered else None
        found: Value = self._best([each for each in (self.best, single) if each is not None])
        return found


class RolledMax(RolledMin):
    """The greatest number."""

    __slots__ = ()

    sign = -1


class RolledDistinct(Rolled):
    """The number of different values; a day is its values with how often each came, in order of their first coming."""

    __slots__ = ("times",)

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.times: dict[Value, int] = {}

    def gain(self, value: Value) -> None:
        """Count one more of `value`."""
        self.times[value] = self.times.get(value, 0) + 1

    def lose(self, value: Value) -> None:
        """Count one less of `value`."""
        self._less(value, 1)

    def _less(self, value: Value, by: int) -> None:
        left = self.times[value] - by
        if left:
            self.times[value] = left
        else:
            del self.times[value]

    def fold(self, part: Any, item: Item) -> dict[Value, int]:
        """Put one more value into a day; the whole window has it already."""
        times: dict[Value, int] = part if part is not None else {}
        if item[2] is not None:
            times[item[2]] = times.get(item[2], 0) + 1
        return times

    def join(self, part: Any) -> None:
        """Add a day."""
        for value, times in part.items():
            self.times[value] = self.times.get(value, 0) + times

    def part_with(self, part: Any) -> None:
        """Take away a day."""
        for value, times in part.items():
            self._less(value, times)

    def plain(self, part: Any) -> Any:
        """Write pairs: keys of a map would lose their type."""
        return [list(pair) for pair in part.items()]

    def parse(self, plain: Any) -> Any:
        """Read pairs."""
        return dict(plain)

    def value(self) -> Value:
        """Return the number of different values."""
        return len(self.times)


class RolledNewValue(RolledDistinct):
    """Whether the newest value was never seen before inside the window; unknown once the newest signal itself is folded."""

    __slots__ = ()

    def value(self) -> Value:
        """Compare the newest value with the rest."""
        newest = self.newest_single()
        if newest is None or (len(self.times) < 2 and self.times[newest[2]] < 2):
            return None
        return self.times[newest[2]] == 1


class RolledLast(Rolled):
    """The newest value; a day is [time, number, value] of its newest."""

    __slots__ = ()

    def fold(self, part: Any, item: Item) -> Any:
        """Keep the newer of two."""
        if item[2] is None:
            return part
        own = [item[0], item[1], item[2]]
        return own if part is None or own[:2] > part[:2] else part

    def value(self) -> Value:
        """Return the newest value of all."""
        single = self.newest_single()
        folded = next((self.days[day] for day in reversed(self.order) if self.days[day] is not None), None)
        if single is None or folded is None:
            only: Value = single[2] if single is not None else folded[2] if folded is not None else None
            return only
        newest: Value = single[2] if single[:2] > tuple(folded[:2]) else folded[2]
        return newest


class RolledFirst(Rolled):
    """The oldest value; a day is [time, number, value] of its oldest."""

    __slots__ = ()

    def fold(self, part: Any, item: Item) -> Any:
        """Keep the older of two."""
        if item[2] is None:
            return part
        own = [item[0], item[1], item[2]]
        return own if part is None or own[:2] < part[:2] else part

    def value(self) -> Value:
        """Return the oldest value of all."""
        single = next((item for item in self.items if item[2] is not None), None)
        folded = next((self.days[day] for day in self.order if self.days[day] is not None), None)
        if single is None or folded is None:
            only: Value = single[2] if single is not None else folded[2] if folded is not None else None
            return only
        oldest: Value = single[2] if single[:2] < tuple(folded[:2]) else folded[2]
        return oldest


ROLLED: Final[dict[str, type[Rolled]]] = {
    "count": RolledCount,
    "sum": RolledSum,
    "mean": RolledMean,
    "stddev": RolledStddev,
    "min": RolledMin,
    "max": RolledMax,
    "distinct": RolledDistinct,
    "new_value": RolledNewValue,
    "first": RolledFirst,
    "last": RolledLast,
}
