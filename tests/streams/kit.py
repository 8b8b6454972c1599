"""Rule sets built by hand, without the language: indicators and rules from small closures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.catalogue import Catalogue
from domain.inference import Clause
from domain.levels import DEFAULT_LEVELS
from domain.objects import RegulatedObject
from domain.records import AnyEntry, ObjectsEntry, OutcomeEntry, Record, ResolutionEntry, RulesetEntry, TickEntry
from rules.facts import Facts
from rules.ruleset import Explained, Expression, Indicator, InferenceRule, Rule, RuleSet, Window
from streams.pipeline import Pipeline, PipelineSettings
from tests.factories import make_entry

DAYS = timedelta(days=1)


def expression(text: str, evaluate: Callable[[Facts], Any], *, indicators: Sequence[str] = (), fields: Sequence[str] = ()) -> Expression:
    """Return an expression that does what `evaluate` says; it must be false only where no unknown field could make it true."""
    return Expression(
        text=text,
        evaluate=evaluate,
        indicators=tuple(indicators),
        fields=tuple(fields),
        explainer=lambda facts: Explained(text, evaluate(facts)),
    )


def kind_is(prefix: str) -> Expression:
    """Select signals whose kind begins with `prefix`."""
    return expression(f"kind in {prefix}*", lambda facts: facts.entry.signal.kind.startswith(prefix), fields=("kind",))


def source_is(source: str) -> Expression:
    """Select signals of one source."""
    return expression(f"source == {source}", lambda facts: facts.entry.signal.source == source, fields=("source",))


VALUE = expression("value", lambda facts: facts.entry.signal.value, fields=("value",))
SOURCE = expression("source", lambda facts: facts.entry.signal.source, fields=("source",))
WEEK = Window(kind="sliding", length=7 * DAYS)


def indicator(name: str = "p.n", aggregate: Any = "count", **kw: Any) -> Indicator:
    """Return a count over a week; any field by keyword."""
    given: dict[str, Any] = {"name": name, "title": name, "aggregate": aggregate, "window": WEEK}
    return Indicator(**(given | kw))


def at_least(name: str, limit: float) -> Expression:
    """Hold where an indicator is known and at least `limit`."""

    def evaluate(facts: Facts) -> bool | None:
        value = facts.values.get(name)
        return None if value is None else value >= limit  # type: ignore[operator]  # the tests compare numbers

    return expression(f"{name} >= {limit}", evaluate, indicators=(name,))


def severity_from(limit: int) -> Expression:
    """Hold at a signal of this severity or worse."""
    return expression(f"severity >= {limit}", lambda facts: facts.entry.signal.severity >= limit, fields=("severity",))


def rule(id: str = "r", when: Expression | None = None, **kw: Any) -> Rule:  # noqa: A002  # the rule's own word
    """Return an active rule of 40 points that holds at five signals; any field by keyword."""
    given: dict[str, Any] = {
        "id": id,
        "pack": "p",
        "title": id,
        "status": "active",
        "sector": "gas",
        "when": when or at_least("p.n", 5),
        "points": 40.0,
        "say": lambda facts: f"{id}: {facts.values.get('p.n')}",
        "file": "p.yaml",
        "line": 1,
    }
    return Rule(**(given | kw))


def inference(id: str, *clauses: Clause, **kw: Any) -> InferenceRule:  # noqa: A002  # the inference's own word
    """Return an active inference of the gas sector; any field by keyword."""
    given: dict[str, Any] = {
        "id": id,
        "pack": "p",
        "title": id,
        "status": "active",
        "sector": "gas",
        "when": id,
        "clauses": clauses,
        "say": f"{id}!",
        "file": "p.yaml",
        "line": 1,
    }
    return InferenceRule(**(given | kw))


def ruleset(
    rules: Sequence[Rule], indicators: Sequence[Indicator], version: str = "v1", inferences: Sequence[InferenceRule] = ()
) -> RuleSet:
    """Return a rule set."""
    known = {each.name: each for each in indicators}
    return RuleSet(version=version, rules=tuple(rules), indicators=known, inferences=tuple(inferences))


def values_of(pipeline: Pipeline, key: str) -> dict[str, Any]:
    """Return the present indicator values of an object id or an area ("region:610113"); only those that it has."""
    known = pipeline._indicators.keys.get(key)  # no user asks for a key's values by name: a rule reads them at a signal
    return {} if known is None else {name: cell.value() for name, cell in known.cells.items()} | dict(known.scores)


class Story:
    """A pipeline with a rule set, and a short way to say what comes in and when (hours after T0)."""

    def __init__(
        self, start: datetime, *rulesets: RuleSet, detectors: Any = None, settings: PipelineSettings | None = None, **kw: Any
    ) -> None:
        self.start = start
        self.known = {each.version: each for each in rulesets}
        self.pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), self.known.__getitem__, detectors or {}, settings or PipelineSettings(), **kw)
        self.seq = 0
        self.outcomes: list[Any] = []
        if rulesets:
            self.add(0, RulesetEntry(version=rulesets[0].version))

    def add(self, hours: float, entry: AnyEntry) -> list[Any]:
        """Take in an entry received at `hours`; return what followed."""
        self.seq += 1
        out = self.pipeline.step([Record(seq=self.seq, received_at=self.start + timedelta(hours=hours), entry=entry)])
        self.outcomes.extend(out)
        return out

    def signal(self, hours: float, id: str, *, received: float | None = None, **kw: Any) -> list[Any]:  # noqa: A002  # the signal's own word
        """Take in a signal that occurred at `hours`, received then unless said otherwise."""
        entry = make_entry(id=id, occurred_at=self.start + timedelta(hours=hours), **kw)
        return self.add(hours if received is None else received, entry)

    def confirm(self, hours: float, id: str, object_id: str) -> list[Any]:  # noqa: A002  # the signal's own word
        """A person says which object a signal is about."""
        return self.add(hours, ResolutionEntry(feed="test", signal_id=id, object_id=object_id, by="张三"))

    def close(self, hours: float, warning: str) -> list[Any]:
        """The departments close a warning."""
        return self.add(hours, OutcomeEntry(warning_id=warning, verdict="confirmed", closed=True))

    def objects(self, hours: float, *things: RegulatedObject) -> list[Any]:
        """Upsert objects."""
        return self.add(hours, ObjectsEntry(version=1, objects=things))

    def activate(self, hours: float, new: RuleSet) -> list[Any]:
        """Activate another rule set."""
        self.known[new.version] = new
        return self.add(hours, RulesetEntry(version=new.version))

    def tick(self, hours: float) -> list[Any]:
        """Let time pass."""
        return self.add(hours, TickEntry())

    def value(self, name: str = "p.n", key: str = "o-1") -> Any:
        """Return an indicator's value."""
        return values_of(self.pipeline, key).get(name)
