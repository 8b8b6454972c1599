"""Windows of years with cheap state: single signals for the newest days, for every day before them only what it came to (日汇总).

A signal older than `RAW_DAYS` calendar days is folded into its day when the window's clock next moves, and let go of: it still counts,
and can no longer be taken back. So a correction that is dated there changes nothing (`takes`), rather than counting a second time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from rules.ruleset import Value
from streams.stages.cells import STEPS, Cell, Item, number
from streams.stages.measures import ratio_of_steps, spread, steps
from streams.stages.windows import DAY, NEVER, RAW_DAYS, SHANGHAI_OFFSET, Frame, day_of

if TYPE_CHECKING:
    from streams.stages.indicators import Key
    from streams.stages.ledger import Live


def _midnight(day: int) -> int:
    return day * DAY - SHANGHAI_OFFSET


class Rolled(Cell):
    """A window of whole days; `days` holds what each folded day came to, as plain data, by its number."""

    __slots__ = ("days", "left")

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.days: dict[int, Any] = {}
        self.left = False

    def takes(self, t: int, *, correction: bool) -> bool:
        """Tell whether a signal at `t` may count, the clock having been moved to it: a correction of a folded day may not."""
        return not correction or day_of(t) > day_of(self.clock) - RAW_DAYS

    def move(self, clock: int) -> list[Item]:
        """Move the clock forward: fold days that grew old, drop those that left; return the signals let go of."""
        self.left = False
        if clock <= self.clock:
            return []
        self.clock = clock
        if clock < self.drops:
            return []
        horizon, oldest = _midnight(day_of(clock) - RAW_DAYS + 1), day_of(self.frame.start(clock))
        gone = [item for item in self.items if item[0] < max(horizon, _midnight(oldest))]
        del self.items[: len(gone)]
        for item in gone:
            day = day_of(item[0])
            if day >= oldest:
                self.days[day] = self.fold(self.days.get(day), item)
            else:
                self.left = True
        for day in [day for day in self.days if day < oldest]:
            del self.days[day]
            self.left = True
        self._plan()
        return gone

    def lighter(self, dropped: list[Item]) -> bool:
        """Tell whether a day left: one that was folded still counts."""
        del dropped
        return self.left

    def _plan(self) -> None:
        """Work out the next clock at which a day is folded or leaves."""
        folds = min(_midnight(day_of(self.items[0][0]) + RAW_DAYS), self.frame.leaves(self.items[0][0])) if self.items else NEVER
        leaves = self.frame.leaves(_midnight(min(self.days))) if self.days else NEVER
        self.drops = min(folds, leaves)

    def add(self, t: int, seq: int, value: Value, live: Live) -> bool:
        """Take in a signal as any window does; one of a day that is folded already follows it when the clock next moves."""
        taken = super().add(t, seq, value, live)
        self._plan()
        return taken

    def memory(self) -> Any:
        """Return the folded days."""
        return [[day, self.plain(part)] for day, part in self.days.items()]

    def since(self, memory: Any, start: int) -> Any:
        """Return the folded days from `start` on."""
        return [pair for pair in memory if pair[0] >= day_of(start)]

    def remember(self, memory: Any) -> None:
        """Take up the folded days."""
        self.days = {day: self.parse(part) for day, part in memory}
        self._plan()

    def plain(self, part: Any) -> Any:
        """Return a day as msgpack can hold it."""
        return part

    def parse(self, plain: Any) -> Any:
        """Return a day from `plain`."""
        return plain

    @abstractmethod
    def fold(self, part: Any, item: Item) -> Any:
        """Return a day's `part`, None for a day without signals, with one more signal in it."""

    def known(self) -> Iterator[Item]:
        """Yield the signals kept singly that have a value, in order."""
        return (item for item in self.items if item[2] is not None)


class RolledCount(Rolled):
    """The number of signals."""

    __slots__ = ()

    def fold(self, part: Any, item: Item) -> int:
        """Count one more."""
        del item
        return 1 + (part or 0)

    def value(self) -> Value:
        """Return the number of signals."""
        folded: int = sum(self.days.values())
        return len(self.items) + folded


