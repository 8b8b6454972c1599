"""The fast streaming detector: how unusual is this value for this series at this time of day?

One pass, no look-ahead, at most 2 KB per series and a few microseconds per point. A point is compared with the level that its series
usually has in the same quarter of an hour of the day (Asia/Shanghai), and with how the series has been running in the last points; the
sum of the two distances, each in units of its usual size, is turned into a probability by the series' own history of that sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from domain.instants import EPOCH, from_ms
from domain.messages import text
from domain.ports import Score
from models.series import TAIL, Series
from models.words import number, odds, shanghai_minute

SLOT_SECONDS: Final = 900
SHANGHAI_OFFSET: Final = 28_800  # seconds east of UTC; no summer time since 1992
DAY_SECONDS: Final = 86_400
WARM_UP: Final = 50  # points of a series before it is scored
MAX_SERIES: Final = 100_000
QUANTILE_START: Final = 20  # points before the quantiles move
VALUE_MAX: Final = 1e300  # larger values would overflow; they count as missing
UNUSUAL: Final = 0.995  # a run of unusual points begins at this score
RUN_QUIET: Final = 12  # and ends after as many points below it
VERSION: Final = 1


class Fast:
    """Scores points of many series, each against its own history; a `domain.ports.Detector` of width 1.

    `score` never raises on data: None, NaN, infinities and numbers beyond 1e300 score 0 and are not learnt. Order of arrival is the
    order of learning; `at` picks the quarter of an hour and tells a pause, across which neighbouring values are not compared, so gaps,
    repeated and late points need no care of the caller. Scores stay the same when all values become a·value + b (a > 0), and when all
    times move by whole days. A weekly rhythm is not modelled.

    Scores up to 0.98 are coarse (the 50th, 90th and 98th percentile of the distance, exponentials between them); above, they follow
    the fitted tail. No score exceeds 1 - 1 / (20 (n + 1)) after n points. The first 50 points score 0.

    An event that recurs every few hundred points is still called some times rarer than it is (one in 500 as one in 2,500).

    The state is bounded by `max_series`: the series whose last point came longest ago is forgotten when a new one would exceed it, and
    starts anew when it comes back. Series that must not be forgotten need a higher cap: 100,000 take about 200 MB.
    """

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        """Start empty; raises ValueError when `max_series` is below 1."""
        if max_series < 1:
            raise ValueError(f"max_series is {max_series}; it must be 1 or more")
        self.max_series = max_series
        self._series: dict[str, Series] = {}  # least recently seen first

    def __len__(self) -> int:
        """Return the number of series held."""
        return len(self._series)

    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        """Score one point of series `key`, then learn from it; `at` is aware.

        Raises:
            ValueError: `values` does not hold exactly one value.
            TypeError: `at` is naive.
        """
        if len(values) != 1:
            raise ValueError(f"detector fast takes one value per point, series {key!r} gave {len(values)}")
        value = values[0]
        if value is None or not -VALUE_MAX < value < VALUE_MAX:  # NaN compares false
            return _MISSING
        seconds = (at - EPOCH).total_seconds()
        slot = int((seconds + SHANGHAI_OFFSET) % DAY_SECONDS) // SLOT_SECONDS
        series = self._series.pop(key, None)
        if series is None:
            series = self._open(key, value, seconds)
            series.slots[slot] = value
            series.seen[slot] = 1
            return _LEARNING
        self._series[key] = series
        seen = series.seen[slot]
        expected = series.level
        if seen:
            expected += (series.slots[slot] - expected) * seen / (seen + 1)
        residual = value - expected
        series.arrive(seconds, expected)
        distance = series.distance(value, residual, expected)
        answer = _LEARNING if series.points < WARM_UP else self._answer(series, distance, value, expected, seconds)
        if series.points > QUANTILE_START:
            series.learn_distance(distance)
        series.learn_value(value, residual, expected, slot)
        return answer

    def _open(self, key: str, value: float, seconds: float) -> Series:
        """Make room for series `key` and start it at `value`."""
        if len(self._series) >= self.max_series:
            del self._series[next(iter(self._series))]
        series = self._series[key] = Series(value, seconds)
        return series

    def _answer(self, series: Series, distance: float, value: float, expected: float, seconds: float) -> Score:
        """Turn a distance into a score with its reason, and keep the run of unusual points."""
        survival = series.survival(distance)
        risk = 1.0 - survival
        if risk >= UNUSUAL:
            if series.quiet > RUN_QUIET:
                series.since = seconds * 1000.0
            series.quiet = 0.0
        else:
            series.quiet += 1.0
        if survival > TAIL:
            return Score(value=risk, reason=_USUAL, expected=expected)
        key = "model.fast.high" if value > expected else "model.fast.low"
        reason = text(key, value=number(value), expected=number(expected), odds=odds(survival))
        if series.quiet <= RUN_QUIET:
            reason += text("model.since", since=shanghai_minute(from_ms(int(series.since))))
        return Score(value=risk, reason=reason, expected=expected)

    def snapshot(self, only: Callable[[str], bool] | None = None) -> bytes:
        """Return the state of the series that are asked for, least recently seen first; the same history gives the same bytes."""
        rows = [(key, series.pack(), bytes(series.seen)) for key, series in self._series.items() if only is None or only(key)]
        return msgspec.msgpack.encode(_Snapshot(detector="fast", version=VERSION, rows=rows))

    def restore(self, state: bytes) -> None:
        """Take up the state of a snapshot in place of the present one.

        Raises:
            ValueError: `state` is not a snapshot of this detector in this version, or holds more series than `max_series`.
        """
        try:
            taken = msgspec.msgpack.decode(state, type=_Snapshot)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a snapshot of detector fast: {error}; take one with Fast.snapshot()") from error
        if (taken.detector, taken.version) != ("fast", VERSION):
            raise ValueError(
                f"snapshot of {taken.detector} version {taken.version}; fast version {VERSION} is needed: replay the journal instead"
            )
        if len(taken.rows) > self.max_series:
            raise ValueError(f"snapshot holds {len(taken.rows)} series, max_series is {self.max_series}; raise it")
        self._series = {key: Series.unpack(numbers, seen) for key, numbers, seen in taken.rows}


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's bytes: per series its key, its numbers (little-endian doubles) and how often each slot was seen."""

    detector: str
    version: int
    rows: list[tuple[str, bytes, bytes]]


_MISSING: Final = Score(value=0.0, reason=text("model.missing"))
_LEARNING: Final = Score(value=0.0, reason="")
_USUAL: Final = text("model.fast.usual")
