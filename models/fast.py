"""The fast streaming detector: how unusual is this value for this series at this time of day?

One pass, no look-ahead, about 1 KB per series and a few microseconds per point. A point is compared with the level that its series
usually has in the same quarter of an hour of the day (Asia/Shanghai), and with how the series has been running in the last points; the
sum of the two distances, each in units of its usual size, is turned into a probability by the series' own history of that sum.

The tail follows the peaks-over-threshold method of extreme value theory: a threshold that one distance in 50 exceeds, and a generalised
Pareto distribution fitted to the excesses by their first two moments (J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation
for the generalized Pareto distribution", Technometrics 29(3), 1987; streaming use: A. Siffer et al., "Anomaly detection in streams with
extreme value theory", KDD 2017).
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from domain.instants import EPOCH, from_ms
from domain.messages import text
from domain.ports import Score
from models.words import number, odds, shanghai_minute

SLOTS: Final = 96  # quarters of an hour in a day
SLOT_SECONDS: Final = 900
SHANGHAI_OFFSET: Final = 28_800  # seconds east of UTC; no summer time since 1992
DAY_SECONDS: Final = 86_400

WARM_UP: Final = 50  # points of a series before it is scored
MAX_SERIES: Final = 100_000

SLOT_RATE: Final = 0.1  # weight of the newest day in a slot's level: about the last ten days count
LEVEL_RATE: Final = 0.01  # of the level that stands in for slots not seen yet
TREND_RATE: Final = 0.3  # of the running level that the newest value is compared with
GAP: Final = 5.0  # usual intervals; after a longer pause, or a leap back, the running level starts again at the expected value
INTERVAL_RATE: Final = 0.05
SCALE_RATE: Final = 0.0005  # of the usual sizes
WIDE_RATE: Final = 0.005  # of the size that takes outliers in full
WIDE_SHARE: Final = 0.1  # no usual size is below this share of the wide one: rare events must not look infinitely rare
CLIP: Final = 5.0  # an outlier counts as this many usual sizes in what is learnt
SETTLE: Final = 30  # points before outliers are clipped

TAIL: Final = 0.02  # share of points in the tail
TAIL_RATE: Final = 0.02  # of the quantiles' logarithms
EXCESS_RATE: Final = 0.02  # of the excesses' moments
EXCESS_CLIP: Final = 20.0  # times the mean excess
SHAPE_MAX: Final = 0.45  # of the Pareto tail: the variance of the excesses exists
SHAPE_FIRST: Final = 0.2  # until there are five excesses
BEYOND: Final = 20.0  # of n points seen nothing is called rarer than one in 20 n
QUANTILE_START: Final = 20  # points before the quantiles move

MEDIAN_FLOOR: Final = 0.05  # usual sizes, as are the next three
TENTH_FLOOR: Final = 0.1
THRESHOLD_FLOOR: Final = 0.5
EXCESS_FLOOR: Final = 1e-6
DISTANCE_MAX: Final = 1e9
VALUE_MAX: Final = 1e300  # larger values would overflow; they count as missing
ROUNDING: Final = 1e-12  # relative; differences below it are rounding, not data

UNUSUAL: Final = 0.995  # a run of unusual points begins at this score
RUN_QUIET: Final = 12  # and ends after as many points below it

VERSION: Final = 1
_HEAD: Final = struct.Struct("<16d")
_SLOTS: Final = struct.Struct(f"<{SLOTS}d")
_UP: Final = math.exp(TAIL_RATE * (1 - TAIL))
_DOWN: Final = math.exp(-TAIL_RATE * TAIL)
_HALF_UP: Final = math.exp(TAIL_RATE * 0.5)
_HALF_DOWN: Final = math.exp(-TAIL_RATE * 0.5)
_TENTH_UP: Final = math.exp(TAIL_RATE * 0.9)
_TENTH_DOWN: Final = math.exp(-TAIL_RATE * 0.1)
_TO_TENTH: Final = math.log(0.1 / 0.5)  # of the survival from the median to the tenth, and on to the threshold
_TO_TAIL: Final = math.log(TAIL / 0.1)


class _Series:
    """What is known of one series; about 1.5 KB in memory, 0.9 KB in a snapshot."""

    __slots__ = (
        "excesses",
        "interval",
        "last",
        "level",
        "mean_excess",
        "median",
        "points",
        "quiet",
        "scale",
        "seen",
        "since",
        "slots",
        "square_excess",
        "step",
        "tenth",
        "threshold",
        "trend",
        "wide",
    )

    def __init__(self, first: float, seconds: float) -> None:
        self.points = 1.0
        self.last = seconds  # since the epoch
        self.interval = 0.0  # seconds
        self.level = first
        self.trend = first
        self.scale = 0.0
        self.step = 0.0
        self.wide = 0.0
        self.median = 1.5
        self.tenth = 2.5  # one distance in ten is larger
        self.threshold = 3.0
        self.excesses = 0.0
        self.mean_excess = 1.0
        self.square_excess = 2.0
        self.since = 0.0  # ms since the epoch
        self.quiet = math.inf  # points since the last unusual one; inf: no run
        self.slots = array("d", bytes(8 * SLOTS))
        self.seen = bytearray(SLOTS)

    def arrive(self, seconds: float, expected: float) -> None:
        """Keep the usual interval between points; across a gap the running level is not comparable."""
        pause = abs(seconds - self.last)
        self.last = seconds
        if self.points > 2 and pause > GAP * self.interval:
            self.trend = expected
            pause = GAP * self.interval if self.interval > 0.0 else pause
        self.interval += max(INTERVAL_RATE, 1.0 / self.points) * (pause - self.interval)

    def survival(self, distance: float) -> float:
        """Return the share of this series' points that are at least as far out, in (0, 1]; coarse above TAIL, fitted below."""
        threshold = self.threshold
        if distance <= threshold:
            median = self.median
            if distance <= median:
                return 1.0 - 0.5 * distance / median
            tenth = self.tenth
            if distance <= tenth:
                return 0.5 * math.exp(_TO_TENTH * (distance - median) / (tenth - median))
            return 0.1 * math.exp(_TO_TAIL * (distance - tenth) / (threshold - tenth))
        mean = self.mean_excess
        shape = SHAPE_FIRST
        if self.excesses > 4:
            variance = self.square_excess - mean * mean
            shape = min(SHAPE_MAX, max(0.0, 0.5 * (1.0 - mean * mean / variance))) if variance > 0 else 0.0
        stretch = (distance - threshold) / max(EXCESS_FLOOR, mean * (1.0 - shape))
        tail = math.exp(-stretch) if shape < 1e-6 else math.exp(-math.log1p(shape * stretch) / shape)
        return max(TAIL * tail, 1.0 / (BEYOND * (self.points + 1.0)))

    def learn_distance(self, distance: float) -> None:
        """Move the median, the tail's threshold and the excesses' moments towards `distance`."""
        self.median = max(MEDIAN_FLOOR, self.median * (_HALF_UP if distance > self.median else _HALF_DOWN))
        if distance > self.threshold:
            excess = min(distance - self.threshold, EXCESS_CLIP * self.mean_excess)
            self.excesses += 1.0
            rate = max(EXCESS_RATE, 1.0 / (self.excesses + 5.0))
            self.mean_excess += rate * (excess - self.mean_excess)
            self.square_excess += rate * (excess * excess - self.square_excess)
            self.threshold *= _UP
        else:
            self.threshold = max(THRESHOLD_FLOOR, self.threshold * _DOWN)
        tenth = max(TENTH_FLOOR, self.tenth * (_TENTH_UP if distance > self.tenth else _TENTH_DOWN))
        self.tenth = min(tenth, 0.95 * self.threshold)
        self.median = min(self.median, 0.95 * self.tenth)

    def learn_value(self, value: float, residual: float, expected: float, slot: int) -> None:
        """Move levels and usual sizes towards this point; an outlier moves them as far as CLIP usual sizes would."""
        points = self.points + 1.0
        self.points = points
        size, step = abs(residual), abs(value - self.trend)
        floor = WIDE_SHARE * self.wide
        moved, drift = residual, value - self.level
        if points > SETTLE:
            most = CLIP * max(self.scale, floor)
            if most > 0.0:
                moved = max(-most, min(most, residual))
                drift = max(-most, min(most, drift))
                size = min(size, most)
                step = min(step, CLIP * max(self.step, floor))
        rate = max(SCALE_RATE, 1.0 / points)
        self.scale += rate * (size - self.scale)
        self.step += rate * (step - self.step)
        self.wide += max(WIDE_RATE, 1.0 / points) * (abs(residual) - self.wide)
        self.trend += TREND_RATE * (value - self.trend)
        self.level += max(LEVEL_RATE, 1.0 / points) * drift
        seen = self.seen[slot]
        if seen:
            self.slots[slot] += max(SLOT_RATE, 1.0 / (seen + 1)) * moved
        else:
            self.slots[slot] = expected + moved
        if seen < 255:
            self.seen[slot] = seen + 1


