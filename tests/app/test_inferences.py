"""What follows from several findings reaches everybody: the API, the departments' messages, the console, a replay."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli import app as command_line
from app.doctor import examine
from app.inferring import Inferring
from app.metrics import Metrics
from domain.inference import in_force
from rules.load import load_rules
from streams.runtimes.durable import Child
from tests.app.test_why import reload
from tests.app.world import LEAD, PARTNER, RULES, World, by_event, signal

INFERENCES = """
inferences:
  - id: gas-fined-and-leaking
    title: 重罚之后仍在泄漏
    status: active
    basis: [安全生产法第六十五条]
    when: gas-heavy-fine and gas-leaks and level >= orange
    say: 处罚没有消除隐患，联合检查
    plan: gas-joint-enforcement
    transfer: {crime: 危险作业罪, basis: [刑法第一百三十四条之一]}
    tests:
      - name: 两项都有才得出
        given:
          - {at: +0h, source: penalty, kind: penalty.decided, matter: gas, value: 6万元}
          - {at: +1h, source: hotline, kind: gas.leak, times: 3, every: 1m}
        expect: {hit_at: +62m, level: red}
      - name: 只有处罚不得出
        given:
          - {at: +0h, source: penalty, kind: penalty.decided, matter: gas, value: 6万元}
        expect: none
"""
INFERRED = {
    "id": "gas-fined-and-leaking",
    "title": "重罚之后仍在泄漏",
    "message": "处罚没有消除隐患，联合检查",
    "because": [
        {"fact": "rule:gas-heavy-fine", "title": "燃气重罚", "holds": True},
        {"fact": "rule:gas-leaks", "title": "燃气泄漏反映集中", "holds": True},
        {"fact": "level:gas>=orange", "title": "风险等级不低于较大", "holds": True},
    ],
    "basis": ["安全生产法第六十五条"],
    "plan": "gas-joint-enforcement",
    "transfer": {"crime": "危险作业罪", "basis": ["刑法第一百三十四条之一"], "to": "公安机关"},
}

PATIENCE = 20.0


@pytest.fixture
def inferring(tmp_path: Path) -> Iterator[World]:
    """Return a world whose pack draws a conclusion from its two rules."""
    with World(tmp_path, rules=RULES + INFERENCES) as world:
        yield world


def _both(world: World) -> str:
    """Let both rules become true, the leaks later; return the warning's id."""
    warning: str = world.warn()
    world.at("1h")
    assert world.signals(*[signal(f"leak-{number}") for number in range(3)]).json()["accepted"] == 3
    world.app.settle()
    return warning


def test_the_api_shows_what_followed_with_its_reasons(inferring: World) -> None:
    """Before the second finding there is the rule's plan and no conclusion, after it both are there with what they rest on."""
    warning = inferring.warn()
    before = inferring.call("GET", f"/v1/warnings/{warning}").json()
    assert (before["plan"], before["inferred"]) == ("response", [])
    _both(inferring)
    after = inferring.call("GET", f"/v1/warnings/{warning}").json()
    assert (after["plan"], after["inferred"]) == ("gas-joint-enforcement", [INFERRED])


def test_departments_are_told_when_something_follows(inferring: World) -> None:
    """Lead and cooperating department hear of the transfer hint in a message of its own, with all that it rests on."""
    _both(inferring)
    for office in (LEAD, PARTNER):
        told = [message for message in inferring.offices[office].told() if message.event == "case.inferred"]
        assert len(told) == 1, by_event(inferring.offices[office].told())
        assert told[0].data["message"] == "由多项发现推断：重罚之后仍在泄漏（移送线索：危险作业罪）"
        shown = told[0].data["warning"]
        assert shown["plan"] == "gas-joint-enforcement"
        assert shown["inferred"] == [{**INFERRED, "because": ["rule:gas-heavy-fine", "rule:gas-leaks", "level:gas>=orange"]}]


def test_the_console_shows_plan_hint_and_reasons(inferring: World) -> None:
    """The page of the warning names the plan, the suspected crime, and which findings it follows from."""
    warning = _both(inferring)
    page = inferring.ask("lead", "GET", f"/warnings/{warning}").text
    for words in ("gas-joint-enforcement", "疑似危险作业罪，研判是否移送公安机关", "燃气重罚；燃气泄漏反映集中；风险等级不低于较大"):
        assert words in page


def test_a_replay_of_the_journal_draws_the_same_conclusions(inferring: World, tmp_path: Path) -> None:
    """The warnings that a replay writes hold the same inferences and plan."""
    warning = _both(inferring)
    shown = inferring.call("GET", f"/v1/warnings/{warning}").json()
    found = _replayed(inferring, tmp_path)
    assert [(one["id"], one["plan"], one["inferred"]) for one in found] == [(warning, shown["plan"], shown["inferred"])]


