"""Loading: tables, versions, lint's judgments, the tests in the file, the schema and the reference page."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.kinds import KINDS
from domain.messages import CATALOGUE, text
from domain.signals import SOURCES
from rules.cases import BASE
from rules.documents import WINDOW, GroupWord, IndicatorDoc, PackDoc, RuleDoc
from rules.facts import Facts
from rules.load import check, load_rules, version_of
from rules.reference import reference
from rules.ruleset import AGGREGATES as TABLE_AGGREGATES
from rules.ruleset import RuleSet, Window
from rules.schema import schema as json_schema
from rules.vocabulary import (
    AGGREGATES,
    AS_OF,
    BASELINES,
    CALENDAR_WINDOWS,
    DERIVED,
    DETECTORS,
    GROUPS,
    LEVELS,
    ONLY_WITH,
    REGION_BY,
    STATUSES,
    TAKES,
    WINDOWS,
)
from tests.factories import make_entry, make_object
from tests.rules.gas import PACK, changed
from tests.rules.oracle import Oracle

ROOT = Path(__file__).parents[2]
GOOD = (Path(__file__).parent / "good" / "everything.yaml").read_text(encoding="utf-8")


def _warnings(pack: str, **more: Any) -> list[str]:
    return [f"{each.line}:{each.column} {each.message}" for each in check({"a.yaml": pack}, **more)[1]]


def test_a_pack_becomes_tables() -> None:
    """Names are qualified, inputs stand before users, windows and feeds are read."""
    ruleset = load_rules({"a.yaml": PACK})
    assert list(ruleset.indicators) == ["gas.leaks", "gas.channels", "gas.pressure", "gas.odd"]
    assert ruleset.indicators["gas.leaks"].window == Window("sliding", timedelta(days=7))
    assert ruleset.indicators["gas.odd"].input == "gas.pressure"
    (rule,) = ruleset.rules
    assert (rule.pack, rule.sector, rule.owner, rule.line) == ("gas", "gas", "市住建局", 13)
    assert rule.when.indicators == ("gas.leaks", "gas.channels", "gas.odd")
    assert (rule.feeds, "gas.pressure" in rule.says) == (("complaint", "hotline", "iot"), True)


def test_every_word_of_the_language_reaches_the_tables() -> None:
    """Calendar windows, floors, half-lives, dates, areas and units of the good example."""
    ruleset = load_rules({"everything.yaml": GOOD})
    indicators, (first, second) = ruleset.indicators, ruleset.rules
    assert [indicators[f"everything.leaks_{kind}"].window for kind in ("day", "week", "month")] == [
        Window("day"),
        Window("week"),
        Window("month"),
    ]
    assert indicators["everything.fines"].unit == "CNY"
    assert indicators["everything.fines"].window == Window("sliding", timedelta(minutes=90), exact=True)
    assert indicators["everything.grade"].window is None
    assert indicators["everything.pressure"].as_of == "object"
    assert indicators["everything.places"].by == 12
    assert (first.sector, first.cap, first.half_life, first.cooldown) == ("gas-supply", 50.0, timedelta(days=30), timedelta(minutes=90))
    assert first.effective_from == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert first.effective_to == datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert (second.by, second.points, second.status) == (12, 0.0, "shadow")


def test_a_message_shows_values_as_a_reader_expects_them() -> None:
    """Money in 万元, unknown said as such, truth values and sets in words, braces kept."""
    ruleset = load_rules({"everything.yaml": GOOD})
    facts = Facts(
        make_entry(), make_object(labels=("高层", "老旧"), code_valid=True), {"everything.近7日投诉": 5.0, "everything.fines": 123456.0}
    )
    said = ruleset.rules[0].say(facts)
    assert said == "某某燃气有限公司：5 件、12.35万元、未知、2026-03-01 08:00、高层、老旧、是、5万元、30天、未知{}"
    area = Facts(make_entry(), make_object(region="610113001002"))
    assert ruleset.rules[1].say(area) == "社区610113001002"


def test_the_version_is_the_texts() -> None:
    """Equal texts are the same set whatever their order; another text or name is another set."""
    one = {"a.yaml": PACK, "b.yaml": GOOD}
    other = {"b.yaml": GOOD, "a.yaml": PACK}
    assert load_rules(one).version == load_rules(other).version == version_of(one)
    assert len({version_of(one), version_of({"a.yaml": PACK}), version_of({"c.yaml": PACK}), version_of({"a.yam": "l" + PACK})}) == 4


def test_a_rule_set_cannot_bechanged() -> None:
    """Its tables are read-only."""
    ruleset = load_rules({"a.yaml": PACK})
    with pytest.raises(TypeError):
        ruleset.indicators["x"] = ruleset.indicators["gas.leaks"]  # type: ignore[index]  # the point of the test


def test_rule_ids_are_unique_across_packs() -> None:
    """The same id in two files is an error at the second."""
    _, problems = check({"a.yaml": PACK, "b.yaml": changed("pack: gas", "pack: gas2")})
    assert [str(each) for each in problems] == ["b.yaml:13:9 规则编号 “burst” 与 a.yaml:13 重复"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("unit: kPa, ", "", "10:13 指标 “pressure” 汇总 value 却没有写 unit，不同单位会混在一起；金额写 unit: 元"),
        ("odd > 0.995", "odd > 1", "18:48 比较 “odd > 1” 永远不会为真"),
        ("channels >= 2", "channels >= 3", "18:31 比较 “channels >= 3” 永远不会为真"),
        ("channels >= 2", "channels >= 0", "18:31 比较 “channels >= 0” 恒为真，没有作用"),
        ("odd > 0.995", "odd > 0.99 and severity > 3", "18:63 比较 “severity > 3” 永远不会为真"),
        (
            'gas.leak", window',
            'gas.leek", window',
            "8:78 信号类型 “gas.leek” 不在随附词表中（1 处；词表见参考页“信号类型”），可能选不到信号；是否想写 “gas.leak”？",
        ),
        ("leaks >= $burst and ", "", "8:3 指标 “leaks” 没有规则用到"),
        ("points: 40", "points: 40\n    cap: 60", "20:10 cap 是同族规则的合计上限，没有 family 就不起作用：请补上 family，或删去 cap"),
        (
            "第四十一条]",
            "第四十一条，安全生产法第三十六条]",
            "16:13 “城镇燃气管理条例第四十一条，安全生产法第三十六条” 像是两条依据写成了一项：项与项之间用英文逗号 , 或各写一行",
        ),
        ("points: 40", "points: 0\n    at_least: red", "20:15 points 为 0 的规则只记录命中，at_least 不起作用"),
        (
            "第四十一条]",
            "第四十一条（七日内）]",
            "16:12 依据中写有期限，指标 “leaks” 却按 24 格滑动；请加 exact: true 或用 day / week / month",
        ),
    ],
)  # fmt: skip
def test_lint_warns(old: str, new: str, expected: str) -> None:
    """What an author should look at is told, and the set is still made."""
    pack = changed(old, new)
    if "leaks >= $burst" in old:
        pack = pack.replace("{leaks} 件，", "")
    assert expected in _warnings(pack)
    assert check({"a.yaml": pack})[0] is not None


def test_a_kind_of_ones_own_is_told_once() -> None:
    """A new field's kinds are one warning each, however often they stand in its indicators and tests."""
    told = _warnings(PACK.replace("gas.leak", "ebike.hot"))
    assert len([line for line in told if "ebike.hot" in line]) == 1
    assert "（4 处；" in told[0]


