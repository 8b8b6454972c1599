"""Rules (规则): which are true at a signal, and which became true at it (decision 4).

A rule is read again only where an indicator or a field that it reads can have changed since the subject's previous signal. Wakes
never read a plain rule; what waits for time is decided by `streams.stages.deadlines`. A withdrawal reads again the rules that were true
and read what it changed, on the facts of the subject's previous signal; it can only make them untrue: what becomes true is noticed at the
next signal. A rule with `clear_when` that was true stays so until that is, by a signal or by a withdrawal.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from domain.catalogue import Catalogue
from rules.facts import Facts
from rules.ruleset import By, RuleSet, Value, course_of, truth_of
from streams.stages.courses import Course, Courses, First
from streams.stages.feeds import Feeds
from streams.stages.indicators import IndicatorStage, Moment
from streams.stages.ledger import Ledger, Live
from streams.stages.proofs import Proofs
from streams.stages.rule_plans import Group, RulePlan, plans_of, same_course
from streams.stages.small import NOTHING, having, lacking
from streams.stages.subjects import BLIND, Before, Reading, Standing, Subject, Turn, Untrue
from streams.stages.windows import NEVER

HOLD = 0  # no signal has this number
NO_NAMES: Final[list[str]] = []
Timer = tuple[int, str, str, int]  # (due, subject, rule, number of the first signal or HOLD)
Changed = dict[By, list[str]]


class RuleStage:
    """Truth of all rules for all subjects. One thread; state changes in place."""

    def __init__(self, indicators: IndicatorStage, ledger: Ledger, feeds: Feeds) -> None:
        self._indicators = indicators
        self._ledger = ledger
        self.courses = Courses(ledger, feeds)
        self.proofs = Proofs(self, indicators)
        self.plans: dict[str, RulePlan] = {}
        self.subjects: dict[str, Subject] = {}
        self.catalogue = Catalogue()
        self.timers: list[Timer] = []  # a heap; what it says is only true where the subject says so too
        self.waiting: dict[str, Subject] = {}  # subjects with courses
        self.denied: list[tuple[str, str, list[Live]]] = []  # (subject, rule, signals that were followed after all)
        self.suppressed: dict[str, int] = {}  # times that a rule was true and did not speak, by tuning filter
        self._groups: list[Group] = []
        self.epoch = 0  # grows when every rule has to be read again: a rule comes into effect or goes out of it
        self.turns: list[int] = []  # instants at which it grows, latest first

    def activate(self, ruleset: RuleSet, now: int) -> None:
        """Run `ruleset` from `now` on. The old truth of new and changed rules is what they say of the old state: nothing hits by itself.

        All others keep theirs, that of each subject's previous signal.
        """
        before = self.plans
        self.install(ruleset, now)
        renamed = {plan.rule.renamed_from: plan.id for plan in self.plans.values() if plan.rule.renamed_from in before}
        same = {name for name, plan in self.plans.items() if name in before and before[name].definition == plan.definition}
        changed = {group.by: [plan for plan in group.plans if plan.id not in same] for group in self._groups}
        for subject in self.subjects.values():
            subject.rename(renamed)
            self._keep_courses(subject, before)
            self._read_again(subject, now, same, changed)
        self.set_timers()

    def adopt(self, name: str, live: Live | None) -> None:
        """Remember `live` as the newest signal of a subject nobody remembered, to read its rules at `activate`; None: at its next one."""
        subject = self.subjects.get(name)
        if subject is None:
            subject = self.subjects[name] = Subject(name, -1 if live is None else self.epoch)
        if live is not None:
            self._remember(subject, live)

    def _keep_courses(self, subject: Subject, before: Mapping[str, RulePlan]) -> None:
        """Keep the courses of rules whose sequence is what it was."""
        for name, course in list(subject.courses.items()):
            plan = self.plans.get(name)
            if plan is None or not same_course(plan, before.get(name) or before[plan.rule.renamed_from]):
                self.courses.clear(course)
                subject.courses = lacking(subject.courses, name)
        if not subject.courses:
            self.waiting.pop(subject.name, None)

    def _read_again(self, subject: Subject, now: int, same: set[str], changed: Mapping[By, Sequence[RulePlan]]) -> None:
        """Let the rules that are new or changed be true for `subject` where they are on the state as it stands."""
        kept = {name: standing for name, standing in subject.true.items() if name in self.plans}
        subject.hits = {name: at for name, at in subject.hits.items() if name in self.plans} or NOTHING
        subject.holding = {name: due for name, due in subject.holding.items() if name in self.plans and self.plans[name].hold} or NOTHING
        steady = kept.keys() & same if subject.last is not None else kept.keys()
        subject.true = {
            name: Standing(self.plans[name], old.matter, old.sector, old.spent).told_by(old) for name, old in kept.items() if name in steady
        } or NOTHING
        if subject.last is None or not any(changed.values()):
            return
        moment = self.moment_of(subject, subject.last)
        group = self.group_of(subject, moment)
        for plan in changed[group.by] if group is not None else ():
            before = kept.get(plan.id)
            if plan.id in subject.holding or not self._stays(plan, self.facts(subject, moment, plan), subject, moment, now, before):
                continue
            kept_matter = before is not None and before.plan.rule.sector == plan.rule.sector
            matter = (before.matter, before.sector, before.spent) if before and kept_matter else self.matter(plan.rule.sector, moment)
            standing = Standing(plan, *matter)
            subject.true = having(subject.true, plan.id, standing)
            if before is not None:
                standing.told_by(before)

    def install(self, ruleset: RuleSet, now: int) -> None:
        """Run the rules of `ruleset` from `now` on; what the subjects remember is not looked at."""
        plans = plans_of(ruleset)
        self.plans = {plan.id: plan for plan in plans}
        kinds: list[By] = ["object", *self._indicators.digits]  # also those without a rule: a later rule set may have one
        self._groups = [Group(by, [plan for plan in plans if plan.rule.by == by]) for by in kinds]
        turns = {at for plan in plans for at in (plan.starts, plan.ends)}
        self.turns = sorted((at for at in turns if now < at < NEVER), reverse=True)

    def group_of(self, subject: Subject, moment: Moment) -> Group | None:
        """Return the rules about the kind of `subject`, one of the moment's keys."""
        by = next((by for by, key in moment.keys.items() if key.name == subject.name), None)
        return next((group for group in self._groups if group.by == by), None)

    def moment_of(self, subject: Subject, live: Live) -> Moment:
        """Return the moment of a signal of `subject`; an area stays the subject even where its object has moved since."""
        moment = self._indicators.moment(live)
        key = self._indicators.keys.get(subject.name)
        if key is not None and subject.name.startswith("region:") and key not in moment.keys.values():
            moment.keys[len(subject.name.removeprefix("region:"))] = key
        return moment

    def true(self, plan: RulePlan, facts: Facts, subject: Subject, moment: Moment, now: int) -> bool:
        """Tell whether the condition of a rule is true, in force, and rests on enough signals."""
        holds = plan.starts <= now < plan.ends and plan.test(facts) is True
        return holds and (not plan.least or len(self.proofs.of(plan, subject.name, moment)) >= plan.least)

    def _stays(self, plan: RulePlan, facts: Facts, subject: Subject, moment: Moment, now: int, before: Standing | None) -> bool:
        """Tell whether a rule is true, or was and has not been cleared."""
        if self.true(plan, facts, subject, moment, now):
            return True
        return before is not None and plan.clear is not None and plan.starts <= now < plan.ends and plan.clear(facts) is not True

    def facts(self, subject: Subject, moment: Moment, plan: RulePlan) -> Facts:
        """Return what a rule reads at a moment of a subject."""
        values: dict[str, Value] = {name: self._indicators.value(name, moment) for name in plan.reads}
        values.update((truth_of(name), name in subject.true) for name in plan.refers)
        course = subject.courses.get(plan.id)
        if course is not None:
            values[course_of(plan.id)] = course.stands(self.clock(subject.name))
        return Facts(moment.entry, moment.object, values, self._indicators.objects)

    def clock(self, subject: str) -> int:
        """Return the instant of the newest signal of a subject."""
        return self._indicators.keys[subject].clock

    def matter(self, sector: str, moment: Moment) -> tuple[str, str]:
        """Return the matter and the sector of a rule's `sector` at a moment; without a catalogue item it is its own matter."""
        item = self.catalogue.find(sector, moment.entry.signal.kind, moment.region)
        return (item.slug, item.sector) if item is not None else (sector, sector)

    def read(self, moment: Moment, changed: Changed, now: int, before: Before | None = None) -> list[Reading]:
        """Read the rules at a signal; return those that are true, subject by subject, in the order in which they became so.

        The truth of the rules of `before` (see `Turn`) is no news. The courses that the signal has a place in are added to `changed`.
        """
        if self.turns and now >= self.turns[-1]:
            while self.turns and now >= self.turns[-1]:
                self.turns.pop()
            self.epoch += 1
        readings: list[Reading] = []
        for group in self._groups:
            key = moment.keys.get(group.by)
            if key is None:
                continue
            subject = self.subjects.get(key.name)
            new = subject is None
            if subject is None:
                subject = self.subjects[key.name] = Subject(key.name, self.epoch)
            candidates: Sequence[RulePlan] = group.plans
            if subject.epoch == self.epoch:
                concerned = group.concerned(changed.get(group.by, NO_NAMES), new=new)
                hopeless = group.hopeless(concerned, moment)
                candidates = group.those(concerned & ~hopeless)
                for plan in group.those(hopeless) if subject.true else ():
                    subject.true = lacking(subject.true, plan.id)
            subject.epoch = self.epoch
            if group.courses:
                candidates = self._tell(group, subject, moment, now, changed, candidates)
            if candidates or subject.true:
                self._read_subject(group, Turn(subject, moment, now, before), candidates, changed, readings)
            self._remember(subject, moment.live)
        return readings

    def _tell(
        self, group: Group, subject: Subject, moment: Moment, now: int, changed: Changed, candidates: Sequence[RulePlan]
    ) -> Sequence[RulePlan]:
        """Give the signal its places in the subject's courses; return the candidates with the rules that have one."""
        possible = group.possible(moment)
        if not possible and not subject.courses:
            return candidates
        clock = self.clock(subject.name)
        for plan in possible:
            sequence = plan.sequence
            assert sequence is not None
            first, then = sequence.first.evaluate(moment.facts) is True, sequence.then.evaluate(moment.facts) is True
            if not (first or then):
                continue
            course = subject.courses.get(plan.id)
            if course is None:
                course = Course(plan.id, sequence)
                subject.courses = having(subject.courses, plan.id, course)
            self.waiting[subject.name] = subject
            opened, denied = self.courses.take(course, sequence, moment.live, now, clock, first=first, then=then)
            if opened is not None and not opened.decided:
                heapq.heappush(self.timers, (opened.due, subject.name, plan.id, moment.live.seq))
            if denied:
                self.denied.append((subject.name, plan.id, denied))
            changed.setdefault(group.by, []).append(course_of(plan.id))
            moment.fed += [course_of(plan.id)] if first or not sequence.absent else []  # what ends an absence is no evidence for it
        for name, course in subject.courses.items():
            moment.values[course_of(name)] = course.stands(clock)
        asked = {plan.id for plan in candidates}
        return [*candidates, *(self.plans[name] for name in subject.courses if name not in asked)]

    def _remember(self, subject: Subject, live: Live) -> None:
        """Hold `live` as the subject's previous signal in place of the one before."""
        if (last := subject.last) is not live:
            live.holds += 1
            subject.last = live
            if last is not None:
                self._ledger.release(last)

    def _read_subject(self, group: Group, turn: Turn, candidates: Iterable[RulePlan], changed: Changed, readings: list[Reading]) -> None:
        """Read the candidates, and the rules that refer to one whose truth that changes; add those that are true to `readings`."""
        subject, moment, now = turn.subject, turn.moment, turn.now
        values, keys, facts = moment.values, moment.keys, moment.facts
        known = set(subject.true) if group.joint else None
        for plan in candidates:
            if plan.patient:
                if not plan.refers:
                    self._read_patient(turn, plan)
                continue
            for name, by, unseen in plan.inputs:
                if name not in values:
                    owner = keys.get(by)
                    cell = owner.cells.get(name) if owner is not None else None
                    values[name] = cell.value() if cell is not None else owner.scores.get(name, unseen) if owner is not None else unseen
            for name, work_out in plan.formulas:
                if name not in values:
                    values[name] = work_out(facts)
            if not (plan.starts <= now < plan.ends and plan.test(facts) is True):
                if plan.id in subject.true:
                    subject.true = lacking(subject.true, plan.id)
            elif plan.id not in subject.true:
                self._become(turn, plan)
        if known is not None:
            asked = {plan.id for plan in candidates if plan.refers}
            for plan in group.joint:
                if plan.id in asked or any((name in known) != (name in subject.true) for name in plan.refers):
                    self._read_patient(turn, plan)
        if subject.true:
            self._report(turn, changed, readings)

    def _read_patient(self, turn: Turn, plan: RulePlan) -> None:
        """Read a rule that may be true for more than its condition at this signal."""
        subject, moment = turn.subject, turn.moment
        stood = subject.true.get(plan.id) or turn.earlier(plan.id)
        moment.values.update((name, self._indicators.value(name, moment)) for name in plan.reads)
        moment.values.update((truth_of(name), name in subject.true) for name in plan.refers)
        if not self._stays(plan, moment.facts, subject, moment, turn.now, stood):
            subject.true = lacking(subject.true, plan.id)
            subject.holding = lacking(subject.holding, plan.id)
        elif plan.id not in subject.true:
            self._become(turn, plan)

    def _become(self, turn: Turn, plan: RulePlan) -> None:
        """A rule became true: that is a hit, unless a correction had only taken its truth away or it has to be true for longer."""
        subject, earlier = turn.subject, turn.earlier(plan.id)
        if earlier is not None:
            subject.true = having(subject.true, plan.id, earlier)
        elif plan.hold:
            self.hold(subject, plan, turn.now)
        else:
            subject.true = having(subject.true, plan.id, Standing(plan, *self.matter(plan.rule.sector, turn.moment)))
            if self.may_hit(subject, plan, turn.now):
                turn.hits.add(plan.id)

    def hold(self, subject: Subject, plan: RulePlan, now: int) -> None:
        """Begin to wait until a rule has been true for long enough, where that has not begun."""
        if plan.id not in subject.holding:
            due = now + plan.hold
            subject.holding = having(subject.holding, plan.id, due)
            heapq.heappush(self.timers, (due, subject.name, plan.id, HOLD))

    @staticmethod
    def may_hit(subject: Subject, plan: RulePlan, now: int) -> bool:
        """Tell whether the cooldown allows a hit, and count it."""
        if not plan.cooldown:
            return True
        if now - subject.hits.get(plan.id, -NEVER) < plan.cooldown:
            return False
        subject.hits = having(subject.hits, plan.id, now)
        return True

    @staticmethod
    def _report(turn: Turn, changed: Changed, readings: list[Reading]) -> None:
        """Add the rules that are true to `readings`."""
        fed = {name for names in changed.values() for name in names}
        for name, standing in turn.subject.true.items():
            plan = standing.plan
            # A rule that reads the signal's fields alone rests on that signal; else one that feeds none of its indicators says nothing new.
            new = (plan.of_signal and not plan.rests) or not fed.isdisjoint(plan.rests)
            readings.append(Reading(turn.subject.name, standing, turn.moment.facts, hit=name in turn.hits, fed=new))

    def retract(self, gone: Moment, changed: set[str], now: int) -> dict[str, list[Untrue]]:
        """Read again what the undoing of a signal concerns; return, by subject of that signal, the rules that it made untrue."""
        if gone.live.courses:
            rules, again = self.courses.undo(gone.live, now)
            changed = {*changed, *(course_of(rule) for rule in rules)}
            self._decide_again(gone, again)
        found: dict[str, list[Untrue]] = {}
        for group in self._groups:
            key = gone.keys.get(group.by)
            if key is None or (subject := self.subjects.get(key.name)) is None:
                continue
            subject.epoch = -1  # what became true is noticed at the next signal, which may be this record's own
            last_gone = subject.last is gone.live
            moment = gone if subject.last is None or last_gone else self.moment_of(subject, subject.last)
            untrue = found[subject.name] = []
            for plan in group.plans if subject.true else ():
                standing = subject.true.get(plan.id)
                if standing is None:
                    continue
                wholly = self._gone(plan, subject, moment, changed, now, last_gone=last_gone)
                if wholly is not None:
                    untrue.append(Untrue(standing, wholly=wholly))
                    subject.true = lacking(subject.true, plan.id)
            if last_gone:
                subject.last = None
                self._ledger.release(gone.live)
        return found

    def _gone(self, plan: RulePlan, subject: Subject, moment: Moment, changed: set[str], now: int, *, last_gone: bool) -> bool | None:
        """Tell whether an undoing made a rule untrue wholly, or only takes away the signal that it was true at; None for neither."""
        if last_gone and plan.of_signal:
            return False
        touched = not changed.isdisjoint({*plan.rests, *plan.reads}) or any(name not in subject.true for name in plan.refers)
        if not touched or self._stays(plan, self.facts(subject, moment, plan), subject, moment, now, subject.true[plan.id]):
            return None
        return True

    def _decide_again(self, gone: Moment, again: Iterable[tuple[Course, First]]) -> None:
        for course, first in again:
            for key in gone.keys.values():
                subject = self.subjects.get(key.name)
                if subject is not None and subject.courses.get(course.rule) is course:
                    heapq.heappush(self.timers, (first.due, subject.name, course.rule, first.live.seq))

    def spend(self, subject: str, matter: str, *, shadow: bool, at: int) -> None:
        """Use up what is true for a subject in a matter: its warning was closed at `at`."""
        for standing in self.subjects[subject].true.values() if subject in self.subjects else ():
            if standing.matter == matter and standing.plan.shadow == shadow:
                standing.spent = at

    def last_moment(self, subject: str) -> Moment | None:
        """Return the moment of the subject's previous signal, where that was not withdrawn."""
        known = self.subjects.get(subject)
        return None if known is None or known.last is None else self.moment_of(known, known.last)

    def sweep(self, now: int) -> None:
        """Forget what no course needs any more."""
        for name, subject in list(self.waiting.items()):
            for rule, course in list(subject.courses.items()):
                sequence = self.plans[rule].sequence
                assert sequence is not None
                self.courses.sweep(course, sequence, now)
                if course.empty:
                    subject.courses = lacking(subject.courses, rule)
            if not subject.courses:
                del self.waiting[name]

    def set_timers(self) -> None:
        """Set all timers anew from what the subjects say."""
        timers = [(due, each.name, rule, HOLD) for each in self.subjects.values() for rule, due in each.holding.items() if due != BLIND]
        for subject in self.waiting.values():
            for course in subject.courses.values():
                undecided = (first for first in course.firsts if not (first.decided or first.blind))
                timers += [(first.due, subject.name, course.rule, first.live.seq) for first in undecided]
        self.timers = sorted(timers)

    def lives(self) -> Iterator[Live]:
        """Yield the signals that are held: those that subjects saw last, and those of courses; one may come twice."""
        for subject in self.subjects.values():
            if subject.last is not None:
                yield subject.last
            for course in subject.courses.values():
                yield from course.lives()
