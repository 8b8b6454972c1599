"""Objects whose windows and rules another engine runs (`streams.kernel`), while scores and warnings are worked out here as for all others.

The other engine says which rules are true at a signal that something may follow from. It is asked back through `sync` (until when were the
rules behind a risk true) and `tell` (what do they read, and which signals are behind them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, NamedTuple

from domain.levels import LevelScale
from streams.stages.fuse import Risk
from streams.stages.indicators import Moment

if TYPE_CHECKING:
    from streams.stages.contributions import Contributions
    from streams.stages.effects import Effects
    from streams.stages.snapshot import Stages


class Truth(NamedTuple):
    """A rule with points that is true at a signal: when the object's last signal before at which it was true was received; does it hit?"""

    rule: str
    since: int
    hit: bool


class Remote:
    """What the runtime of another engine asks of the stages."""

    def __init__(self, stages: Stages, contributions: Contributions, scale: LevelScale) -> None:
        self._stages = stages
        self._contributions = contributions
        self._scale = scale

    def heed(self, sync: Callable[[Risk], None], tell: Callable[[Risk, int], bool]) -> None:
        """Ask the other engine back from here on; `tell` is False for an object that is run here."""
        refresh = self._stages.raising.refresh

        def either(risk: Risk, now: int) -> None:
            if not tell(risk, now):
                refresh(risk, now)

        self._stages.fuse.sync = sync
        self._stages.raising.refresh = either

    def saw(self, source: str, feed: str) -> None:
        """A signal of this source came from a feed."""
        self._stages.feeds.saw(source, feed)

    def stand(self, moment: Moment, truths: Iterable[Truth], effects: Effects, now: int, version: str) -> list[str]:
        """Let rules that are true at a signal contribute; return those whose contribution is new."""
        return [truth.rule for truth in truths if self._contributions.stand(truth, moment, effects, now, version)]

    def begin(self, rule: str, moment: Moment, since: int, now: int, version: str) -> bool:
        """Let a rule contribute since the signal of `moment`, true last at `since`; False where that has faded away by `now`."""
        return self._contributions.begin(rule, moment, since, now, version)

    def open(self, subject: str) -> bool:
        """Tell whether an object has an open warning."""
        return any(risk.episode is not None for risk in self.risks(subject))

    def risks(self, subject: str) -> Iterable[Risk]:
        """Return the risks of an object."""
        return self._stages.fuse.risks.get(subject, {}).values()

    def rise_at(self, subject: str) -> float:
        """Return a score below which no level of an object can rise."""
        levels = self._scale.levels
        ranks = (self._scale.rank(risk.level) for risk in self.risks(subject))
        return min((levels[rank].at for rank in ranks if rank < len(levels)), default=math.inf)

    def near(self, until: int) -> list[Risk]:
        """Return the risks that time may change by `until`."""
        return self._stages.wakes.near(until)

    def describe(self, risk: Risk, true: Container[str], moment: Moment) -> None:
        """Let the contributions of rules that are `true` at an object's newest signal say what they read there."""
        rules = self._stages.rules
        for name, part in risk.parts.items():
            if name in true:
                part.values, part.message = rules.proofs.describe(rules.plans[name], risk.subject, moment)

    def adopt(self, other: Remote, subject: str) -> None:
        """Take up what the stages of another pipeline know of an object, in place of what is known here."""
        mine, theirs = self._stages, other._stages  # another of the same class
        mine.indicators.keys[subject] = theirs.indicators.keys[subject]
        mine.rules.subjects[subject] = theirs.rules.subjects[subject]
        mine.ledger.adopt(theirs.ledger)
        mine.raising.replace(self.risks(subject), other.risks(subject))
        mine.fuse.risks[subject] = theirs.fuse.risks.get(subject, {})
        for risk in self.risks(subject):
            risk.due = None
            mine.wakes.schedule(risk)
