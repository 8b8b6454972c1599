"""The whole loop, told along the clock: a record comes in, a warning goes out, departments answer, it is closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from app.cli import app as command_line
from tests.app.world import DEPARTMENTS, LEAD, PARTNER, World, by_event, eventually, penalty


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a world of the test's own, on either database; commands find it by the environment."""
    if request.param == "postgresql":
        monkeypatch.setenv("FENGSUI_DATABASE_URL", request.getfixturevalue("postgres").fresh())
    with World(tmp_path / "world") as made:
        assert made.app.database.where.startswith("postgresql:") == (request.param == "postgresql")
        yield made


def stages(world: World, warning: str) -> dict[str, str]:
    """Return the stage of each department's newest task."""
    return {task["department"]: task["stage"] for task in world.story(warning)["tasks"]}


def of_the_engine(warning: dict[str, Any]) -> list[Any]:
    """Return what the risk engine and the routing decided; a replay numbers its records anew."""
    names = ("subject", "level", "score", "rules", "raised_at", "episode", "ruleset", "contributions", "lead", "cooperating")
    return [*(warning[name] for name in names), [{**one, "seq": 0} for one in warning["evidence"]]]


def test_a_penalty_becomes_a_warning_that_two_departments_answer_and_the_desk_closes(world: World) -> None:
    """CSV over HTTP → signal → hit → warning → routed tasks → signed webhooks → signed answers → accepted → closed."""
    answer = world.post(penalty(1, "2"), penalty(2, "3", CF_JDRQ="2026-03-02"))
    assert (answer["records"], answer["accepted"], answer["rejected"]) == (2, 2, 0)
    [seen] = world.warnings()
    warning = seen["id"]
    assert (seen["level"], seen["status"], seen["lead"], seen["cooperating"]) == ("orange", "open", LEAD, [PARTNER])

    for office in (LEAD, PARTNER):
        assert by_event(world.offices[office].told()) == ["task.assigned"]
        assert world.offices[office].complaints == []
    told = world.assigned(LEAD).data
    assert told["warning"]["contributions"][0]["message"] == "长安燃气有限公司24小时内燃气罚款5万元"
    assert [one["feed"] for one in told["warning"]["evidence"]] == ["penalties", "penalties"]
    assert set(told["legal_actions"]) >= {"receive", "verify", "return"}
    assert stages(world, warning) == {LEAD: "pushed", PARTNER: "pushed"}

    world.at("30m")
    assert world.answer(LEAD, "receive").json()["stage"] == "received"
    assert world.answer(PARTNER, "receive").status_code == 200
    world.at("2h")
    assert world.answer(LEAD, "verify").json()["stage"] == "verified"
    assert world.answer(LEAD, "handle").json()["stage"] == "handled"
    assert world.answer(LEAD, "feed_back").json()["stage"] == "fed_back"
    for action in ("verify", "handle", "feed_back"):
        assert world.answer(PARTNER, action).status_code == 200
    world.accept(PARTNER, LEAD)

    assert stages(world, warning) == {LEAD: "closed", PARTNER: "closed"}
    assert "case.closed" in by_event(world.offices[LEAD].told())
    [closed] = world.warnings(status="closed")
    assert closed["id"] == warning
    tale = world.story(warning)
    assert tale["verdict"] == "handled"
    assert tale["chain"] == "", "the audit chain is sound"
    assert {"route", "deliver", "receive", "verify", "handle", "feed_back", "accept"} <= {one["what"] for one in tale["audit"]}


