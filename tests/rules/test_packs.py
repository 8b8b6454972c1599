"""The shipped packs: they load without a warning, and every test in them says what a plain reading of the rule finds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from domain.kinds import KINDS, SECTORS
from domain.levels import DEFAULT_LEVELS
from rules.cases import Case, cases
from rules.load import check, load_rules
from rules.ruleset import RuleSet
from tests.rules.oracle import Oracle

PACKS = Path(__file__).parents[2] / "rules" / "packs"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(PACKS.glob("*.yaml"))}
RULESET: RuleSet = load_rules(TEXTS)
CASES = cases(RULESET)


def test_the_shipped_packs_have_no_problem_of_any_severity() -> None:
    """Neither error nor warning is reported for the six packs together."""
    ruleset, problems = check(TEXTS)
    assert problems == []
    assert ruleset is not None
    assert {rule.pack for rule in ruleset.rules} == {
        "gas", "food", "special-equipment", "hazardous-chemicals", "construction-wages", "prepaid-cards"
    }  # fmt: skip


def test_every_pack_has_five_to_eight_rules_for_a_known_sector() -> None:
    """A pack is neither a toy nor a heap, and its sector is one that the catalogue knows."""
    counts: dict[str, int] = {}
    for rule in RULESET.rules:
        counts[rule.pack] = counts.get(rule.pack, 0) + 1
        assert rule.sector in SECTORS
    assert all(5 <= count <= 8 for count in counts.values())


def test_every_pack_scores_two_series_by_anomaly() -> None:
    """Each sector has two indicators with a detector."""
    scored = [name.partition(".")[0] for name, indicator in RULESET.indicators.items() if indicator.aggregate == "anomaly"]
    assert {pack: scored.count(pack) for pack in scored} == dict.fromkeys({rule.pack for rule in RULESET.rules}, 2)


def test_every_rule_says_why_and_what_then() -> None:
    """Basis, plan and owner are there, and at least one hit and one near miss in the tests."""
    for rule in RULESET.rules:
        own = [case.expect.hits for case in CASES if case.rule == rule.id]
        assert rule.basis
        assert rule.plan
        assert rule.owner
        assert True in own
        assert False in own


def test_every_source_of_the_city_feeds_some_rule() -> None:
    """Hotline, complaint, penalty, licence, inspection, iot, video, ruling and dishonesty signals all count somewhere."""
    feeds = {source for rule in RULESET.rules for source in rule.feeds}
    assert {"hotline", "complaint", "penalty", "licence", "inspection", "iot", "video", "ruling", "dishonesty"} <= feeds


def test_given_signals_use_the_shared_kinds() -> None:
    """What the tests feed is what mappings produce."""
    assert {signal.kind for case in CASES for _, signal in case.signals} <= set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}/{case.name}")
def test_case_holds_under_a_plain_reading(case: Case) -> None:
    """The rule hits when, and only when, its test says so, with the level, score, evidence and words that it expects."""
    rule = next(rule for rule in RULESET.rules if rule.id == case.rule)
    hits = Oracle(RULESET, rule, case.objects).run(case)
    if not case.expect.hits:
        assert hits == []
        return
    first = hits[0]
    assert first.at == case.expect.hit_at
    if case.expect.level:
        assert DEFAULT_LEVELS.highest(rule.at_least, DEFAULT_LEVELS.level(rule.points, "")) == case.expect.level
    if case.expect.score is not None:
        assert rule.points == case.expect.score
    if case.expect.evidence is not None:
        assert len(first.evidence) == case.expect.evidence
    if case.expect.says:
        assert first.says == case.expect.says


def test_a_hit_does_not_depend_on_how_long_ago_the_clock_started() -> None:
    """Cases start on a Monday at midnight in Shanghai and their times are offsets from it."""
    case = CASES[0]
    assert case.signals[0][0] == timedelta(0)
    assert case.signals[0][1].occurred_at.isoformat() == "2026-03-01T16:00:00+00:00"
