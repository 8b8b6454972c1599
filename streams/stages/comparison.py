"""The nightly comparison of objects (同类比对): what the objects' model finds becomes contributions to their scores."""

from __future__ import annotations

from typing import Final

from domain.findings import Outcome
from domain.messages import text
from streams.stages.fuse import FuseStage, Part, Risk
from streams.stages.indicators import IndicatorStage, Moment
from streams.stages.models import ObjectFinding, ObjectModel
from streams.stages.raising import RaiseStage
from streams.stages.rules import RuleStage
from streams.stages.wakes import Wakes

OBJECT_MODEL: Final = "objects"


class Comparison:
    """Runs the model and brings its contributions up to date: at most `points` each, halving every `half_life` microseconds."""

    def __init__(
        self, model: ObjectModel, indicators: IndicatorStage, rules: RuleStage, fuse: FuseStage, raising: RaiseStage, wakes: Wakes,
        *, points: float, half_life: int,
    ) -> None:  # fmt: skip
        self._model = model
        self._indicators = indicators
        self._rules = rules
        self._fuse = fuse
        self._raising = raising
        self._wakes = wakes
        self._points = points
        self._half_life = half_life

    def run(self, at: int) -> list[Outcome]:
        """Score all objects of all sectors at `at`; what was found the night before and is not found again is dropped."""
        before = [risk for risk in self._fuse.all() if OBJECT_MODEL in risk.parts]
        for risk in before:
            self._fuse.drop(risk, OBJECT_MODEL)
        touched = {(risk.subject, risk.shadow, risk.matter): risk for risk in before}
        moments: dict[str, Moment] = {}
        for finding in self._model.run(self._indicators):
            moment = self._rules.last_moment(finding.subject)
            if moment is not None:
                risk = self._add(finding, moment, at)
                touched[risk.subject, risk.shadow, risk.matter] = risk
                moments[risk.subject] = moment
        outcomes: list[Outcome] = []
        for risk in touched.values():
            outcomes.extend(self._raising.settle(risk, at, moment=moments.get(risk.subject), rescored=True))
            self._wakes.schedule(risk)
        return outcomes

    def _add(self, finding: ObjectFinding, moment: Moment, at: int) -> Risk:
        """Add the model's contribution to the risk of an object that it found unusual."""
        matter, sector = self._rules.matter(finding.sector, moment)
        risk = self._fuse.risk(finding.subject, matter, sector, shadow=False)
        part = risk.parts[OBJECT_MODEL] = Part("model", OBJECT_MODEL, text("model.objects"))
        part.full = self._points * finding.share
        part.since, part.half_life = at, self._half_life
        part.message, part.values = finding.score.reason, {"score": finding.score.value}
        return risk
