"""What a rule that is true rests on: its signals, the values that it read, and whether a signal tells it anything new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rules.facts import Facts
from rules.ruleset import course_of, truth_of
from streams.stages.indicators import IndicatorStage, Moment
from streams.stages.ledger import Live
from streams.stages.rule_plans import RulePlan
from streams.stages.values import Values, field_value

if TYPE_CHECKING:
    from streams.stages.rules import RuleStage


class Proofs:
    """Answers from the state of the rules and the windows; it keeps none of its own."""

    def __init__(self, rules: RuleStage, indicators: IndicatorStage) -> None:
        self._rules = rules
        self._indicators = indicators

    def repeats(self, plan: RulePlan, moment: Moment, earlier: Iterable[Facts]) -> bool:
        """Tell whether the moment's signal says no more to a rule than a content of it that it replaced: a revision is no new evidence.

        The same facts are the same time, object and fields that the rule reads, and the same to every indicator that it reads.
        """
        return any(self._same(plan, moment.facts, old) for old in earlier)

    def _same(self, plan: RulePlan, new: Facts, old: Facts) -> bool:
        one, other = old.entry, new.entry
        if one.signal.occurred_at != other.signal.occurred_at or one.resolution.object_id != other.resolution.object_id:
            return False
        if any(field_value(name, new) != field_value(name, old) for name in plan.rule.when.fields):
            return False
        return all(self._tells(name, new) == self._tells(name, old) for name in plan.rests)

    def _tells(self, name: str, facts: Facts) -> object:
        """Return what a signal is to an indicator or a course; what it is to a score is what it is to the score's input."""
        rule = self._rules.plans.get(name.removeprefix(course_of("")))
        if rule is not None and rule.sequence is not None and name == course_of(rule.id):
            return rule.sequence.first.evaluate(facts) is True, rule.sequence.then.evaluate(facts) is True
        plan = self._indicators.plans.get(name)
        while plan is not None and plan.cell is None:
            plan = self._indicators.plans.get(plan.indicator.input)
        if plan is None or (plan.where is not None and plan.where.evaluate(facts) is not True):
            return False, None
        return True, None if plan.of is None else plan.of.evaluate(facts)

    def of(self, plan: RulePlan, subject: str, moment: Moment) -> list[Live]:
        """Return the signals behind a rule for a subject, by number: inside its windows, and of the courses it rests on."""
        found = {live.seq: live for live in self._indicators.inside(plan.rests, moment)}
        known = self._rules.subjects.get(subject)
        for name in plan.rests if known is not None and known.courses else ():
            course = known.courses.get(name.removeprefix(course_of(""))) if known is not None else None
            if course is not None and name == course_of(course.rule):
                found.update((live.seq, live) for live in course.proof(self._rules.clock(subject)))
        return [found[seq] for seq in sorted(found)]

    def describe(self, plan: RulePlan, name: str, moment: Moment) -> tuple[dict[str, Any], str]:
        """Return what a rule's condition read at this moment of a subject, by name, and its sentence, which may name any indicator."""
        values: dict[str, Any] = {name: self._indicators.value(name, moment) for name in plan.reads}
        values.update((name, field_value(name, moment.facts)) for name in plan.shows)
        subject = self._rules.subjects.get(name)
        if subject is not None:
            values.update((truth_of(name), name in subject.true) for name in plan.refers)
            course = subject.courses.get(plan.id)
            if course is not None:
                values[course_of(plan.id)] = [live.entry.signal.id for live in self.of(plan, subject.name, moment)]
        return values, plan.rule.say(Facts(moment.entry, moment.object, Values(self._indicators, moment), self._indicators.objects))
