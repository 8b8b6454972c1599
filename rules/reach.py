"""How far back indicators and rules look: from when on a fresh one knows all that it ever will, and how long a trial has to warm up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from rules.ruleset import SESSION_GAPS, Indicator, Rule, RuleSet, Window

_PERIODS: Final = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}  # days at most
FOR_EVER: Final = timedelta.max


def window_reach(window: Window) -> timedelta:
    """Return how far before its clock a window begins at most.

    >>> window_reach(Window("month")).days, window_reach(Window("session", timedelta(minutes=30))).days
    (31, 2)
    """
    if window.kind in _PERIODS:
        return timedelta(days=_PERIODS[window.kind])
    return window.length * SESSION_GAPS if window.kind == "session" else window.length


def indicator_reach(indicator: Indicator, ruleset: RuleSet) -> timedelta:
    """Return how far back the signals lie that an indicator rests on, with those that it is made of; FOR_EVER without any bound."""
    below = [indicator_reach(ruleset.indicators[name], ruleset) for name in indicator.made_of if name in ruleset.indicators]
    if indicator.window is None:
        return max(below, default=FOR_EVER)
    return max([*below, window_reach(indicator.window) * (indicator.periods + 1)])


def rule_reach(rule: Rule, ruleset: RuleSet) -> timedelta:
    """Return how far back the signals lie that a rule rests on, without the rules that it refers to."""
    names = (*rule.when.indicators, *(rule.clear.indicators if rule.clear is not None else ()))
    reaches = [indicator_reach(ruleset.indicators[name], ruleset) for name in names if name in ruleset.indicators]
    if rule.sequence is not None:
        reaches.append(rule.sequence.within)
    return max(reaches, default=timedelta(0))


def longest_reach(rulesets: Iterable[RuleSet]) -> timedelta:
    """Return how far back any rule that runs in these sets looks; FOR_EVER where one has no bound."""
    return max(
        (rule_reach(rule, each) for each in rulesets for rule in each.rules if rule.status in {"active", "shadow"}),
        default=timedelta(0),
    )
