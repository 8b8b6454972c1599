"""Parameters of regions, tuning filters and templates: what they change, what they refuse, and that nothing vanishes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from domain.errors import FileProblems
from domain.findings import RuleHit, WarningRaised
from domain.instants import SHANGHAI
from domain.signals import ObjectRef
from rules.load import check, load_rules
from rules.schema import schema
from streams.kernel.placement import place
from streams.pipeline import Pipeline
from streams.ruletest import run_cases
from tests.factories import T0, make_object
from tests.streams.kit import Story

PACK = """
pack: gas
title: 测试
sector: gas
owner: 市住建局
plan: p
effective: {from: 2024-01-01}
params: {burst: 2, limit: 5万元, word: 煤气}
indicators:
  n: {count: signals, where: kind in gas.*, window: 7d}
rules:
  - {id: gas-burst, title: 激增, status: active, basis: [某条例第一条], when: n >= $burst, points: 60, say: "{n} 件，限 {$burst}"}
  - {id: gas-one, title: 一件, status: active, basis: [某条例第一条], when: n >= 1, points: 0, say: 一件}
"""
OVERRIDE = """
reason: 老旧管网集中
owner: 雁塔区住建局
until: {until}
params:
  gas: {{burst: {burst}}}
"""
TUNING = """
filters:
  - id: heating
    rules: [gas-*]
    when: object.industry == D45
    reason: 供热季试点
    owner: 市住建局
    until: 2026-03-01
