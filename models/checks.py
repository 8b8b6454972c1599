"""The conformance suite (一致性检查) of detectors: what every entry of the registry, and every third party's, must keep.

Each check takes a factory and raises AssertionError with what was expected. `SERIES_CHECKS` are for `domain.ports.Detector` of width 1,
`VECTOR_CHECKS` for `domain.ports.VectorDetector`. All data are generated from fixed seeds.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from domain.ports import Detector, Score, VectorDetector

MakeDetector = Callable[[], Detector]
MakeVectorDetector = Callable[[], VectorDetector]
Point = tuple[datetime, float]

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(minutes=15)
SERIES_BYTES: Final = 2048  # of state per series
LONG: Final = 100_000
NAMES: Final = ("近7日投诉", "近90日罚款", "检查次数", "压力均值")


def daily_series(count: int, seed: int = 1, spikes: Sequence[int] = ()) -> list[Point]:
    """Return `count` points, one per quarter of an hour, of a daily wave with noise; rows in `spikes` lie far outside."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, count)
    points = []
    for row in range(count):
        value = 50.0 + 10.0 * math.sin(2.0 * math.pi * row / 96.0) + float(noise[row])
        points.append((START + row * STEP, value + 60.0 if row in spikes else value))
    return points


def peers(count: int = 300, seed: int = 2) -> list[list[float | None]]:
    """Return indicator vectors of `count` similar objects; the last one has twenty times the fines of the others."""
    generator = np.random.default_rng(seed)
    rows: list[list[float | None]] = [
        [float(generator.poisson(3)), float(generator.gamma(2.0, 500.0)), float(generator.poisson(1)), float(generator.normal(2.0, 0.1))]
        for _ in range(count)
    ]
    rows[-1][1] = 20_000.0
    return rows


def _run(detector: Detector, points: Sequence[Point], key: str = "k") -> list[Score]:
    return [detector.score(key, at, [value]) for at, value in points]


def _values(scores: Sequence[Score]) -> list[float]:
    return [score.value for score in scores]


def _close(left: Sequence[Score], right: Sequence[Score], what: str, tolerance: float = 1e-6) -> None:
    worst = max(abs(a.value - b.value) for a, b in zip(left, right, strict=True))
    assert worst <= tolerance, f"{what} moves a score by {worst:g}, at most {tolerance:g} is legal"


def check_range(make: MakeDetector) -> None:
    """Scores are finite and in [0, 1], whatever the values."""
    odd = [0.0, -0.0, 1e-320, 1e300, -1e300, 1e308, -1e308, math.inf, -math.inf, math.nan, 1.0, 1e15]
    points = [(START + row * STEP, odd[row % len(odd)]) for row in range(600)]
    for stream in (points, daily_series(600, spikes=[400])):
        for score in _run(make(), stream):
            assert 0.0 <= score.value <= 1.0, f"score {score.value} is not in [0, 1]"


def check_input_untouched(make: MakeDetector) -> None:
    """The caller's sequence is not changed."""
    detector, values = make(), [1.0]
    for row in range(200):
        given = copy.copy(values)
        detector.score("k", START + row * STEP, values)
        assert values == given, "the detector changed its input"


def check_missing(make: MakeDetector) -> None:
    """None and NaN score 0 and leave no trace in later scores."""
    points = daily_series(600, spikes=[500])
    plain = _run(make(), points)
    detector, scores = make(), []
    for row, (at, value) in enumerate(points):
        for missing in (None, math.nan) if row % 7 == 0 else ():
            assert detector.score("k", at, [missing]).value == 0.0, "a missing value must score 0"
        scores.append(detector.score("k", at, [value]))
    assert _values(scores) == _values(plain), "missing values changed the scores of later points"


def check_constant(make: MakeDetector) -> None:
    """A constant series never alarms; its first other value does."""
    for value in (0.0, 42.5, -1e9):
        detector = make()
        steady = _run(detector, [(START + row * STEP, value) for row in range(1000)])
        assert max(_values(steady)) < 0.9, "a constant series scored 0.9 or more"
        jump = detector.score("k", START + 1000 * STEP, [value + abs(value) + 1.0])
        assert jump.value >= 0.99, f"the first change of a constant series scored {jump.value}, at least 0.99 is due"


