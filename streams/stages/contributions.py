"""What a rule that is true adds to a score, and what is taken away again."""

from __future__ import annotations

from domain.findings import RuleHit
from rules.ruleset import course_of
from streams.stages.effects import Effects
from streams.stages.fuse import FuseStage, Part
from streams.stages.indicators import Moment
from streams.stages.rule_plans import RulePlan
from streams.stages.rules import RuleStage
from streams.stages.subjects import Reading
from streams.stages.windows import from_us, to_us


class Contributions:
    """Writes hits down and keeps the contributions of rules up to date."""

    def __init__(self, rules: RuleStage, fuse: FuseStage) -> None:
        self._rules = rules
        self._fuse = fuse

    def add(self, reading: Reading, moment: Moment, effects: Effects, now: int, version: str) -> None:
        """Write down a hit, and set the contribution of a rule that is true to its full points."""
        standing, plan = reading.standing, reading.standing.plan
        silenced = self._silenced(plan, moment, now) if plan.rule.suppressions else ""
        if reading.hit:
            effects.outcomes.append(self._hit(reading, moment, now, silenced))
        if silenced or not plan.rule.points:
            return
        if standing.spent is not None:
            told = effects.earlier and self._rules.proofs.repeats(plan, moment, effects.earlier)
            if not reading.hit and (not reading.fed or told or now < standing.spent + plan.cooldown):
                return
            standing.spent = None
        risk = self._fuse.risk(reading.subject, standing.matter, standing.sector, shadow=plan.shadow)
        part = risk.parts.get(plan.id)
        if part is not None and part.points(now) == 0.0:
            self._fuse.drop(risk, plan.id)
            part = None
        if part is None or reading.hit or effects.undone or part.version != version:
            if part is None:
                part = risk.parts[plan.id] = Part("rule", plan.id, plan.rule.title)
            part.take(plan, version)
            risk.can_rise = True
            part.values, part.message = self._rules.proofs.describe(reading, moment)
            self._fuse.cite(risk, part, self._rules.proofs.of(plan, reading.subject, moment))
        part.since = now
        if reading.fed:
            self._fuse.cite(risk, part, [moment.live])
        if plan.of_signal:
            self._fuse.trigger(part, moment.live, now)
        effects.touch(risk, hit=reading.hit)

    def _silenced(self, plan: RulePlan, moment: Moment, now: int) -> str:
        """Return the tuning filter that keeps a rule from speaking at this signal, and count it; "" for none."""
        for each in plan.rule.suppressions:
            if now < to_us(each.until) and each.when.evaluate(moment.facts) is True:
                self._rules.suppressed[each.id] = self._rules.suppressed.get(each.id, 0) + 1
                return each.id
        return ""

    def _hit(self, reading: Reading, moment: Moment, now: int, silenced: str) -> RuleHit:
        values, message = self._rules.proofs.describe(reading, moment)
        plan, entry = reading.standing.plan, moment.entry
        return RuleHit(
            rule=plan.id,
            subject=reading.subject,
            object_id=entry.resolution.object_id,
            matter=reading.standing.matter,
            feed=entry.feed,
            signal=entry.signal.id,
            seq=moment.live.seq,
            at=from_us(now),
            values=values,
            message=message,
            signal_only=not plan.rule.points,
            shadow=plan.shadow,
            suppressed=silenced,
        )

    def deny(self, effects: Effects, now: int) -> None:
        """Take back what was decided because something had not been seen that now turns out to have happened in time."""
        denied, self._rules.denied = self._rules.denied, []
        for subject, rule, lives in denied:
            effects.undone = True
            names = [plan.id for plan in self._rules.plans.values() if plan.id == rule or course_of(rule) in plan.rests]
            for risk in self._fuse.deny(subject, names, lives, self._rules.subjects[subject].true, now):
                effects.touch(risk, corrected=True)