def test_a_sound_pack_has_no_warning() -> None:
    """The example that the others change is clean."""
    assert _warnings(PACK) == []


def test_rules_without_tests_or_with_one_side_only_are_named() -> None:
    """A rule needs a hit and a near miss."""
    bare = PACK[: PACK.index("    tests:")] + "effective: {from: 2024-01-01}\n"
    assert _warnings(bare) == ["13:9 规则 “burst” 没有 tests"]
    one_sided = PACK[: PACK.index("      - name: 不报")] + "effective: {from: 2024-01-01}\n"
    assert _warnings(one_sided) == ["22:7 规则 “burst” 的测试应既有命中的、也有不命中的（差一点的）"]


def test_a_window_shorter_than_its_feeds_delay_is_named() -> None:
    """A week of complaints that come ten days late is always empty."""
    told = _warnings(PACK, feed_delays={"complaint": timedelta(days=10), "penalty": timedelta(days=90)})
    assert [line.split(" ")[0] for line in told] == ["8:97", "9:81"]
    assert _warnings(PACK, feed_delays={"complaint": timedelta(days=7)}) == []


# Tests in the file


def test_cases_are_signals_at_relative_times() -> None:
    """Repeats, late receipt, cycling values, units of literals, and objects by their short form."""
    ruleset = load_rules({"everything.yaml": GOOD})
    (case,) = ruleset.cases
    assert [received for received, _ in case.signals] == [timedelta(minutes=minutes) for minutes in (30, 60, 70, 80)]
    assert [signal.occurred_at - BASE for _, signal in case.signals] == [timedelta(minutes=minutes) for minutes in (30, 0, 10, 20)]
    assert [(signal.value, signal.unit) for _, signal in case.signals] == [(None, ""), (1.0, "kPa"), (-2.5, "kPa"), (50000.0, "CNY")]
    assert case.signals[0][1].attrs == {"n": 1, "s": "x", "b": True, "l": [1], "m": {"k": "2"}}
    assert [thing.id for thing in case.objects] == ["a", "o"]
    assert case.objects[0].labels == ("高层",)
    assert case.signals[1][1].region == "610113"


