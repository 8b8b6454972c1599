"""The shipped packs: they load without a warning, and every test in them says what a plain reading of the rule finds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from domain.kinds import KINDS, SECTORS
from domain.levels import DEFAULT_LEVELS
from models.registry import REGISTRY
from rules.cases import Case
from rules.load import check, load_rules
from rules.ruleset import Rule, RuleSet
from streams.ruletest import run_cases
from tests.campaigns.mutants import read
from tests.rules.oracle import Oracle
from tests.rules.shapes import shapes

PACKS = Path(__file__).parents[2] / "rules" / "packs"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(PACKS.glob("*.yaml"))}
RULESET: RuleSet = load_rules(TEXTS)
CASES = RULESET.cases


def test_the_shipped_packs_have_no_problem_of_any_severity() -> None:
    """Neither error nor warning is reported for the thirteen packs together."""
    ruleset, problems = check(TEXTS)
    assert problems == []
    assert ruleset is not None
    assert {rule.pack for rule in ruleset.rules} == {
        "gas", "food", "special-equipment", "hazardous-chemicals", "construction-wages", "prepaid-cards", "drugs-devices",
        "self-built-houses", "refined-oil", "illegal-finance", "road-transport", "medical-elderly-care", "cross-department",
    }  # fmt: skip


def test_every_pack_has_five_to_ten_rules_for_a_known_sector() -> None:
    """A pack is neither a toy nor a heap, and its sector is one that the catalogue knows."""
    counts: dict[str, int] = {}
    for rule in RULESET.rules:
        counts[rule.pack] = counts.get(rule.pack, 0) + 1
        assert rule.sector in SECTORS
    assert all(5 <= count <= 10 for count in counts.values())
    assert sum(counts.values()) >= 85


def test_no_two_rules_have_the_same_shape() -> None:
    """With every number, code and length of time taken out, each rule still says something that no other says."""
    seen: dict[str, str] = {}
    for text in TEXTS.values():
        for rule, shape in shapes(read(text), codes=False).items():
            assert seen.setdefault(shape, rule) == rule


def test_another_number_is_no_other_shape() -> None:
    """The comparison of shapes sees a copy with other numbers, kinds, windows and order of terms."""
    one = read(TEXTS["gas.yaml"])
    rule = next(each for each in one["rules"] if each["id"] == "gas-complaint-burst")
    copy = rule | {"id": "copy", "when": "channels >= 3 and told > 9"}
    told = one["indicators"]["complaints_7d"] | {"where": "kind in food.* and source in [hotline, complaint]", "window": "30d"}
    channels = one["indicators"]["channels_7d"] | {"where": "source in [opinion] and kind in food.*"}
    other = {"indicators": {"told": told, "channels": channels}, "rules": [copy | {"when": "channels >= 3 and told >= 9"}]}
    assert shapes(other, codes=False)["copy"] == shapes(one, codes=False)["gas-complaint-burst"]
    assert shapes(other, codes=True)["copy"] != shapes(one, codes=True)["gas-complaint-burst"]
    other["rules"] = [copy]
    assert shapes(other, codes=False)["copy"] != shapes(one, codes=False)["gas-complaint-burst"]


def test_the_packs_with_readings_score_two_series_by_anomaly() -> None:
    """Each sector that the models were measured on has two indicators with a detector."""
    scored = [name.partition(".")[0] for name, indicator in RULESET.indicators.items() if indicator.aggregate == "anomaly"]
    measured = ("gas", "food", "special-equipment", "hazardous-chemicals", "construction-wages", "prepaid-cards")
    assert {pack: scored.count(pack) for pack in scored} == dict.fromkeys(measured, 2)


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


READABLE = [case for case in CASES if Oracle.reads(RULESET, next(rule for rule in RULESET.rules if rule.id == case.rule))]


@pytest.mark.parametrize("rule", RULESET.rules, ids=lambda rule: rule.id)
def test_cases_hold_in_the_real_pipeline(rule: Rule) -> None:
    """Each test of a shipped rule passes as `fengsui rules test` runs it."""
    for result in run_cases(RULESET, REGISTRY, cases=[case for case in CASES if case.rule == rule.id]):
        assert result.passed, f"{result.case.name}\n{result.explanation}"


@pytest.mark.parametrize("case", READABLE, ids=lambda case: f"{case.rule}/{case.name}")
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
