"""Warming (预热): from when on an indicator knows its whole window, and with it the rules that read it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from rules.reach import window_reach
from rules.ruleset import Rule, RuleSet, course_of
from streams.stages.rule_plans import RulePlan, same_course
from streams.stages.windows import MICROSECOND


def follow(since: MutableMapping[str, int], before: Mapping[str, RulePlan], plans: Mapping[str, RulePlan], now: int) -> None:
    """Note in `since` from when on the sequences of the rules `plans` are followed, after those of `before`; others are forgotten."""
    known = {name: since.pop(course_of(name), now) for name, plan in before.items() if plan.sequence is not None}
    for name, plan in plans.items():
        if plan.sequence is not None:
            earlier = name if name in known else plan.rule.renamed_from
            kept = earlier in known and same_course(plan, before[earlier])
            since[course_of(name)] = known[earlier] if kept else now


def complete_from(ruleset: RuleSet, since: Mapping[str, int]) -> dict[str, int]:
    """Return from when on each indicator of `ruleset` knows its whole window, given since when it counts (microseconds).

    One without a window is complete from its start; one made of others when all of them are.
    """
    found: dict[str, int] = {}
    for name, each in ruleset.indicators.items():  # inputs stand before users
        reach = window_reach(each.window) // MICROSECOND * (each.periods + 1) if each.window is not None else 0
        own = since[name] + reach if name in since and each.formula is None else 0
        found[name] = max([own, *(found.get(other, 0) for other in each.made_of)])
    return found


def rules_complete_from(ruleset: RuleSet, since: Mapping[str, int]) -> dict[str, int]:
    """Return from when on each rule knows all that it reads; a sequence has to have been followed for as long as it may take."""
    indicators = complete_from(ruleset, since)
    return {rule.id: max([0, *_needs(rule, indicators, since)]) for rule in ruleset.rules}


def _needs(rule: Rule, indicators: Mapping[str, int], since: Mapping[str, int]) -> list[int]:
    read = [indicators.get(name, 0) for name in rule.when.indicators]
    if rule.sequence is not None and course_of(rule.id) in since:
        read.append(since[course_of(rule.id)] + rule.sequence.within // MICROSECOND)
    return read
