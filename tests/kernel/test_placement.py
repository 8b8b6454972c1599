"""Where rules run, and why."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from app.cli import app
from rules.load import load_rules
from rules.ruleset import RuleSet
from streams.kernel.conditions import Compared, NotTabular, Tested
from streams.kernel.placement import Placement, _only_known, place
from streams.kernel.tables import build

HEAD = """\
pack: p
title: t
sector: s
owner: o
plan: q
effective: {from: 2000-01-01}
params: {few: 3}
indicators:
  n: {count: signals, where: source == hotline, window: 7d}
  v: {mean: value, where: value > 2, window: 1h}
  texts: {count: signals, where: text contains 气, window: 7d}
  street: {count: signals, window: 7d, by: region(6)}
  spread: {stddev: value, window: 7d}
rules:
"""


def placed(when: str, more: str = "") -> Placement:
    """Return where a rule with this condition runs."""
    return place(
        load_rules({"p.yaml": f"{HEAD}  - {{id: r, title: r, status: active, when: '{when}', points: 0, say: x, basis: [b]{more}}}\n"})
    )


@pytest.mark.parametrize(
    "when",
    [
        "n >= $few",
        "n > 2 and (v < 1 or not v >= 3)",
        "not (n == 1 or source == iot)",
        "5 < n",
        "has(v) and not has(n)",
        "kind in gas.* and v != 2",
    ],
)
def test_conditions_on_single_indicators_and_fields_run_in_the_kernel(when: str) -> None:
    """Comparisons with numbers and tests of the signal, joined in any way, fit into tables."""
    assert placed(when).whole


@pytest.mark.parametrize(
    ("when", "part"),
    [
        ("n / v > 2", "n / v > 2"),
        ("n > v", "n > v"),
        ("n > 1 and object.industry == 47", "object.industry"),
        ("n > 1 and value + 1 > 2", "value in a calculation"),
        ("texts > 1", "reads text"),
        ("spread > 1", "aggregate stddev"),
    ],
)
def test_what_does_not_fit_into_tables_runs_on_the_python_engine_and_says_why(when: str, part: str) -> None:
    """The reason names the part of the condition or the indicator."""
    assert [part in reason for reason in placed(when).reasons] == [True]


def test_a_rule_with_a_word_that_the_kernel_does_not_know_runs_on_the_python_engine() -> None:
    """New words of the language never change what the kernel does unnoticed."""
    assert "does not know hold" in placed("n > 2", ", for: 1h").reasons[0]


@dataclass(frozen=True)
class Word:
    """A table entry with a word that the kernel has not learnt; what is not said is on."""

    known: int = 0
    word: bool = True


def test_a_word_that_is_switched_off_is_as_unknown_as_one_that_is_said() -> None:
    """What is not at its default means something, be it empty, zero or off."""
    _only_known(Word(known=7), frozenset({"known"}))
    with pytest.raises(NotTabular, match="does not know word"):
        _only_known(Word(word=False), frozenset({"known"}))


def many(count: int) -> RuleSet:
    """Return so many rules, each with an indicator and a test of the signal of its own."""
    indicators = "".join(f"  n{each}: {{count: signals, where: source == hotline, window: {each + 1}h}}\n" for each in range(count))
    rules = "".join(
        f"  - {{id: r{each}, title: r, status: active, when: n{each} >= 3 and kind == a.b{each}, points: 0, say: x, basis: [b]}}\n"
        for each in range(count)
    )
    return load_rules({"p.yaml": HEAD.replace("rules:\n", "") + indicators + "rules:\n" + rules})


def test_the_memory_of_the_tables_does_not_grow_with_tests_times_levels() -> None:
    """What most tests and levels have to do with one another is nothing, and takes four bytes."""
    placement = place(many(300))
    assert placement.whole
    tracemalloc.start()
    tables = build(placement)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tables.anchor_at) > 200_000
    assert peak < 16 * len(tables.anchor_at)


def test_more_than_the_tables_hold_runs_on_the_python_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules that come first keep their place, the others say why they have none."""
    monkeypatch.setattr("streams.kernel.placement.PLACES", 200)
    placement = place(many(10))
    assert [rule.id for rule in placement.rules] == ["r0", "r1", "r2", "r3", "r4"]
    assert placement.reasons[0].endswith("6 tests of the signal beside 36 levels are more than the tables hold")


def test_not_equal_is_less_or_greater_and_unknown_is_neither() -> None:
    """A condition becomes alternatives of comparisons that are true only of known values."""
    (conditions,) = placed("n != 2 and source == iot").conditions
    assert [
        [(part.operator, part.limit) for part in each if isinstance(part, Compared)] for each in conditions
    ] == [[("<", 2.0)], [(">", 2.0)]]  # fmt: skip
    assert all(isinstance(each[-1], Tested) for each in conditions)


def test_rules_list_and_check_say_where_each_rule_runs() -> None:
    """Both engines are named for the shipped packs, with reasons."""
    listed = CliRunner().invoke(app, ["rules", "list", "--output", "json"]).output
    assert '"runs": "kernel"' in listed
    assert '"runs": "python: ' in listed
    assert "Python 引擎" in CliRunner().invoke(app, ["rules", "check"]).output
