"""What the check tells of settings that pass as text and do nothing, or something else than was meant."""

from __future__ import annotations

import pytest

from rules.examples import FILES
from rules.facts import Facts
from rules.lint import Surroundings
from rules.load import check, load_rules
from rules.reference import reference
from streams.ruletest import run_cases
from tests.factories import make_entry, make_object
from tests.rules.gas import PACK, changed

CLOCKS = """
pack: gas
title: 燃气
sector: gas
owner: 市住建局
plan: p
effective: {from: 2024-01-01}
indicators:
  near: {max: value, unit: kPa, where: source == iot and kind == gas.pressure, window: 1h CLOCK}
  seen: {count: signals, where: source == iot and kind == gas.pressure, window: 1h OTHER}
  told: {count: signals, where: source == hotline and kind == gas.leak, window: 7d, as_of: object}
rules:
  - {id: a, title: 甲, status: draft, when: "WHEN", points: 10, say: 甲}
"""


@pytest.mark.parametrize(
    ("when", "clock", "other", "told"),
    [
        ("near > 5 and told >= 2", "", "", "near"),
        ("near > 5 and told >= 2", ", as_of: object", "", ""),
        ("near > 5 and seen >= 2 and told >= 2", "", "", "near, seen"),
        ("near > 5 and seen >= 2 and told >= 2", "", ", as_of: object", ""),  # the one holds the other to the present
        ("near > 5 and seen >= 2", "", "", ""),  # of the same signals
        ("near > 5 or told >= 2", "", "", ""),
        ("told >= 2 and (seen >= 2 or near > 5)", "", ", as_of: object", "near"),
    ],
)
def test_a_window_that_never_ends_beside_another_source_is_named(when: str, clock: str, other: str, told: str) -> None:
    """In an `and` over different signals every window ends with the object's time, or something of its signals does."""
    pack = CLOCKS.replace(" CLOCK", clock).replace(" OTHER", other).replace("WHEN", when)
    found = [line for line in [each.message for each in check({"a.yaml": pack})[1]] if "as_of: object" in line]
    assert [line.split(" 的窗口")[0] for line in found] == ([told] if told else [])


def test_braces_of_chinese_typing_are_no_placeholder() -> None:
    """They would be shown to whoever is warned, so they stop the load, with what to write."""
    _, problems = check({"a.yaml": changed("{leaks} 件，", "｛leaks｝ 件，")})
    assert any(each.severity == "error" and "请写成 {leaks}" in each.message for each in problems), problems


def test_a_history_cannot_want_more_windows_than_it_looks_at() -> None:
    """The value would stay unknown for ever."""
    past = "  past: {history: leaks, periods: 4, take: mean, needs: 9}\nrules:"
    _, problems = check({"a.yaml": changed("rules:", past)})
    assert any(each.severity == "error" and "needs: 9 永远达不到：history 只往前看 4 个窗口" in each.message for each in problems), problems


def test_owners_and_matters_are_held_against_what_was_imported() -> None:
    """Where departments and a catalogue are known, one that is none of them is named with the nearest."""
    around = Surroundings(matters=frozenset({"gas"}), departments=frozenset({"市住建局"}))
    assert [each for each in check({"a.yaml": PACK}, around=around)[1] if "导入" in each.message] == []
    strange = Surroundings(matters=frozenset({"food"}), departments=frozenset({"市城建局"}))
    told = [each.message for each in check({"a.yaml": PACK}, around=strange)[1]]
    assert any(line.startswith("已导入的事项清单中没有事项或领域 “gas”") for line in told), told
    assert any("责任部门" in line and "是否想写 “市城建局”" in line for line in told), told


def test_a_share_is_said_in_per_cent() -> None:
    """Two of three are 66.7%, and a parameter that was written with % is shown so; other ratios stay numbers."""
    pack = PACK.replace("params: {burst: 5}", "params: {burst: 5, most: 60%}").replace(
        "rules:", '  bad: {percentage: severity >= 2, where: "source in [complaint, hotline]", window: 7d}\nrules:', 1
    )
    ruleset = load_rules({"a.yaml": pack.replace("{leaks} 件，", "占{bad}，限{$most}，异常分{odd}，")})
    facts = Facts(make_entry(), make_object(name="甲"), {"gas.bad": 2 / 3, "gas.odd": 0.6667})
    assert ruleset.rules[0].say(facts).startswith("甲 占66.7%，限60%，异常分0.667，")


def test_the_examples_of_the_reference_page_are_sound() -> None:
    """They load as they are printed, and the tests in them pass."""
    assert all(text in reference() for text in FILES.values())
    ruleset = load_rules(FILES)
    assert [rule.id for rule in ruleset.rules] == ["ebike-many-complaints", "ebike-lel-high", "ebike-kpa-high", "ebike-not-inspected"]
    results = list(run_cases(ruleset, {}))
    assert [result.explanation for result in results] == ["", ""]
