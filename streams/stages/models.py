"""Anomaly models in the stream: detectors over one indicator's values, and one over the vectors of all objects of a sector.

A series detector is fed with the indicator's value after each update, in the order of the records. It cannot unlearn: a withdrawn
signal leaves the values learnt from it, as it leaves them in the memory of a person who saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from domain.errors import NotFound
from domain.ports import Detector, PeerComparison, Score
from rules.ruleset import Indicator, RuleSet
from streams.stages.cells import number
from streams.stages.indicators import IndicatorStage
from streams.stages.windows import from_us, night_after

_NOT_COMPARED: Final = frozenset(
    {"first", "last", "anomaly", "ratio", "formula", "history", "spike", "flatline", "peers"}
)  # no numbers of their own
VECTOR_WIDTH: Final = 2  # a sector needs at least so many indicators for its objects to be compared


class SeriesDetectors:
    """One detector per anomaly indicator; it tells the series of different keys apart by the key's name."""

    def __init__(self, registry: Mapping[str, Callable[[], Detector]]) -> None:
        self._registry = registry
        self._running: dict[str, Detector] = {}

    def start(self, indicator: Indicator) -> None:
        """Begin a fresh detector for `indicator`.

        Raises:
            NotFound: no detector of this name is registered.
        """
        make = self._registry.get(indicator.detector)
        if make is None:
            legal = ", ".join(sorted(self._registry)) or "none is registered"
            raise NotFound(f"indicator {indicator.name}: unknown detector {indicator.detector!r}; legal: {legal}")
        self._running[indicator.name] = make()

    def stop(self, name: str) -> None:
        """Forget the detector of this indicator."""
        self._running.pop(name, None)

    def score(self, name: str, key: str, at: int, value: object) -> float:
        """Return the score in [0, 1] of `value` at `at` (microseconds) for the series `key`, and learn from it."""
        return self._running[name].score(key, from_us(at), (number(value),)).value

    def dump(self, only: Callable[[str], bool] | None = None) -> dict[str, bytes]:
        """Return each detector's own snapshot by indicator, of those series alone whose keys are asked for."""
        return {name: detector.snapshot(only) for name, detector in self._running.items()}

    def load(self, state: Mapping[str, bytes]) -> None:
        """Take up the snapshots of detectors that were started before."""
        for name, detector in state.items():
            self._running[name].restore(detector)


class ObjectFinding:
    """An object that its sector's model finds unusual: `share` in (0, 1] of the way from the threshold to certainty."""

    __slots__ = ("score", "sector", "share", "subject")

    def __init__(self, subject: str, sector: str, share: float, score: Score) -> None:
        self.subject = subject
        self.sector = sector
        self.share = share
        self.score = score


class ObjectModel:
    """Compares the objects of each sector by the indicators that its rules read, once a day at 03:00 in Shanghai.

    Only a day in which signals came is scored. At most `fitted` objects, evenly spread over those in order of their id, are learnt
    from; all are scored. `threshold` is the score above which an object is a finding.
    """

    def __init__(self, make: Callable[[], PeerComparison] | None, *, threshold: float, fitted: int) -> None:
        self._make = make
        self._threshold = threshold
        self._fitted = fitted
        self._vectors: dict[str, list[Indicator]] = {}
        self._rows: dict[str, dict[str, tuple[float | None, ...]]] = {}  # by sector and object, as they stood the night before
        self.due: int | None = None

    def activate(self, ruleset: RuleSet) -> None:
        """Choose the indicators of each sector: the numeric ones of objects that its active rules with points read."""
        sectors: dict[str, dict[str, Indicator]] = {}
        for rule in ruleset.rules:
            if rule.status != "active" or rule.by != "object" or not rule.points:
                continue
            for name in rule.when.indicators:
                indicator = ruleset.indicators.get(name)
                if indicator is not None and indicator.by == "object" and indicator.aggregate not in _NOT_COMPARED:
                    sectors.setdefault(rule.sector, {})[name] = indicator
        self._vectors = {sector: list(found.values()) for sector, found in sectors.items() if len(found) >= VECTOR_WIDTH}
        self._rows = {sector: {} for sector in self._vectors}

    def saw(self, now: int) -> None:
        """A signal came at `now`: the next night's scoring is due."""
        if self.due is None and self._make is not None and self._vectors:
            self.due = night_after(now)

    def run(self, indicators: IndicatorStage) -> list[ObjectFinding]:
        """Fit and score every sector; findings in order of sector, then object id. Only objects that were stirred since are read again."""
        self.due = None
        stirred = indicators.take_stirred()
        return [finding for sector in sorted(self._vectors) for finding in self._sector(sector, indicators, stirred)]

    def _sector(self, sector: str, indicators: IndicatorStage, stirred: Iterable[str]) -> list[ObjectFinding]:
        columns, rows = self._vectors[sector], self._rows[sector]
        names = [indicator.name for indicator in columns]
        for key in stirred:
            values = indicators.vector(names, key)
            if values is None:
                rows.pop(key, None)
            else:
                rows[key] = tuple(number(value) for value in values)
        if self._make is None or not rows:
            return []
        keys = sorted(rows)
        titles = [indicator.title or indicator.name for indicator in columns]
        found = self._make().unusual([rows[key] for key in keys], titles, learnt=self._fitted, above=self._threshold)
        span = 1.0 - self._threshold
        return [ObjectFinding(keys[place], sector, (score.value - self._threshold) / span, score) for place, score in found]

    def dump(self) -> dict[str, Any]:
        """Return when the next scoring is due; models are fitted anew each time."""
        return {"due": self.due}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up `dump`."""
        self.due = state["due"]
