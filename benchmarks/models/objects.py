"""Score the vector detectors on a folder of labelled tables.

    python benchmarks/models/objects.py DATA [--configurations N]

DATA holds *.npz with X (rows by columns) and y (1: anomaly), the layout of ADBench. Per table and seed: at most 10,000 rows, 70 % to fit
and 30 % to score, stratified, min-max on the fitted part. Figures are means over five seeds; parameters are fixed for all tables.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from models.registry import VECTOR_REGISTRY

SEEDS = range(5)
ROWS = 10_000

Scorer = Callable[[Any, Any, int], list[float]]


def detector(name: str) -> Scorer:
    def score(fitted: Any, rest: Any, seed: int) -> list[float]:
        del seed  # the detector has its own
        model = VECTOR_REGISTRY[name]()
        model.fit(fitted.tolist(), [f"x{column}" for column in range(fitted.shape[1])])
        return [answer.value for answer in model.score(rest.tolist())]

    return score


SCORERS: dict[str, Scorer] = {
    **{name: detector(name) for name in VECTOR_REGISTRY},
    "random": lambda _, rest, seed: np.random.default_rng(seed).random(len(rest)).tolist(),
    "all-positive": lambda _, rest, __: [1.0] * len(rest),
    "position-only": lambda _, rest, __: list(range(len(rest))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--configurations", type=int, default=0, help="how many were tried on these labels, for the record")
    arguments = parser.parse_args()
    tables = sorted(arguments.data.glob("*.npz"))
    figures: dict[str, list[list[float]]] = {name: [] for name in SCORERS}
    for path in tables:
        with np.load(path) as table:
            x, y = table["X"], table["y"]
        for name, scorer in SCORERS.items():
            figures[name].append(np.mean([_one(x, y, scorer, seed) for seed in SEEDS], axis=0).tolist())
        print(
            f"{path.stem:24}", " ".join(f"{name} {100 * figures[name][-1][0]:5.1f}/{100 * figures[name][-1][1]:5.1f}" for name in SCORERS)
        )
    print(f"{len(tables)} tables, {arguments.configurations or 'unknown number of'} configurations tried; mean AUCROC / AUCPR, us per row")
    for name, rows in figures.items():
        roc, precision, cost = np.mean(rows, axis=0)
        print(f"{name:14} {100 * roc:5.1f} / {100 * precision:5.1f}  {cost:8.1f}")


def _one(x: Any, y: Any, scorer: Scorer, seed: int) -> tuple[float, float, float]:
    """Return AUCROC, AUCPR and the CPU µs per row, fit included, of one split."""
    keep = np.random.default_rng(seed).permutation(len(x))[:ROWS]
    fitted, rest, _, truth = train_test_split(x[keep], y[keep], test_size=0.3, random_state=seed, stratify=y[keep])
    scale = MinMaxScaler().fit(fitted)
    begin = time.process_time()
    scores = scorer(scale.transform(fitted), scale.transform(rest), seed)
    cost = (time.process_time() - begin) / len(keep) * 1e6
    return float(roc_auc_score(truth, scores)), float(average_precision_score(truth, scores)), cost


if __name__ == "__main__":
    main()