def check_disorder(make: MakeDetector) -> None:
    """Gaps, repeated times and late points neither raise nor leave [0, 1], and the series is scored on afterwards."""
    points = daily_series(800)
    shuffled = [*points[:300], *points[500:], *points[300:500], points[10], points[10]]
    detector = make()
    assert all(0.0 <= score.value <= 1.0 for score in _run(detector, shuffled)), "disorder led out of [0, 1]"
    later = detector.score("k", points[-1][0] + timedelta(days=400), [500.0])
    assert later.value >= 0.99, f"after disorder and a gap a far outlier scored {later.value}, at least 0.99 is due"


def check_deterministic(make: MakeDetector) -> None:
    """Two instances give the same scores, reasons and snapshot bytes."""
    points = daily_series(800, spikes=[500, 700])
    first, second = make(), make()
    assert _run(first, points) == _run(second, points), "two instances differ on the same points"
    assert first.snapshot() == second.snapshot(), "two instances differ in their snapshots"


def check_prefix(make: MakeDetector) -> None:
    """A prefix of a series gives the same scores as the whole: there is no look-ahead."""
    points = daily_series(900, spikes=[450, 800])
    assert _run(make(), points)[:500] == _run(make(), points[:500]), "later points changed earlier scores"


def check_scores_first(make: MakeDetector) -> None:
    """A point is scored before it is learnt: the first one of an evening, four sizes out, is held against mornings alone.

    A detector that learns it first has a level of that evening to hold it against, and finds it less unusual than one in 200.
    """
    noise = np.random.default_rng(7).normal(size=960)
    mornings = [(START + row * STEP, float(noise[row])) for row in range(960) if row % 96 < 48]
    detector = make()
    _run(detector, mornings)
    score = detector.score("k", START + 1020 * STEP, [4.0])
    assert score.value >= 0.995, f"a first far outlier scored {score.value}, at least 0.995 is due"
    assert score.reason, "an unusual score gives no reason"


def check_keys_apart(make: MakeDetector) -> None:
    """Series do not learn from each other."""
    points, other = daily_series(600, spikes=[500]), daily_series(600, seed=9)
    alone = _run(make(), points)
    detector, together = make(), []
    for (at, value), (_, foreign) in zip(points, other, strict=True):
        detector.score("other", at, [1000.0 * foreign])
        together.append(detector.score("k", at, [value]))
    assert together == alone, "another series changed the scores"


def check_restart(make: MakeDetector) -> None:
    """Stopping at a snapshot and going on in a new instance changes nothing, wherever the cut lies."""
    points = daily_series(1200, spikes=[700, 705, 1100])
    whole = make()
    expected = _run(whole, points)
    running, scores = make(), []
    for begin, end in pairwise([0, 1, 2, 49, 51, 400, 703, 1200]):
        scores += _run(running, points[begin:end])
        state = running.snapshot()
        running = make()
        running.restore(state)
        assert running.snapshot() == state, "a restored instance gives another snapshot"
    assert scores == expected, "a restart changed the scores"
    assert running.snapshot() == whole.snapshot(), "a restart changed the state"


def check_bad_snapshot(make: MakeDetector | MakeVectorDetector) -> None:
    """Bytes that are no snapshot are refused, and leave the detector as it was."""
    detector = make()
    before = detector.snapshot()
    for state in (b"", b"\x00", b"not a snapshot", before[:-1]):
        try:
            detector.restore(state)
        except ValueError:
            continue
        raise AssertionError(f"restore took up {state[:20]!r}, which is no snapshot")
    assert detector.snapshot() == before, "a refused snapshot changed the state"


def check_location_scale(make: MakeDetector) -> None:
    """Scores do not depend on the unit: x and a·x + b (a > 0) score the same."""
    rare = [(START + row * STEP, float(row % 97 == 0)) for row in range(1500)]
    for points in (daily_series(1500, spikes=[700, 1300]), rare):
        plain = _run(make(), points)
        for factor, offset in ((3.7, -1200.0), (1e-3, 5.0), (1e6, 0.0)):
            _close(_run(make(), [(at, factor * value + offset) for at, value in points]), plain, f"{factor:g}·x + {offset:g}")


def check_shift_days(make: MakeDetector) -> None:
    """Scores do not depend on the date: a shift by whole days changes none."""
    points = daily_series(1500, spikes=[700, 1300])
    plain = _run(make(), points)
    for days in (1, 365, -3650):
        shifted = _run(make(), [(at + timedelta(days=days), value) for at, value in points])
        assert _values(shifted) == _values(plain), f"a shift by {days} days changed scores"


