"""Rules (规则): which are true at a signal, and which became true at it (decision 4).

A rule is read again only where an indicator or a field that it reads can have changed since the subject's previous signal. Wakes
never read a rule. A withdrawal reads again the rules that were true and read what it changed, on the facts of the subject's previous
signal; it can only make them untrue: what it makes true is noticed at the subject's next signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from domain.catalogue import Catalogue
from rules.ruleset import Facts, RuleSet, Value
from streams.stages.indicators import By, IndicatorStage, Moment
from streams.stages.ledger import Ledger, Live
from streams.stages.rule_plans import OBJECT_FIELD, Group, RulePlan
from streams.stages.windows import NEVER


class Standing:
    """A rule that is true for a subject; its matter is decided when it becomes true.

    `spent` is when a closed warning used it up: it counts again at a hit, or at a signal that is new evidence for it after its cooldown.
    """

    __slots__ = ("matter", "plan", "sector", "spent")

    def __init__(self, plan: RulePlan, matter: str, sector: str, spent: int | None = None) -> None:
        self.plan = plan
        self.matter = matter
        self.sector = sector
        self.spent = spent


class Subject:
    """What the stage remembers of an object or an area: its previous signal, the rules true at it, and the times of hits.

    All rules are read at its next signal where its `epoch` is not the stage's.
    """

    __slots__ = ("epoch", "hits", "last", "name", "true")

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.epoch = epoch
        self.last: Live | None = None
        self.true: dict[str, Standing] = {}
        self.hits: dict[str, int] = {}


class Reading:
    """A rule that is true at this signal. `hit`: it became true and no cooldown holds it back; `fed`: the signal is evidence for it."""

    __slots__ = ("facts", "fed", "hit", "standing", "subject")

    def __init__(self, subject: str, standing: Standing, facts: Facts, *, hit: bool, fed: bool) -> None:
        self.subject = subject
        self.standing = standing
        self.facts = facts
        self.hit = hit
        self.fed = fed


class Untrue:
    """A rule that a correction made untrue. `wholly`: on facts otherwise the same; else only the signal it was true at is gone."""

    __slots__ = ("plan", "standing", "wholly")

    def __init__(self, standing: Standing, *, wholly: bool) -> None:
        self.standing = standing
        self.plan = standing.plan
        self.wholly = wholly


class Values(Mapping[str, Value]):
    """All indicators at a moment, read when asked for."""

    def __init__(self, indicators: IndicatorStage, moment: Moment) -> None:
        self._indicators = indicators
        self._moment = moment

    def __getitem__(self, name: str) -> Value:
        if name not in self._indicators.plans:
            raise KeyError(name)
        return self._indicators.value(name, self._moment)

    def __iter__(self) -> Iterator[str]:
        return iter(self._indicators.plans)

    def __len__(self) -> int:
        return len(self._indicators.plans)


def field_value(name: str, facts: Facts) -> Any:
    """Return the field `name` of the signal or its object as a hit shows it; None where it is not given."""
    entry = facts.entry
    if name == "object":
        return entry.resolution.object_id
    if name == "feed":
        return entry.feed
    if name.startswith(OBJECT_FIELD):
        return getattr(facts.object, name.removeprefix(OBJECT_FIELD), None)
    if name.startswith("attrs."):
        value: Any = entry.signal.attrs
        for part in name.split(".")[1:]:
            value = value.get(part) if isinstance(value, dict) else None
        return value
    return getattr(entry.signal, name, None)


class RuleStage:
    """Truth of all rules for all subjects. One thread; state changes in place."""

    def __init__(self, indicators: IndicatorStage, ledger: Ledger) -> None:
        self._indicators = indicators
        self._ledger = ledger
        self.plans: dict[str, RulePlan] = {}
        self.subjects: dict[str, Subject] = {}
        self.catalogue = Catalogue()
        self._groups: list[Group] = []
        self._epoch = 0  # grows when every rule has to be read again: a rule comes into effect or goes out of it
        self._turns: list[int] = []  # instants at which it grows, latest first

    def activate(self, ruleset: RuleSet, now: int) -> None:
        """Run `ruleset` from `now` on. The old truth of new and changed rules is what they say of the old state: nothing hits by itself."""
        self._install(ruleset, now)
        for subject in self.subjects.values():
            self._read_again(subject, now)

    def _read_again(self, subject: Subject, now: int) -> None:
        """Let the rules now installed be true for `subject` where they are on the state as it stands."""
        kept = {name: standing for name, standing in subject.true.items() if name in self.plans}
        subject.hits = {name: at for name, at in subject.hits.items() if name in self.plans}
        subject.true = {}
        if subject.last is None:
            for name, old in kept.items():
                subject.true[name] = Standing(self.plans[name], old.matter, old.sector, old.spent)
            return
        moment = self._moment_of(subject, subject.last)
        by = next((by for by, key in moment.keys.items() if key.name == subject.name), None)
        for plan in next((group.plans for group in self._groups if group.by == by), ()):
            if not self._true(plan, self._facts(moment, plan.reads), now):
                continue
            before = kept.get(plan.id)
            if before is not None and before.plan.rule.sector == plan.rule.sector:
                subject.true[plan.id] = Standing(plan, before.matter, before.sector, before.spent)
            else:
                subject.true[plan.id] = Standing(plan, *self.matter(plan.rule.sector, moment))

    def _install(self, ruleset: RuleSet, now: int) -> None:
        plans = [RulePlan(rule, ruleset) for rule in ruleset.rules if rule.status in {"active", "shadow"}]
        self.plans = {plan.id: plan for plan in plans}
        kinds: list[By] = ["object", *self._indicators.digits]  # also those without a rule: a later rule set may have one
        self._groups = [Group(by, [plan for plan in plans if plan.rule.by == by]) for by in kinds]
        turns = {at for plan in plans for at in (plan.starts, plan.ends)}
        self._turns = sorted((at for at in turns if now < at < NEVER), reverse=True)

    def _moment_of(self, subject: Subject, live: Live) -> Moment:
        """Return the moment of the subject's previous signal; an area stays the subject even where its object has moved since."""
        moment = self._indicators.moment(live)
        key = self._indicators.keys.get(subject.name)
        if key is not None and subject.name.startswith("region:") and key not in moment.keys.values():
            moment.keys[len(subject.name.removeprefix("region:"))] = key
        return moment

    def _true(self, plan: RulePlan, facts: Facts, now: int) -> bool:
        return plan.starts <= now < plan.ends and plan.rule.when.evaluate(facts) is True

    def _facts(self, moment: Moment, names: Iterable[str]) -> Facts:
        return Facts(moment.entry, moment.object, {name: self._indicators.value(name, moment) for name in names})

    def matter(self, sector: str, moment: Moment) -> tuple[str, str]:
        """Return the matter and the sector of a rule's `sector` at a moment; without a catalogue item it is its own matter."""
        item = self.catalogue.find(sector, moment.entry.signal.kind, moment.region)
        return (item.slug, item.sector) if item is not None else (sector, sector)

    def read(
        self, moment: Moment, changed: Mapping[By, list[str]], now: int, before: Mapping[tuple[str, str], Standing] | None = None
    ) -> list[Reading]:
        """Read the rules at a signal; return those that are true, subject by subject, in the order of the rule set.

        `before` are rules that were true until this record's own correction undid the earlier content: their truth is no news.
        """
        if self._turns and now >= self._turns[-1]:
            while self._turns and now >= self._turns[-1]:
                self._turns.pop()
            self._epoch += 1
        readings: list[Reading] = []
        for group in self._groups:
            key = moment.keys.get(group.by)
            if key is None:
                continue
            subject = self.subjects.get(key.name)
            new = subject is None
            if subject is None:
                subject = self.subjects[key.name] = Subject(key.name, self._epoch)
            candidates: Sequence[RulePlan] = group.plans
            if subject.epoch == self._epoch:
                concern = group.concern(tuple(changed.get(group.by, ())), moment, new=new)
                candidates = concern.read
                for plan in concern.untrue if subject.true else ():
                    subject.true.pop(plan.id, None)
            subject.epoch = self._epoch
            if candidates or subject.true:
                self._read_subject(subject, candidates, moment, now, before, changed, readings)
            self._remember(subject, moment.live)
        return readings

    def _remember(self, subject: Subject, live: Live) -> None:
        """Hold `live` as the subject's previous signal in place of the one before."""
        last = subject.last
        if last is not live:
            live.holds += 1
            subject.last = live
            if last is not None:
                self._ledger.release(last)

    def _read_subject(
        self,
        subject: Subject,
        candidates: Iterable[RulePlan],
        moment: Moment,
        now: int,
        before: Mapping[tuple[str, str], Standing] | None,
        changed: Mapping[By, list[str]],
        readings: list[Reading],
    ) -> None:
        true = subject.true
        facts, values, keys = moment.facts, moment.values, moment.keys
        hits = set()
        for plan in candidates:
            for name, by, unseen in plan.inputs:
                if name not in values:
                    owner = keys.get(by)
                    cell = owner.cells.get(name) if owner is not None else None
                    values[name] = cell.value() if cell is not None else owner.scores.get(name, unseen) if owner is not None else unseen
            if not (plan.starts <= now < plan.ends and plan.test(facts) is True):
                if plan.id in true:
                    del true[plan.id]
                continue
            if plan.id in true:
                continue
            earlier = before.get((subject.name, plan.id)) if before else None
            if earlier is not None:
                true[plan.id] = earlier
                continue
            true[plan.id] = Standing(plan, *self.matter(plan.rule.sector, moment))
            if not plan.cooldown or now - subject.hits.get(plan.id, -NEVER) >= plan.cooldown:
                hits.add(plan.id)
                if plan.cooldown:
                    subject.hits[plan.id] = now
        if true:
            self._report(subject, facts, hits, changed, readings)

    def _report(self, subject: Subject, facts: Facts, hits: set[str], changed: Mapping[By, list[str]], readings: list[Reading]) -> None:
        fed = {name for names in changed.values() for name in names}
        for name, standing in subject.true.items():
            plan = standing.plan
            hit = name in hits
            # A rule that reads the signal's fields alone rests on that signal; else one that feeds none of its indicators says nothing new.
            evidence = (plan.of_signal and (hit or not plan.reads)) or not fed.isdisjoint(plan.reads)
            readings.append(Reading(subject.name, standing, facts, hit=hit, fed=evidence))

    def retract(self, gone: Moment, changed: set[str], now: int) -> dict[str, list[Untrue]]:
        """Read again what the undoing of a signal concerns; return, by subject of that signal, the rules that it made untrue."""
        found: dict[str, list[Untrue]] = {}
        for group in self._groups:
            key = gone.keys.get(group.by)
            subject = self.subjects.get(key.name) if key is not None else None
            if subject is None:
                continue
            subject.epoch = -1  # what became true is noticed at the next signal, which may be this record's own
            untrue = found[subject.name] = []
            last_gone = subject.last is gone.live
            moment = gone if subject.last is None or last_gone else self._moment_of(subject, subject.last)
            for plan in group.plans:
                standing = subject.true.get(plan.id)
                if standing is None:
                    continue
                if last_gone and plan.of_signal:
                    untrue.append(Untrue(standing, wholly=False))
                elif not changed.isdisjoint(plan.reads) and not self._true(plan, self._facts(moment, plan.reads), now):
                    untrue.append(Untrue(standing, wholly=True))
            for each in untrue:
                del subject.true[each.plan.id]
            if last_gone:
                subject.last = None
                self._ledger.release(gone.live)
        return found

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
        return all(self._indicators.tells(name, new) == self._indicators.tells(name, old) for name in plan.reads)

    def spend(self, subject: str, matter: str, *, shadow: bool, at: int) -> None:
        """Use up what is true for a subject in a matter: its warning was closed at `at`."""
        known = self.subjects.get(subject)
        for standing in known.true.values() if known else ():
            if standing.matter == matter and standing.plan.shadow == shadow:
                standing.spent = at

    def describe(self, reading: Reading, moment: Moment) -> tuple[dict[str, Any], str]:
        """Return what a rule's condition read at this moment, by name, and the rule's sentence, which may name any indicator."""
        plan = reading.standing.plan
        values: dict[str, Any] = {name: self._indicators.value(name, moment) for name in plan.reads}
        values.update((name, field_value(name, reading.facts)) for name in plan.rule.when.fields)
        return values, plan.rule.say(Facts(moment.entry, moment.object, Values(self._indicators, moment)))

    def last_moment(self, subject: str) -> Moment | None:
        """Return the moment of the subject's previous signal, where that was not withdrawn."""
        known = self.subjects.get(subject)
        return self._moment_of(known, known.last) if known is not None and known.last is not None else None

    def dump(self) -> dict[str, Any]:
        """Return the truth of all subjects as plain data; signals stand by their number."""
        subjects = [
            [
                each.name,
                each.epoch,
                each.last.seq if each.last is not None else None,
                [[rule, standing.matter, standing.sector, standing.spent] for rule, standing in each.true.items()],
                each.hits,
            ]
            for each in self.subjects.values()
        ]
        return {"epoch": self._epoch, "turns": self._turns, "subjects": subjects}

    def load(self, state: Mapping[str, Any], ruleset: RuleSet, lives: Mapping[int, Live]) -> None:
        """Take up `dump` under the rule set that it was taken under."""
        self._install(ruleset, 0)
        self._epoch = state["epoch"]
        self._turns = list(state["turns"])
        self.subjects = {}
        for name, epoch, last, true, hits in state["subjects"]:
            subject = self.subjects[name] = Subject(name, epoch)
            subject.hits = dict(hits)
            if last is not None:
                subject.last = lives[last]
                subject.last.holds += 1
            subject.true = {rule: Standing(self.plans[rule], matter, sector, spent) for rule, matter, sector, spent in true}