def test_the_same_records_in_a_gb18030_file_in_the_watched_folder_raise_the_same_warning(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is taken, moved to `done/`, and gives the id that HTTP gives: no channel and no clock is in it."""
    folder = world.drop("处罚.csv", penalty(1, "2"), penalty(2, "3"))
    [seen] = world.warnings()
    assert [one.name for one in (folder / "done").iterdir()] == ["处罚.csv"]
    monkeypatch.delenv("FENGSUI_DATABASE_URL", raising=False)  # another deployment has a database of its own
    with World(tmp_path / "other") as other:
        other.post(penalty(1, "2"), penalty(2, "3"))
        assert [one["id"] for one in other.warnings()] == [seen["id"]]
        again = other.drop("again.csv", penalty(1, "2"), penalty(2, "3"))
        eventually(lambda: [one["duplicates"] for one in other.read("/v1/feeds") if one["accepted"]] == [2])
        assert [(one["feed"], one["accepted"]) for one in other.read("/v1/feeds") if one["accepted"]] == [("penalties", 2)]
    assert not (again / "again.csv").exists()


def test_after_the_closing_the_next_heavy_fine_is_a_new_warning_not_more_of_the_old(world: World) -> None:
    """The closing goes to the journal and ends the episode; a later hit gets an id and tasks of its own."""
    first = world.warn(1)
    world.post(penalty(2, "7"))
    assert [one["id"] for one in world.warnings()] == [first], "while it is open, a further fine joins it"
    world.finish(PARTNER, LEAD)
    world.accept(PARTNER, LEAD)
    world.at("4d")
    world.post(penalty(3, "0.1", CF_JDRQ="2026-03-05"))
    assert world.warnings(status="open") == []
    world.post(penalty(4, "8", CF_JDRQ="2026-03-06"))
    [second] = world.warnings(status="open")
    assert second["id"] != first
    assert world.story(second["id"])["warning"]["episode"] == 2
    assert [one["stage"] for one in world.story(second["id"])["tasks"]] == ["pushed", "pushed"]


def test_a_journal_export_replayed_gives_the_same_warnings(world: World, tmp_path: Path) -> None:
    """Serve and replay are one engine: ids, levels, scores, evidence and times agree."""
    first = world.warn(1)
    world.finish(PARTNER, LEAD)
    world.accept(PARTNER, LEAD)
    world.at("4d")
    world.post(penalty(2, "0.1", CF_JDRQ="2026-03-05"), penalty(3, "8", CF_JDRQ="2026-03-06"))
    live = {one["id"]: world.read(f"/v1/warnings/{one['id']}") for one in world.warnings()}
    assert len(live) == 2
    assert first in live
    world.shut()
    (tmp_path / "d.yaml").write_text(DEPARTMENTS, encoding="utf-8")
    run = CliRunner().invoke(command_line, ["journal", "export", "--data", str(world.folder / "data")])
    assert run.exit_code == 0
    (tmp_path / "journal.ndjson").write_bytes(run.stdout_bytes)
    options = {
        "rules": world.rules,
        "signals": tmp_path / "journal.ndjson",
        "departments": tmp_path / "d.yaml",
        "out": tmp_path / "w.ndjson",
    }
    replayed = CliRunner().invoke(command_line, ["replay", *[part for name, file in options.items() for part in (f"--{name}", str(file))]])
    assert replayed.exit_code == 0, replayed.output
    found = {one["id"]: one for one in map(json.loads, (tmp_path / "w.ndjson").read_text(encoding="utf-8").splitlines())}
    assert {identity: of_the_engine(one) for identity, one in found.items()} == {
        identity: of_the_engine(one) for identity, one in live.items()
    }


def test_a_rotated_secret_and_its_predecessor_both_sign_for_a_day(world: World) -> None:
    """During the overlap a webhook carries two signatures and an answer may be signed with either secret; later with the new one only."""
    old = world.offices[LEAD].secrets[0]
    new = world.call("POST", f"/v1/departments/{LEAD}/secret").json()["secret"]
    warning = world.warn()
    message = world.assigned(LEAD)
    for secret in (old, new):
        assert Webhook(secret).verify(message.raw, message.headers)["data"]["warning"]["id"] == warning
    world.offices[LEAD].secrets.append(new)
    body = json.dumps({"action": "receive", "task": message.data["task"]["id"]}).encode()
    path = f"/v1/warnings/{warning}/responses"
    assert world.http.post(path, content=body, headers=world.offices[LEAD].sign("r-1", body, secret=old)).status_code == 200
    world.at("25h")
    assert world.http.post(path, content=body, headers=world.offices[LEAD].sign("r-2", body, secret=old)).status_code == 401
    assert world.http.post(path, content=body, headers=world.offices[LEAD].sign("r-1", body, secret=new)).status_code == 200