"""


def override(burst: object = 4, until: str = "2026-12-31") -> str:
    """Return an override of the burst parameter."""
    return OVERRIDE.format(burst=burst, until=until)


def story(**files: str) -> Story:
    """Return a story under the pack and other files, by their names with "/" as "__"."""
    named = {f"{name.replace('__', '/')}{'.txt' if name.startswith('lists') else '.yaml'}": text for name, text in files.items()}
    return Story(T0, load_rules({"gas.yaml": PACK, **named}))


def burst_at(told: Story, *, region: str, start: int = 0) -> int | None:
    """Return at which of five signals the rule hits for an object of a region."""
    told.objects(start, make_object(id=region, region=region))
    for n in range(5):
        outcomes = told.signal(start + n / 100, f"{region}-{start}-{n}", object=ObjectRef(id=region), region=region)
        if any(isinstance(out, RuleHit) and out.rule == "gas-burst" for out in outcomes):
            return n + 1
    return None


def test_a_region_has_its_own_parameters() -> None:
    """The longest region code holds; others have the usual value; the message says which it was."""
    told = story(overrides__610113=override(4), overrides__6101=override(3))
    assert [burst_at(told, region=region) for region in ("610113001", "610114", "620000")] == [4, 3, 2]
    said = [out.message for out in told.outcomes if isinstance(out, RuleHit) and out.rule == "gas-burst"]
    assert said == ["4 件，限 4", "3 件，限 3", "2 件，限 2"]


def test_a_rule_with_a_parameter_of_a_region_runs_on_the_readable_engine() -> None:
    """The compiled kernel knows no regions; the same rule without the override runs there."""
    sharp = PACK.replace("n >= 1,", "severity >= $burst and n >= 1,")
    plain, regional = (place(load_rules({"gas.yaml": sharp, **more})) for more in ({}, {"overrides/610113.yaml": override()}))
    assert [each.in_kernel for each in plain.placed] == [True, True]
    assert [each.in_kernel for each in regional.placed] == [False, False]


def test_an_override_ends_with_its_last_day() -> None:
    """At midnight in Shanghai, by the signal's own time."""
    day = (T0.astimezone(SHANGHAI)).date().isoformat()
    told = story(overrides__610113=override(4, until=day))
    assert burst_at(told, region="610113001") == 4
    assert burst_at(told, region="610113002", start=24) == 2


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("overrides/6101133", override(), "overrides/6101133.yaml:0:0"),
        ("overrides/610113", override("5万元"), "overrides/610113.yaml:6:16 “5万元” 不能替换参数 $burst"),
        ("overrides/610113", override().replace("burst", "brust"), "overrides/610113.yaml:6:16 未知的参数 “$brust”；可用：burst"),
        ("overrides/610113", override().replace("gas:", "gsa:"), "overrides/610113.yaml:6:8 没有规则包 “gsa”；可用：gas；是否想写 “gas”？"),
        ("overrides/610113", override().replace("burst: 4", "word: 气"), "overrides/610113.yaml:6:15 “气” 不能替换参数 $word"),
        ("overrides/610113", override().replace("reason: 老旧管网集中\n", ""), "overrides/610113.yaml:2:1 缺少 “reason”"),
        ("overrides/610113", override(until="2026-13-01"), "overrides/610113.yaml:4:8 “until” 的值 “2026-13-01” 不合格式"),
        ("tuning/a", TUNING.replace("gas-*", "gaz-*"), "tuning/a.yaml:4:13 没有编号符合 “gaz-*” 的规则"),
        ("tuning/a", TUNING.replace("object.industry", "object.indsutry"), "tuning/a.yaml:5:11 未知的字段 “object.indsutry”"),
        ("tuning/a", TUNING.replace("    until: 2026-03-01\n", ""), "tuning/a.yaml:3:5 缺少 “until”"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(name: str, text: str, expected: str) -> None:
    """A region that is none, another kind of number, typos, and what has no reason or no end."""
    ruleset, problems = check({"gas.yaml": PACK, f"{name}.yaml": text})
    assert ruleset is None
    assert any(str(problem).startswith(expected) for problem in problems), [str(problem) for problem in problems]


def test_what_has_ended_is_told_by_the_check() -> None:
    """It is no error: the rules are right without it."""
    ruleset, problems = check({"gas.yaml": PACK, "overrides/610113.yaml": override(), "tuning/a.yaml": TUNING}, today=date(2027, 1, 1))
    assert ruleset is not None
    assert [problem.file for problem in problems if "到期" in problem.message] == ["overrides/610113.yaml", "tuning/a.yaml"]


def test_a_tuning_filter_keeps_rules_from_speaking_and_says_so() -> None:
    """No warning, but every hit is written down with the filter's id and counted; after its last day the rule speaks."""
    told = story(tuning__a=TUNING)
    told.objects(0, make_object(industry="D45"))
    outcomes = [out for n in range(3) for out in told.signal(n, f"s{n}")]
    assert [(out.rule, out.suppressed) for out in outcomes] == [("gas-one", "heating"), ("gas-burst", "heating")]
    assert told.pipeline.suppressed() == {"heating": 5}
    restored = Pipeline.fresh(told.pipeline)
    restored.restore(told.pipeline.snapshot())
    assert restored.suppressed() == {"heating": 5}
    hours = (datetime(2026, 3, 2, tzinfo=SHANGHAI) - T0).total_seconds() / 3600
    assert [type(out) for out in told.signal(hours, "later")] == [WarningRaised]


def test_a_filter_is_only_for_what_it_fits() -> None:
    """Other objects and other rules speak."""
    told = story(tuning__a=TUNING.replace("gas-*", "gas-one"))
    told.objects(0, make_object(industry="D45"), make_object(id="o-2"))
    told.signal(0, "a")
    told.signal(1, "b", object=ObjectRef(id="o-2"))
    outcomes = told.signal(2, "c")
    assert [(out.rule, out.suppressed) for out in outcomes if isinstance(out, RuleHit)] == [("gas-burst", "")]
    assert [out.suppressed for out in told.outcomes if isinstance(out, RuleHit)] == ["heating", "", ""]


TEMPLATE = """
pack: p
title: 测试
sector: gas
owner: 市住建局
indicators:
  <name>_1h: {each: [{name: lel, kind: gas.concentration}, {name: temp, kind: chemical.temperature}], max: value, unit: x, where: kind == <kind>, window: 1h}
rules:
  - id: <name>-high
    each:
      - {name: lel, title: 可燃气体浓度, limit: 20}
      - {name: temp, title: 储罐温度, limit: 60}
    title: <title>过高
    status: draft
    when: <name>_1h >= <limit>
    points: 10
    say: "<title>为{<name>_1h}"
    tests:
      - {name: 到限, given: [{at: +0h, source: iot, kind: gas.concentration, value: <limit>, unit: x}], expect: none}
"""  # noqa: E501  # a flow mapping as authors write it


def changed(old: str, new: str) -> list[str]:
    """Return the problems of the template with a change."""
    assert old in TEMPLATE
    return [str(problem) for problem in check({"p.yaml": TEMPLATE.replace(old, new, 1)})[1] if problem.severity == "error"]


def test_a_template_is_written_out_once_for_each_item() -> None:
    """Rules, indicators, messages and tests are those of the item."""
    ruleset = load_rules({"p.yaml": TEMPLATE})
    assert [(rule.id, rule.title, rule.when.text, rule.line) for rule in ruleset.rules] == [
        ("lel-high", "可燃气体浓度过高", "lel_1h >= 20", 9),
        ("temp-high", "储罐温度过高", "temp_1h >= 60", 9),
    ]
    assert [indicator.where.text for indicator in ruleset.indicators.values() if indicator.where] == [
        "kind == gas.concentration",
        "kind == chemical.temperature",
    ]
    assert [case.signals[0][1].value for case in ruleset.cases] == [20.0, 60.0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<limit>\n", "<limt>\n", "15:11 each 的各项没有 “limt”；可用：name, title, limit；是否想写 “limit”？"),
        ("limit: 60", "limits: 60", "12:9 each 的各项的名称应相同"),
        ("id: <name>-high", "id: high", "9:9 规则编号 “high” 与 p.yaml:9 重复"),
        ("      - {name: lel, title: 可燃气体浓度, limit: 20}\n", "      - lel\n", "11:9 each 应为列表"),
        ("name: temp, kind", "name: lel, kind", "7:3 键 “lel_1h” 重复"),
    ],
)
def test_what_is_wrong_with_a_template_is_told_at_its_line(old: str, new: str, expected: str) -> None:
    """An unknown place, items that differ, and instances that are the same."""
    found = [problem.removeprefix("p.yaml:") for problem in changed(old, new)]
    assert any(problem.startswith(expected.replace("的各项的名称", "各项的名称")) for problem in found), found


