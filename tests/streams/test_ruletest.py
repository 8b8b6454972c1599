"""Tests inside rule files, run through the real pipeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.registry import REGISTRY
from rules.cases import BASE, Case, Expectation
from streams.ruletest import CaseResult, run_cases
from tests.factories import make_object, make_signal
from tests.streams.kit import indicator, kind_is, rule, ruleset

HOUR = timedelta(hours=1)
RULES = ruleset(
    [rule("burst", at_least="orange", status="draft"), rule("other", points=90.0)],
    [indicator(title="近7日投诉", where=kind_is("gas.")), indicator("p.x")],
)


def case(count: int = 5, **expect: Any) -> Case:
    """Return a case of `count` hourly complaints."""
    signals = tuple((n * HOUR, make_signal(id=f"t{n}", occurred_at=BASE + n * HOUR)) for n in range(count))
    expectation = Expectation(**({"hits": True} | expect))
    return Case("burst", "名称", "p.yaml", 7, signals, (make_object(),), expectation)


def run(*cases: Case) -> list[CaseResult]:
    """Run cases over the two rules."""
    return list(run_cases(RULES, REGISTRY, cases=cases))


def test_a_case_runs_its_rule_alone_whatever_its_status() -> None:
    """A draft is run as if active, and the other rule's 90 points do not count."""
    right = case(hit_at=4 * HOUR, level="orange", score=40.0, evidence=5, says="burst: 5")
    assert run(right, case(4, hits=False)) == [CaseResult(right, passed=True), CaseResult(case(4, hits=False), passed=True)]


def test_a_failing_case_says_what_differs_and_shows_each_step() -> None:
    """The table has the indicators that the rule reads, by title, and the hit with level and score."""
    (result,) = run(case(hit_at=3 * HOUR, level="red", score=50.0, evidence=6, says="x"))
    assert not result.passed
    assert result.explanation.splitlines() == [
        "应在 +3h 命中，实在 +4h",
        "等级应为 red，实为 orange",
        "得分应为 50.0，实为 40.0",
        "证据应为 6 条，实为 5",
        "提示语应为“x”，实为“burst: 5”",
        "时间  信号                    近7日投诉  结果",
        "+0h   complaint gas.leak o-1  1",
        "+1h   complaint gas.leak o-1  2",
        "+2h   complaint gas.leak o-1  3",
        "+3h   complaint gas.leak o-1  4",
        "+4h   complaint gas.leak o-1  5          命中 orange 40",
        "最后一步各指标的由来：",
        "  近7日投诉: 5 条信号，2026-03-02 00:00 至 2026-03-02 04:00",
    ]


def test_a_hit_that_was_not_expected_and_one_that_did_not_come_are_told() -> None:
    """Both with the time."""
    unexpected, missing = run(case(hits=False), case(4, hit_at=4 * HOUR))
    assert unexpected.explanation.splitlines()[0] == "不应命中，实在 +4h 命中：burst: 5"
    assert missing.explanation.splitlines()[0] == "应在 +4h 命中，实未命中"


def test_a_case_of_an_unknown_rule_fails() -> None:
    """It is not passed over."""
    lost = Case("nowhere", "名称", "p.yaml", 7, (), (), Expectation(hits=False))
    assert [(each.passed, each.explanation) for each in run(lost)] == [(False, "规则 nowhere 不在规则集中")]
