"""From what the kernel can do of a rule set to the arrays that it runs on."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rules.ruleset import Indicator
from streams.kernel import layout
from streams.kernel.conditions import Compared, Tested
from streams.kernel.layout import Tables
from streams.kernel.placement import CODES, NUMBERS, Placement, column_of, tests
from streams.stages.fuse import GONE
from streams.stages.windows import BUCKETS, DAY, MICROSECOND, MONDAY, SHANGHAI_OFFSET

AGGREGATE: Final = {
    "count": layout.COUNT,
    "sum": layout.SUM,
    "mean": layout.MEAN,
    "min": layout.MIN,
    "max": layout.MAX,
    "distinct": layout.DISTINCT,
    "last": layout.LAST,
}
HIGHEST: Final = 1 << 20  # a level above all
SLACK: Final = 1_000  # microseconds by which rounding cannot be off
Bounds = tuple[int, int, int]  # variable, lowest level, highest level


def above(number: float) -> float:
    """Return the next float: to be greater than `number` is to be at least that."""
    return math.nextafter(number, math.inf)


class AggregatedFields:
    """The fields that indicators aggregate, as columns of numbers and of codes."""

    def __init__(self, indicators: Sequence[Indicator]) -> None:
        named = [(column_of(each), each.aggregate) for each in indicators]
        self.numbers = [name for name in NUMBERS if any(field == name and how != "distinct" for field, how in named)]
        self.codes = [name for name in (*CODES, *NUMBERS) if any(field == name and how == "distinct" for field, how in named)]

    def place(self, indicator: Indicator) -> int:
        """Return the number of the column that an indicator aggregates, -1 for a count."""
        name = column_of(indicator)
        return -1 if not name else (self.codes if indicator.aggregate == "distinct" else self.numbers).index(name)


class Thresholds:
    """The thresholds of one variable, and the levels that conditions on it mean."""

    def __init__(self, compared: Iterable[Compared]) -> None:
        wanted: set[float] = set()
        for one in compared:
            if one.operator in {">=", "<", "=="}:
                wanted.add(one.limit)
            if one.operator in {">", "<=", "=="}:
                wanted.add(above(one.limit))
        self.all = sorted(wanted)

    def level(self, value: float | None) -> int:
        """Return the level of a value."""
        return 0 if value is None else 1 + bisect_right(self.all, value)

    def _from(self, number: float) -> int:
        """Return the lowest level whose values reach the threshold `number`."""
        return 2 + bisect_left(self.all, number)

    def bounds(self, one: Compared) -> tuple[int, int]:
        """Return the lowest and the highest level at which a comparison holds."""
        limit = one.limit
        match one.operator:
            case "has":
                return 1, HIGHEST
            case "hasnt":
                return 0, 0
            case ">=":
                return self._from(limit), HIGHEST
            case ">":
                return self._from(above(limit)), HIGHEST
            case "<":
                return 1, self._from(limit) - 1
            case "<=":
                return 1, self._from(above(limit)) - 1
            case _:
                return self._from(limit), self._from(above(limit)) - 1


class Lists:
    """Lists of numbers by place, most of them empty, as two arrays."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lists: dict[int, list[int]] = {}

    def add(self, place: int, number: int) -> None:
        """Put a number at the end of a list, once."""
        known = self._lists.setdefault(place, [])
        if number not in known[-1:]:
            known.append(number)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return where each list begins (and one end more), and all lists in a row."""
        starts = np.zeros(self._places + 1, np.int32)
        filled = sorted(self._lists.items())
        for place, numbers in filled:
            starts[place + 1] = len(numbers)
        np.cumsum(starts, out=starts)
        return starts, np.array([number for _, numbers in filled for number in numbers] or [0], dtype=np.int32)


def window_of(indicator: Indicator) -> tuple[int, int, int, int, bool]:
    """Return scale, width, shift, span and whether times are kept: `layout.Tables` says what they mean."""
    window = indicator.window
    if window is None:
        return layout.ALWAYS, 1, 0, 1, False
    if window.kind == "day":
        return layout.EVEN, DAY, SHANGHAI_OFFSET, 1, False
    if window.kind == "week":
        return layout.EVEN, 7 * DAY, SHANGHAI_OFFSET + MONDAY * DAY, 1, False
    if window.kind == "month":
        return layout.MONTHS, 1, 0, 1, False
    length = window.length // MICROSECOND
    return (layout.EVEN, 1, 0, length, True) if window.exact else (layout.EVEN, length // BUCKETS, 0, BUCKETS, False)


def _gone(points: float, half_life: int) -> int:
    """Return an age before which a contribution counts for something; soon after it counts for nothing (`streams.stages.fuse.GONE`)."""
    if not points or half_life <= 0:
        return layout.FAR
    return max(0, int(half_life * math.log2(max(points, GONE) / GONE)) - SLACK)


def build(placement: Placement, leaves: Iterable[str] = (), first_rise: float = 0.0) -> Tables:
    """Return the arrays; `leaves` are the rules with whose truth an object goes over to the Python engine.

    A score below `first_rise` reaches no level.
    """
    indicators, going = placement.indicators, set(leaves)
    variable = {each.name: number for number, each in enumerate(indicators)}
    conjuncts = [
        (rule, alternative) for rule, alternatives in enumerate(placement.conditions) for alternative in alternatives
    ]  # fmt: skip
    compared: dict[str, list[Compared]] = {}
    for _, alternative in conjuncts:
        for one in alternative:
            if isinstance(one, Compared):
                compared.setdefault(one.indicator, []).append(one)
    thresholds = [Thresholds(compared.get(each.name, ())) for each in indicators]
    untouched = [
        each.level(0.0 if of.aggregate in {"count", "distinct"} else None) for each, of in zip(thresholds, indicators, strict=True)
    ]
    windows = [window_of(each) for each in indicators]
    half_lives = [rule.half_life // MICROSECOND for rule in placement.rules]
    gone = [_gone(rule.points, half_life) for rule, half_life in zip(placement.rules, half_lives, strict=True)]
    columns = AggregatedFields(indicators)
    number_of_test = {test: number for number, test in enumerate(tests(placement.conditions))}
    tested = [[number_of_test[one] for one in parts if isinstance(one, Tested)] for _, parts in conjuncts]
    bounded: list[list[Bounds]] = [
        [(variable[one.indicator], *thresholds[variable[one.indicator]].bounds(one)) for one in parts if isinstance(one, Compared)]
        for _, parts in conjuncts
    ]
    flat = [each for bounds in bounded for each in bounds]
    return Tables(
        aggregate=np.array([AGGREGATE[each.aggregate] for each in indicators], np.int8),
        exact=np.array([each[4] for each in windows], np.bool_),
        own=np.array([each.as_of == "own" for each in indicators], np.bool_),
        scale=np.array([each[0] for each in windows], np.int8),
        width=np.array([each[1] for each in windows], np.int64),
        shift=np.array([each[2] for each in windows], np.int64),
        span=np.array([each[3] for each in windows], np.int64),
        column=np.array([columns.place(each) for each in indicators], np.int16),
        threshold_at=np.cumsum([0, *(len(each.all) for each in thresholds)]).astype(np.int32),
        thresholds=np.array([number for each in thresholds for number in each.all] or [0.0], np.float64),
        untouched=np.array(untouched, np.uint16),
        tests_at=np.cumsum([0, *map(len, tested)]).astype(np.int32),
        tests=np.array([test for each in tested for test in each] or [0], np.int32),
        bounds_at=np.cumsum([0, *map(len, bounded)]).astype(np.int32),
        bound_of=np.array([each[0] for each in flat] or [0], np.int32),
        lowest=np.array([each[1] for each in flat] or [0], np.int32),
        highest=np.array([each[2] for each in flat] or [0], np.int32),
        rule_of=np.array([rule for rule, _ in conjuncts] or [0], np.int32),
        conjuncts_at=np.cumsum([0, *map(len, placement.conditions)]).astype(np.int32),
        leaves=np.array([rule.id in going for rule in placement.rules] or [False], np.bool_),
        points=np.array([min(rule.points, rule.cap) for rule in placement.rules] or [0.0], np.float64),
        half_life=np.array(half_lives or [0], np.int64),
        gone=np.array(gone or [layout.FAR], np.int64),
        floor=np.array([bool(rule.at_least) for rule in placement.rules] or [False], np.bool_),
        soonest=min(gone, default=layout.FAR),
        pointed=sum(bool(rule.points) for rule in placement.rules),
        first_rise=first_rise,
        **_lists(thresholds, untouched, tested, bounded, len(number_of_test)),
    )


def _lists(
    thresholds: Sequence[Thresholds], untouched: Sequence[int], tested: Sequence[Sequence[int]], bounded: Sequence[Sequence[Bounds]],
    count_of_tests: int,
) -> Mapping[str, NDArray[np.int32]]:  # fmt: skip
    """Return the lists by which a change of level or test finds the conjuncts that it may have made true."""
    position_at = [int(place) for place in np.cumsum([0, *(len(each.all) + 2 for each in thresholds)])]
    positions = position_at[-1]
    rise, fall = Lists(positions), Lists(positions)
    anchor, loose = Lists(positions * count_of_tests), Lists(count_of_tests)
    initial = []
    for conjunct, (own_tests, bounds) in enumerate(zip(tested, bounded, strict=True)):
        anchored: tuple[float, int] | None = None
        demands = False
        for variable, lowest, highest in bounds:
            rise.add(position_at[variable] + lowest, conjunct)
            if highest < HIGHEST:
                fall.add(position_at[variable] + highest, conjunct)
            if not lowest <= untouched[variable] <= highest:
                demands = True
            if lowest > untouched[variable]:
                share = lowest / (len(thresholds[variable].all) + 2)
                anchored = max(anchored or (0.0, 0), (share, position_at[variable] + lowest))
        for test in own_tests:
            if anchored is not None:
                anchor.add(test * positions + anchored[1], conjunct)
            else:
                loose.add(test, conjunct)
        if not own_tests and not demands:
            initial.append(conjunct)
    named = {"rise": rise, "fall": fall, "anchor": anchor, "loose": loose}
    arrays: dict[str, NDArray[np.int32]] = {
        "position_at": np.array(position_at, np.int32),
        "initial": np.array(initial, np.int32),
    }
    for name, lists in named.items():
        arrays[f"{name}_at"], arrays[name] = lists.arrays()
    return arrays
