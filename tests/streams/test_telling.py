"""Every value says what it is made of, and every unknown one why."""

from __future__ import annotations

from domain.findings import RuleHit
from domain.signals import ObjectRef
from rules.load import load_rules
from rules.reasons import reasons
from streams.ruletest import run_cases
from tests.factories import T0
from tests.streams.kit import Story
from tests.streams.test_baselines import COUNT, peer_story
from tests.streams.test_groups import START, pack

MEAN = "  m: {mean: value, needs: 2, window: 7d, exact: true}"


def test_not_enough_data_is_said_and_is_not_zero() -> None:
    """One reading where two are needed; then two."""
    told = Story(T0, pack(COUNT, MEAN, "  x: {formula: m * 2}", when="x > 5"))
    told.signal(0, "a", value=4.0)
    assert told.pipeline.values_at("o-1")["p.m"] is None
    assert told.pipeline.tell("o-1")["p.m"] == "数据不足：有值的信号 1 条，需要 2 条"
    assert told.pipeline.tell("o-1")["p.x"] == "m * 2，其中 m = 未知"
    told.signal(1, "b", value=5.0)
    assert told.pipeline.tell("o-1", "en")["p.m"] == "2 signals from 2026-03-01 08:00 to 2026-03-01 09:00"
    assert told.pipeline.tell("o-1")["p.x"] == "m * 2，其中 m = 4.5"


def test_baselines_say_what_they_compare_with() -> None:
    """History, spike and flatline: too little first, then the values of the periods."""
    told = Story(T0, pack(COUNT, "  past: {history: n, periods: 2, take: mean}", "  jump: {spike: n}", "  still: {flatline: n, below: 1}"))
    told.signal(0, "a")
    first = told.pipeline.tell("o-1")
    assert first["p.past"] == "数据不足：首条信号之后有值的完整窗口 0 个，需要 2 个"
    assert first["p.jump"] == "数据不足：前一窗口不完整、为零或不足 1 条"
    assert first["p.still"] == "数据不足：首条信号之后未满一个窗口"
    for day in (8, 9, 15.5, 22.5):
        told.signal(day * 24, f"s{day}")
    later = told.pipeline.tell("o-1")
    assert later["p.past"] == "此前 2 个窗口的值（由新到旧）：2, 1"
    assert later["p.jump"] == "本窗口 1，前一窗口 2"
    assert later["p.still"] == "本窗口的值 1，界限 1"


def test_peers_say_how_many_they_are() -> None:
    """Before the first night nothing, then six of one county, and one of another that is too few."""
    told = peer_story()
    told.signal(1, "a", object=ObjectRef(id="o-1"))
    assert told.pipeline.tell("o-1")["p.others"] == "同类基线要到下一个 3 时（北京时间）才有"
    told.signal(20, "b", object=ObjectRef(id="o-1"))
    told.signal(20, "c", object=ObjectRef(id="far"))
    told.signal(20, "d", object=ObjectRef(id="nobody"))
    assert told.pipeline.tell("o-1")["p.others"] == "industry:H62|region:610113 同类 6 户，凌晨 3 时的值"
    assert told.pipeline.tell("o-1")["p.times"] == "n / others 不能算：除以零或超出范围（n = 2, others = 0）"
    assert told.pipeline.tell("far")["p.others"] == "数据不足：industry:H62|region:610114 同类有值的 1 户，需要 5 户"
    assert told.pipeline.tell("nobody")["p.others"] == "信号或对象没有 [industry, region(6)]，不属于任何组"


def test_a_window_of_years_says_what_is_kept_as_days() -> None:
    """The newest hundred days singly, the others as sums."""
    told = Story(T0, pack("  n: {count: signals, window: daily(400d)}", when="n > 300"))
    for day in range(0, 300, 10):
        told.signal(day * 24, f"s{day}")
    assert told.pipeline.tell("o-1")["p.n"] == "2025-11-12 00:00 起：逐条保留的 10 条，另有 20 天的日汇总"
    assert told.pipeline.tell("o-1", "en")["p.n"] == "since 2025-11-12 00:00: 10 signals kept singly, and sums of 20 days"


def test_a_hit_keeps_the_values_that_a_formula_was_worked_out_from() -> None:
    """So that the comparison can be told by its inputs as long as the hit is kept."""
    ruleset = pack(COUNT, "  street: {count: signals, window: 7d, by: region(9)}", "  part: {ratio: [n, street]}", when="part >= 0.5")
    told = Story(T0, ruleset)
    told.signal(0, "a", region="610113001")
    (hit,) = [out for out in told.outcomes if isinstance(out, RuleHit)]
    assert hit.values == {"p.part": 1.0, "p.n": 1, "p.street": 1}
    moment = told.pipeline._rules.last_moment("o-1")  # the facts of the hit, without the storage
    assert moment is not None
    (reason,) = reasons(ruleset.rules[0].when.explain(type(moment.facts)(moment.entry, None, hit.values)))
    assert (reason.left, reason.right, reason.inputs) == (1.0, 0.5, {"n": 1, "street": 1})


def test_a_failing_test_says_why_an_indicator_is_unknown() -> None:
    """Beneath its table stand the last values with what they are made of."""
    lines = [
        *(
            "pack: p",
            "title: 测",
            "sector: gas",
            "owner: 某局",
            *START,
            "indicators:",
            "  m: {title: 均压, mean: value, needs: 3, window: 7d}",
        ),
        "rules:",
        "  - id: r",
        "    title: r",
        "    status: active",
        "    basis: [b]",
        "    when: m > 1",
        "    points: 10",
        "    say: '{m}'",
        "    tests: [{name: t, given: [{at: +0h, source: iot, kind: gas.pressure, value: 2}], expect: {hit_at: +0h}}]",
    ]
    (result,) = run_cases(load_rules({"p.yaml": "\n".join(lines)}), {})
    assert not result.passed
    assert result.explanation.endswith("最后一步各指标的由来：\n  均压: 数据不足：有值的信号 1 条，需要 3 条")