class RolledSum(Rolled):
    """The exact sum; a day is [numbers, sum in steps, sum of squares]."""

    __slots__ = ()

    reads = staticmethod(number)

    def fold(self, part: Any, item: Item) -> list[int]:
        """Add one more number."""
        numbers, total, squares = part or (0, 0, 0)
        if item[2] is None:
            return [numbers, total, squares]
        own = steps(item[2])
        return [numbers + 1, total + own, squares + own * own]

    def plain(self, part: Any) -> Any:
        """Write the sums as text: they are longer than msgpack's integers."""
        return [part[0], hex(part[1]), hex(part[2])]

    def parse(self, plain: Any) -> Any:
        """Read the sums."""
        return [plain[0], int(plain[1], 16), int(plain[2], 16)]

    def sums(self) -> tuple[int, int, int]:
        """Return numbers, sum and sum of squares of the whole window."""
        own = [steps(item[2]) for item in self.known()]
        parts = self.days.values()
        return (
            len(own) + sum(part[0] for part in parts),
            sum(own) + sum(part[1] for part in parts),
            sum(each * each for each in own) + sum(part[2] for part in parts),
        )

    def value(self) -> Value:
        """Return the sum."""
        return ratio_of_steps(self.sums()[1], STEPS)


class RolledMean(RolledSum):
    """The rounded sum divided by the number of numbers, as for every other mean."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the mean; None for nothing."""
        numbers, total, _ = self.sums()
        rounded = ratio_of_steps(total, STEPS)
        return None if rounded is None or not numbers else rounded / numbers


class RolledStddev(RolledSum):
    """The sample standard deviation."""

    __slots__ = ()

    def value(self) -> Value:
        """Return the deviation; None for fewer than two numbers."""
        return spread(*self.sums())


class RolledMin(Rolled):
    """The smallest number; a day is its own smallest, None where it has none."""

    __slots__ = ()

    reads = staticmethod(number)
    sign = 1

    def fold(self, part: Any, item: Item) -> Any:
        """Keep the better of two."""
        return self._best([each for each in (part, item[2]) if each is not None])

    def _best(self, numbers: list[Any]) -> Value:
        best: Value = min(numbers, key=lambda each: self.sign * each, default=None)
        return best

    def value(self) -> Value:
        """Return the best of all days."""
        return self._best([part for part in self.days.values() if part is not None] + [item[2] for item in self.known()])


class RolledMax(RolledMin):
    """The greatest number."""

    __slots__ = ()

    sign = -1


class RolledDistinct(Rolled):
    """The number of different values; a day is its values with how often each came, in order of their first coming."""

    __slots__ = ()

    def fold(self, part: Any, item: Item) -> dict[Value, int]:
        """Count one more of a value."""
        times: dict[Value, int] = part if part is not None else {}
        if item[2] is not None:
            times[item[2]] = times.get(item[2], 0) + 1
        return times

    def plain(self, part: Any) -> Any:
        """Write pairs: keys of a map would lose their type."""
        return [list(pair) for pair in part.items()]

    def parse(self, plain: Any) -> Any:
        """Read pairs."""
        return dict(plain)

    def value(self) -> Value:
        """Return the number of different values."""
        return len({item[2] for item in self.known()}.union(*self.days.values()))


class RolledNewValue(RolledDistinct):
    """Whether the newest value was never seen before inside the window; unknown once the newest signal itself is folded."""

    __slots__ = ()

    def value(self) -> Value:
        """Compare the newest value with the rest."""
        recent = [item[2] for item in self.known()]
        if not recent or len(recent) + sum(sum(part.values()) for part in self.days.values()) < 2:
            return None
        return recent.count(recent[-1]) == 1 and not any(recent[-1] in part for part in self.days.values())


class RolledLast(Rolled):
    """The newest value; a day is [time, number, value] of its newest."""

    __slots__ = ()

    sign = 1

    def fold(self, part: Any, item: Item) -> Any:
        """Keep the newer of two."""
        if item[2] is None:
            return part
        own = [item[0], item[1], item[2]]
        return own if part is None or (own[:2] > part[:2]) == (self.sign > 0) else part

    def value(self) -> Value:
        """Return the newest value of all."""
        found = [(self.sign * part[0], self.sign * part[1], part[2]) for part in self.days.values() if part is not None]
        found += [(self.sign * t, self.sign * seq, value) for t, seq, value, _ in self.known()]
        return max(found, key=lambda each: each[:2])[2] if found else None


class RolledFirst(RolledLast):
    """The oldest value; a day is [time, number, value] of its oldest."""

    __slots__ = ()

    sign = -1


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
