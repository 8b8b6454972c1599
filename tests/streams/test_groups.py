"""Indicators kept for something else than the object, and those made of others, told in the language itself."""

from __future__ import annotations

from typing import Any

from domain.objects import RegulatedObject, Relation
from domain.signals import ObjectRef
from rules.load import load_rules
from rules.ruleset import RuleSet
from tests.factories import T0, make_object
from tests.streams.kit import Story

START = ["effective: {from: 2024-01-01}", "plan: p"]


def pack(*indicators: str, when: str = "n >= 3") -> RuleSet:
    """Return a rule set with one rule."""
    rule = f"  - {{id: r, title: r, status: active, basis: [b], when: '{when}', points: 40, say: '{{n}}'}}"
    return load_rules(
        {"p.yaml": "\n".join(["pack: p", "title: 组", "sector: gas", "owner: 某局", *START, "indicators:", *indicators, "rules:", rule])}
    )


def shop(id: str, industry: str = "H62", region: str = "610113001", parent: str = "") -> RegulatedObject:  # noqa: A002  # the object's own word
    """Return an object of the registry."""
    relations = (Relation(kind="parent", object_id=parent),) if parent else ()
    return make_object(id=id, industry=industry, region=region, relations=relations)


def tell(told: Story, *about: str, **kw: Any) -> list[str]:
    """Let a signal of each of these objects come, an hour apart; return the rules' subjects that hit."""
    for hours, name in enumerate(about):
        told.signal(hours, f"s{told.seq}", object=ObjectRef(id=name), **kw)
    return [out.subject for out in told.outcomes if type(out).__name__ == "RuleHit"]


def test_the_branches_of_one_chain_count_together() -> None:
    """Three shops with the same parent, one complaint each: the third hits; the head office's own complaint counts with theirs."""
    told = Story(T0, pack("  n: {count: signals, window: 7d, by: parent}"))
    told.objects(0, shop("a", parent="head"), shop("b", parent="head"), shop("head"), shop("c"))
    assert tell(told, "a", "b", "c", "head") == ["head"]


def test_an_industry_of_a_county_is_one_group_and_another_county_another() -> None:
    """Only objects of the same industry in the same county are counted together; without an industry an object counts nowhere."""
    told = Story(T0, pack("  n: {distinct: object, window: 7d, by: [region(6), industry]}"))
    told.objects(0, shop("a"), shop("b", region="610114"), shop("c", industry="F52"), shop("d", industry=""), shop("e"), shop("f"))
    assert tell(told, "a", "b", "c", "d", "e") == []
    assert tell(told, "f") == ["f"]


def test_the_matter_is_that_of_the_signal() -> None:
    """Signals of one matter count together whomever they are about; those without a matter count nowhere."""
    told = Story(T0, pack("  n: {count: signals, window: 7d, by: matter}"))
    assert tell(told, "a", "b", "c", matter="") == []
    assert tell(told, "a", "b", "c", matter="gas-supply") == ["c"]


def test_a_formula_is_worked_out_from_the_values_of_the_moment() -> None:
    """What share of the street's complaints is about one object; the evidence is that of both counts."""
    street = "  street: {count: signals, window: 7d, by: region(9)}"
    rules = pack("  n: {count: signals, window: 7d}", street, "  part: {ratio: [n, street]}", when="part > 0.5 and street >= 4")
    told = Story(T0, rules)
    told.objects(0, shop("a"), shop("b"))
    assert tell(told, "a", "b", "a") == []
    assert tell(told, "a") == ["a"]
    assert told.pipeline.values_at("a")["p.part"] == 0.75
    (warning,) = [out.warning for out in told.outcomes if type(out).__name__ == "WarningRaised"]
    assert warning.evidence_count == 4


def test_a_formula_without_an_input_is_unknown_and_so_is_a_division_by_zero() -> None:
    """Neither makes a rule true, nor breaks it."""
    n = "  n: {count: signals, where: source == iot, window: 7d}"
    m = "  m: {mean: value, where: source == iot, window: 7d}"
    told = Story(T0, pack(n, m, "  x: {formula: m / n}", "  y: {formula: n / n * 2}", when="x < 100 or y < 100"))
    assert tell(told, "a", source="hotline") == []
    assert tell(told, "a", source="iot", value=3.0) == ["a"]
    assert told.pipeline.values_at("a")["p.x"] == 3.0


def test_an_object_that_moves_leaves_its_signals_in_its_former_group() -> None:
    """What was counted stays where it was counted; what comes next counts in the new group, and a withdrawal finds the old one."""
    told = Story(T0, pack("  n: {count: signals, window: 7d, by: industry}"))
    told.objects(0, shop("a"))
    tell(told, "a", "a")
    told.objects(2, shop("a", industry="F52"))
    tell(told, "a")
    assert (told.value("p.n", "industry:H62"), told.value("p.n", "industry:F52")) == (2, 1)
    told.signal(4, "w", withdraws="s3")
    assert (told.value("p.n", "industry:H62"), told.value("p.n", "industry:F52")) == (1, 1)