def test_templates_cannot_blow_up() -> None:
    """Six thousand instances are refused with the limit."""
    items = ", ".join(f"{{name: n{n}}}" for n in range(6_000))
    rule = f"  - {{each: [{items}], id: r-<name>, title: 测, status: draft, when: severity > 1, points: 1, say: 某}}"
    text = f"pack: p\ntitle: 测\nsector: gas\nrules:\n{rule}\n"
    assert any("5000" in str(problem) for problem in check({"p.yaml": text})[1])


def test_the_schema_lets_a_template_be_typed() -> None:
    """An editor marks neither the name of a template as wrong nor a place in a number, a level or a length of time."""
    definitions: dict[str, Any] = schema()["$defs"]
    rule, expect = definitions["RuleDoc"]["properties"], definitions["ExpectDoc"]["properties"]
    assert "each" in rule
    assert rule["id"]["pattern"].endswith("|<")
    assert rule["cooldown"]["pattern"].endswith("|<")
    for key in (rule["points"], rule["at_least"], expect["score"]):
        assert {"type": "string", "pattern": "<[^<>]+>"} in key["anyOf"], key
    items = "each: [{pts: 30, wait: 2d}]"
    rule_text = f"  - {{{items}, id: r-<pts>, title: 测, status: draft, when: severity > 1, points: <pts>, cooldown: <wait>, say: 某}}"
    assert check({"p.yaml": f"pack: p\ntitle: 测\nsector: gas\nrules:\n{rule_text}\n"})[0] is not None


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        ("9999-12-31", "超出范围 1900-01-01–9998-12-31"),
        ("0001-01-01", "超出范围 1900-01-01–9998-12-31"),
        ("2026-02-30", "不合格式：日期，如 2026-01-01"),
    ],
)
def test_a_last_day_that_cannot_be_calculated_with_is_named(until: str, shown: str) -> None:
    """In both kinds of file with its place, once."""
    texts = {"gas.yaml": PACK, "overrides/610113.yaml": override(until=until), "tuning/a.yaml": TUNING.replace("2026-03-01", until)}
    with pytest.raises(FileProblems) as caught:
        load_rules(texts)
    one, other = (str(problem) for problem in caught.value.problems)
    assert one.startswith("overrides/610113.yaml:4:8 “until”")
    assert other.startswith("tuning/a.yaml:8:12 “until”")
    assert one.endswith(shown)
    assert other.endswith(shown)


@pytest.mark.parametrize("burst", [0, 40])
def test_the_tests_of_a_pack_run_on_its_own_parameters(burst: int) -> None:
    """What the region of the test objects overrides makes no test fail, and none pass."""
    tested = PACK.replace(
        'say: "{n} 件，限 {$burst}"}',
        """say: "{n} 件，限 {$burst}", tests: [
      {name: 两件, given: [{at: +0h, source: hotline, kind: gas.leak, times: 2, every: 1h}], expect: {hit_at: +1h}},
      {name: 一件, given: [{at: +0h, source: hotline, kind: gas.leak}], expect: none}]}""",
    )
    results = list(run_cases(load_rules({"gas.yaml": tested, "overrides/610113.yaml": override(burst)}), {}))
    assert [result.passed for result in results] == [True, True], results


def test_what_a_broken_pack_holds_is_not_missed_elsewhere() -> None:
    """One slip of the keyboard is one problem: overrides and filters that name the pack are not told of it too."""
    texts = {"gas.yaml": PACK.replace("sector: gas", "sector：gas"), "overrides/610113.yaml": override(), "tuning/a.yaml": TUNING}
    with pytest.raises(FileProblems) as caught:
        load_rules(texts)
    assert [str(problem) for problem in caught.value.problems] == [
        "gas.yaml:4:7 此行用了全角冒号 “：”：键后面写半角冒号和一个空格，如 points: 45"
    ]


def test_an_indicator_is_not_called_unused_by_a_rule_that_cannot_be_read() -> None:
    """The rule may well use it."""
    _, problems = check({"gas.yaml": PACK.replace("when: n >= $burst", "when: n >= $brust").replace("when: n >= 1,", "when: m >= 1,")})
    assert not [each for each in problems if "没有规则用到" in each.message]