def _replayed(world: World, folder: Path) -> list[dict[str, Any]]:
    """Return the warnings of a replay of the world's journal."""
    world.shut()
    journal, out = folder / "journal.ndjson", folder / "out.ndjson"
    exported = CliRunner().invoke(command_line, ["journal", "export", "--data", str(world.folder / "data")])
    assert exported.exit_code == 0, exported.output
    journal.write_bytes(exported.stdout_bytes)
    done = CliRunner().invoke(command_line, ["replay", "--rules", str(world.rules), "--signals", str(journal), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


@pytest.mark.service("durable-rules")
def test_serve_asks_the_library_and_has_nothing_to_complain_of(inferring: World) -> None:
    """The conclusions of a running server were drawn by durable-rules too, and the doctor finds it sound on these rules."""
    _both(inferring)
    engine = inferring.app.services.rulebook.inferring.engine
    assert engine.settle(PATIENCE)
    status = engine.status()
    assert (status.alone, status.passed_over, status.deaths, status.differed) == (0, 0, 0, 0)
    assert status.agreed > 0
    assert f'fengsui_inference_compared_total{{outcome="agreed"}} {status.agreed}.0' in inferring.call("GET", "/metrics", "monitor").text
    assert "fengsui_inference_stand_in 0.0" in inferring.call("GET", "/metrics", "monitor").text
    [found] = [one for one in examine(inferring.folder / "data", inferring.rules) if one.what == "inference"]
    assert found.ok
    assert found.detail.startswith("durable-rules 2.0.28")


@pytest.fixture
def dying() -> Iterator[tuple[Inferring, Metrics]]:
    """Return an inference whose children die of what they are told."""
    code = "import sys, os; sys.stdin.buffer.readline(); os.kill(os.getpid(), 11)"
    metrics = Metrics()
    inferring = Inferring(metrics, start=lambda: Child((sys.executable, "-c", code)), available=True)
    yield inferring, metrics
    inferring.close()


def test_rules_that_kill_the_library_are_active_and_named(dying: tuple[Inferring, Metrics]) -> None:
    """The matcher draws the conclusions; log, metric and notice name the inference, its place and how the child died."""
    inferring, metrics = dying
    ruleset = load_rules({"gas.yaml": RULES + INFERENCES})
    with capture_logs() as said:
        inferring.gate(ruleset)
        inferring.gate(ruleset)
        assert inferring.engine.settle(PATIENCE)
    [line] = [one for one in said if one["event"] == "inference.refused"]
    assert (line["inference"], line["place"], line["how"]) == ("gas-fined-and-leaking", "gas.yaml:57", "SIGSEGV")
    assert "gas.yaml:57" in inferring.notice()
    assert b"fengsui_inference_stand_in 1.0" in metrics.exposition()
    assert b'fengsui_loop_errors_total{loop="inference"} 1.0' in metrics.exposition()
    facts = frozenset({"rule:gas-heavy-fine", "rule:gas-leaks", "level:gas>=orange", in_force("gas-fined-and-leaking")})
    assert inferring.engine.infer(ruleset.program(), facts) == ("gas-fined-and-leaking",)
    assert inferring.engine.settle(PATIENCE)
    assert b'fengsui_inference_compared_total{outcome="alone"} 1.0' in metrics.exposition()
    inferring.gate(load_rules({"gas.yaml": RULES}))
    assert inferring.notice() == "", "of a set that is not in force any more"
    assert b"fengsui_inference_stand_in 0.0" in metrics.exposition()


def test_inferences_on_trial_are_tried_before_they_run_too(dying: tuple[Inferring, Metrics]) -> None:
    """Those that run pass without one of their own, those on trial kill the library: it is known before the first question."""
    inferring, _ = dying
    ruleset = load_rules({"gas.yaml": RULES + INFERENCES.replace("status: active", "status: shadow")})
    assert ruleset.program().productions == ()
    inferring.gate(ruleset)
    assert inferring.engine.settle(PATIENCE)
    assert "gas.yaml:57" in inferring.notice()


def test_parts_of_a_rule_set_that_run_side_by_side_are_tried_both(dying: tuple[Inferring, Metrics]) -> None:
    """As in a cluster, where partitions of groups judge some sectors: trouble of the second part is no less told than that of the first."""
    inferring, _ = dying
    inferring.gate(load_rules({"gas.yaml": RULES}), load_rules({"gas.yaml": RULES + INFERENCES}))
    assert inferring.engine.settle(PATIENCE)
    assert "gas.yaml:57" in inferring.notice()


def test_without_the_library_the_operator_is_told_how_to_get_it() -> None:
    """A notice with the remedy, a metric, and the same answers; a set without inferences is no reason for a notice."""
    metrics = Metrics()
    inferring = Inferring(metrics, available=False)
    inferring.gate(load_rules({"gas.yaml": RULES + INFERENCES}))
    assert "make inference" in inferring.notice()
    assert b"fengsui_inference_stand_in 1.0" in metrics.exposition()
    inferring.gate(load_rules({"gas.yaml": RULES}))
    assert inferring.notice() == ""


def test_the_author_finds_his_inference(inferring: World, tmp_path: Path) -> None:
    """`explain` prints it with what it rests on, `list` has it, and `why-not` says that it is none of the rules."""
    warning = _both(inferring)
    data = inferring.folder / "data"
    shown = (
        CliRunner()
        .invoke(command_line, ["rules", "explain", warning, "--url", str(inferring.http.base_url), "--data", str(data)])
        .stdout.splitlines()
    )
    at = shown.index("  gas-fined-and-leaking 重罚之后仍在泄漏: 处罚没有消除隐患，联合检查")
    assert shown[at + 1] == "    依据： 燃气重罚; 燃气泄漏反映集中; 风险等级不低于较大"
    assert shown[at + 2].startswith("    疑似危险作业罪")
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "gas.yaml").write_text(RULES + INFERENCES, encoding="utf-8")
    listed = CliRunner().invoke(command_line, ["rules", "list", str(tmp_path / "packs"), "-o", "json"]).stdout
    assert [row["id"] for row in json.loads(listed)] == ["gas-heavy-fine", "gas-leaks", "gas-fined-and-leaking"]
    asked = CliRunner().invoke(
        command_line, ["rules", "why-not", "--object", "o-gas", "--rule", "gas-fined-and-leaking", "--data", str(data)]
    )
    assert "是推断，不是规则" in asked.stderr
    status = ["rules", "status", "--url", str(inferring.http.base_url), "--data", str(data)]
    rows = json.loads(CliRunner().invoke(command_line, [*status, "-o", "json"]).stdout)
    assert [(row["what"], row["id"]) for row in rows] == [
        ("rule", "gas-heavy-fine"),
        ("rule", "gas-leaks"),
        ("inference", "gas-fined-and-leaking"),
    ]
    assert rows[2]["standing"] == 1
    table = CliRunner().invoke(command_line, status).stdout.splitlines()
    [line] = [line.split() for line in table if line.startswith("gas-fined-and-leaking")]
    assert line[2:6] == ["启用", "/", "active", "1"]


def test_the_rules_page_shows_inferences_filters_and_parameters_of_regions(inferring: World) -> None:
    """What changes what a rule says stands beside the rules: why, by whom, until when, and how often it kept a hit back."""
    for folder, name, text in (
        (
            "tuning",
            "a.yaml",
            "filters:\n  - {id: quiet, rules: [gas-leaks], when: kind == gas.leak, reason: 供热季, owner: 甲, until: 2099-01-01}\n",
        ),
        ("overrides", "610113.yaml", "reason: 老旧管网\nowner: 乙\nuntil: 2099-01-01\nparams:\n  gas: {least: 3}\n"),
    ):
        (inferring.rules / folder).mkdir()
        (inferring.rules / folder / name).write_text(text, encoding="utf-8")
    pack = (
        (RULES + INFERENCES).replace("indicators:", "params: {least: 3}\nindicators:", 1).replace("leaks_24h >= 3", "leaks_24h >= $least")
    )
    reload(inferring, pack)
    inferring.signals(*[signal(f"leak-{number}") for number in range(3)])
    told = inferring.call("GET", "/v1/rules", "duty").json()
    assert [each["id"] for each in told["inferences"]] == ["gas-fined-and-leaking"]
    [tuned] = told["filters"]
    assert (tuned["id"], tuned["rules"], tuned["reason"], tuned["kept_back"]) == ("quiet", ["gas-leaks"], "供热季", 1)
    assert [(each["region"], each["params"]) for each in told["overrides"]] == [("610113", ["gas.least = 3"])]
    page = inferring.call("GET", "/rules", "duty", headers={"accept": "text/html"}).text
    assert all(
        words in page for words in ("重罚之后仍在泄漏", "30 天内留住 1 次命中，至 2099-01-02 00:00", "gas.least = 3", "有效至 2099-01-01")
    )
    assert "make inference" not in page, "an officer can do nothing about the installation"
