"""The fast streaming detector."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks import START, STEP, daily_series
from models.fast import WARM_UP, Fast
from models.series import SLOTS


def _trained(days: int = 10) -> Fast:
    detector = Fast()
    for at, value in daily_series(days * SLOTS):
        detector.score("k", at, [value])
    return detector


def test_usual_value_at_the_wrong_time_of_day_is_unusual() -> None:
    """A value that is usual at noon's peak is an anomaly in the trough, and the expectation is that of the hour."""
    peak, trough = START + 960 * STEP + 24 * STEP, START + 960 * STEP + 72 * STEP
    right, wrong = _trained().score("k", peak, [60.0]), _trained().score("k", trough, [60.0])
    assert right.value < 0.98
    assert wrong.value > 0.995
    assert wrong.expected == pytest.approx(40.0, abs=2.0)


def test_reason_says_value_expected_odds_and_since_when() -> None:
    """The reason of an unusual score names the value, what was expected, how rare it is and since when, in Shanghai time."""
    detector = _trained()
    begin = START + 960 * STEP
    detector.score("k", begin, [110.0])
    score = detector.score("k", begin + STEP, [120.0])
    assert score.reason.startswith("数值 120，同一时段通常约 5")
    assert "偏高；按其自身历史约每 " in score.reason
    assert score.reason.endswith("；自 01-11 08:00 起")


def test_run_of_unusual_points_ends_after_quiet_points() -> None:
    """After more than twelve usual points the next anomaly is said to be a new one."""
    detector = _trained()
    points = daily_series(990)[960:]
    detector.score("k", points[0][0], [110.0])
    for at, value in points[1:20]:
        detector.score("k", at, [value])
    assert detector.score("k", points[20][0], [10.0]).reason.endswith("；自 01-11 13:00 起")


def test_a_series_that_is_still_learning_scores_zero_without_a_reason() -> None:
    """The first fifty points score 0 with an empty reason."""
    detector = Fast()
    for row in range(WARM_UP):
        score = detector.score("k", START + row * STEP, [float(row * row)])
        assert (score.value, score.reason) == (0.0, "")
    assert detector.score("k", START + WARM_UP * STEP, [1e6]).value > 0.0


def test_rare_events_are_rare_but_not_ever_rarer() -> None:
    """A count series with one event per 500 hours: the events are in the tail, never rarer than ten times what they are, and no zero is."""
    detector = Fast()
    scores = [detector.score("k", START + timedelta(hours=row), [float(row % 500 == 499)]).value for row in range(20_000)]
    assert all(0.998 <= score <= 0.9998 for score in scores[12_499::500])
    assert max(score for row, score in enumerate(scores) if row > 10_000 and row % 500 != 499 and row % 500 > 20) < 0.98


def test_a_new_regime_becomes_usual() -> None:
    """A sensor that was constant for a month and then measures alarms at first, and is back to its own calibration within 2,000 points."""
    detector = Fast()
    for row in range(3000):
        detector.score("k", START + row * STEP, [7.0])
    values = [value for _, value in daily_series(4000, seed=4)]
    scores = [detector.score("k", START + (3000 + row) * STEP, [value]).value for row, value in enumerate(values)]
    assert scores[0] > 0.99
    assert sum(score >= 0.995 for score in scores[2000:]) / 2000 <= 0.02


def test_a_gap_is_not_a_step() -> None:
    """After a pause of half a day the value of the hour is usual, though it is far from the last one seen."""
    detector = _trained()
    trough = START + (960 + 72) * STEP
    assert detector.score("k", trough, [40.0]).value < 0.98


def test_least_recently_seen_series_is_forgotten_first() -> None:
    """At the cap the series whose last point came longest ago makes room, also after a restart."""
    detector = Fast(max_series=2)
    for key in ("a", "b", "a"):
        detector.score(key, START, [1.0])
    other = Fast(max_series=2)
    other.restore(detector.snapshot())
    for one in (detector, other):
        one.score("c", START, [1.0])
        assert len(one) == 2
        assert b"\xa1b" not in one.snapshot()
        assert b"\xa1a" in one.snapshot()


def test_memory_of_a_series_is_bounded() -> None:
    """A series takes at most 2 KB in memory, all its objects counted."""
    series = _trained()._series["k"]
    size = sys.getsizeof(series) + sum(sys.getsizeof(getattr(series, name)) for name in series.__slots__)
    assert size <= 2048


def test_wrong_width_naive_time_and_cap_are_refused() -> None:
    """Two values, a time without a zone and an empty cap are programming errors and named."""
    with pytest.raises(ValueError, match="one value per point"):
        Fast().score("k", START, [1.0, 2.0])
    with pytest.raises(TypeError):
        Fast().score("k", datetime(2026, 1, 1), [1.0])  # noqa: DTZ001  # the point of the test
    with pytest.raises(ValueError, match="1 or more"):
        Fast(max_series=0)


def test_snapshot_of_another_version_is_refused() -> None:
    """A snapshot of another version, or of more series than the cap, is refused with the remedy."""
    detector = _trained()
    detector.score("second", START, [1.0])
    with pytest.raises(ValueError, match="replay the journal"):
        detector.restore(detector.snapshot().replace(b"version\x01", b"version\x02"))
    with pytest.raises(ValueError, match="raise it"):
        Fast(max_series=1).restore(detector.snapshot())


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-400_000, 400_000), st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 1.5]))),
        min_size=60,
        max_size=200,
    )
)
def test_any_stream_stays_in_range_and_restarts_unchanged(points: list[tuple[int, float | None]]) -> None:
    """Whatever times and values arrive, scores are in [0, 1] and the same after a restart in the middle."""
    whole, half = Fast(), Fast()
    base = datetime(2026, 3, 1, tzinfo=UTC)
    for row, (minutes, value) in enumerate(points):
        if row == len(points) // 2:
            state = half.snapshot()
            half = Fast()
            half.restore(state)
        at = base + timedelta(minutes=minutes)
        score = whole.score("k", at, [value])
        assert 0.0 <= score.value <= 1.0
        assert half.score("k", at, [value]) == score
    assert half.snapshot() == whole.snapshot()
