"""From findings to obligations on the real stack: what comes at the wrong moment, and what cannot be routed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.settings import SHIPPED_POLICIES
from tests.app.world import CATALOGUE, DESK, LEAD, PARTNER, World, penalty, signal


def close_in_sql(world: World, warning: str) -> None:
    """Let the desk close a warning, and stop before the journal hears of it."""
    world.finish(PARTNER, LEAD)
    world.accept(PARTNER)
    task = world.assigned(LEAD, warning).data["task"]["id"]
    accepted = {"action": "accept", "task": task, "form": {"signed_by": "局长甲"}}
    assert world.ask("duty", "POST", f"/v1/warnings/{warning}/responses", json=accepted).json()["status"] == "closed"


def leaks(*numbers: int) -> list[dict[str, Any]]:
    """Return leak complaints; three are a hit of a second rule."""
    return [signal(f"leak-{number}") for number in numbers]


def test_a_hit_that_meets_a_closing_which_the_journal_does_not_have_yet_is_not_lost(world: World) -> None:
    """Closed in SQL, still open in the pipeline: the hit joins there, so the case is reopened and its departments are told."""
    warning = world.warn()
    close_in_sql(world, warning)
    world.signals(*leaks(1, 2, 3))
    [seen] = world.warnings()
    assert (seen["id"], seen["status"]) == (warning, "open")
    for office in (LEAD, PARTNER):
        assert len(world.offices[office].told("task.assigned", warning)) == 2
        assert "case.reopened" in [one.event for one in world.offices[office].told(warning=warning)]
    world.finish(PARTNER, LEAD)
    world.accept(PARTNER, LEAD)
    assert [one["status"] for one in world.warnings()] == ["closed"]


def test_a_hit_that_meets_a_withdrawal_is_laid_before_the_duty_desk(world: World) -> None:
    """A withdrawn case is not reopened by the system; the desk is told what came."""
    warning = world.warn()
    withdrawn = {"action": "withdraw", "note": "误报"}
    assert world.ask("duty", "POST", f"/v1/warnings/{warning}/responses", json=withdrawn).json()["status"] == "withdrawn"
    world.signals(*leaks(1, 2, 3))
    assert [one["status"] for one in world.warnings()] == ["withdrawn"]
    [told] = world.offices[DESK].told("case.attention", warning)
    assert "新的命中" in told.data["message"]


def test_a_warning_whose_routing_fails_stands_at_the_duty_desk_and_the_engine_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect in dispatch costs one warning its routing, not everybody the engine; it is counted, logged and shown."""

    def broken(*_: object) -> None:
        raise KeyError("no-such-key")

    with monkeypatch.context() as patched:
        patched.setattr("app.commit.route", broken)
        world.post(penalty(1))
    [seen] = world.warnings()
    assert (seen["status"], seen["lead"]) == ("unrouted", "")
    assert "no-such-key" in world.story(seen["id"])["reasons"][0]
    assert world.offices[DESK].told("case.unrouted", seen["id"])
    assert 'fengsui_loop_errors_total{loop="routing"} 1.0' in world.app.metrics.exposition().decode()
    assert world.app.trouble() == ""
    world.post(penalty(2, "7", CF_XDR_SHXYM="", CF_XDR_MC="曲江香满楼餐饮有限公司"))
    assert sorted(one["status"] for one in world.warnings()) == ["open", "unrouted"], "the next one is routed"
    world.restart()
    assert world.app.trouble() == ""
    designated = {"action": "designate", "form": {"department": LEAD}, "note": "由市住建局牵头"}
    world.call("POST", f"/v1/warnings/{seen['id']}/responses", "duty", json=designated)
    world.app.settle()
    assert world.assigned(LEAD, seen["id"])


def test_a_change_that_cannot_be_decided_is_laid_before_the_duty_desk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in following a rise leaves the case as it was, and somebody knows."""
    warning = world.warn()

    def broken(*_: object) -> None:
        raise TypeError("no such thing")

    with monkeypatch.context() as patched:
        patched.setattr("app.commit.follow", broken)
        world.signals(*leaks(1, 2, 3))
    assert world.app.trouble() == ""
    [told] = world.offices[DESK].told("case.attention", warning)
    assert "no such thing" in told.data["message"]
    assert [one["status"] for one in world.warnings()] == ["open"]


def test_policies_without_one_for_unrouted_warnings_stop_nothing(tmp_path: Path) -> None:
    """Nobody is competent and no policy says what then: the warning stands at the desk under the built-in one."""
    policies = tmp_path / "policies"
    policies.mkdir()
    parts = (SHIPPED_POLICIES / "default.yaml").read_text(encoding="utf-8").split("\n---\n")
    (policies / "mine.yaml").write_text("\n---\n".join(part for part in parts if "unrouted: true" not in part), encoding="utf-8")
    no_gas = "\n".join(line for line in CATALOGUE.splitlines() if not line.startswith("燃气"))
    with World(tmp_path / "world", policies=policies) as world:
        world.call("POST", "/v1/import/catalogue?name=c.csv", content=no_gas.encode())
        world.post(penalty(1))
        [seen] = world.warnings()
        assert seen["status"] == "unrouted"
        assert any("built-in-unrouted" in reason for reason in world.story(seen["id"])["reasons"])
        assert world.app.trouble() == ""
