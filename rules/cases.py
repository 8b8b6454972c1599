"""Tests that a rule carries in its file: signals at relative times, and what the rule should do.

A case is about its rule alone: it runs with that rule and its indicators and no other rule of the set, so a change elsewhere cannot
break it. `streams` runs it, since that needs the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from domain.objects import Licence, RegulatedObject, Relation
from domain.signals import ObjectRef, Signal
from rules.documents import CaseDoc, CaseObjectDoc, ExpectDoc, GivenDoc
from rules.durations import LONGEST, duration
from rules.literals import literal
from rules.positions import Mapping, Path, find, place
from rules.problems import Problems

BASE: Final = datetime(2026, 3, 1, 16, tzinfo=UTC)  # Monday 2026-03-02, 00:00 in Shanghai: +8h is eight in the morning


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the rule should do: no hit, or the first hit at `BASE + hit_at`; None and "" leave a thing open.

    `blind`: no hit, and it is told that silent feeds keep the rule from being decided. `level` and `score` are the warning's right after
    that hit, `evidence` its number of signals, `says` the hit's whole message.
    """

    hits: bool
    hit_at: timedelta | None = None
    level: str = ""
    score: float | None = None
    evidence: int | None = None
    says: str = ""
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One test of one rule; `signals` are (received after BASE, signal) in the order of receipt, with absolute `occurred_at`.

    A signal's object is `objects`' entry of the id in `signal.object.id`. `marks` say when the feed of a source fell silent (True) or came
    back (False), in the order of time.
    """

    rule: str
    name: str
    file: str
    line: int
    signals: tuple[tuple[timedelta, Signal], ...]
    objects: tuple[RegulatedObject, ...]
    expect: Expectation
    marks: tuple[tuple[timedelta, str, bool], ...] = ()


def _objects(doc: CaseDoc) -> tuple[RegulatedObject, ...]:
    named = {given.object for given in doc.given} | set(doc.objects)
    found = []
    for name in sorted(named):
        known = doc.objects.get(name)
        if known is None:
            found.append(RegulatedObject(id=name, type="enterprise", name=f"测试对象{name}", region="610113001000"))
            continue
        found.append(
            RegulatedObject(
                id=name,
                type=known.type,
                name=known.name or f"测试对象{name}",
                code=known.code,
                region=known.region,
                industry=known.industry,
                credit=known.credit,
                labels=known.labels,
                listed_by=known.listed_by,
                relations=_relations(known),
                licences=tuple(
                    Licence(kind=each.kind, state=each.state, expires=date.fromisoformat(each.expires) if each.expires else None)
                    for each in known.licences
                ),
            )
        )
    return tuple(found)


def _relations(known: CaseObjectDoc) -> tuple[Relation, ...]:
    parent = (Relation(kind="parent", object_id=known.parent),) if known.parent else ()
    return (*parent, *(Relation(kind=kind, object_id=other) for kind, others in known.relations.items() for other in others))


class _Maker:
    """Makes the signals of one case."""

    def __init__(self, file: str, tree: Mapping, problems: Problems, path: Path) -> None:
        self._file, self._tree, self._problems, self._path = file, tree, problems, path

    def _problem(self, path: Path, key: str, **values: object) -> None:
        self._problems.add(self._file, place(self._tree, self._path + path), key, **values)

    def values(self, given: GivenDoc, index: int) -> list[tuple[float, str]]:
        """Return the (value, unit) pairs that the signals take in turn; none where no value is given."""
        if given.value is not None and given.values:
            self._problem(("given", index, "values"), "rules.value_or_values")
        raws = (given.value,) if given.value is not None else given.values
        read = []
        for raw in raws:
            constant = literal(raw)
            if constant is None:
                self._problem(
                    ("given", index, "value" if given.value is not None else "values"), "rules.want_number", field="value", read=raw
                )
                continue
            read.append((float(constant.value), "CNY" if constant.type == "money" else given.unit))
        return read

    def _names(self, index: int, given: GivenDoc, legal: set[str]) -> None:
        """Judge what a signal is called and which other one it names."""
        if given.id and given.times > 1:
            self._problem(("given", index, "id"), "rules.id_of_many")
        for key in ("corrects", "withdraws"):
            named = getattr(given, key)
            if named and named not in legal:
                self._problem(("given", index, key), "rules.unknown_signal", read=named, legal=sorted(legal))

    def marks(self, doc: CaseDoc) -> tuple[tuple[timedelta, str, bool], ...]:
        """Return when which source fell silent or came back, in the order of time."""
        made: list[tuple[timedelta, str, bool]] = []
        for index, mark in enumerate(doc.feeds):
            if (mark.silent is None) == (mark.back is None):
                self._problem(("feeds", index), "rules.silent_or_back")
                continue
            made.append((duration(mark.at.removeprefix("+")), mark.silent or mark.back or "", mark.silent is not None))
        return tuple(sorted(made, key=lambda each: each[0]))

    def signals(self, doc: CaseDoc, objects: tuple[RegulatedObject, ...]) -> tuple[tuple[timedelta, Signal], ...]:
        """Return all signals by the time of receipt."""
        by_id = {each.id: each for each in objects}
        made: list[tuple[timedelta, Signal]] = []
        for index, given in enumerate(doc.given):
            if given.times > 1 and given.every is None:
                if find(self._tree, (*self._path, "given", index, "every")) is None:
                    self._problem(("given", index), "rules.missing_key", field="every")
                continue
            self._names(index, given, {each.id for each in doc.given if each.id and each.source == given.source})
            start, step = duration(given.at.removeprefix("+")), duration(given.every or "0s")
            late = duration(given.late or "0s")
            if start + (given.times - 1) * step > LONGEST:
                said = {"field": "every × times", "read": f"{given.every} × {given.times}", "low": "0s", "high": f"{LONGEST.days}d"}
                self._problem(("given", index, "every"), "rules.out_of_range", **said)
                continue
            values = self.values(given, index)
            about = by_id[given.object]
            for repeat in range(given.times):
                value, unit = values[repeat % len(values)] if values else (None, given.unit)
                offset = start + repeat * step
                signal = Signal(
                    id=given.id or f"t{len(made) + 1:04d}",
                    source=given.source,
                    kind=given.kind,
                    occurred_at=BASE + offset,
                    object=ObjectRef(id=about.id, name=about.name),
                    matter=given.matter,
                    region=given.region if given.region is not None else about.region,
                    severity=given.severity,
                    value=value,
                    unit=unit,
                    text=given.text,
                    attrs=dict(given.attrs),
                    corrects=given.corrects,
                    withdraws=given.withdraws,
                )
                made.append((offset + late, signal))
        return tuple(sorted(made, key=lambda pair: pair[0]))


def make_case(file: str, tree: Mapping, problems: Problems, rule: str, path: Path, doc: CaseDoc) -> Case:
    """Return the case that stands at `path` of `tree`; what is wrong with it goes to `problems`."""
    objects = _objects(doc)
    maker = _Maker(file, tree, problems, path)
    signals, marks = maker.signals(doc, objects), maker.marks(doc)
    expect = Expectation(hits=False, blind=doc.expect == "blind")
    if isinstance(doc.expect, ExpectDoc):
        expect = Expectation(
            hits=True,
            hit_at=duration(doc.expect.hit_at.removeprefix("+")),
            level=doc.expect.level,
            score=doc.expect.score,
            evidence=doc.expect.evidence,
            says=doc.expect.says,
        )
    return Case(rule, doc.name, file, place(tree, path).line, signals, objects, expect, marks)
