"""What a rule that is true adds to a score, and what is taken away again.

What a contribution says of itself follows from what stands, so it can be worked out when it is asked for, by any engine:

- its evidence: the signals inside the windows of its rule when it was made; from then on every signal of the subject that feeds an
  indicator or a course that the rule rests on, whether or not the rule is true at it; and for a rule that reads fields of the signal, the
  signal that it was made at, or every one that it was true at where it rests on nothing else;
- its values and its message: those of the subject's last signal when the warning was written, as long as its rule is true there.
"""

from __future__ import annotations

from domain.findings import RuleHit
from domain.records import SignalEntry
from rules.ruleset import course_of
from streams.stages.effects import Effects
from streams.stages.fuse import FuseStage, Part, Risk
from streams.stages.indicators import Moment
from streams.stages.remote import Truth
from streams.stages.rule_plans import RulePlan
from streams.stages.rules import RuleStage
from streams.stages.subjects import Reading
from streams.stages.windows import from_us, to_us


class Contributions:
    """Writes hits down and keeps the contributions of rules up to date."""

    def __init__(self, rules: RuleStage, fuse: FuseStage) -> None:
        self._rules = rules
        self._fuse = fuse

    def add(self, reading: Reading, moment: Moment, effects: Effects, now: int, version: str, *, decided: bool = False) -> None:
        """Write down a hit, and set the contribution of a rule that is true to its full points.

        `decided` says that time showed the signal to be evidence, which it was not yet when it came.
        """
        standing, plan = reading.standing, reading.standing.plan
        silenced = self._silenced(reading, moment, effects, now)
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
        part = self._left(risk, plan, now)
        made = part is None
        if part is None:
            part = self._new(risk, plan, moment)
            self._fuse.cite(risk, part, self._rules.proofs.of(plan, reading.subject, moment))
        if made or reading.hit or effects.undone or part.version != version:
            part.take(plan, version)
            risk.can_rise = True
        part.since = now
        if (plan.of_signal and (made or not plan.rests)) or (decided and reading.fed):
            self._fuse.cite(risk, part, [moment.live])
        if plan.of_signal:
            self._fuse.trigger(part, moment.live, now)
        effects.touch(risk, hit=reading.hit)

    def stand(self, truth: Truth, moment: Moment, effects: Effects, now: int, version: str) -> bool:
        """As `add`, for a rule that another engine found true; tell whether its contribution is new.

        That engine writes the hits down, and knows what is behind the contribution.
        """
        plan, subject = self._rules.plans[truth.rule], moment.keys["object"].name
        matter, sector = self._rules.matter(plan.rule.sector, moment)
        risk = self._fuse.risk(subject, matter, sector, shadow=plan.shadow)
        if plan.id in risk.parts:
            risk.parts[plan.id].since = truth.since
        part = self._left(risk, plan, now)
        made = part is None
        if part is None:
            part = self._new(risk, plan, moment)
            part.take(plan, version)
            risk.can_rise = True
        part.since = now
        effects.touch(risk, hit=truth.hit)
        return made

    def begin(self, rule: str, moment: Moment, since: int, now: int, version: str) -> bool:
        """As `stand`, for a rule that began to contribute earlier, when nothing could follow from it; False where it has faded by `now`."""
        plan, subject = self._rules.plans[rule], moment.keys["object"].name
        matter, sector = self._rules.matter(plan.rule.sector, moment)
        risk = self._fuse.risk(subject, matter, sector, shadow=plan.shadow)
        if plan.id in risk.parts:
            self._fuse.drop(risk, plan.id)
        part = self._new(risk, plan, moment)
        part.take(plan, version)
        part.since = since
        if self._left(risk, plan, now) is None:
            return False
        risk.can_rise = True
        return True

    def _left(self, risk: Risk, plan: RulePlan, now: int) -> Part | None:
        """Return what a rule contributes to a risk; what has faded away is dropped."""
        part = risk.parts.get(plan.id)
        if part is not None and part.points(now) == 0.0:
            self._fuse.drop(risk, plan.id)
            return None
        return part

    def _new(self, risk: Risk, plan: RulePlan, moment: Moment) -> Part:
        """Let a rule contribute to a risk, without points or evidence yet; it says what it read at this moment."""
        part = risk.parts[plan.id] = Part("rule", plan.id, plan.rule.title)
        part.values, part.message = self._rules.proofs.describe(plan, risk.subject, moment)
        return part

    def feed(self, moment: Moment) -> None:
        """Put the signal behind the contributions to its subjects that rest on an indicator or a course that it feeds."""
        if not moment.fed:
            return
        fed, plans = frozenset(moment.fed), self._rules.plans
        for key in moment.keys.values():
            for risk in self._fuse.risks.get(key.name, {}).values():
                for part in risk.parts.values():
                    if part.source == "rule" and part.name in plans and not fed.isdisjoint(plans[part.name].rests):
                        self._fuse.cite(risk, part, [moment.live])

    def refresh(self, risk: Risk, now: int) -> None:
        """Let the contributions of rules that are true say what stands at the subject's last signal; others keep what they said last."""
        subject, moment = self._rules.subjects.get(risk.subject), self._rules.last_moment(risk.subject)
        if subject is None or moment is None:
            return
        for part in risk.standing(now):
            standing = subject.true.get(part.name) if part.source == "rule" else None
            if standing is not None and (standing.matter, standing.plan.shadow) == (risk.matter, risk.shadow):
                part.values, part.message = self._rules.proofs.describe(standing.plan, risk.subject, moment)

    def _silenced(self, reading: Reading, moment: Moment, effects: Effects, now: int) -> str:
        """Return the tuning filter that keeps a rule from speaking, and count it; "" for none.

        That is one that fits this signal, or one that fitted the signal at which the rule became true and has not ended: what was kept
        back then is not said at the next signal about something else. A correction of that signal is judged by what it says now.
        """
        standing, filters = reading.standing, reading.standing.plan.rule.suppressions
        if not filters:
            standing.judged = standing.judged or ""
            return ""
        lasting = [each for each in filters if now < to_us(each.until)]
        fitting = next((each.id for each in lasting if each.when.evaluate(moment.facts) is True), "")
        signal = _named(moment.entry)
        replaced = any(_named(facts.entry) == standing.judged for facts in effects.earlier)
        if reading.hit or standing.judged is None or replaced:
            standing.judged, standing.muted = signal, fitting
            if fitting and replaced:
                self._take_back(reading, effects)
        found = fitting or next((each.id for each in lasting if each.id == standing.muted), "")
        if found:
            self._rules.suppressed[found] = self._rules.suppressed.get(found, 0) + 1
        return found

    def _take_back(self, reading: Reading, effects: Effects) -> None:
        """Drop what a rule added since it became true: corrected, the signal at which it did is one that a filter keeps back."""
        standing = reading.standing
        risk = self._fuse.risk(reading.subject, standing.matter, standing.sector, shadow=standing.plan.shadow)
        if standing.plan.id in risk.parts:
            self._fuse.drop(risk, standing.plan.id)
            effects.touch(risk, corrected=True)

    def _hit(self, reading: Reading, moment: Moment, now: int, silenced: str) -> RuleHit:
        plan, entry = reading.standing.plan, moment.entry
        values, message = self._rules.proofs.describe(plan, reading.subject, moment)
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


def _named(entry: SignalEntry) -> str:
    return f"{entry.feed}/{entry.signal.id}"