class Fast:
    """Scores points of many series, each against its own history; a `domain.ports.Detector` of width 1.

    `score` never raises on data: None, NaN, infinities and numbers beyond 1e300 score 0 and are not learnt. Order of arrival is the
    order of learning, and `at` only picks the quarter of an hour, so gaps, repeated and late points need no special care. Scores stay
    the same when all values become a·value + b (a > 0), and when all times move by whole days. A weekly rhythm is not modelled.

    Scores up to 0.98 are coarse (the 50th, 90th and 98th percentile of the distance, exponentials between them); above, they follow
    the fitted tail. No score exceeds 1 - 1 / (20 (n + 1)) after n points. The first 50 points score 0.

    The state is bounded by `max_series`: the series whose last point came longest ago is forgotten when a new one would exceed it, and
    starts anew when it comes back. Series that must not be forgotten need a higher cap: 100,000 take about 170 MB.
    """

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        """Start empty; raises ValueError when `max_series` is below 1."""
        if max_series < 1:
            raise ValueError(f"max_series is {max_series}; it must be 1 or more")
        self.max_series = max_series
        self._series: dict[str, _Series] = {}  # least recently seen first

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
        distance = _distance(series, value, residual, expected)
        answer = _LEARNING if series.points < WARM_UP else self._answer(series, distance, value, expected, seconds)
        if series.points > QUANTILE_START:
            series.learn_distance(distance)
        series.learn_value(value, residual, expected, slot)
        return answer

    def _open(self, key: str, value: float, seconds: float) -> _Series:
        """Make room for series `key` and start it at `value`."""
        if len(self._series) >= self.max_series:
            del self._series[next(iter(self._series))]
        series = self._series[key] = _Series(value, seconds)
        return series

    def _answer(self, series: _Series, distance: float, value: float, expected: float, seconds: float) -> Score:
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

    def snapshot(self) -> bytes:
        """Return the whole state, least recently seen series first; the same history gives the same bytes."""
        rows = [(key, _pack(series), bytes(series.seen)) for key, series in self._series.items()]
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
        self._series = {key: _unpack(numbers, seen) for key, numbers, seen in taken.rows}


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's bytes: per series its key, its numbers (little-endian doubles) and how often each slot was seen."""

    detector: str
    version: int
    rows: list[tuple[str, bytes, bytes]]


