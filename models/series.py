"""What the fast detector knows of one series: its level by time of day, its usual sizes, and the tail of its distances.

The tail follows the peaks-over-threshold method of extreme value theory: a threshold that one distance in 50 exceeds, and a generalised
Pareto distribution fitted to the excesses by their first two moments (J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation
for the generalized Pareto distribution", Technometrics 29(3), 1987; streaming use: A. Siffer et al., "Anomaly detection in streams with
extreme value theory", KDD 2017).
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import Final

SLOTS: Final = 96  # quarters of an hour in a day

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

MEDIAN_FLOOR: Final = 0.05  # usual sizes, as are the next three
TENTH_FLOOR: Final = 0.1
THRESHOLD_FLOOR: Final = 0.5
EXCESS_FLOOR: Final = 1e-6
DISTANCE_MAX: Final = 1e6

BINS: Final = 60  # of far distances, six to an octave from BIN_FIRST on: the check of the fitted tail against what happened
BIN_FIRST: Final = 2.0
FORGET_EVERY: Final = 1024.0  # points, after which the bins keep FORGET of their weight: about the last 20,000 points count
FORGET: Final = 0.95
ROUNDING: Final = 1e-12  # relative; differences below it are rounding, not data

_HEAD: Final = struct.Struct("<17d")
_BINS: Final = struct.Struct(f"<{BINS}f")
_SLOTS: Final = struct.Struct(f"<{SLOTS}d")
_UP: Final = math.exp(TAIL_RATE * (1 - TAIL))
_DOWN: Final = math.exp(-TAIL_RATE * TAIL)
_HALF_UP: Final = math.exp(TAIL_RATE * 0.5)
_HALF_DOWN: Final = math.exp(-TAIL_RATE * 0.5)
_TENTH_UP: Final = math.exp(TAIL_RATE * 0.9)
_TENTH_DOWN: Final = math.exp(-TAIL_RATE * 0.1)
_TO_TENTH: Final = math.log(0.1 / 0.5)  # of the survival from the median to the tenth, and on to the threshold
_TO_TAIL: Final = math.log(TAIL / 0.1)


class Series:
    """What is known of one series; at most 2 KB in memory, 1.3 KB in a snapshot."""

    __slots__ = (
        "bins",
        "counted",
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
        self.counted = 0.0  # weight of all distances, those below BIN_FIRST too
        self.bins = array("f", bytes(4 * BINS))
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

    def distance(self, value: float, residual: float, expected: float) -> float:
        """Return how far out the point is: its residual and its step from the running level, each in usual sizes, summed."""
        floor = max(WIDE_SHARE * self.wide, ROUNDING * (abs(value) + abs(expected)))
        size, step = abs(residual), abs(value - self.trend)
        if size <= floor and self.wide == 0.0:
            return 0.0  # a constant series that stays so
        usual, usual_step = max(self.scale, floor), max(self.step, floor)
        if usual <= 0.0:
            return 0.0
        return min(DISTANCE_MAX, size / usual + step / usual_step)

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
        return max(TAIL * tail, math.sqrt(TAIL * tail * self.happened(distance)), 1.0 / (BEYOND * (self.points + 1.0)))

    def happened(self, distance: float) -> float:
        """Return the share of the distances so far that were larger: those of the same bin count half.

        The fitted tail alone takes events that recur, each as far out as the last, for ever rarer than they are; this share alone never
        forgets a regime that is over. `survival` takes their geometric mean where the fit is the smaller one.
        """
        if distance < BIN_FIRST or self.counted <= 0.0:
            return 0.0
        own = _bin(distance)
        return (sum(self.bins[own + 1 :]) + 0.5 * self.bins[own]) / self.counted

    def learn_distance(self, distance: float) -> None:
        """Move the median, the tail's threshold and the excesses' moments towards `distance`."""
        self.counted += 1.0
        if distance >= BIN_FIRST:
            self.bins[_bin(distance)] += 1.0
        if self.points % FORGET_EVERY == 0.0:
            self.counted *= FORGET
            self.bins = array("f", [FORGET * weight for weight in self.bins])
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

    def pack(self) -> bytes:
        """Return the numbers in the order of `unpack`, little-endian."""
        return (
            _HEAD.pack(
                self.points,
                self.last,
                self.interval,
                self.level,
                self.trend,
                self.scale,
                self.step,
                self.wide,
                self.median,
                self.tenth,
                self.threshold,
                self.excesses,
                self.mean_excess,
                self.square_excess,
                self.since,
                self.quiet,
                self.counted,
            )
            + _BINS.pack(*self.bins)
            + _SLOTS.pack(*self.slots)
        )

    @classmethod
    def unpack(cls, numbers: bytes, seen: bytes) -> Series:
        """Return the series of `pack`'s bytes; raises ValueError when their length is not that of a series."""
        if len(numbers) != _HEAD.size + _BINS.size + _SLOTS.size or len(seen) != SLOTS:
            raise ValueError(f"snapshot of detector fast is cut short: {len(numbers)} and {len(seen)} bytes for a series")
        series = cls(0.0, 0.0)
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
            series.counted,
        ) = _HEAD.unpack_from(numbers)
        series.bins = array("f", _BINS.unpack_from(numbers, _HEAD.size))
        series.slots = array("d", _SLOTS.unpack_from(numbers, _HEAD.size + _BINS.size))
        series.seen = bytearray(seen)
        return series


def _bin(distance: float) -> int:
    """Return the bin of a distance of BIN_FIRST or more; the last one is open."""
    return min(BINS - 1, int(6.0 * math.log2(distance / BIN_FIRST)))
