"""Who judges which rule where there are several partitions."""

from __future__ import annotations

from pathlib import Path

from domain.partitions import PLACEMENT
from rules.load import load_rules
from rules.spread import changed_places, spread

PACK = """\
pack: p
title: 组
sector: gas
owner: 某局
effective: {from: 2024-01-01}
plan: p
indicators:
  n: {count: signals, window: 7d}
  own_n: {count: signals, window: 7d, by: [object, matter]}
  street: {count: signals, window: 7d, by: region(9)}
  county: {count: signals, window: 7d, by: region(6)}
  chain: {count: signals, window: 7d, by: parent}
  part: {ratio: [n, chain]}
  usual: {peers: n, by: industry, take: median}
rules:
  - {id: own, title: t, status: active, basis: [b], when: n >= 3 and own_n >= 2, points: 40, say: '{n}'}
  - {id: of-street, title: t, status: active, subject: region(9), basis: [b], when: street >= 3, points: 40, say: '{street}'}
  - {id: of-county, title: t, status: active, subject: region(6), basis: [b], when: county >= 3, points: 40, say: '{county}'}
  - {id: near, title: t, status: draft, basis: [b], when: county >= 3 and n >= 2, points: 40, say: '{county}'}
  - {id: odd, title: t, status: active, basis: [b], when: n > 3 and usual > 1, points: 40, say: '{n}'}
  - {id: over-odd, title: t, status: active, basis: [b], when: {at_least: 2, of: [own, odd]}, points: 40, say: x}
  - {id: over-own, title: t, status: active, basis: [b], when: {at_least: 1, of: [own, n >= 9]}, points: 40, say: x}
"""
OTHER = (
    PACK.replace("pack: p", "pack: q")
    .replace("sector: gas", "sector: food")
    .replace("id: ", "id: q-")
    .replace("of: [own, ", "of: [q-own, ")
)
OTHER = OTHER.replace(", odd]", ", q-odd]")


WITHOUT_PEERS = "".join(line for line in PACK.splitlines(keepends=True) if "odd" not in line)
OTHER_WITHOUT_PEERS = "".join(line for line in OTHER.splitlines(keepends=True) if "odd" not in line)


def with_rule(line: str) -> str:
    """Return the pack with one more rule; GIVEN stands for what every rule has to say."""
    return WITHOUT_PEERS + "  - " + line.replace("GIVEN", "title: t, status: active, basis: [b]") + "\n"


def ids(rules: tuple[object, ...]) -> list[str]:
    """Return the ids of rules or inferences."""
    return [rule.id for rule in rules]  # type: ignore[attr-defined]  # rules and inferences have one


def test_rules_are_judged_where_all_that_they_read_is_seen() -> None:
    """About an object by its own values and rules, about an area by the area's."""
    whole = load_rules({"p.yaml": WITHOUT_PEERS})
    found = spread(whole)
    assert ids(found.objects.rules) == ["own", "near", "over-own"]
    assert ids(found.areas.rules) == ["of-street", "of-county"]
    assert found.groups.rules == found.shared == ()
    assert found.digits == (6, 9)
    assert list(found.objects.indicators) == ["p.n", "p.own_n", "p.part"]
    assert list(found.areas.indicators) == ["p.street", "p.county"]
    no_street = "".join(line for line in WITHOUT_PEERS.splitlines(keepends=True) if "of-street" not in line)
    assert list(spread(load_rules({"p.yaml": no_street})).areas.indicators) == ["p.county"], "partitions of groups hear of no street"
    assert found.objects.version == found.areas.version == found.groups.version == whole.version


def test_what_reads_a_group_takes_along_what_makes_one_score_with_it() -> None:
    """A rule about an object that reads its parent moves with the rules of its sector that have points, and no other sector does."""
    texts = {"p.yaml": with_rule("{id: part, GIVEN, when: part > 0.5, points: 9, say: x}"), "q.yaml": OTHER_WITHOUT_PEERS}
    found = spread(load_rules(texts))
    assert ids(found.groups.rules) == ["own", "near", "over-own", "part"]
    assert ids(found.objects.rules) == ["q-own", "q-near", "q-over-own"]
    assert sorted(found.groups.indicators) == ["p.chain", "p.county", "p.n", "p.own_n", "p.part"]
    assert [each.name for each in found.shared] == ["p.county", "p.chain"]


def test_what_reads_peers_reads_a_copy_that_is_kept_for_each_object() -> None:
    """Partitions of groups judge it, with what makes one score with it, and keep the windows of all objects; that of the rule's own object
    is beside them. So it is with a rule about an area that reads what the objects of the area come to."""  # noqa: D205, D209  # one sentence
    found = spread(load_rules({"p.yaml": PACK}))
    assert ids(found.groups.rules) == ["own", "near", "odd", "over-odd", "over-own"]
    assert list(found.groups.indicators) == ["p.n", "p.own_n", "p.county", "p.n@each", "p.usual"]
    assert found.groups.indicators["p.usual"].input == "p.n@each"
    assert [(each.name, each.by) for each in found.shared] == [("p.county", 6), ("p.n@each", "each"), ("p.usual", "industry")]
    by_area = PACK.replace("by: industry, take", "by: region(6), take").replace("when: county >= 3", "when: county >= 3 and usual > 1")
    areas = spread(load_rules({"p.yaml": by_area})).areas
    assert list(areas.indicators) == ["p.street", "p.county", "p.n@each", "p.usual"]


