"""How good is a detector, and what does it say about a file: pure functions for the command line and the benchmarks.

Alarms are onsets: an alarm is raised again only after a number of quiet points. An onset counts by the rules of the Numenta Anomaly
Benchmark (A. Lavin, S. Ahmad, "Evaluating real-time anomaly detection algorithms", ICMLA 2015): the first in a labelled window earns up to
1, more when it is early; a missed window costs 1; an onset outside costs up to 0.11; the first 15 % of a file (750 points at most) are not
counted. There is no point adjustment, no merging and no overlap score: those reward alarms that ignore the data.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from domain.instants import SHANGHAI
from domain.messages import text
from domain.ports import Detector, Score
from models.registry import REGISTRY

QUIET: Final = 50  # points below the threshold before an alarm is raised again
THRESHOLD: Final = 0.999
PROBATION_SHARE: Final = 0.15
PROBATION_MOST: Final = 750  # points


@dataclass(frozen=True, slots=True)
class Profile:
    """What a missed window and an onset outside every window cost; a window found earns 1 at most."""

    miss: float
    false: float


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {"standard": Profile(1.0, 0.11), "low_fp": Profile(1.0, 0.22), "low_fn": Profile(2.0, 0.11)}
)


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """A series with its labelled windows: first and last row of each, 0-based, in order, not overlapping."""

    name: str
    times: Sequence[datetime]
    values: Sequence[float | None]
    windows: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a set of alarms earned on labelled series; `score` is 0 for no alarm at all and 100 for perfect ones."""

    score: float
    windows_hit: int
    windows: int
    false_onsets: int


def score_series(detector: Detector, series: LabelledSeries) -> list[Score]:
    """Score the points in their order, each before it is learnt."""
    return [detector.score(series.name, at, (value,)) for at, value in zip(series.times, series.values, strict=True)]


def onsets(scores: Sequence[float], threshold: float = THRESHOLD, quiet: int = QUIET) -> list[int]:
    """Return the rows where an alarm begins: at or above `threshold`, after more than `quiet` rows below it.

    >>> onsets([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0], threshold=0.9, quiet=1)
    [1, 6]
    """
    found, last = [], -math.inf
    for row, score in enumerate(scores):
        if score >= threshold:
            if row - last > quiet + 1:
                found.append(row)
            last = row
    return found


def probation(length: int) -> int:
    """Return how many rows at the start of a file of `length` rows are not counted."""
    return min(int(PROBATION_SHARE * length), PROBATION_MOST)


def evaluate(series: Sequence[LabelledSeries], alarms: Sequence[Sequence[int]], profile: Profile) -> Outcome:
    """Score the onsets of each series against its windows.

    Raises:
        ValueError: there is no labelled window in all the series, so nothing can be earned.
    """
    total, hit, windows, false = 0.0, 0, 0, 0
    for one, rows in zip(series, alarms, strict=True):
        start = probation(len(one.times))
        best: dict[int, float] = {}
        for row in rows:
            if row < start:
                continue
            window = next((k for k, (first, last) in enumerate(one.windows) if first <= row <= last), None)
            if window is None:
                false += 1
                total += profile.false * _outside(one.windows, row)
            else:
                best[window] = max(best.get(window, -1.0), _inside(one.windows[window], row))
        total += sum(best.values()) + profile.miss * len(best)
        hit += len(best)
        windows += len(one.windows)
    if not windows:
        raise ValueError("the series hold no labelled window; there is nothing to score")
    return Outcome(score=100.0 * total / (windows * (1.0 + profile.miss)), windows_hit=hit, windows=windows, false_onsets=false)


def _sigmoid(position: float) -> float:
    """Return the benchmark's weight of a position relative to a window's end, in window widths."""
    return 2.0 / (1.0 + math.exp(min(5.0 * position, 500.0))) - 1.0


def _inside(window: tuple[int, int], row: int) -> float:
    """Return what an onset in `window` earns: 1 at its first row, towards 0 at its last."""
    first, last = window
    return _sigmoid(-(last - row + 1.0) / (last - first + 1.0)) / _sigmoid(-1.0)


def _outside(windows: Sequence[tuple[int, int]], row: int) -> float:
    """Return the weight in [-1, 0] of an onset outside: little shortly after a window, all of it from three widths on."""
    before = [window for window in windows if window[1] < row]
    if not before:
        return -1.0
    first, last = before[-1]
    distance = (row - last) / (last - first) if last > first else math.inf
    return -1.0 if distance > 3.0 else _sigmoid(distance)


def score_csv(lines: Iterable[str], *, time: str, value: str, key: str = "", detector: str = "fast") -> Iterator[str]:
    """Score a CSV text line by line and yield a CSV text with the columns time, (key,) value, score, expected, reason.

    Times without an offset are Asia/Shanghai. With `key`, the column of that name tells several series apart. A row whose time cannot be
    read gets an empty score and says so; a value that is empty or no number scores 0. Rows keep their number and order.

    Raises:
        ValueError: a column or the detector does not exist; the message lists those that do.
    """
    if detector not in REGISTRY:
        raise ValueError(f"unknown detector {detector!r}; there are: {', '.join(REGISTRY)}")
    reader = csv.DictReader(lines, restval="")
    columns = list(reader.fieldnames or ())
    for name in (time, value, *([key] if key else [])):
        if name not in columns:
            raise ValueError(f"no column {name!r}; the file has: {', '.join(columns) or 'no header'}")
    return _scored_rows(reader, time, value, key, REGISTRY[detector]())


def _scored_rows(reader: csv.DictReader[str], time: str, value: str, key: str, model: Detector) -> Iterator[str]:
    """Yield the header and one line per row of `reader`."""
    yield _line([time, *([key] if key else []), value, "score", "expected", "reason"])
    for row in reader:
        head = [row[time], *([row[key]] if key else []), row[value]]
        at = _moment(row[time])
        if at is None:
            yield _line([*head, "", "", text("model.bad_time")])
            continue
        answer = model.score(row[key] if key else "", at, (_value(row[value]),))
        expected = "" if answer.expected is None else repr(answer.expected)
        yield _line([*head, f"{answer.value:.6f}", expected, answer.reason])


class _LastLine:
    """The file that `csv.writer` wants: keeps the last line."""

    def __init__(self) -> None:
        self.line = ""

    def write(self, line: str) -> None:
        self.line = line


def _line(cells: Sequence[str]) -> str:
    """Return the cells as one CSV line with its line end."""
    last = _LastLine()
    csv.writer(last, lineterminator="\n").writerow(cells)
    return last.line


def _moment(cell: str) -> datetime | None:
    """Return the instant of a cell, None when it is none."""
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def _value(cell: str) -> float | None:
    """Return the number of a cell, None when it is none."""
    try:
        return float(cell)
    except ValueError:
        return None
