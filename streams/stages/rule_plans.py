"""Rules as the engine runs them, and which of them a signal concerns.

Everything here follows from the rule set alone, so none of it is in a snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.instants import EPOCH
from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import Signal
from rules.ruleset import Facts, Rule, RuleSet, Value
from streams.stages.indicators import By, Combination, Moment, blank, settles
from streams.stages.making import unseen
from streams.stages.windows import MICROSECOND, NEVER, to_us

OBJECT_FIELD: Final = "object."
CONCERNS_LIMIT: Final = 65_536  # remembered; then the memory starts again


class RulePlan:
    """A rule as this stage runs it; `of_signal` says that its condition reads fields of the signal at hand."""

    __slots__ = ("cooldown", "ends", "from_nothing", "id", "inputs", "of_signal", "reads", "rule", "shadow", "starts", "test", "unsteady")

    def __init__(self, rule: Rule, ruleset: RuleSet) -> None:
        self.rule = rule
        self.id = rule.id
        self.reads = rule.when.indicators
        read = [ruleset.indicators[name] for name in self.reads if name in ruleset.indicators]
        self.inputs: tuple[tuple[str, By, Value], ...] = tuple((each.name, each.by, unseen(each)) for each in read)
        self.shadow = rule.status == "shadow"
        self.of_signal = any(name != "object" and not name.startswith(OBJECT_FIELD) for name in rule.when.fields)
        foreign = any(each.by != rule.by for each in read)
        self.unsteady = bool(rule.when.fields) or foreign or any(each.fluid for each in read)  # may change at any signal of the subject
        # May it be true where nothing was ever seen? Only then must a new subject's other rules be read.
        self.from_nothing = not rule.when.fields and rule.when.evaluate(_nothing(rule, ruleset)) is True
        self.test = rule.when.evaluate
        self.cooldown = rule.cooldown // MICROSECOND
        self.starts = -NEVER if rule.effective_from is None else to_us(rule.effective_from)
        self.ends = NEVER if rule.effective_to is None else to_us(rule.effective_to)


def _nothing(rule: Rule, ruleset: RuleSet) -> Facts:
    """Return facts with every indicator of a rule never seen; the signal is not looked at."""
    signal = Signal(id="", source="other", kind="", occurred_at=EPOCH)
    values = {name: unseen(ruleset.indicators[name]) for name in rule.when.indicators if name in ruleset.indicators}
    return Facts(SignalEntry(feed="", signal=signal, resolution=Resolution(), digest=""), None, values)


@dataclass(frozen=True, slots=True)
class Concern:
    """The rules that a signal concerns, in the order of the rule set: those to be read, and those that cannot be true at it."""

    read: tuple[RulePlan, ...]
    untrue: tuple[RulePlan, ...]


class Group:
    """The rules about one kind of subject, with those that each indicator concerns."""

    def __init__(self, by: By, plans: list[RulePlan]) -> None:
        self.by = by
        self.plans = plans
        self._concerns: dict[tuple[bool, tuple[str, ...], Combination], Concern] = {}

    def concern(self, changed: tuple[str, ...], moment: Moment, *, new: bool) -> Concern:
        """Return what a signal concerns that changed these indicators of a `new` subject or another.

        A rule that is false with nothing known but the signal's discrete fields is false whatever else is known.
        """
        known = self._concerns.get((new, changed, moment.combination))
        if known is None:
            names, bare = set(changed), blank(moment.facts)
            read: list[RulePlan] = []
            untrue: list[RulePlan] = []
            for plan in self.plans:
                if plan.unsteady or (new and plan.from_nothing) or not names.isdisjoint(plan.reads):
                    alone = Facts(bare.entry, None, dict.fromkeys(plan.reads))
                    hopeless = plan.of_signal and settles(plan.rule.when) and plan.test(alone) is False
                    (untrue if hopeless else read).append(plan)
            if len(self._concerns) >= CONCERNS_LIMIT:
                self._concerns.clear()
            known = self._concerns[new, changed, moment.combination] = Concern(tuple(read), tuple(untrue))
        return known
