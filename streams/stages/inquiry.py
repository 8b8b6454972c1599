"""Why not: a rule at a subject as the state stands, part by part, and everything beside its condition that keeps it from counting.

To be asked of a pipeline that is made for the question: an answer may leave empty windows behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from domain.base import Noun
from domain.errors import NotFound
from domain.instants import spoken
from domain.levels import LevelScale
from domain.messages import both
from rules.facts import Facts
from rules.problems import nearest
from rules.reach import FOR_EVER, indicator_reach
from rules.reasons import Reason, reasons, rule_text
from rules.ruleset import Rule, RuleSet
from streams.stages.feeds import Feeds
from streams.stages.fuse import FuseStage, Risk
from streams.stages.groups import area_name
from streams.stages.indicators import IndicatorStage, Moment
from streams.stages.rule_plans import RulePlan, nothing
from streams.stages.rules import RuleStage
from streams.stages.subjects import BLIND, Subject
from streams.stages.telling import tell
from streams.stages.windows import MICROSECOND, NEVER, from_us, to_us

AREA: Final = "region:"
LISTED: Final = 20  # rules that a message names


class Obstacle(Noun, frozen=True, kw_only=True):
    """One thing beside the condition that keeps a rule from a hit, or a hit from a warning.

    `reason` is unseen (no signal about the subject has counted), status (`detail` is draft or deprecated), not_yet, over (in force from or
    until `until`), shadow, signal_only, standing (it is true already: a hit is a change), cooldown, spent (a closed warning used it up),
    holding (true, but not for long enough before `until`), blind, silent (`detail` names the sources of which nothing is heard), warming
    (`detail` is an indicator whose window has been counted only for a part of its length until `until`), evidence (`detail` signals are
    behind it, of those it wants), suppressed (by the tuning filter `detail` until `until`) or score (it counts, and the
    score of the subject, `detail`, reaches no level).
    """

    reason: str
    detail: str = ""
    until: datetime | None = None


class Inquiry(Noun, frozen=True, kw_only=True):
    """A rule at a subject at the instant `at`.

    `holds` is what its condition comes to at the subject's newest signal (`feed`, `signal`, `occurred_at`); `stands` says whether the
    engine takes the rule for true. `points` are what it adds to `score` now. `values` are the indicators that it reads, `made_of` what each
    value is made of or why it is unknown, in Chinese and English.
    """

    rule: str
    title: str
    subject: str
    at: datetime
    ruleset: str
    file: str
    line: int
    text: str
    feed: str
    signal: str
    occurred_at: datetime | None
    holds: bool | None
    stands: bool
    parts: tuple[Reason, ...]
    values: dict[str, Any]
    made_of: dict[str, tuple[str, str]]
    obstacles: tuple[Obstacle, ...]
    points: float = 0.0
    score: float = 0.0
    level: str = ""
    warning: str = ""
    shadow: bool = False  # the score, level and warning are those of the rules on trial


@dataclass(frozen=True, slots=True)
class Inquirer:
    """Asks the stages of one pipeline."""

    rules: RuleStage
    indicators: IndicatorStage
    fuse: FuseStage
    feeds: Feeds
    levels: LevelScale

    def ask(self, ruleset: RuleSet, now: int, rule_id: str, subject: str, *, restricted: bool = True) -> Inquiry:
        """Return a rule of the active set at an object's id or an area's name, as of `now` (microseconds).

        A rule about areas that is asked for an object is told of the object's area. Unless the asker may read what is `restricted`, the
        text and attributes of such a signal are left out, and a condition on them stands as unknown.

        Raises:
            NotFound: the set has no such rule, or the rule is not about subjects of this kind.
        """
        rule = rule_of(ruleset, rule_id, from_us(now))
        plan = self.rules.plans.get(rule_id) or RulePlan(rule, ruleset)
        about = self._subject(rule, subject)
        known = self.rules.subjects.get(about)
        moment = self._moment(about, restricted=restricted)
        facts = nothing(rule, ruleset) if known is None or moment is None else self.rules.facts(known, moment, plan)
        parts = reasons(rule.when.explain(facts))
        obstacles = tuple(self._obstacles(ruleset, plan, known, moment, facts, now))
        if parts[0].holds is False and any(one.reason == "blind" for one in obstacles):  # not seen is not the same as not there
            parts = (msgspec.structs.replace(parts[0], holds=None), *parts[1:])
        risk, stands = self._risk(about, plan), known is not None and rule_id in known.true
        told = moment.entry if moment is not None else None
        found = Inquiry(
            rule=rule_id,
            title=rule.title,
            subject=about,
            at=from_us(now),
            ruleset=ruleset.version,
            file=rule.file,
            line=rule.line,
            text=rule_text(ruleset, rule),
            feed=told.feed if told is not None else "",
            signal=told.signal.id if told is not None else "",
            occurred_at=told.signal.occurred_at if told is not None else None,
            holds=parts[0].holds,
            stands=stands,
            parts=parts,
            values={name: facts.values.get(name) for name in plan.reads},
            made_of={} if moment is None else {name: self._tell(name, moment) for name in plan.reads},
            obstacles=obstacles,
        )
        return found if risk is None else self._with_risk(found, risk, now)

    def _moment(self, subject: str, *, restricted: bool) -> Moment | None:
        moment = self.rules.last_moment(subject)
        if moment is not None and not restricted and moment.entry.signal.confidential == "restricted":
            bare = msgspec.structs.replace(moment.entry.signal, text="", attrs={})
            moment.entry = msgspec.structs.replace(moment.entry, signal=bare)
            moment.facts = Facts(moment.entry, moment.object, moment.values, self.indicators.objects)
        return moment

    def _tell(self, name: str, moment: Moment) -> tuple[str, str]:
        return tell(self.indicators, name, moment), tell(self.indicators, name, moment, "en")

    def _subject(self, rule: Rule, subject: str) -> str:
        if subject.startswith(AREA):
            return area_of(rule, subject)
        if rule.by == "object":
            return subject
        moment = self.rules.last_moment(subject)
        thing = self.indicators.objects.get(subject)
        region = (thing.region if thing is not None else "") or (moment.region if moment is not None else "")
        return area_name(region, rule.by)

    def _risk(self, subject: str, plan: RulePlan) -> Risk | None:
        own = self.fuse.risks.get(subject, {}).values()
        with_it = next((risk for risk in own if plan.id in risk.parts), None)
        return with_it or next((risk for risk in own if risk.sector == plan.rule.sector and risk.shadow == plan.shadow), None)

    def _with_risk(self, found: Inquiry, risk: Risk, now: int) -> Inquiry:
        part = risk.parts.get(found.rule)
        score = self.fuse.score(risk, now)
        low = found.stands and risk.episode is None and part is not None
        more = (Obstacle(reason="score", detail=f"{score:.4g} < {self.levels.levels[0].at:g}"),) if low else ()
        return msgspec.structs.replace(
            found,
            points=round(part.points(now), 2) if part is not None else 0.0,
            score=round(score, 2),
            level=risk.level,
            warning=risk.episode.id if risk.episode is not None else "",
            shadow=risk.shadow,
            obstacles=(*found.obstacles, *more),
        )

    def _obstacles(
        self, ruleset: RuleSet, plan: RulePlan, known: Subject | None, moment: Moment | None, facts: Facts, now: int
    ) -> Iterator[Obstacle]:
        rule = plan.rule
        if moment is None:
            yield Obstacle(reason="unseen")
        if rule.status in {"draft", "deprecated"}:
            yield Obstacle(reason="status", detail=rule.status)
        if now < plan.starts:
            yield Obstacle(reason="not_yet", until=from_us(plan.starts))
        if now >= plan.ends:
            yield Obstacle(reason="over", until=from_us(plan.ends))
        if rule.status == "shadow":
            yield Obstacle(reason="shadow")
        if not rule.points:
            yield Obstacle(reason="signal_only")
        muted = known.true[plan.id].muted if known is not None and plan.id in known.true else ""
        for each in rule.suppressions:
            if moment is not None and now < to_us(each.until) and (each.id == muted or each.when.evaluate(moment.facts) is True):
                yield Obstacle(reason="suppressed", detail=each.id, until=each.until)
        if known is not None:
            yield from self._of_subject(plan, known, now)
        if plan.least and known is not None and moment is not None:
            behind = len(self.rules.proofs.of(plan, known.name, moment))
            if behind < plan.least:
                yield Obstacle(reason="evidence", detail=f"{behind} < {plan.least}")
        # What did not happen is only known of a source all of whose feeds are heard; for the rest one of them is enough.
        answers = plan.sequence.then_sources if plan.sequence is not None and plan.sequence.absent else ()
        unheard = self.feeds.unheard(answers)
        silent = [source for source in rule.feeds if source in unheard or self.feeds.all_silent((source,))]
        if silent:
            yield Obstacle(reason="silent", detail=", ".join(silent))
        if rule.when.evaluate(facts) is not True:
            yield from self._warming(ruleset, plan, now)

    @staticmethod
    def _of_subject(plan: RulePlan, known: Subject, now: int) -> Iterator[Obstacle]:
        standing = known.true.get(plan.id)
        if standing is not None:
            yield Obstacle(reason="standing")
            if standing.spent is not None:
                yield Obstacle(reason="spent", until=from_us(standing.spent + plan.cooldown))
        due = known.holding.get(plan.id)
        if due is not None:
            yield Obstacle(reason="blind" if due == BLIND else "holding", until=None if due == BLIND else from_us(due))
        course = known.courses.get(plan.id)
        for first in course.firsts if course is not None and plan.sequence is not None and plan.sequence.absent else ():
            if not first.decided:
                told = first.live.entry.signal.id
                yield Obstacle(reason="blind" if first.blind else "holding", detail=told, until=None if first.blind else from_us(first.due))
        hit = known.hits.get(plan.id, -NEVER)
        if plan.cooldown and now < hit + plan.cooldown:
            yield Obstacle(reason="cooldown", until=from_us(hit + plan.cooldown))

    def _warming(self, ruleset: RuleSet, plan: RulePlan, now: int) -> Iterator[Obstacle]:
        for name in plan.reads:
            indicator, since = ruleset.indicators.get(name), self.indicators.warming_since.get(name)
            if indicator is None or since is None:
                continue
            reach = indicator_reach(indicator, ruleset)
            if reach != FOR_EVER and since + reach // MICROSECOND > now:
                yield Obstacle(reason="warming", detail=name, until=from_us(since + reach // MICROSECOND))


def rule_of(ruleset: RuleSet, rule_id: str, at: datetime) -> Rule:
    """Return a rule of the set that is active at the instant `at`; raises NotFound."""
    rule = next((each for each in ruleset.rules if each.id == rule_id), None)
    if rule is None:
        raise NotFound(_no_rule(ruleset, rule_id, at))
    return rule


def _no_rule(ruleset: RuleSet, rule_id: str, now: datetime) -> str:
    """Return why a set does not have a rule, and what it has."""
    if not ruleset.rules:
        return both("why_not.no_set", at=spoken(now))
    if any(each.id == rule_id for each in ruleset.inferences):
        return both("why_not.inference", rule=rule_id)
    ids = [each.id for each in ruleset.rules]
    near = nearest(rule_id, ids)
    legal = [near, *(name for name in sorted(ids) if name != near)] if near else sorted(ids)
    told = {"rule": rule_id, "ruleset": ruleset.version[:12], "legal": ", ".join(legal[:LISTED])}
    return both("why_not.no_rule", **told, more="" if len(ids) <= LISTED else f" … ({len(ids)})")


def area_of(rule: Rule, subject: str) -> str:
    """Return the area that a rule keeps its state for.

    Raises:
        NotFound: it is about objects, or about smaller areas than the one that was named.
    """
    if not isinstance(rule.by, int):
        raise NotFound(both("why_not.of_objects", rule=rule.id))
    code = subject.removeprefix(AREA)
    if len(code) < rule.by or not code.isdigit():
        example = area_name((code if code.isdigit() else "610113").ljust(rule.by, "0"), rule.by)
        raise NotFound(both("why_not.of_areas", rule=rule.id, digits=rule.by, read=subject, example=example))
    return area_name(code, rule.by)
