"""The example packs of the language, their own tests run by the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.registry import REGISTRY
from rules.cases import Case
from rules.load import load_rules
from rules.ruleset import AGGREGATES
from rules.vocabulary import BASELINES, CALENDAR_WINDOWS, DERIVED, WINDOWS
from streams.ruletest import run_cases

GOOD = Path(__file__).parents[1] / "rules" / "good"
WORDS = load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(GOOD.glob("*.yaml"))})


@pytest.mark.parametrize(
    "case", [case for case in WORDS.cases if case.file == "indicators.yaml"], ids=lambda case: f"{case.rule}: {case.name}"
)
def test_the_tests_that_the_example_carries_pass(case: Case) -> None:
    """What its author wrote beside each rule is what the engine does."""
    (result,) = run_cases(WORDS, REGISTRY, cases=[case])
    assert result.passed, result.explanation


def test_the_examples_hold_every_word() -> None:
    """A word without an example is a word that nobody can copy."""
    every = WORDS.indicators.values()
    assert {each.aggregate for each in every} >= set(AGGREGATES) | set(BASELINES) | set(DERIVED)
    assert {each.window.kind for each in every if each.window is not None} == {"sliding", *CALENDAR_WINDOWS, *WINDOWS}