def check_long_run(make: MakeDetector) -> None:
    """After 100,000 points the state is as large as after 2,000 and at most 2 KB, and one point in 200 scores 0.995."""
    points = daily_series(LONG)
    detector = make()
    _run(detector, points[:2000])
    early = len(detector.snapshot())
    late = _values(_run(detector, points[2000:]))
    size = len(detector.snapshot())
    assert size <= early + 16, f"the state grew from {early} to {size} bytes"
    assert size <= SERIES_BYTES, f"one series takes {size} bytes, {SERIES_BYTES} is the limit"
    for part in (late[:20_000], late[-20_000:]):
        share = sum(value >= 0.995 for value in part) / len(part)
        assert 0.002 <= share <= 0.01, f"{share:.4f} of usual points score 0.995 or more, 0.005 is meant"


def check_calibrated(make: MakeDetector) -> None:
    """Whatever the distribution, about one usual point in 200 scores 0.995 and about one in ten 0.9."""
    generator = np.random.default_rng(5)
    for name, values in (
        ("normal", generator.normal(size=20_000)),
        ("exponential", generator.exponential(size=20_000)),
        ("log-normal", generator.lognormal(size=20_000)),
        ("uniform", generator.random(20_000)),
    ):
        scores = _values(_run(make(), [(START + row * STEP, float(value)) for row, value in enumerate(values)]))[2000:]
        for level, least, most in ((0.9, 0.05, 0.2), (0.995, 0.0015, 0.012)):
            share = sum(score >= level for score in scores) / len(scores)
            assert least <= share <= most, f"{share:.4f} of {name} points score {level} or more; {least} to {most} is legal"


SERIES_CHECKS: Final[tuple[Callable[[MakeDetector], None], ...]] = (
    check_range,
    check_input_untouched,
    check_missing,
    check_constant,
    check_disorder,
    check_deterministic,
    check_prefix,
    check_scores_first,
    check_keys_apart,
    check_restart,
    check_bad_snapshot,
    check_location_scale,
    check_shift_days,
    check_long_run,
    check_calibrated,
)


def check_vectors_range(make: MakeVectorDetector) -> None:
    """Scores are finite and in [0, 1], one per vector in order, whatever the values; every score has a reason."""
    detector = make()
    detector.fit(peers(), NAMES)
    odd: list[list[float | None]] = [[None] * 4, [math.nan, math.inf, -math.inf, 1e308], [0.0, 0.0, 0.0, 0.0], [1e12, -1e12, None, 2.0]]
    scores = detector.score(odd)
    assert len(scores) == len(odd), f"{len(odd)} vectors gave {len(scores)} scores"
    assert all(0.0 <= score.value <= 1.0 for score in scores), "a score is not in [0, 1]"
    assert all(score.reason for score in scores), "a score gives no reason"
    assert detector.score([]) == [], "no vectors must give no scores"


def check_vectors_untouched(make: MakeVectorDetector) -> None:
    """The caller's vectors are not changed, and scoring learns nothing."""
    vectors = peers()
    given = copy.deepcopy(vectors)
    detector = make()
    detector.fit(vectors, NAMES)
    state = detector.snapshot()
    first = detector.score(vectors)
    assert vectors == given, "the detector changed its input"
    assert detector.snapshot() == state, "scoring changed the state"
    assert detector.score(vectors) == first, "the same vectors scored differently a second time"


def check_vectors_outlier(make: MakeVectorDetector) -> None:
    """The peer with twenty times the fines of the others has the highest score, and the reason names its fines."""
    vectors = peers()
    detector = make()
    detector.fit(vectors, NAMES)
    scores = detector.score(vectors)
    assert scores[-1].value == max(_values(scores)), "the planted outlier does not have the highest score"
    assert scores[-1].value >= 0.99, f"the planted outlier scored {scores[-1].value}, at least 0.99 is due"
    assert NAMES[1] in scores[-1].reason, f"the reason does not name {NAMES[1]}: {scores[-1].reason}"


def check_vectors_missing(make: MakeVectorDetector) -> None:
    """Missing values are no risk: peers with gaps are fitted, and an object without any value scores 0."""
    vectors = peers()
    for row in range(0, 290, 3):
        vectors[row][row % 4] = None if row % 2 else math.nan
    detector = make()
    detector.fit(vectors, NAMES)
    assert detector.score([[None] * 4])[0].value == 0.0, "an object without values must score 0"
    assert detector.score(vectors)[-1].value >= 0.99, "with gaps among the peers the planted outlier is lost"


