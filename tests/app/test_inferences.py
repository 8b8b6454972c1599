"""What follows from several findings reaches everybody: the API, the departments' messages, the console, a replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app as command_line
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
