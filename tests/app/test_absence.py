"""What did not happen, through the whole service: on a clock moved by hand, and across a restart before the deadline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.settings import SHIPPED_MAPPINGS
from tests.app.world import FOOD, GAS, World, signal

RULES = """\
pack: gas
title: 燃气安全
sector: gas
owner: 市住建局
plan: gas-visit
effective: {from: 2024-01-01}
rules:
  - id: leak-without-visit
    title: 泄漏反映后两日无检查
    status: active
    basis: [城镇燃气管理条例第四十一条]
    when: {first: kind == gas.leak and source == hotline, then_not: source == inspection, within: 48h}
    points: 65
    say: "{object.name}的泄漏反映两日内没有检查"
"""


@pytest.mark.parametrize("restarted", [False, True])
def test_a_visit_that_did_not_come_is_a_warning_at_its_deadline(tmp_path: Path, restarted: bool) -> None:
    """Not a minute before; the wait is kept while the service is down."""
    with World(tmp_path, rules=RULES) as world:
        visit = {"source": "inspection", "kind": "inspection.done", "object_id": FOOD}
        assert world.signals(signal("visit", **visit), signal("leak")).is_success
        world.at("47h")
        if restarted:
            world.restart("10m")
        world.at("47h29m")
        assert world.warnings() == []
        world.at("47h30m")
        [found] = world.warnings()
        shown = world.read(f"/v1/warnings/{found['id']}")
        assert (shown["rules"], shown["level"], len(shown["evidence"])) == (["leak-without-visit"], "orange", 1)


def test_a_visit_in_time_and_a_leak_taken_back_are_no_warning(tmp_path: Path) -> None:
    """The wait ends with either."""
    with World(tmp_path, rules=RULES) as world:
        visit = {"source": "inspection", "kind": "inspection.done"}
        world.signals(signal("leak"), signal("food", object_id=FOOD))
        world.at("20h")
        world.signals(signal("visit", **visit, occurred_at="2026-03-03T04:00:00+08:00"), signal("gone", object_id=FOOD, withdraws="food"))
        world.at("100h")
        assert world.warnings() == []
        assert world.app.engine.next_wake() is None


def test_without_any_feed_of_inspections_the_rule_is_blind(tmp_path: Path) -> None:
    """No warning, and the metric says that nobody could tell."""
    with World(tmp_path, rules=RULES) as world:
        world.signals(signal("leak"))
        world.at("50h")
        assert world.warnings() == []
        assert 'fengsui_rule_blind_total{rule="leak-without-visit"} 1.0' in world.call("GET", "/metrics", "monitor").text
        [blind] = world.read("/v1/objects/o-gas")["blind"]
        assert (blind["rule"], blind["signal"], blind["sources"]) == ("leak-without-visit", "leak", ["inspection"])
        assert "未能判定：数据源无声" in world.call("GET", "/objects/o-gas", "duty", headers={"accept": "text/html"}).text
        assert [rule["blind_month"] for rule in world.read("/v1/rules")["rules"]] == [1]
        assert "1 次因数据源无声未能判定" in world.call("GET", "/rules", "duty", headers={"accept": "text/html"}).text
        asked = CliRunner().invoke(
            app, ["rules", "why-not", "--object", GAS, "--rule", "leak-without-visit", "--data", str(tmp_path / "data")]
        )
        assert "数据源无声，无法判定 leak" in asked.stdout, asked.output


def test_a_leak_that_is_told_of_too_late_is_counted_against_the_rule(tmp_path: Path) -> None:
    """Nothing can be decided by it any more: the health of the rule says so, through a restart too, for a month after the last one."""
    with World(tmp_path, rules=RULES) as world:
        world.signals(signal("food", object_id=FOOD))
        world.at("20d").signals(signal("leak"))
        assert world.warnings() == []
        world.restart()
        [health] = [rule["health"] for rule in world.read("/v1/rules", "duty")["rules"]]
        assert {"kind": "late", "detail": "1"} in health
        assert 'fengsui_rules_ailing{ailment="late"} 1.0' in world.call("GET", "/metrics", "monitor").text
        world.at("51d")
        [health] = [rule["health"] for rule in world.read("/v1/rules", "duty")["rules"]]
        assert "late" not in {each["kind"] for each in health}


def test_a_replay_waits_for_as_long_as_the_mappings_in_use_say(tmp_path: Path) -> None:
    """The shipped feed of inspections may be a week late; under a city's own mapping that is prompt, the rule decides at once."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "gas.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "own").mkdir()
    shipped = (SHIPPED_MAPPINGS / "inspections.yaml").read_text(encoding="utf-8")
    (tmp_path / "own" / "inspections.yaml").write_text(shipped.replace("delay: 168h", "delay: 0s"), encoding="utf-8")
    visit = signal("visit", source="inspection", kind="inspection.done", object_id=FOOD)
    (tmp_path / "inspections.ndjson").write_text(json.dumps(visit) + "\n" + json.dumps(signal("leak")) + "\n", encoding="utf-8")
    hits = tmp_path / "hits"
    given = ["--rules", tmp_path / "rules", "--signals", tmp_path / "inspections.ndjson", "--out", tmp_path / "out", "--hits", hits]
    found = []
    for more in ([], ["--mappings", tmp_path / "own"]):
        done = CliRunner().invoke(app, ["replay", *map(str, (*given, *more)), "--until", "2026-03-05T00:00:00+08:00"])
        assert done.exit_code == 0, done.output
        found.append([json.loads(line)["rule"] for line in hits.read_text(encoding="utf-8").splitlines()])
    assert found == [[], ["leak-without-visit"]]
