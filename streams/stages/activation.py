"""Activation (启用): another rule set in all stages, between two records; nothing is raised by that."""

from __future__ import annotations

from domain.ports import History
from domain.records import Prepared
from rules.ruleset import RuleSet
from streams.stages.backfill import Away, Detectors
from streams.stages.grafting import Past
from streams.stages.ledger import Live
from streams.stages.snapshot import Stages
from streams.stages.warming import follow, rules_complete_from


class Activation:
    """Switches the stages of one pipeline."""

    def __init__(self, stages: Stages, detectors: Detectors, history: History | None, waiting: int, away: Away) -> None:
        """`history` is asked for the records before an activation that is to count from the past on; `away` which do not count here.

        Of those whose object nobody knew then, the newest `waiting` are remembered.
        """
        self._stages = stages
        self._past = Past(stages.ledger, stages.series, stages.indicators, stages.rules, detectors, history, waiting, away)

    def switch(self, ruleset: RuleSet, before: RuleSet, seq: int, prepared: Prepared | None, now: int) -> list[Live]:
        """Run `ruleset` in the place of `before` from record `seq` on, at `now`; return what `Past.count_back` does.

        Raises:
            NotFound: records that its new indicators are to be counted from are not at hand.
        """
        stages = self._stages
        stages.raising.ruleset = ruleset.version
        stages.indicators.activate(ruleset, now)
        untold = self._past.count_back(ruleset, before, seq, prepared) if prepared is not None else []
        plans = stages.rules.plans
        stages.rules.activate(ruleset, now)
        stages.fuse.rename({rule.renamed_from: rule.id for rule in ruleset.rules if rule.renamed_from})
        follow(stages.indicators.warming_since, plans, stages.rules.plans, now)
        self.note(ruleset)
        stages.model.activate(ruleset)
        return untold

    def note(self, ruleset: RuleSet) -> None:
        """Tell who makes warnings from when on each rule knows all that it reads."""
        self._stages.raising.complete = rules_complete_from(ruleset, self._stages.indicators.warming_since)
