"""Onsets, the benchmark's score and the scoring of CSV files."""

from __future__ import annotations

import csv
import math

import pytest

from models.checks import START, STEP, daily_series
from models.evaluate import PROFILES, LabelledSeries, evaluate, onsets, probation, score_csv, score_series
from models.registry import REGISTRY

STANDARD = PROFILES["standard"]


def _series(windows: list[tuple[int, int]], count: int = 1000) -> LabelledSeries:
    return LabelledSeries(name="k", times=[START + row * STEP for row in range(count)], values=[0.0] * count, windows=windows)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0] * 200, [0]),
        ([1.0] + [0.0] * 50 + [1.0], [0]),
        ([1.0] + [0.0] * 51 + [1.0], [0, 52]),
        ([0.998] * 200, []),
    ],
)
def test_an_alarm_is_raised_again_only_after_quiet_points(scores: list[float], expected: list[int]) -> None:
    """A lasting alarm is one onset; the next one needs more than fifty points below the threshold."""
    assert onsets(scores) == expected


def test_no_alarm_scores_zero_and_first_rows_of_all_windows_score_hundred() -> None:
    """The scale is 0 for silence and 100 for an onset at the first row of every window."""
    series = [_series([(300, 349), (600, 649)]), _series([])]
    for profile in PROFILES.values():
        assert evaluate(series, [[], []], profile).score == 0.0
        best = evaluate(series, [[300, 600], []], profile)
        assert best.score == pytest.approx(100.0)
        assert (best.windows_hit, best.windows, best.false_onsets) == (2, 2, 0)


def test_early_earns_more_and_only_the_best_onset_of_a_window_counts() -> None:
    """In a window an early onset earns more than a late one, and further onsets neither add nor cost."""
    series = [_series([(300, 349)])]
    early, middle, late = (evaluate(series, [[row]], STANDARD).score for row in (300, 325, 349))
    assert early > middle > late > 50.0
    assert evaluate(series, [[300, 325, 349]], STANDARD).score == early


def test_false_onsets_cost_by_their_distance_behind_a_window() -> None:
    """An onset before any window costs 0.11 in full, one just behind a window little, far behind it all; low_fp doubles it."""
    series = [_series([(300, 349)])]
    assert evaluate(series, [[200]], STANDARD).score == pytest.approx(-5.5)
    near, far = (evaluate(series, [[row]], STANDARD).score for row in (352, 900))
    assert 0.0 > near > -1.0
    assert far == pytest.approx(-5.5)
    assert evaluate(series, [[200]], PROFILES["low_fp"]).score == pytest.approx(-11.0)


def test_half_found_in_low_fn_is_half() -> None:
    """In the low-FN profile a missed window costs 2, so one of two windows found at once is 50."""
    assert evaluate([_series([(300, 349), (600, 649)])], [[300]], PROFILES["low_fn"]).score == pytest.approx(50.0)


def test_probation_is_not_counted() -> None:
    """Onsets in the first 15 % of a file, 750 rows at most, count neither way."""
    assert (probation(1000), probation(100_000)) == (150, 750)
    assert evaluate([_series([(300, 349)])], [[0, 149]], STANDARD).false_onsets == 0
    assert evaluate([_series([(300, 349)])], [[150]], STANDARD).false_onsets == 1


def test_series_without_any_window_cannot_be_scored() -> None:
    """Without labels there is nothing to earn, and the error says so."""
    with pytest.raises(ValueError, match="no labelled window"):
        evaluate([_series([])], [[]], STANDARD)


def test_fast_finds_planted_spikes_in_a_daily_wave() -> None:
    """With the default threshold the fast detector finds both planted spikes of ten days, with at most one false onset."""
    points = daily_series(1200, spikes=[700, 1000])
    series = LabelledSeries(
        name="k", times=[at for at, _ in points], values=[value for _, value in points], windows=[(690, 710), (990, 1010)]
    )
    scores = [score.value for score in score_series(REGISTRY["fast"](), series)]
    outcome = evaluate([series], [onsets(scores)], STANDARD)
    assert outcome.windows_hit == 2
    assert outcome.false_onsets <= 1


