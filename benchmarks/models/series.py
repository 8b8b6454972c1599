"""Score the series detectors on a folder of labelled series.

    python benchmarks/models/series.py DATA [--threshold 0.999] [--configurations N]

DATA holds <folder>/<name>.csv (timestamp,value) and windows.json (file -> [[start, end], ...]), the layout of the Numenta Anomaly
Benchmark. One parameter set and one threshold for all files; alarms are onsets that repeat only after 50 quiet points. `tuned` chooses the
threshold on the labels and is an upper bound; `folds` chooses it on four fifths of the files and counts the last fifth, five times.
The rows random, all-positive and position-only ignore the data: what they reach is what the measure gives away.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.evaluate import PROFILES, LabelledSeries, Outcome, evaluate, onsets, score_series
from models.registry import REGISTRY

THRESHOLDS = [1.0 - 10.0**-exponent for exponent in np.arange(1.0, 6.01, 0.125)]
FOLDS = 5
PERIODS = (60, 100, 200, 400, 800, 1600, 3200)


def read(folder: Path) -> list[LabelledSeries]:
    windows = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    series = []
    for name, spans in sorted(windows.items()):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        times = [_moment(row["timestamp"]) for row in rows]
        position = {}
        for row, at in enumerate(times):
            position.setdefault(at, row)
        labels = [(position[_moment(start)], position[_moment(end)]) for start, end in spans]
        series.append(LabelledSeries(name=name, times=times, values=[float(row["value"]) for row in rows], windows=labels))
    return series


def _moment(cell: str) -> datetime:
    return datetime.fromisoformat(cell).replace(tzinfo=UTC)


def tuned(series: Sequence[LabelledSeries], scores: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the best standard score over all thresholds, and the threshold."""
    return max((evaluate(series, [onsets(s, t) for s in scores], PROFILES["standard"]).score, t) for t in THRESHOLDS)


def folds(series: Sequence[LabelledSeries], scores: Sequence[Sequence[float]]) -> float:
    """Return the standard score with each file's threshold chosen on the files of the other folds."""
    alarms: list[list[int]] = [[] for _ in series]
    for fold in range(FOLDS):
        rest = [row for row in range(len(series)) if row % FOLDS != fold]
        _, threshold = tuned([series[row] for row in rest], [scores[row] for row in rest])
        for row in range(fold, len(series), FOLDS):
            alarms[row] = onsets(scores[row], threshold)
    return evaluate(series, alarms, PROFILES["standard"]).score


def line(name: str, outcomes: dict[str, Outcome], *more: str) -> str:
    first = outcomes["standard"]
    figures = [f"{outcome.score:6.1f}" for outcome in outcomes.values()]
    return " ".join([f"{name:14}", *figures, f"{first.windows_hit:4}/{first.windows}", f"{first.false_onsets:6}", *more])


def judge(series: Sequence[LabelledSeries], alarms: Sequence[Sequence[int]]) -> dict[str, Outcome]:
    return {name: evaluate(series, alarms, profile) for name, profile in PROFILES.items()}


def detector_line(name: str, series: Sequence[LabelledSeries], threshold: float) -> str:
    points = sum(len(one.times) for one in series)
    cost, size = [], 0
    scores: list[list[float]] = []
    for _ in range(3):
        detectors = [REGISTRY[name]() for _ in series]
        begin = time.process_time()
        scores = [[score.value for score in score_series(detector, one)] for detector, one in zip(detectors, series, strict=True)]
        cost.append((time.process_time() - begin) / points * 1e6)
        size = max(len(detector.snapshot()) for detector in detectors)
    best, at = tuned(series, scores)
    more = [f"{best:6.1f} @{at:.5f}", f"{folds(series, scores):6.1f}", f"{statistics.median(cost):6.2f}", f"{size:6}"]
    more += [f"{np.mean([value >= level for one in scores for value in one]):.4f}" for level in (0.9, 0.995, 0.999)]
    return line(name, judge(series, [onsets(one, threshold) for one in scores]), *more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threshold", type=float, default=0.999, help="frozen alarm threshold in [0, 1]")
    parser.add_argument("--configurations", type=int, default=0, help="how many were tried on these labels, for the record")
    arguments = parser.parse_args()
    series = read(arguments.data)
    windows = sum(len(one.windows) for one in series)
    print(
        f"{len(series)} series, {sum(len(one.times) for one in series)} points, {windows} windows; frozen threshold {arguments.threshold};"
    )
    print(f"{arguments.configurations or 'unknown number of'} configurations tried on these labels")
    print("detector       standard low_fp low_fn  hit  false  tuned          folds us/point bytes >=.9 >=.995 >=.999")
    for name in REGISTRY:
        print(detector_line(name, series, arguments.threshold))
    generator = np.random.default_rng(0)
    noise = [[float(value) for value in generator.random(len(one.times))] for one in series]
    best, at = tuned(series, noise)
    print(line("random", judge(series, [onsets(one, arguments.threshold) for one in noise]), f"{best:6.1f} @{at:.5f}"))
    print(line("all-positive", judge(series, [onsets([1.0] * len(one.times), arguments.threshold) for one in series])))
    print(line("every row", judge(series, [list(range(len(one.times))) for one in series])))
    fixed = [judge(series, [list(range(0, len(one.times), period)) for one in series]) for period in PERIODS]
    best_fixed = max(range(len(PERIODS)), key=lambda row: fixed[row]["standard"].score)
    print(line("position-only", fixed[best_fixed], f"every {PERIODS[best_fixed]} rows, the best of {len(PERIODS)} periods on the labels"))


if __name__ == "__main__":
    main()