def test_a_planted_defect_breaks_a_case() -> None:
    """With one more complaint demanded the hit of the example is missed, so its test can fail."""

    def hits(ruleset: RuleSet) -> int:
        case = ruleset.cases[0]
        return len(Oracle(ruleset, ruleset.rules[0], case.objects).run(case))

    assert hits(load_rules({"a.yaml": PACK})) == 1
    assert hits(load_rules({"a.yaml": changed("burst: 5", "burst: 6")})) == 0


# Vocabulary, schema, reference


def test_the_tables_of_words_agree() -> None:
    """Vocabulary, document structs and the compiled form list the same words."""
    hints = {field.name: field.type for field in msgspec.structs.fields(RuleDoc)}
    indicator = {field.name: field.type for field in msgspec.structs.fields(IndicatorDoc)}

    def words(hint: Any) -> set[str]:
        schema = msgspec.json.schema(hint)
        return set(schema["enum"]) - {""}

    assert tuple(AGGREGATES) == TABLE_AGGREGATES
    assert words(hints["status"]) == set(STATUSES)
    assert words(hints["at_least"]) == set(LEVELS)
    assert words(hints["subject"]) == set(REGION_BY)
    assert words(GroupWord) == set(GROUPS)
    assert words(indicator["as_of"]) == set(AS_OF)
    assert words(indicator["detector"]) == set(DETECTORS)
    assert set(AGGREGATES) | set(DERIVED) | set(BASELINES) < set(indicator)
    assert words(indicator["take"]) == set(TAKES)
    assert set(ONLY_WITH) < set(indicator)
    assert all(re.search(WINDOW, word) for word in (*CALENDAR_WINDOWS, *(f"{word}(30d)" for word in WINDOWS)))


def test_the_schema_knows_every_key_and_describes_it_in_chinese() -> None:
    """Each property has a description, and unknown keys are refused."""
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["$defs"]["PackDoc"]["properties"]) == {field.encode_name for field in msgspec.structs.fields(PackDoc)}
    for name, struct in schema["$defs"].items():
        assert struct["additionalProperties"] is False, name
        for key, known in struct["properties"].items():
            assert re.search(r"[\u4e00-\u9fff]", known["description"]), f"{name}.{key}"
    assert "null" not in json.dumps(schema)


def test_the_committed_schema_and_reference_are_the_generated_ones() -> None:
    """Docs cannot drift from the code: write them anew with `schema()` and `reference()`."""
    assert json.loads((ROOT / "docs" / "rules.schema.json").read_text(encoding="utf-8")) == json_schema()
    assert (ROOT / "docs" / "rules-reference.md").read_text(encoding="utf-8") == reference()


def test_every_source_and_kind_is_a_word_that_an_expression_can_hold() -> None:
    """The shared vocabulary needs no quotes."""
    for source in SOURCES:
        assert check({"a.yaml": changed("kind == gas.leak", f"source == {source}")})[0] is not None
    for kind in KINDS:
        assert _warnings(changed("kind == gas.leak", f"kind == {kind}")) == []


def test_every_message_has_the_same_blanks_in_both_languages() -> None:
    """A key that the code names is in the catalogue; none is left over; blanks agree."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.py"))
    named = set(re.findall(r'"(rules\.[a-z_.]+)"', code))
    listed = {key for key in CATALOGUE if key.startswith("rules.")}
    assert {key for key in named if key not in listed} == set()
    others = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))
    assert {key for key in listed - named if not key.startswith("rules.type.") and f'"{key}"' not in others} == set()
    for key in listed:
        chinese, english = CATALOGUE[key]
        assert set(re.findall(r"\{(\w*)\}", chinese.replace("{{", ""))) == set(re.findall(r"\{(\w*)\}", english.replace("{{", ""))), key
    assert text("rules.near", "en", near="x") == "; did you mean “x”?"


def test_a_condition_takes_microseconds() -> None:
    """A three-term condition must not be what a stream waits for: 20 µs is ten times what was measured on a slow core."""
    ruleset = load_rules({"a.yaml": PACK})
    facts = Facts(make_entry(), make_object(), {"gas.leaks": 5.0, "gas.channels": 1.0, "gas.odd": 0.1})
    evaluate = ruleset.rules[0].when.evaluate
    started = time.perf_counter()
    for _ in range(10_000):
        evaluate(facts)
    assert (time.perf_counter() - started) / 10_000 < 20e-6


def test_a_thousand_rules_are_read_in_seconds() -> None:
    """Ten thousand take three seconds of processor time: a reload must not be what anybody waits for."""
    rules = [
        f"  - {{id: r-{n}, title: 规则{n}, status: draft, when: leaks >= {n % 9 + 1} and channels >= 2, points: 1, say: 某某}}"
        for n in range(1_000)
    ]
    text = PACK[: PACK.index("rules:")] + "rules:\n" + "\n".join(rules) + "\n"
    began = time.process_time()
    ruleset, _ = check({"a.yaml": text})
    assert ruleset is not None
    assert len(ruleset.rules) == 1_000
    assert time.process_time() - began < 5.0
