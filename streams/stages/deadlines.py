"""Deadlines (到期判定): what is decided by time alone, each at its own instant.

Two things wait for time: a signal that something had to follow (decision 5), and a rule that has to be true for a while (`for`). Where
the feeds that would tell are silent, neither is decided: the outcome is `blind`, and the wait begins anew when they are back.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from domain.findings import RuleBlind
from rules.ruleset import course_of
from streams.stages.courses import Course, First
from streams.stages.feeds import Feeds
from streams.stages.indicators import Moment
from streams.stages.rule_plans import RulePlan
from streams.stages.rules import HOLD, RuleStage
from streams.stages.small import having, lacking
from streams.stages.subjects import BLIND, Reading, Standing, Subject
from streams.stages.windows import from_us


@dataclass(slots=True)
class Decision:
    """What an instant decided: rules that became true or gained a signal, each with the signal that it is about, or who is blind."""

    at: int
    readings: list[tuple[Reading, Moment]] = field(default_factory=list)
    blind: RuleBlind | None = None


class Deadlines:
    """Decides what the rules' timers ask for. It keeps no state of its own."""

    def __init__(self, rules: RuleStage, feeds: Feeds) -> None:
        self._rules = rules
        self._feeds = feeds

    def pending(self, now: int) -> bool:
        """Tell whether something may be due by `now`; cheap, and sometimes too cautious."""
        timers = self._rules.timers
        return bool(timers) and timers[0][0] <= now

    def first(self) -> int | None:
        """Return the exact instant at which the next thing is decided; None for never."""
        timers = self._rules.timers
        while timers:
            due, name, rule, number = timers[0]
            if self._waits(due, name, rule, number) is not None:
                return due
            heapq.heappop(timers)
        return None

    def _waits(self, due: int, name: str, rule: str, number: int) -> tuple[Subject, RulePlan, First | None] | None:
        """Return what a timer is for, None where it has been overtaken."""
        subject, plan = self._rules.subjects.get(name), self._rules.plans.get(rule)
        if subject is None or plan is None:
            return None
        if number == HOLD:
            return (subject, plan, None) if subject.holding.get(rule) == due else None
        course = subject.courses.get(rule)
        for first in course.firsts if course is not None else ():
            if first.live.seq == number and first.due == due and not (first.decided or first.blind):
                return subject, plan, first
        return None

    def decide(self, now: int) -> Decision | None:
        """Decide the first thing that is due by `now`; None where nothing is."""
        at = self.first()
        if at is None or at > now:
            return None
        due, name, rule, number = heapq.heappop(self._rules.timers)
        found = self._waits(due, name, rule, number)
        assert found is not None
        subject, plan, first = found
        known = dict.fromkeys(subject.true)
        decision = Decision(at)
        if first is None:
            self._held(subject, plan, decision)
        else:
            self._missed(subject, plan, subject.courses[rule], first, decision)
        if known.keys() != subject.true.keys():
            self._joint(subject, known, decision)
        return decision

    def _held(self, subject: Subject, plan: RulePlan, decision: Decision) -> None:
        """A rule has been true for as long as it has to be."""
        moment = self._rules.last_moment(subject.name)
        if moment is None or not self._rules.true(plan, self._rules.facts(subject, moment, plan), subject, moment, decision.at):
            subject.holding = lacking(subject.holding, plan.id)
            return
        if self._feeds.all_silent(plan.rule.feeds):
            subject.holding = having(subject.holding, plan.id, BLIND)
            decision.blind = self._blind(subject, plan, moment, decision.at, plan.rule.feeds)
            return
        subject.holding = lacking(subject.holding, plan.id)
        self._rise(subject, plan, moment, decision, fed=False, lasting=True)

    def _missed(self, subject: Subject, plan: RulePlan, course: Course, first: First, decision: Decision) -> None:
        """The time for an answer to `first` is over."""
        assert plan.sequence is not None
        moment = self._rules.moment_of(subject, first.live)
        if course.met(first):
            first.decided = True
            return
        unheard = self._feeds.unheard(plan.sequence.then_sources)
        if unheard:
            first.blind = True
            decision.blind = self._blind(subject, plan, moment, decision.at, unheard)
            return
        first.decided = True
        facts = self._rules.facts(subject, moment, plan)
        facts.values[course_of(plan.id)] = True  # type: ignore[index]  # `facts` makes a dict of its own
        if self._rules.true(plan, facts, subject, moment, decision.at):
            self._rise(subject, plan, moment, decision, fed=True, lasting=not course.answered(first))

    def _rise(self, subject: Subject, plan: RulePlan, moment: Moment, decision: Decision, *, fed: bool, lasting: bool) -> None:
        """Let a rule be true from here on; it is not `lasting` where what ends it has already come."""
        standing = subject.true.get(plan.id)
        hit = False
        if standing is None:
            standing = Standing(plan, *self._rules.matter(plan.rule.sector, moment))
            hit = self._rules.may_hit(subject, plan, decision.at)
            if lasting:
                subject.true = having(subject.true, plan.id, standing)
        facts = self._rules.facts(subject, moment, plan)
        decision.readings.append((Reading(subject.name, standing, facts, hit=hit, fed=fed), moment))

    def _joint(self, subject: Subject, known: dict[str, None], decision: Decision) -> None:
        """Read the rules that refer to one that became true."""
        moment = self._rules.last_moment(subject.name) or decision.readings[0][1]
        group = self._rules.group_of(subject, moment)
        for plan in group.joint if group is not None else ():
            if plan.id in subject.true or all((name in known) == (name in subject.true) for name in plan.refers):
                continue
            if self._rules.true(plan, self._rules.facts(subject, moment, plan), subject, moment, decision.at):
                if plan.hold:
                    self._rules.hold(subject, plan, decision.at)
                else:
                    self._rise(subject, plan, moment, decision, fed=False, lasting=True)

    def _blind(self, subject: Subject, plan: RulePlan, moment: Moment, at: int, sources: tuple[str, ...]) -> RuleBlind:
        return RuleBlind(
            rule=plan.id,
            subject=subject.name,
            object_id=moment.entry.resolution.object_id,
            matter=self._rules.matter(plan.rule.sector, moment)[0],
            feed=moment.entry.feed,
            signal=moment.entry.signal.id,
            at=from_us(at),
            sources=sources,
            shadow=plan.shadow,
        )

    def see_again(self, now: int) -> None:
        """Feeds are back, or heard of for the first time: what was blind for want of them waits anew, for what may still be on its way."""
        for subject in self._rules.subjects.values():
            for rule in [rule for rule, due in subject.holding.items() if due == BLIND]:
                plan = self._rules.plans[rule]
                if not self._feeds.all_silent(plan.rule.feeds):
                    subject.holding = lacking(subject.holding, rule)
                    self._rules.hold(subject, plan, now)
            for rule, course in subject.courses.items():
                sequence = self._rules.plans[rule].sequence
                assert sequence is not None
                blind = [first for first in course.firsts if first.blind]
                if blind and not self._feeds.unheard(sequence.then_sources):
                    for first in blind:
                        first.blind, first.due = False, now + max(self._feeds.lateness(sequence.then_sources), 1)
                        heapq.heappush(self._rules.timers, (first.due, subject.name, rule, first.live.seq))

    def blind(self) -> dict[str, int]:
        """Return, by rule, of how many subjects nothing can be said because feeds are silent."""
        found: dict[str, int] = {}
        for subject in self._rules.subjects.values():
            rules = {rule for rule, due in subject.holding.items() if due == BLIND}
            rules |= {rule for rule, course in subject.courses.items() if any(first.blind for first in course.firsts)}
            for rule in sorted(rules):
                found[rule] = found.get(rule, 0) + 1
        return found
