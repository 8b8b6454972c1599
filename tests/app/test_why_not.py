"""Why a rule did not hit: read from the data folder beside the running server, as of any time that the journal holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_why import TRIAL, reload, run
from tests.app.world import GAS, RULES, World, penalty, signal

MORE = (
    RULES.replace("points: 65", "points: 15\n    cooldown: 24h")
    + TRIAL
    + """\
  - id: gas-later
    title: 尚未生效
    status: active
    basis: [城镇燃气管理条例第四十条]
    effective: {from: 2027-01-01}
    when: leaks_24h >= 1
    points: 10
    say: "尚未生效"
"""
)


def ask(world: World, rule: str, about: str = "o-gas", *more: object) -> dict[str, Any]:
    """Return what the command says, which ends with 0."""
    data = world.folder / "data"
    result = run("rules", "why-not", "--object", about, "--rule", rule, "--data", data, "--output", "json", *more)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def obstacles(told: dict[str, Any]) -> set[str]:
    """Return the reasons beside the condition."""
    return {one["reason"] for one in told["obstacles"]}


def test_the_missing_distance_is_told_at_any_time(world: World) -> None:
    """Two leaks of three are one short now; an hour ago, with one, it was two; by the object's code as by its id."""
    world.signals(signal("s-1"))
    world.at("1h").signals(signal("s-2", occurred_at="2026-03-02T09:30:00+08:00"))
    now = ask(world, "gas-leaks")
    [part] = now["parts"]
    assert (part["text"], part["left"], part["right"], part["missing"]) == ("leaks_24h >= 3", 2, 3, 1)
    assert (now["holds"], now["stands"], now["signal"]) == (False, False, "s-2")
    [earlier] = ask(world, "gas-leaks", GAS, "--at", "2026-03-02T09:30:00+08:00")["parts"]
    assert (earlier["left"], earlier["missing"]) == (1, 2)
    lines = run("rules", "why-not", "--object", GAS, "--rule", "gas-leaks", "--data", world.folder / "data").stdout
    assert "✗ leaks_24h >= 3    2 >= 3    差 1" in lines
    assert "leaks_24h: 2 条信号" in lines


def test_a_state_from_a_snapshot_is_the_state_from_the_beginning(tmp_path: Path) -> None:
    """After a restart, which leaves a snapshot, the answers are the same, before it and after."""
    with World(tmp_path / "world") as world:
        world.signals(signal("s-1"), signal("s-2"))
        before = [ask(world, "gas-leaks"), ask(world, "gas-leaks", "o-gas", "--at", "2026-03-02T09:00:00+08:00")]
        world.restart()
        assert list((tmp_path / "world" / "data" / "snapshots").glob("*.snap"))
        assert [ask(world, "gas-leaks"), ask(world, "gas-leaks", "o-gas", "--at", "2026-03-02T09:00:00+08:00")] == before


def test_what_is_in_the_way_beside_the_condition_is_named(tmp_path: Path) -> None:
    """Nothing seen, on trial, no points, not in force yet, cooling down, true before, too few points for a level."""
    with World(tmp_path / "world", rules=MORE) as world:
        assert obstacles(ask(world, "gas-leaks")) == {"unseen", "warming"}
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        assert world.warnings() == []
        leaks = ask(world, "gas-leaks")
        assert obstacles(leaks) == {"standing", "cooldown", "score"}
        assert (leaks["holds"], leaks["points"], leaks["score"]) == (True, 15, 15)
        assert obstacles(ask(world, "gas-on-trial")) == {"shadow", "standing"}
        assert obstacles(ask(world, "gas-noted")) == {"signal_only", "standing"}
        assert obstacles(ask(world, "gas-later")) == {"not_yet"}


def test_a_closed_warning_has_used_up_what_was_known(world: World) -> None:
    """After the closing the rule still holds, and is told to be spent."""
    world.warn()
    world.finish("zhujian", "shichang")
    world.accept("shichang", "zhujian")
    assert [one["status"] for one in world.warnings()] == ["closed"]
    assert {"spent", "standing"} <= obstacles(ask(world, "gas-heavy-fine"))


def test_the_set_of_that_time_answers(world: World) -> None:
    """A limit that was changed since is told as it was; a draft says that it does not run."""
    world.post(penalty(1, "2"))
    world.at("1h")
    lower = RULES.replace("fines_24h >= 5万元", "fines_24h >= 3万元")
    reload(world, lower.replace("title: 燃气泄漏反映集中\n    status: active", "title: 燃气泄漏反映集中\n    status: draft"))
    assert ask(world, "gas-heavy-fine")["parts"][0]["missing"] == 10_000
    assert ask(world, "gas-heavy-fine", "o-gas", "--at", "2026-03-02T09:30:00+08:00")["parts"][0]["missing"] == 30_000
    assert "status" in obstacles(ask(world, "gas-leaks"))


@pytest.mark.parametrize(
    "given",
    [
        ("--object", "o-gas", "--rule", "none"),
        ("--object", "none", "--rule", "gas-leaks"),
        ("--object", "o-gas", "--rule", "gas-leaks", "--at", "3pm"),
    ],
)
def test_what_is_not_there_is_a_usage_error(shared: World, given: tuple[str, ...]) -> None:
    """An unknown rule, an unknown object, a time without a date: exit 2, and what is legal."""
    result = run("rules", "why-not", *given, "--data", shared.folder / "data")
    assert result.exit_code == 2
    assert result.stderr


AREA = """\
  - id: gas-street
    title: 街道集中
    status: shadow
    basis: [城镇燃气管理条例第四十条]
    when: leaks_street >= 3
    subject: region(9)
    points: 30
    say: "{area}集中"
"""


def refused(world: World, rule: str, about: str, *more: object) -> str:
    """Return what the command says where it cannot answer."""
    result = run("rules", "why-not", "--object", about, "--rule", rule, "--data", world.folder / "data", *more)
    assert result.exit_code == 2, result.output
    return result.stderr


def test_a_subject_of_the_wrong_kind_gets_no_confident_answer(tmp_path: Path) -> None:
    """An area that is too large or meant for objects, a bare area code, a part of a name: each is told how to ask."""
    street = "  leaks_street: {count: signals, where: kind == gas.leak, window: 24h, by: region(9)}\nrules:"
    with World(tmp_path / "world", rules=RULES.replace("rules:", street, 1) + AREA) as world:
        world.signals(signal("s-1"))
        assert "针对 9 位区划，不能答 region:610113：请写作 region:610113000 这样" in refused(world, "gas-street", "region:610113")
        assert ask(world, "gas-street", "region:610113001000")["subject"] == "region:610113001"
        assert "针对对象，不针对区域" in refused(world, "gas-leaks", "region:610113")
        assert "请写作 region:610192001" in refused(world, "gas-leaks", "610192001")
        assert "o-gas 长安燃气有限公司" in refused(world, "gas-leaks", "长安")
        assert ask(world, "gas-leaks", "长安燃气有限公司")["subject"] == "o-gas"
        assert "近" not in refused(world, "gas-leaks", "没有这家")
        assert "还没有启用任何规则集" in refused(world, "gas-leaks", "o-gas", "--at", "2020-01-01")
        assert "没有规则 gas-leak；现有：gas-leaks, " in refused(world, "gas-leak", "o-gas")
