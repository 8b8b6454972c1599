"""What depends on a basis, a matter, a feed, an indicator: the list to look at when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.catalogue import Catalogue, CatalogueItem
from rules.depends import dependents
from rules.load import load_rules

PACKS = Path(__file__).parents[2] / "rules" / "packs"
SHIPPED = load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(PACKS.glob("*.yaml"))})
TEXT = """
pack: p
title: 测试
sector: gas
owner: 市住建局
plan: gas-check
indicators:
  fast: {mean: value, unit: kPa, where: source == iot, window: 10m}
  odd: {anomaly: fast, detector: fast}
rules:
  - {id: a, title: 甲, status: draft, when: odd > 0.9, points: 1, say: 某某, basis: [《安全生产法》 第三十六条]}
  - {id: b, title: 乙, status: draft, when: {at_least: 1, of: [a]}, points: 1, say: 某某}
  - {id: c, title: 丙, status: draft, matter: gas-supply, when: source == penalty, points: 1, say: 某某}
"""
RULESET = load_rules({"p.yaml": TEXT})
ITEM = CatalogueItem(slug="gas-supply", title="燃气供应", sector="gas", lead="市住建局", code="01234567890123")


def ways(on: str) -> list[tuple[str, str]]:
    """Return (rule, how) of what depends on `on`."""
    found = dependents(RULESET, on, catalogue=Catalogue(version=1, items=(ITEM,)), sources={"meters": "iot"})
    return [(each.rule, each.how) for each in found]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("安全生产法第三十六条", [("a", "basis: 《安全生产法》 第三十六条")]),
        ("meters", [("a", "source: iot"), ("b", "source: iot")]),
        ("iot", [("a", "source: iot"), ("b", "source: iot")]),
        ("fast", [("a", "indicator: p.fast"), ("b", "indicator: p.fast")]),
        ("p.odd", [("a", "indicator: p.odd"), ("b", "indicator: p.odd")]),
        ("a", [("b", "rule: a")]),
        ("gas-check", [(rule, "plan: gas-check") for rule in "abc"]),
        ("01234567890123", [("a", "matter: gas"), ("b", "matter: gas"), ("c", "matter: gas-supply")]),
        ("别的法", []),
    ],
)
def test_rules_are_found_by_what_they_depend_on(on: str, expected: list[tuple[str, str]]) -> None:
    """Through the input of a score and through another rule as well; how a basis is punctuated does not matter."""
    assert ways(on) == expected


def test_every_basis_of_the_shipped_packs_leads_back_to_its_rules() -> None:
    """No rule is missed when the regulation that it stands on is amended."""
    for rule in SHIPPED.rules:
        for basis in rule.basis:
            assert rule.id in {each.rule for each in dependents(SHIPPED, basis)}
