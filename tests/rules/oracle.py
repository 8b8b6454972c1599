"""A plain reading of the rule language: every window recomputed from all signals, one rule at a time, nothing incremental.

It is the check on the shipped packs' tests that needs no pipeline, and what a faster one can be compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.instants import EPOCH, SHANGHAI
from domain.objects import RegulatedObject, Resolution
from domain.records import SignalEntry
from models.fast import Fast
from rules.cases import Case
from rules.facts import Facts
from rules.ruleset import Indicator, Rule, RuleSet, Window


@dataclass
class Hit:
    """One hit of the rule: when it was known, for whom, what it said, and the signals in its indicators' windows."""

    at: timedelta
    subject: str
    says: str
    evidence: set[str] = field(default_factory=set)


def _inside(window: Window | None, moment: datetime, as_of: datetime) -> bool:
    if window is None:
        return True
    if window.kind == "sliding" and window.exact:
        return as_of - window.length < moment <= as_of
    if window.kind == "sliding":
        bucket = window.length / 24
        age = (as_of - EPOCH) // bucket - (moment - EPOCH) // bucket
        return 0 <= age <= 23
    one, other = moment.astimezone(SHANGHAI).date(), as_of.astimezone(SHANGHAI).date()
    if window.kind == "day":
        return one == other
    if window.kind == "week":
        return one.isocalendar()[:2] == other.isocalendar()[:2]
    return (one.year, one.month) == (other.year, other.month)


def _aggregate(indicator: Indicator, values: list[tuple[datetime, Any]]) -> Any:
    if indicator.aggregate == "count":
        return float(len(values))
    known = [value for _, value in values if value is not None]
    if indicator.aggregate == "distinct":
        return float(len(set(known)))
    if not known:
        return None
    if indicator.aggregate == "last":
        return (
            max(((moment, index) for index, (moment, value) in enumerate(values) if value is not None), default=None)
            and [value for _, value in sorted(values, key=lambda pair: pair[0]) if value is not None][-1]
        )
    total = float(sum(known))
    return {"sum": total, "mean": total / len(known), "min": min(known), "max": max(known)}[indicator.aggregate]


class Oracle:
    """Runs one rule of a set over the signals of one case."""

    def __init__(self, ruleset: RuleSet, rule: Rule, objects: tuple[RegulatedObject, ...]) -> None:
        self._rule = rule
        self._objects = {thing.id: thing for thing in objects}
        needed = {*rule.when.indicators, *rule.says}
        needed |= {ruleset.indicators[name].input for name in needed if ruleset.indicators[name].input}
        self._indicators = [indicator for indicator in ruleset.indicators.values() if indicator.name in needed]
        self._selected: dict[tuple[str, str], list[tuple[datetime, Any, str]]] = {}
        self._newest: dict[str, datetime] = {}
        self._scores: dict[tuple[str, str], float] = {}
        self._fast = Fast()
        self._true: dict[str, bool] = {}
        self._last_hit: dict[str, timedelta] = {}
        self.hits: list[Hit] = []

    @staticmethod
    def reads(ruleset: RuleSet, rule: Rule) -> bool:
        """Tell whether this reading knows all words of a rule; the others are read by `tests.streams.naive`."""
        named = [ruleset.indicators[name] for name in dict.fromkeys((*rule.when.indicators, *rule.says))]
        named += [ruleset.indicators[each.input] for each in named if each.input]
        return rule.plain and all(
            each.aggregate in {"count", "sum", "mean", "min", "max", "distinct", "last", "anomaly"}
            and (each.window is None or each.window.kind in {"sliding", "day", "week", "month"})
            and (each.by == "object" or isinstance(each.by, int))
            and not each.needs
            for each in named
        )

    def _key(self, by: int | str, thing: RegulatedObject) -> str:
        return thing.id if by == "object" else f"region:{thing.region[: int(by)]}"

    def _value(self, indicator: Indicator, key: str) -> tuple[Any, set[str]]:
        if indicator.input:
            return self._scores.get((indicator.name, key)), set()
        selected = self._selected.get((indicator.name, key), [])
        if not selected:
            return (0.0 if indicator.aggregate in {"count", "distinct", "sum"} else None), set()
        as_of = max(moment for moment, _, _ in selected) if indicator.as_of == "own" else self._newest[key]
        inside = [(moment, value, name) for moment, value, name in selected if _inside(indicator.window, moment, as_of)]
        return _aggregate(indicator, [(moment, value) for moment, value, _ in inside]), {name for _, _, name in inside}

    def _feed(self, entry: SignalEntry, thing: RegulatedObject) -> None:
        facts = Facts(entry, thing)
        for indicator in self._indicators:
            key = self._key(indicator.by, thing)
            moment = entry.signal.occurred_at
            self._newest[key] = max(moment, self._newest.get(key, moment))
            if indicator.input:
                source = next(each for each in self._indicators if each.name == indicator.input)
                if source.where is None or source.where.evaluate(facts) is True:
                    value = self._value(source, key)[0]
                    self._scores[indicator.name, key] = self._fast.score(f"{indicator.name}/{key}", moment, [value]).value
            elif indicator.where is None or indicator.where.evaluate(facts) is True:
                value = indicator.of.evaluate(facts) if indicator.of else None
                self._selected.setdefault((indicator.name, key), []).append((moment, value, entry.signal.id))

    def run(self, case: Case) -> list[Hit]:
        """Feed all signals and return the hits in order."""
        for received, signal in case.signals:
            thing = self._objects[signal.object.id]
            resolution = Resolution(object_id=thing.id, method="id", confidence=1.0)
            entry = SignalEntry(feed="test", signal=signal, resolution=resolution, digest="")
            self._feed(entry, thing)
            read = {each.name: self._value(each, self._key(each.by, thing)) for each in self._indicators}
            facts = Facts(entry, thing, {name: value for name, (value, _) in read.items()})
            subject = self._key(self._rule.by, thing)
            now = self._rule.when.evaluate(facts) is True
            rose = now and not self._true.get(subject, False)
            self._true[subject] = now
            if rose and received - self._last_hit.get(subject, timedelta(days=-10000)) >= self._rule.cooldown:
                self._last_hit[subject] = received
                evidence = set().union(*(names for _, names in read.values())) | {signal.id}
                self.hits.append(Hit(received, subject, self._rule.say(facts), evidence))
        return self.hits