def _distance(series: _Series, value: float, residual: float, expected: float) -> float:
    """Return how far out the point is: its residual and its step from the running level, each in usual sizes, summed."""
    floor = max(WIDE_SHARE * series.wide, ROUNDING * (abs(value) + abs(expected)))
    size, step = abs(residual), abs(value - series.trend)
    if size <= floor and series.wide == 0.0:
        return 0.0  # a constant series that stays so
    usual, usual_step = max(series.scale, floor), max(series.step, floor)
    if usual <= 0.0:
        return 0.0
    return min(DISTANCE_MAX, size / usual + step / usual_step)


def _pack(series: _Series) -> bytes:
    """Return the numbers of `series` in the order of `_unpack`."""
    return _HEAD.pack(
        series.points,
        series.last,
        series.interval,
        series.level,
        series.trend,
        series.scale,
        series.step,
        series.wide,
        series.median,
        series.tenth,
        series.threshold,
        series.excesses,
        series.mean_excess,
        series.square_excess,
        series.since,
        series.quiet,
    ) + _SLOTS.pack(*series.slots)


def _unpack(numbers: bytes, seen: bytes) -> _Series:
    """Return the series of `_pack`'s bytes; raises ValueError when their length is not that of a series."""
    if len(numbers) != _HEAD.size + _SLOTS.size or len(seen) != SLOTS:
        raise ValueError(f"snapshot of detector fast is cut short: {len(numbers)} and {len(seen)} bytes for a series")
    series = _Series(0.0, 0.0)
    (
        series.points,
        series.last,
        series.interval,
        series.level,
        series.trend,
        series.scale,
        series.step,
        series.wide,
        series.median,
        series.tenth,
        series.threshold,
        series.excesses,
        series.mean_excess,
        series.square_excess,
        series.since,
        series.quiet,
    ) = _HEAD.unpack_from(numbers)
    series.slots = array("d", _SLOTS.unpack_from(numbers, _HEAD.size))
    series.seen = bytearray(seen)
    return series


_MISSING: Final = Score(value=0.0, reason=text("model.missing"))
_LEARNING: Final = Score(value=0.0, reason="")
_USUAL: Final = text("model.fast.usual")