def test_a_rule_without_points_moves_alone() -> None:
    """It makes no score; a rule that reads its truth, or whose truth it reads, is judged with it."""
    alone = spread(load_rules({"p.yaml": with_rule("{id: chain, GIVEN, when: chain >= 3, points: 0, say: x}")}))
    assert ids(alone.groups.rules) == ["chain"]
    joined = with_rule("{id: chain, GIVEN, when: {at_least: 1, of: [chain >= 3, own]}, points: 0, say: x}")
    assert ids(spread(load_rules({"p.yaml": joined})).groups.rules) == ["own", "near", "over-own", "chain"]


def test_what_is_inferred_from_two_sectors_keeps_them_together() -> None:
    """An inference that names rules or levels of both takes the second sector along, and goes with it; any other one stays."""
    more = """\
inferences:
  - {id: both, title: t, status: active, basis: [b], when: part and q-own, say: x}
  - {id: one, title: t, status: active, basis: [b], when: q-own and q-over-own, say: x}
"""
    rule = "{id: part, GIVEN, when: part > 0.5, points: 9, say: x}"
    apart = spread(load_rules({"p.yaml": with_rule(rule), "q.yaml": OTHER_WITHOUT_PEERS}))
    assert ids(apart.objects.rules) == ["q-own", "q-near", "q-over-own"]
    both = spread(load_rules({"p.yaml": with_rule(rule) + more, "q.yaml": OTHER_WITHOUT_PEERS}))
    assert both.objects.rules == ()
    assert ids(both.groups.inferences) == ["both", "one"]


def test_a_sector_that_only_a_catalogue_knows_is_kept_with_all_others() -> None:
    """Its name may be that of a matter of any of them: then both make one score."""
    rule = "{id: part, GIVEN, when: part > 0.5, points: 9, say: x}"
    found = spread(load_rules({"p.yaml": with_rule(rule), "q.yaml": OTHER_WITHOUT_PEERS.replace("sector: food", "sector: school-gas")}))
    assert found.objects.rules == ()


def test_a_sector_that_would_be_judged_elsewhere_is_told() -> None:
    """In either direction; a rule without points, or a draft, moves no sector."""
    plain, draft = (
        spread(load_rules({"p.yaml": text}))
        for text in (WITHOUT_PEERS, WITHOUT_PEERS.replace("points: 40, say: '{county}'", "points: 41, say: '{county}'"))
    )
    mixed = spread(load_rules({"p.yaml": with_rule("{id: part, GIVEN, when: part > 0.5, points: 9, say: x}")}))
    told = spread(load_rules({"p.yaml": with_rule("{id: part, GIVEN, when: part > 0.5, points: 0, say: x}")}))
    assert changed_places(plain, mixed) == changed_places(mixed, plain) == ("gas",)
    assert changed_places(plain, told) == changed_places(plain, draft) == changed_places(mixed, mixed) == ()


def test_every_shipped_rule_is_judged_in_several_partitions() -> None:
    """No rule of the packs is left out, and each is judged in one place."""
    top = Path(__file__).resolve().parents[2] / "rules" / "packs"
    whole = load_rules({path.name: path.read_text() for path in sorted(top.iterdir()) if path.suffix == ".yaml"})
    found = spread(whole)
    judged = [*ids(found.objects.rules), *ids(found.areas.rules), *ids(found.groups.rules)]
    assert sorted(judged) == sorted(ids(whole.rules))
    mixed = {"finance-trade-wide", "joint-group-wide", "joint-industry-wide", "joint-penalty-spread", "oil-chain-short-measure"}
    assert {*mixed, "transport-fleet-unmanaged"} <= set(ids(found.groups.rules))
    assert {rule.sector for rule in found.groups.rules if rule.points} == {"finance", "refined-oil", "transport"}
    assert len(found.objects.inferences) == len(whole.inferences)


def test_who_moves_a_sector_counts_the_placement_up() -> None:
    """What shipped rules judge where belongs to `PLACEMENT`, which deployments have written down: their warnings do not move along."""
    top = Path(__file__).resolve().parents[2] / "rules" / "packs"
    placed = spread(load_rules({path.name: path.read_text() for path in sorted(top.iterdir()) if path.suffix == ".yaml"}))
    elsewhere = sorted({rule.sector for rule in placed.groups.rules if rule.points})
    assert (PLACEMENT, elsewhere) == (2, ["finance", "refined-oil", "transport"])
