"""How a score fades from here on, where no further signal comes: the same arithmetic as the engine's, on a warning as it was told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.levels import NONE, LevelScale
from streams.stages.fuse import FuseStage, Part, Risk
from streams.stages.ledger import Ledger
from streams.stages.windows import MICROSECOND, from_us, to_us


@dataclass(frozen=True, slots=True)
class Share:
    """One contribution with the terms on which it fades, as its rule states them; `half_life` of nothing does not fade."""

    name: str
    full: float
    since: datetime
    half_life: timedelta
    family: str = ""
    cap: float = 100.0
    at_least: str = ""


class Fading:
    """The contributions of one warning over time."""

    def __init__(self, shares: Iterable[Share], scale: LevelScale) -> None:
        """Take contributions of different names."""
        self._fuse = FuseStage(scale, Ledger(0))
        self._risk = Risk("", "", "", shadow=False)
        for share in shares:
            part = self._risk.parts[share.name] = Part("rule", share.name, "")
            part.full, part.since, part.half_life = share.full, to_us(share.since), share.half_life // MICROSECOND
            part.family, part.cap, part.at_least = share.family, share.cap, share.at_least

    def points(self, name: str, at: datetime) -> float:
        """Return the points of one contribution at an instant, before caps."""
        return self._risk.parts[name].points(to_us(at))

    def score(self, at: datetime) -> float:
        """Return the score in [0, 100] at an instant, after the caps of families."""
        return self._fuse.score(self._risk, to_us(at))

    def falls(self, level: str, at: datetime) -> Iterator[tuple[datetime, str]]:
        """Yield when the level falls next and to what, from `level` at the instant `at` down to none, "" for none.

        A level that a contribution without a half-life holds up never falls: nothing more is yielded.
        """
        now, self._risk.level = to_us(at), level
        while self._risk.level != NONE:
            due = self._fuse.next_fall(self._risk, now)
            if due is None:
                return
            now = due
            self._risk.level = self._fuse.level(self._risk, now, self._fuse.score(self._risk, now))
            yield from_us(now), self._risk.level
