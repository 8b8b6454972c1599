"""Random sequences of records over two rule sets with every aggregate, window and kind of entry."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from domain.findings import warning_id
from domain.inference import Clause
from domain.objects import Relation, Resolution
from domain.records import AnyEntry, FeedEntry, ObjectsEntry, OutcomeEntry, Record, ResolutionEntry, RulesetEntry, TickEntry
from domain.signals import ObjectRef
from rules.facts import Facts
from rules.ruleset import Window
from tests.factories import T0, make_entry, make_object
from tests.streams.kit import SOURCE, VALUE, at_least, expression, indicator, inference, kind_is, rule, ruleset, severity_from, source_is

HOUR = timedelta(hours=1)
OBJECTS = ("o-1", "o-2", "o-3")
HIGH = expression("value > 5", lambda f: None if f.entry.signal.value is None else f.entry.signal.value > 5, fields=("value",))


def _indicators() -> list[Any]:
    short, exact = Window(kind="sliding", length=24 * HOUR), Window(kind="sliding", length=10 * HOUR, exact=True)
    odd = Window(kind="sliding", length=timedelta(microseconds=100_000_000_007))
    return [
        indicator("p.count", where=kind_is("gas."), window=short),
        indicator("p.sum", "sum", of=VALUE, window=exact, as_of="object"),
        indicator("p.mean", "mean", of=VALUE, where=_both(source_is("iot"), HIGH), window=short, as_of="object"),
        indicator("p.min", "min", of=VALUE, window=Window(kind="day")),
        indicator("p.max", "max", of=VALUE, where=source_is("iot"), window=odd),
        indicator("p.distinct", "distinct", of=SOURCE, window=Window(kind="week")),
        indicator("p.last", "last", of=VALUE, window=Window(kind="month"), as_of="object"),
        indicator("p.day", where=source_is("hotline"), window=Window(kind="day"), as_of="object"),
        indicator(
            "p.area", "distinct", of=expression("object", lambda f: f.entry.resolution.object_id, fields=("object",)), by=6, window=short
        ),
        indicator("p.area_sum", "sum", of=VALUE, by=6, window=exact, as_of="object"),
    ]


def _below(name: str, limit: float) -> Any:
    def evaluate(facts: Facts) -> bool | None:
        value = facts.values.get(name)
        return None if value is None else value < limit  # type: ignore[operator]  # the worlds compare numbers

    return expression(f"{name} < {limit}", evaluate, indicators=(name,))


def _both(one: Any, other: Any) -> Any:
    def evaluate(facts: Facts) -> bool | None:
        found = (one.evaluate(facts), other.evaluate(facts))
        return False if False in found else None if None in found else True

    return expression(
        f"{one.text} and {other.text}", evaluate, indicators=(*one.indicators, *other.indicators), fields=(*one.fields, *other.fields)
    )


def rulesets() -> dict[str, Any]:
    """Return two rule sets that share some definitions."""
    credit = expression("object.credit == D", lambda f: None if f.object is None else f.object.credit == "D", fields=("object.credit",))
    rules = [
        rule("burst", at_least("p.count", 3)),
        rule("sum", at_least("p.sum", 12), points=25.0, half_life=6 * HOUR, family="f", cap=30.0),
        rule("mean", at_least("p.mean", 7), points=20.0, family="f", cap=30.0, half_life=30 * HOUR),
        rule("low", _below("p.min", 2), points=0.0),
        rule("max", at_least("p.max", 8), points=15.0, cooldown=5 * HOUR),
        rule("few", _below("p.count", 1), points=2.0),
        rule("severe", severity_from(3), points=70.0, at_least="orange", half_life=12 * HOUR),
        rule("both", _both(severity_from(2), at_least("p.count", 2)), points=30.0, sector="fire"),
        rule("credit", _both(credit, at_least("p.distinct", 2)), points=45.0),
        rule("near", _both(at_least("p.area", 2), at_least("p.day", 1)), points=22.0, status="shadow"),
        rule("street", at_least("p.area", 2), by=6, points=60.0),
        rule("street-sum", at_least("p.area_sum", 20), by=6, points=25.0, sector="fire"),
        rule("soon", at_least("p.last", 4), effective_from=T0 + 20 * HOUR, effective_to=T0 + 60 * HOUR),
        rule("draft", at_least("p.count", 1), status="draft"),
    ]
    inferences = [
        inference("gas-and-fire", Clause(holds=("rule:burst", "rule:both")), Clause(holds=("rule:severe", "rule:both"))),
        inference("severe-and-few", Clause(holds=("rule:severe", "rule:few")), plan="check"),
        inference(
            "high-alone",
            Clause(holds=("level:gas>=orange",), lacks=("inference:gas-and-fire",)),
            line=2,
            effective_from=T0 + 3 * HOUR,
            effective_to=T0 + 100 * HOUR,
        ),
        inference("known-bad", Clause(holds=("rule:sum", "object.credit=D")), Clause(holds=("inference:high-alone", "label:x")), line=3),
        inference("on-trial", Clause(holds=("rule:near", "rule:burst")), status="shadow", line=4),
    ]
    first = _indicators()
    second = [indicator("p.count", where=source_is("iot"), window=first[0].window), *first[1:]]
    return {
        "v1": ruleset(rules, first, "v1", inferences),
        "v2": ruleset([rule("burst", at_least("p.count", 2)), *rules[1:9], *rules[10:]], second, "v2", inferences[:2]),
    }


def _signal(draw: Any, number: int, now: Any, ids: list[str], *, years: bool) -> AnyEntry:
    own = draw(st.sampled_from(["new"] * 6 + ["revision", "corrects", "withdraws", "unresolved"])) if ids else "new"
    name = f"s{number}"
    more: dict[str, Any] = {}
    if own == "revision":
        name = draw(st.sampled_from(ids))
        more["revision"] = number
    elif own in ("corrects", "withdraws"):
        more[own] = draw(st.sampled_from(ids))
        if own == "corrects":  # from here on the sender speaks of the correction
            ids[:] = [known for known in ids if known != more[own]]
    ids.append(name)
    about = "" if own == "unresolved" else draw(st.sampled_from(OBJECTS))
    late = draw(st.sampled_from([0, 0, 0, 1, 7, 23, 25, 200, *([1500, 2500, 9000] if years else [])])) * HOUR + draw(
        st.integers(0, 3)
    ) * timedelta(minutes=17)
    return make_entry(
        id=name,
        source=draw(st.sampled_from(["complaint", "hotline", "iot"])),
        kind=draw(st.sampled_from(["gas.leak", "gas.pressure", "fire.smoke"])),
        occurred_at=now - late,
        severity=draw(st.integers(0, 3)),
        value=draw(st.sampled_from([None, 0.1, 0.2, 0.7, 3.0, 6.5, 9.0, 1e17, -1e17])),
        region=draw(st.sampled_from(["", "610113001", "610114"])),
        matter=draw(st.sampled_from(["", "gas-supply", "fire"])),
        object=ObjectRef(id=about),
        resolution=Resolution(object_id=about, method="id", confidence=1.0) if about else Resolution(),
        **more,
    )


@st.composite
def worlds(draw: Any, size: int = 40, *, years: bool = False) -> list[Record]:
    """Draw a journal: the first record activates v1; weeks long, or `years`."""
    leaps = [100_000, 200_000, 600_000] if years else []
    now = T0
    records = [Record(seq=1, received_at=now, entry=RulesetEntry(version="v1"))]
    ids: list[str] = []
    for number in range(2, 2 + draw(st.integers(1, size))):
        now += draw(st.sampled_from([0, 0, 10, 60, 60, 300, 1500, 8000, *leaps])) * timedelta(minutes=1)
        what = draw(st.sampled_from(["signal"] * 12 + ["confirm", "tick", "objects", "ruleset", "closed", "feed"]))
        if what == "signal" or (what == "confirm" and not ids):
            entry = _signal(draw, number, now, ids, years=years)
        elif what == "confirm":
            entry = ResolutionEntry(
                feed="test", signal_id=draw(st.sampled_from(ids)), object_id=draw(st.sampled_from(["", *OBJECTS])), by="a"
            )
        elif what == "tick":
            entry = TickEntry()
        elif what == "objects":
            thing = make_object(
                id=draw(st.sampled_from(OBJECTS)),
                region=draw(st.sampled_from(["", "610113", "610114002"])),
                credit=draw(st.sampled_from("AD")),
                industry=draw(st.sampled_from(["", "D45", "F52"])),
                relations=draw(st.sampled_from([(), (Relation(kind="uses", object_id="o-9"), Relation(kind="parent", object_id="o-2"))])),
            )
            entry = ObjectsEntry(version=number, objects=(thing,))
        elif what == "ruleset":
            entry = RulesetEntry(version=draw(st.sampled_from(["v1", "v2"])))
        elif what == "feed":
            entry = FeedEntry(feed="test", mark=draw(st.sampled_from(["silent", "back"])))
        else:
            subject = draw(st.sampled_from([*OBJECTS, "region:610113"]))
            matter = draw(st.sampled_from(["gas", "fire"]))
            entry = OutcomeEntry(
                warning_id=warning_id("live", subject, matter, draw(st.integers(1, 2))), verdict="confirmed", closed=draw(st.booleans())
            )
        records.append(Record(seq=number, received_at=now, entry=entry))
    return records


def busy(random: Random, size: int) -> list[Record]:
    """Return a journal of many signals about two of six objects, hours apart, sometimes months; some late, corrected or withdrawn."""
    now = T0
    chain = (Relation(kind="parent", object_id="o-2"),)
    things = tuple(make_object(id=f"o-{n}", region=f"61011300{n}", industry="H62", relations=chain) for n in range(1, 7))
    records = [
        Record(seq=1, received_at=now, entry=RulesetEntry(version="v1")),
        Record(seq=2, received_at=now, entry=ObjectsEntry(version=1, objects=things)),
    ]
    ids: list[str] = []
    for number in range(3, 3 + size):
        now += random.choice([1, 2, 2, 3, 5, 9, 20]) * HOUR if random.random() < 0.95 else random.choice([15, 40, 400]) * 24 * HOUR
        more: dict[str, Any] = {}
        if len(ids) > 5 and random.random() < 0.15:
            more[random.choice(["corrects", "withdraws"])] = random.choice(ids[-20:])
        about = random.choice(["o-1", "o-1", "o-1", "o-2"])
        entry = make_entry(
            id=f"s{number}",
            source=random.choice(["hotline", "iot", "iot"]),
            kind=random.choice(["gas.leak", "gas.leak", "gas.pressure", "fire.smoke"]),
            occurred_at=now - random.choice([0, 0, 0, 0, 4, 30, 3000]) * HOUR,
            severity=random.randrange(4),
            value=random.choice([None, 0.1, 0.7, 3.0, 3.0, 6.5, 9.0]),
            matter=random.choice(["", "gas-supply"]),
            region="610113001",
            object=ObjectRef(id=about),
            **more,
        )
        ids.append(f"s{number}")
        records.append(Record(seq=number, received_at=now, entry=entry))
    return records
