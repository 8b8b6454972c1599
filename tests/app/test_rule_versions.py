"""Versions of the rule set: going back, and a second person's approval."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from app.cli import app as cli
from app.commands import rule_life
from domain.records import RulesetEntry
from storage import audit
from tests.app.test_rule_folder import look
from tests.app.world import RULES, World, penalty

LOWER = RULES.replace("fines_24h >= 5万元", "fines_24h >= 1万元")


def write(world: World, content: str) -> str:
    """Write the pack and look at it."""
    (world.rules / "gas.yaml").write_text(content, encoding="utf-8")
    return look(world)


def active(world: World) -> str:
    """Return the version that judges."""
    version: str = world.read("/v1/status", "duty")["ruleset"]
    return version


def chain(world: World) -> list[tuple[str, str]]:
    """Return what the audit trail says of rule sets: who and what."""
    with world.app.database.read() as connection:
        assert audit.verify_all(connection) == {}
        return [(entry.actor, entry.what) for entry in audit.trail(connection, "rules")]


def test_going_back_leaves_the_folder_alone_and_holds_until_it_changes(world: World) -> None:
    """The first set judges again, through a restart too; the next change of the folder takes over."""
    first = active(world)
    assert write(world, LOWER) == "activated"
    state = world.call("POST", "/v1/rules/rollback", "admin", json={"version": first[:8], "reason": "误报"}).json()
    assert state["pinned"]["by"] == world.read("/v1/rules/state", "duty")["pinned"]["by"]
    world.app.settle()
    assert active(world) == first
    assert (world.rules / "gas.yaml").read_text(encoding="utf-8") == LOWER
    assert look(world) == "same"
    world.post(penalty(1, "2"))
    assert world.warnings() == []
    world.restart()
    look(world)
    assert active(world) == first
    assert write(world, LOWER + "\n# again\n") == "activated"
    assert world.read("/v1/rules/state", "duty")["pinned"] is None
    told = world.read("/v1/rules/versions", "duty")
    assert [(each["version"] == first, each["times"], each["reason"]) for each in told] == [
        (False, 1, ""),
        (True, 2, "误报"),
        (False, 1, ""),
    ]
    assert [what for _, what in chain(world)] == ["rules_rolled_back"]


def test_only_one_known_version_can_be_gone_back_to(world: World) -> None:
    """An unknown version, or none, is refused with the way to find one."""
    answer = world.ask("admin", "POST", "/v1/rules/rollback", json={"version": "0000"})
    assert answer.status_code == 404
    assert "rules versions" in answer.text


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[World]:
    """Return a world in which changed rules wait for a second person."""
    with World(tmp_path / "world", approve_rules=True) as world:
        yield world


def test_a_changed_set_waits_until_somebody_else_approves_it(careful: World) -> None:
    """The watcher activates nothing; who approves first stands for it, another one lets it run; its tests and changes are shown."""
    world, before = careful, active(careful)
    assert write(world, LOWER) == "waits"
    assert look(world) == "same"
    assert active(world) == before
    told = world.read("/v1/rules/pending", "duty")
    version = told["candidate"]["version"]
    assert told["candidate"]["author"] == ""
    assert told["candidate"]["report"]["tests"] == 4
    assert told["candidate"]["report"]["failed"], "two fines of 2万元 are a hit now"
    assert [one for one in told["candidate"]["report"]["remarks"] if "penalty 申报的时延 7天" in one], "a day, of penalties told in a week"
    assert [(each["kind"], each["id"], each["field"]) for each in told["changes"]] == [("rule", "gas-heavy-fine", "when")]
    page = world.call("GET", "/rules", "duty", headers={"accept": "text/html"}).text
    assert version[:12] in page
    shown = html.unescape(page)
    assert all(one in shown for one in (*told["candidate"]["report"]["remarks"], *told["candidate"]["report"]["failed"]))
    assert f"/rules/pending/{version}" in page
    assert f"{told['candidate']['report']['tests']} 个测试，" in shown
    assert "改动 规则 <code>gas-heavy-fine</code>" in page
    desk, office = (world.call("GET", "/", who, headers={"accept": "text/html"}).text for who in ("duty", "lead"))
    assert (f"规则集 {version[:12]} 等待另一人批准" in desk, "等待另一人批准" in office) == (True, False)
    path = f"/v1/rules/pending/{version[:8]}/approve"
    assert world.call("POST", path, "admin", json={}).json()["decision"] == "vouched"
    assert world.ask("admin", "POST", path, json={}).status_code == 403
    assert active(world) == before
    assert world.call("POST", path, "duty", json={"reason": "已核对"}).json()["decision"] == "approved"
    look(world)
    assert active(world) == version
    entries = [record.entry for record in world.app.journal.read(0) if isinstance(record.entry, RulesetEntry)]
    duty = next(who for who, what in chain(world) if what == "rules_approved")
    assert entries[-1].by == duty
    assert [what for _, what in chain(world)] == ["rules_proposed", "rules_vouched", "rules_approved"]


def test_a_refused_set_stays_out_and_says_why(careful: World) -> None:
    """A refusal needs a reason; the set is not asked about again, another one is; what goes back to an earlier set waits too."""
    world, before = careful, active(careful)
    write(world, LOWER)
    version = world.read("/v1/rules/pending", "duty")["candidate"]["version"]
    path = f"/v1/rules/pending/{version}/refuse"
    assert world.ask("duty", "POST", path, json={}).status_code == 422
    assert world.call("POST", path, "duty", json={"reason": "依据不足"}).json()["decision"] == "refused"
    assert look(world) == "same"
    assert active(world) == before
    assert world.read("/v1/rules/pending", "duty")["candidate"] is None
    assert world.ask("admin", "POST", f"/v1/rules/pending/{version}/approve", json={}).status_code == 404


def test_departments_neither_see_nor_decide(careful: World) -> None:
    """What waits is for those who answer for the rules."""
    write(careful, LOWER)
    assert careful.ask("lead", "GET", "/v1/rules/pending").status_code == 403
    assert careful.ask("lead", "POST", "/v1/rules/rollback", json={"version": "x"}).status_code == 403


def test_the_commands_stand_beside_the_others() -> None:
    """`fengsui rules` has them all."""
    rules = get_command(cli).commands["rules"].commands  # type: ignore[attr-defined]  # a group has commands
    assert {
        each.__name__ for each in (rule_life.versions, rule_life.rollback, rule_life.pending, rule_life.approve, rule_life.refuse)
    } <= rules.keys()
