"""Who judges which rule where there are several partitions."""

from __future__ import annotations

from rules.load import load_rules
from rules.spread import spread

PACK = """\
pack: p
title: 组
sector: gas
owner: 某局
effective: {from: 2024-01-01}
plan: p
indicators:
  n: {count: signals, window: 7d}
  street: {count: signals, window: 7d, by: region(9)}
  county: {count: signals, window: 7d, by: region(6)}
  chain: {count: signals, window: 7d, by: parent}
  part: {ratio: [n, chain]}
rules:
  - {id: own, title: t, status: active, basis: [b], when: n >= 3, points: 40, say: '{n}'}
  - {id: of-street, title: t, status: active, subject: region(9), basis: [b], when: street >= 3, points: 40, say: '{street}'}
  - {id: of-county, title: t, status: active, subject: region(6), basis: [b], when: county >= 3, points: 40, say: '{county}'}
  - {id: of-chain, title: t, status: active, basis: [b], when: chain >= 3, points: 40, say: '{chain}'}
  - {id: of-part, title: t, status: active, basis: [b], when: part > 0.5, points: 40, say: '{part}'}
  - {id: over-own, title: t, status: active, basis: [b], when: {at_least: 1, of: [own, n >= 9]}, points: 40, say: x}
  - {id: over-chain, title: t, status: active, basis: [b], when: {at_least: 2, of: [own, of-chain]}, points: 40, say: x}
"""


def test_rules_are_judged_where_all_that_they_read_is_seen() -> None:
    """About an object by its own values and rules, about an area by the area's; what reads both is judged nowhere, and what reads that."""
    whole = load_rules({"p.yaml": PACK})
    found = spread(whole)
    assert [rule.id for rule in found.objects.rules] == ["own", "over-own"]
    assert [rule.id for rule in found.areas.rules] == ["of-street", "of-county"]
    assert found.left_out == ("of-chain", "of-part", "over-chain")
    assert found.digits == (6, 9)
    assert list(found.objects.indicators) == ["p.n", "p.part"]
    assert list(found.areas.indicators) == ["p.street", "p.county"]
    assert found.objects.version == found.areas.version == whole.version