def check_vectors_few(make: MakeVectorDetector) -> None:
    """Unfitted, and with ten peers, every score is 0 and the reason says so."""
    detector = make()
    for fitted in (False, True):
        if fitted:
            detector.fit(peers(10), NAMES)
        scores = detector.score(peers(3))
        assert _values(scores) == [0.0] * 3, "too few peers must score 0"
        assert all(score.reason for score in scores), "too few peers must be given as the reason"


def check_vectors_restart(make: MakeVectorDetector) -> None:
    """Two fits give the same bytes, and a restored instance the same scores and bytes."""
    vectors = peers()
    first, second, restored = make(), make(), make()
    for detector in (first, second):
        detector.fit(vectors, NAMES)
    state = first.snapshot()
    assert second.snapshot() == state, "two fits of the same peers differ"
    restored.restore(state)
    assert restored.snapshot() == state, "a restored instance gives another snapshot"
    assert restored.score(vectors) == first.score(vectors), "a restored instance scores differently"


def check_vectors_alone(make: MakeVectorDetector) -> None:
    """A vector's score does not depend on which others are scored with it."""
    vectors = peers()
    detector = make()
    detector.fit(vectors, NAMES)
    alone = [detector.score([vector])[0] for vector in vectors[-20:]]
    assert alone == detector.score(vectors)[-20:], "scores depend on the batch"


def check_vectors_units(make: MakeVectorDetector) -> None:
    """Scores do not depend on the columns' units: x and a·x + b (a > 0) score the same."""
    vectors = peers()
    factors, offsets = (3.7, 1e-4, 100.0, 0.25), (-5.0, 0.0, 7.0, 1.0)
    changed = [[a * (x or 0.0) + b for x, a, b in zip(row, factors, offsets, strict=True)] for row in vectors]
    first, second = make(), make()
    first.fit(vectors, NAMES)
    second.fit(changed, NAMES)
    _close(second.score(changed), first.score(vectors), "another unit", tolerance=2.0 / len(vectors))


def check_vectors_bounded(make: MakeVectorDetector) -> None:
    """Ten times the peers take at most 16 bytes more per peer."""
    sizes = []
    for count in (1000, 10_000):
        detector = make()
        detector.fit(peers(count), NAMES)
        sizes.append(len(detector.snapshot()))
    assert sizes[1] - sizes[0] <= 16 * 9000 + 0.2 * sizes[0], f"the state grew from {sizes[0]} to {sizes[1]} bytes"


def check_vectors_width(make: MakeVectorDetector) -> None:
    """A vector of another length is refused, in `fit` and in `score`."""
    detector = make()
    for act in (lambda: detector.fit([[1.0, 2.0]], NAMES), lambda: detector.score([[1.0, 2.0]])):
        try:
            act()
        except ValueError:
            detector.fit(peers(), NAMES)
            continue
        raise AssertionError("a vector of another length than the names was taken")


def check_vectors_unusual(make: MakeVectorDetector) -> None:
    """What is unusual is what `fit` and `score` find above the bound, whether all peers are learnt from or not."""
    rounded = [[None if value is None else value // 20.0 for value in row] for row in peers(700, seed=3)]
    crowds: tuple[list[list[float | None]], ...] = (
        [],
        peers(10),
        peers(150),
        peers(),
        rounded,
        peers(700, seed=3),
        [[1.0, 2.0, 3.0, None]] * 80,
    )
    for vectors, learnt, above in itertools.product(crowds, (4096, 100), (0.0, 0.9, 0.99)):
        detector, judged = make(), make()
        judged.fit(vectors[:: max(1, -(-len(vectors) // learnt))], NAMES)
        expected = [(place, score) for place, score in enumerate(judged.score(vectors)) if score.value > above]
        told = f"{len(vectors)} peers, {learnt} learnt from, above {above}"
        assert detector.unusual(vectors, NAMES, learnt=learnt, above=above) == expected, told


VECTOR_CHECKS: Final[tuple[Callable[[MakeVectorDetector], None], ...]] = (
    check_vectors_unusual,
    check_vectors_range,
    check_vectors_untouched,
    check_vectors_outlier,
    check_vectors_missing,
    check_vectors_few,
    check_vectors_restart,
    check_vectors_alone,
    check_vectors_units,
    check_vectors_bounded,
    check_vectors_width,
    check_bad_snapshot,
)
