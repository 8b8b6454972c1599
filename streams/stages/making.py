"""Which cell an indicator counts in: the aggregate, the way its window is kept, and how much data it needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from rules.ruleset import Indicator, Value
from streams.stages.cells import Cell, Count, Distinct, Last, Max, Mean, Min, Sum
from streams.stages.measures import Change, Enough, First, NewValue, Percentage, Percentile, Since, Stddev, Trend
from streams.stages.periods import BASELINES
from streams.stages.rolled import ROLLED
from streams.stages.sessions import Session
from streams.stages.windows import MICROSECOND, Frame

if TYPE_CHECKING:
    from streams.stages.keys import Key

Make = Callable[[Frame, str, "Key"], Cell]
_CELLS: Final[dict[str, type[Cell]]] = {
    "count": Count,
    "sum": Sum,
    "mean": Mean,
    "min": Min,
    "max": Max,
    "distinct": Distinct,
    "last": Last,
    "first": First,
    "stddev": Stddev,
    "percentage": Percentage,
    "new_value": NewValue,
    "change": Change,
}
NEVER_SEEN: Final[dict[str, Value]] = {"count": 0, "distinct": 0}  # all others are unknown


def unseen(indicator: Indicator) -> Value:
    """Return the value for a key for which the indicator has never selected a signal."""
    return None if indicator.needs else NEVER_SEEN.get(indicator.aggregate)


def _aggregate(indicator: Indicator) -> Make | None:
    match indicator.aggregate:
        case "percentile":
            return partial(Percentile, rank=indicator.rank)
        case "trend":
            return partial(Trend, per=indicator.per // MICROSECOND)
        case "since":
            return partial(Since, end=indicator.end or "last")
    if indicator.window is not None and indicator.window.kind == "daily":
        return ROLLED[indicator.aggregate]
    return _CELLS.get(indicator.aggregate)


def cell_of(indicator: Indicator) -> Make | None:
    """Return what makes the indicator's cell for a key; None for an indicator that counts no signals itself."""
    if indicator.base is not None:
        inner = cell_of(indicator.base)
        return partial(_periods, inner, indicator) if inner is not None else None
    make = _aggregate(indicator)
    if make is None:
        return None
    if indicator.needs:
        make = partial(_enough, make, indicator.needs)
    if indicator.window is not None and indicator.window.kind == "session":
        make = partial(_session, make, indicator.window.length // MICROSECOND, own=indicator.as_of == "own")
    return make


def _enough(make: Make, least: int, frame: Frame, name: str, key: Key) -> Cell:
    return Enough(make(frame, name, key), least=least)


def _periods(make: Make, indicator: Indicator, frame: Frame, name: str, key: Key) -> Cell:
    return BASELINES[indicator.aggregate](partial(make, frame, name, key), indicator)


def _session(make: Make, gap: int, frame: Frame, name: str, key: Key, *, own: bool) -> Cell:
    return Session(partial(make, frame, name, key), gap=gap, own=own)
