"""Rules as the engine runs them, and which of them a signal concerns.

Everything here follows from the rule set alone, so none of it is in a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from domain.instants import EPOCH
from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import Signal
from rules.facts import Facts
from rules.ruleset import By, Expression, Rule, RuleSet, Value, course_of, truth_of
from streams.stages.indicators import Moment
from streams.stages.making import unseen
from streams.stages.plans import blank, definition_of, meaning, settles
from streams.stages.selecting import Combination
from streams.stages.windows import MICROSECOND, NEVER, to_us

OBJECT_FIELD: Final = "object."
REGION_FIELD: Final = "object.region"
REMEMBERED: Final = 16_384  # of each; then the memory starts again


class RulePlan:
    """A rule as this stage runs it.

    `reads` are the indicators that its truth may change with, `rests` the names of what is evidence for it: indicators and courses, its
    own and those of the rules that it refers to. `definition` is what its truth depends on: of two plans with equal ones either is true
    where the other is. `of_signal` says that its condition reads fields of the signal at hand; a `patient` rule
    is true for more reasons than its condition at one signal.
    """

    __slots__ = (
        "clear", "cooldown", "course", "definition", "ends", "formulas", "from_nothing", "hold", "id", "inputs", "least", "of_signal",
        "patient", "reads", "refers", "rests", "rule", "sequence", "shadow", "shows", "starts", "test", "unsteady",
    )  # fmt: skip

    def __init__(self, rule: Rule, ruleset: RuleSet) -> None:
        self.rule = rule
        self.id = rule.id
        self.clear = rule.clear.evaluate if rule.clear is not None else None
        self.reads = ruleset.closure((*rule.when.indicators, *(rule.clear.indicators if rule.clear is not None else ())))
        fields = (*rule.when.fields, *(rule.clear.fields if rule.clear is not None else ()))
        every = [ruleset.indicators[name] for name in self.reads if name in ruleset.indicators]
        read = [each for each in every if each.formula is None]
        self.formulas = _formulas(self.reads, ruleset)
        self.inputs: tuple[tuple[str, By, Value], ...] = tuple((each.name, each.by, unseen(each)) for each in read)
        self.sequence = rule.sequence
        self.course = _course(rule, ruleset)
        self.refers = rule.when.rules
        course = (course_of(rule.id),) if rule.sequence is not None else ()
        self.rests: tuple[str, ...] = (*ruleset.closure(rule.when.indicators), *course)
        self.hold = rule.hold // MICROSECOND
        self.least = rule.min_evidence
        self.patient = not rule.plain
        self.shadow = rule.status == "shadow"
        self.of_signal = any(name != "object" and not name.startswith(OBJECT_FIELD) for name in rule.when.fields)
        foreign = any(each.by != rule.by for each in read)
        fluid = rule.when.regional or any(each.fluid for each in read)
        # The region decides which value of a parameter held: without it nobody could tell later what a hit was judged by.
        self.shows = tuple(dict.fromkeys((*rule.when.fields, *((REGION_FIELD,) if rule.when.regional else ()))))
        self.unsteady = bool(fields) or foreign or fluid  # may change at any signal of the subject
        # May it be true where nothing was ever seen? Only then must a new subject's other rules be read.
        self.from_nothing = not rule.when.fields and rule.when.evaluate(nothing(rule, ruleset)) is True
        self.test = rule.when.evaluate
        self.cooldown = rule.cooldown // MICROSECOND
        self.starts = -NEVER if rule.effective_from is None else to_us(rule.effective_from)
        self.ends = NEVER if rule.effective_to is None else to_us(rule.effective_to)
        self.definition: object = (
            (rule.pack, rule.sector, rule.status, rule.by, self.course, self.hold, self.least, self.starts, self.ends),
            *(meaning(each, ruleset, rule.pack) for each in (rule.when, rule.clear)),
            *((each.name, definition_of(each, ruleset)) for each in every),
        )


def plans_of(ruleset: RuleSet) -> list[RulePlan]:
    """Return the rules that run: first those that refer to no other, in the order of the rule set, then each after those it refers to."""
    plans = {rule.id: RulePlan(rule, ruleset) for rule in ruleset.rules if rule.status in {"active", "shadow"}}
    ordered = [plan for plan in plans.values() if not plan.refers]
    placed = {plan.id for plan in ordered}
    left = [plan for plan in plans.values() if plan.refers]
    while left:
        ready = [plan for plan in left if all(name in placed or name not in plans for name in plan.refers)]
        assert ready, f"rules refer to one another in a circle: {[plan.id for plan in left]}; rules.load refuses such a set"
        for plan in ready:
            below = [name for other in plan.refers if other in plans for name in plans[other].rests]
            plan.rests = tuple(dict.fromkeys((*plan.rests, *below)))
            plan.definition = (plan.definition, *(plans[name].definition for name in plan.refers if name in plans))
        ordered += ready
        placed.update(plan.id for plan in ready)
        left = [plan for plan in left if plan.id not in placed]
    return ordered


def same_course(plan: RulePlan, before: RulePlan) -> bool:
    """Tell whether two versions of a rule wait for the same: parameters and lists count for what they stand for."""
    return plan.course is not None and plan.course == before.course and plan.rule.by == before.rule.by


def _course(rule: Rule, ruleset: RuleSet) -> object:
    """Return what a rule waits for: equal for two rules that do for the same; None for a rule without a sequence."""
    sequence = rule.sequence
    if sequence is None:
        return None
    parts = (meaning(each, ruleset, rule.pack) for each in (sequence.first, sequence.then))
    return (*parts, sequence.absent, sequence.within)


def _formulas(reads: tuple[str, ...], ruleset: RuleSet) -> tuple[tuple[str, Callable[[Facts], Any]], ...]:
    """Return those of `reads` that are worked out from other indicators, each after those that it reads itself."""
    # The rule set holds inputs before users.
    return tuple((name, each.formula.evaluate) for name, each in ruleset.indicators.items() if each.formula is not None and name in reads)


def nothing(rule: Rule, ruleset: RuleSet) -> Facts:
    """Return facts with every indicator of a rule never seen; the signal is not looked at."""
    signal = Signal(id="", source="other", kind="", occurred_at=EPOCH)
    reads = ruleset.closure(rule.when.indicators)
    values: dict[str, Value] = {name: unseen(ruleset.indicators[name]) for name in reads if name in ruleset.indicators}
    values.update((truth_of(name), False) for name in rule.when.rules)
    facts = Facts(SignalEntry(feed="", signal=signal, resolution=Resolution(), digest=""), None, values)
    for name, work_out in _formulas(reads, ruleset):
        values[name] = work_out(facts)
    return facts


def _may(expression: Expression, bare: Facts) -> bool:
    return not settles(expression) or expression.evaluate(bare) is not False


class Outlook:
    """What the discrete fields of a signal alone decide of the rules about one kind of subject; rules are bits, in the order of `plans`."""

    __slots__ = ("asked", "hopeless")

    def __init__(self) -> None:
        self.asked = 0
        self.hopeless = 0


class Group:
    """The rules about one kind of subject, with those that each indicator concerns.

    A set of rules is a whole number here, with a bit for each in the order of `plans`.
    """

    def __init__(self, by: By, plans: list[RulePlan]) -> None:
        """`plans` are in the order of `plans_of`."""
        self.by = by
        self.plans = plans
        self.joint = [plan for plan in plans if plan.refers]
        self.courses = [plan for plan in plans if plan.sequence is not None]
        self._possible: dict[Combination, tuple[RulePlan, ...]] = {}
        self._unsteady = _bits(plan.unsteady for plan in plans)
        self._from_nothing = _bits(plan.from_nothing for plan in plans)
        self._settling = _bits(plan.of_signal and not plan.patient and settles(plan.rule.when) for plan in plans)
        self._reading: dict[str, int] = {}  # by indicator
        for place, plan in enumerate(plans):
            for name in plan.reads:
                self._reading[name] = self._reading.get(name, 0) | 1 << place
        self._outlooks: dict[Combination, Outlook] = {}
        self._those: dict[int, tuple[RulePlan, ...]] = {0: ()}

    def possible(self, moment: Moment) -> tuple[RulePlan, ...]:
        """Return the rules in whose sequence a signal may have a place, as far as its discrete fields tell."""
        known = self._possible.get(moment.combination)
        if known is None:
            bare = blank(moment.facts)
            asked = [(plan, plan.sequence) for plan in self.courses]
            known = tuple(
                plan for plan, sequence in asked if sequence and any(_may(each, bare) for each in (sequence.first, sequence.then))
            )
            if len(self._possible) >= REMEMBERED:
                self._possible.clear()
            self._possible[moment.combination] = known
        return known

    def concerned(self, changed: list[str], *, new: bool) -> int:
        """Return the rules that a signal concerns which changed these indicators of a `new` subject or another."""
        found = self._unsteady | self._from_nothing if new else self._unsteady
        for name in changed:
            found |= self._reading.get(name, 0)
        return found

    def hopeless(self, concerned: int, moment: Moment) -> int:
        """Return those of these rules that cannot be true at a signal.

        A rule that is false with nothing known but the signal's discrete fields is false whatever else is known.
        """
        asked = concerned & self._settling
        if not asked:
            return 0
        outlook = self._outlooks.get(moment.combination)
        if outlook is None:
            if len(self._outlooks) >= REMEMBERED:
                self._outlooks.clear()
            outlook = self._outlooks[moment.combination] = Outlook()
        unknown = asked & ~outlook.asked
        if unknown:
            bare = blank(moment.facts)
            for place in _places(unknown):
                plan = self.plans[place]
                if plan.test(Facts(bare.entry, None, dict.fromkeys(plan.reads))) is False:
                    outlook.hopeless |= 1 << place
            outlook.asked |= unknown
        return asked & outlook.hopeless

    def those(self, rules: int) -> tuple[RulePlan, ...]:
        """Return a set of rules, in their order."""
        known = self._those.get(rules)
        if known is None:
            if len(self._those) >= REMEMBERED:
                self._those.clear()
            known = self._those[rules] = tuple([self.plans[place] for place in _places(rules)])
        return known


def _bits(told: Iterable[bool]) -> int:
    """Return the whole number with a bit for each that is true, the first one lowest."""
    found = 0
    for place, true in enumerate(told):
        if true:
            found |= 1 << place
    return found


def _places(bits: int) -> Iterator[int]:
    """Yield the places of the bits that are set, the lowest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