def _csv(rows: list[tuple[str, str]]) -> list[str]:
    return ["时间,压力\n", *(f"{at},{value}\n" for at, value in rows)]


def test_csv_rows_keep_number_order_and_equal_the_detector() -> None:
    """Every row comes back in order with the detector's own score, naive times read as Shanghai's."""
    points = daily_series(300, spikes=[250])
    rows = [(f"{at.replace(tzinfo=None):%Y-%m-%d %H:%M:%S}", repr(value)) for at, value in points]
    lines = list(score_csv(_csv(rows), time="时间", value="压力"))
    table = list(csv.DictReader(lines))
    assert [(row["时间"], row["压力"]) for row in table] == rows
    detector = REGISTRY["fast"]()
    expected = [detector.score("", at, [value]).value for at, value in points]
    assert [float(row["score"]) for row in table] == pytest.approx(expected, abs=1e-6)
    assert "偏高" in table[250]["reason"]


def test_csv_bad_cells_do_not_stop_the_file() -> None:
    """An unreadable time gives an empty score and says so, an unreadable value scores 0, and the rows after them go on."""
    rows = [
        ("2026-03-01T00:00:00+08:00", "1.0"),
        ("昨天", "2.0"),
        ("2026-03-01T00:15:00+08:00", "故障"),
        ("2026-03-01T00:30:00+08:00", "1.0"),
    ]
    table = list(csv.DictReader(score_csv(_csv(rows), time="时间", value="压力")))
    assert [row["score"] for row in table] == ["0.000000", "", "0.000000", "0.000000"]
    assert table[1]["reason"] == "时间无法识别，不评分"
    assert table[2]["reason"] == "无有效数值"


def test_csv_key_column_tells_series_apart() -> None:
    """With a key column two interleaved sensors are scored as if each stood alone."""
    one, two = daily_series(200, seed=1, spikes=[150]), daily_series(200, seed=2)
    mixed = ["t,id,v\n"]
    for (at, value), (_, other) in zip(one, two, strict=True):
        mixed += [f"{at.isoformat()},a,{value!r}\n", f"{at.isoformat()},b,{1000 * other!r}\n"]
    alone = ["t,v\n", *(f"{at.isoformat()},{value!r}\n" for at, value in one)]
    together = [row["score"] for row in csv.DictReader(score_csv(mixed, time="t", value="v", key="id")) if row["id"] == "a"]
    assert together == [row["score"] for row in csv.DictReader(score_csv(alone, time="t", value="v"))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": "t", "value": "压力"}, "no column 't'; the file has: 时间, 压力"),
        ({"time": "时间", "value": "压力", "detector": "slow"}, "unknown detector 'slow'; there are: fast"),
    ],
)
def test_csv_wrong_names_are_refused_with_the_legal_ones(arguments: dict[str, str], message: str) -> None:
    """A column or detector that does not exist is refused at once, before a line is asked for."""
    with pytest.raises(ValueError, match=message):
        score_csv(_csv([]), **arguments)


def test_csv_of_nothing_is_refused() -> None:
    """An empty file has no header, and the error says so."""
    with pytest.raises(ValueError, match="no header"):
        score_csv([], time="t", value="v")


def test_position_alone_scores_below_the_detector() -> None:
    """On a planted series alarms at fixed positions earn less than the detector: the measure does not reward ignoring the data."""
    points = daily_series(2400, spikes=[700, 1500, 2100])
    windows = [(690, 710), (1490, 1510), (2090, 2110)]
    series = LabelledSeries(name="k", times=[at for at, _ in points], values=[value for _, value in points], windows=windows)
    scores = [score.value for score in score_series(REGISTRY["fast"](), series)]
    real = evaluate([series], [onsets(scores)], STANDARD).score
    fixed = max(evaluate([series], [list(range(0, 2400, period))], STANDARD).score for period in (60, 130, 410, 830))
    assert real > fixed + 20.0
    assert not math.isnan(real)
