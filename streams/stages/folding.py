"""Windows of years with cheap state: single signals for the newest days, for every day before them only what it came to (日汇总).

A signal older than `RAW_DAYS` calendar days is folded into its day when the window's clock next moves, and let go of: it still counts,
and can no longer be taken back. So a correction that is dated there changes nothing (`takes`), rather than counting a second time.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

from streams.stages.cells import Cell, Item
from streams.stages.windows import DAY, NEVER, RAW_DAYS, SHANGHAI_OFFSET, Frame, day_of

if TYPE_CHECKING:
    from streams.stages.keys import Key


def _midnight(day: int) -> int:
    return day * DAY - SHANGHAI_OFFSET


class Rolled(Cell):
    """A window of whole days; `days` holds what each folded day came to, as plain data, by its number; `order` their numbers, rising.

    What a subclass keeps of the whole window follows from four events: a signal comes (`gain`) or goes (`lose`), is folded into its day
    (`fold`), and a folded day comes back from a snapshot (`join`) or leaves (`part_with`).
    """

    __slots__ = ("days", "left", "order")

    def __init__(self, frame: Frame, name: str, key: Key) -> None:
        super().__init__(frame, name, key)
        self.days: dict[int, Any] = {}
        self.order: list[int] = []
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
        oldest = day_of(self.frame.start(clock))
        last = bisect_left(self.items, (max(_midnight(day_of(clock) - RAW_DAYS + 1), _midnight(oldest)),))
        gone = self.items[:last]
        del self.items[:last]
        for item in gone:
            day = day_of(item[0])
            if day >= oldest:
                if day not in self.days:
                    insort(self.order, day)
                self.days[day] = self.fold(self.days.get(day), item)
                continue
            self.left = True
            if item[2] is not None:
                self.lose(item[2])
        while self.order and self.order[0] < oldest:
            self.part_with(self.days.pop(self.order.pop(0)))
            self.left = True
        self._plan()
        return gone

    def lighter(self, dropped: list[Item]) -> bool:
        """Tell whether a day left: one that was folded still counts."""
        del dropped
        return self.left

    def _plan(self) -> None:
        """Work out the next clock at which a day is folded or leaves."""
        folds = leaves = NEVER
        if self.items:
            folds = min(_midnight(day_of(self.items[0][0]) + RAW_DAYS), self.frame.leaves(self.items[0][0]))
        if self.order:
            leaves = self.frame.leaves(_midnight(self.order[0]))
        self.drops = min(folds, leaves)

    def add(self, item: Item) -> bool:
        """Take in a signal as any window does; one of a day that is folded already follows it when the clock next moves."""
        taken = super().add(item)
        self._plan()
        return taken

    def memory(self) -> Any:
        """Return the folded days."""
        return [[day, self.plain(self.days[day])] for day in self.order]

    def since(self, memory: Any, start: int) -> Any:
        """Return the folded days from `start` on."""
        return [pair for pair in memory if pair[0] >= day_of(start)]

    def remember(self, memory: Any) -> None:
        """Take up the folded days."""
        for day, part in memory:
            self.days[day] = self.parse(part)
            self.order.append(day)
            self.join(self.days[day])
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

    def join(self, part: Any) -> None:  # those that look at the days themselves keep nothing beside them
        """A folded day came back."""

    def part_with(self, part: Any) -> None:  # as above
        """A folded day left."""

    def newest_single(self) -> Item | None:
        """Return the newest signal kept singly that has a value."""
        return next((item for item in reversed(self.items) if item[2] is not None), None)
