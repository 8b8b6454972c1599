"""The rules folder while the service runs: a sound set takes over, anything else leaves the old one at work and says why, loudly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli import app
from app.unread import unread
from domain.records import RulesetEntry
from tests.app.world import RULES, World, eventually, penalty
from tests.connectors.senders import as_csv


@pytest.fixture
def pack(world: World) -> Path:
    """Return the pack that the world runs on."""
    return world.rules / "gas.yaml"


def look(world: World) -> str:
    """Look at the folder as its watch does, twice: a file has to stand still."""
    world.app.services.rulebook.look()
    outcome = world.app.services.rulebook.look()
    world.app.settle()
    return outcome


def broken(world: World) -> bool:
    """Return whether the metrics say that the folder's set was refused."""
    return "fengsui_ruleset_broken 1.0" in world.call("GET", "/metrics", "monitor").text


def activations(world: World) -> int:
    """Return how many rule sets the journal has seen."""
    return sum(isinstance(record.entry, RulesetEntry) for record in world.app.journal.read(0))


def test_a_changed_pack_takes_over_at_a_place_of_the_journal(world: World, pack: Path) -> None:
    """Half of the fine is enough from the activation on; what was judged before it was judged by the old set."""
    world.post(penalty(1, "2"))
    assert world.warnings() == []
    pack.write_text(RULES.replace("fines_24h >= 5万元", "fines_24h >= 1万元"), encoding="utf-8")
    assert look(world) == "activated"
    assert activations(world) == 2
    assert world.warnings() == [], "an activation alone raises nothing"
    world.post(penalty(2, "0.1"))
    assert len(world.warnings()) == 1


def test_a_typo_leaves_the_old_set_at_work_and_is_named_by_file_line_and_column(world: World, pack: Path) -> None:
    """Log, metrics, API and console say the same; mending the file clears it everywhere."""
    before = world.read("/v1/status", "duty")["ruleset"]
    pack.write_text(RULES.replace("    points: 65\n", "    pionts: 65\n", 1), encoding="utf-8")
    line = RULES.splitlines().index("    points: 65") + 1
    with capture_logs() as said:
        assert look(world) == "refused"
        assert look(world) == "same", "said once, not every second"
    logged = [one for one in said if one["event"] == "rules.refused"]
    assert any(f"gas.yaml:{line}:5" in one["problem"] and "points" in one["problem"] for one in logged)
    assert broken(world)
    problems = world.read("/v1/rules", "duty")["problems"]
    assert ("gas.yaml", line, 5) in [(one["file"].rsplit("/", 1)[-1], one["line"], one["column"]) for one in problems]
    assert f"gas.yaml:{line}:5" in world.call("GET", "/rules", "duty", headers={"accept": "text/html"}).text
    assert world.read("/v1/status", "duty")["ruleset"] == before
    world.warn()

    pack.write_text(RULES, encoding="utf-8")
    assert look(world) == "same"
    assert not broken(world)
    assert world.read("/v1/rules", "duty")["problems"] == []
    assert activations(world) == 1


BAD: dict[str, Any] = {
    "broken-yaml": "pack: [",
    "tag": "pack: !!python/object:os.system\n",
    "alias-bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "deep": "[" * 50_000,
    "latin-1": "pack: gas\ntitle: gas \xe9\n".encode("latin-1"),
    "too-large": b"#" * (2**20 + 1),
    "empty": "",
    "two-documents": "---\npack: a\n---\npack: b\n",
    "same-rule-twice": RULES,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_one_bad_file_beside_a_good_one_stops_the_whole_load(shared: World, content: str | bytes) -> None:
    """Never half a set: a broken rule is not skipped, since a rule that is silently gone looks like safety."""
    bad = shared.rules / "second.yaml"
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        assert look(shared) == "refused"
        assert broken(shared)
        problems = shared.read("/v1/rules", "duty")["problems"]
        assert problems
        assert {one["file"].rsplit("/", 1)[-1] for one in problems} <= {"second.yaml", "gas.yaml"}
    finally:
        bad.unlink()
    look(shared)
    assert not broken(shared)


def test_an_emptied_folder_is_a_mistake_not_an_order(world: World, pack: Path) -> None:
    """A folder without rules, or no folder at all (a mount that is gone), leaves the set at work and says so."""
    pack.unlink()
    assert look(world) == "refused"
    assert broken(world)
    world.rules.rmdir()
    assert look(world) == "refused"
    world.warn()
    world.rules.mkdir()
    pack.write_text(RULES, encoding="utf-8")
    look(world)
    assert not broken(world)


def test_a_set_that_was_refused_before_a_restart_is_refused_after_it_and_the_good_one_runs(world: World, pack: Path) -> None:
    """The last good set is in the database, so that a restart with a broken folder changes nothing."""
    before = world.read("/v1/status", "duty")["ruleset"]
    pack.write_text("pack: [", encoding="utf-8")
    world.restart()
    assert broken(world)
    assert world.read("/v1/status", "duty")["ruleset"] == before
    world.warn()


def test_a_file_that_is_being_written_is_left_alone_until_it_stands_still(world: World) -> None:
    """Line by line, as a slow copy writes it: not one refusal on the way, one activation at the end; records go in meanwhile."""
    second = RULES.replace("pack: gas", "pack: gas-second").replace("id: gas-", "id: second-").replace("points: 65", "points: 10")
    looks = []
    with (world.rules / "second.yaml").open("w", encoding="utf-8") as target:
        for number, line in enumerate(second.splitlines(keepends=True)):
            target.write(line)
            target.flush()
            looks.append(world.app.services.rulebook.look())
            if number % 10 == 0:
                assert world.post(penalty(number, "0.01"))["accepted"] == 1
    assert set(looks) == {"same"}
    assert not broken(world)
    assert world.app.services.rulebook.look() == "activated"
    assert activations(world) == 2


def test_folders_are_watched_without_being_told(tmp_path: Path) -> None:
    """A changed pack and a file in the inbox are found by the watches themselves."""
    with World(tmp_path / "world", reload_seconds=0.02, inbox_seconds=0.02) as world:
        folder = world.folder / "data" / "inbox" / "penalties"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.csv").write_bytes(as_csv([penalty(1, "0.01")]))
        (world.rules / "gas.yaml").write_text(RULES.replace("points: 65", "points: 66"), encoding="utf-8")
        eventually((folder / "done" / "a.csv").exists)
        eventually(lambda: activations(world) == 2)


def test_a_file_that_nothing_reads_is_named(tmp_path: Path) -> None:
    """A wrong ending or folder is no silence: `rules check` names each such file, and leaves hidden and foreign ones alone."""
    names = ("gas.yaml", "ebk.yml", "sub/ebk.yaml", "override/610114.yaml", "overrides/610113.yml", "tuning/other.yml", "lists/a.csv")
    for name in (*names, "README.md", ".git/x.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RULES, encoding="utf-8")
    assert {each.file for each in unread(tmp_path)} == set(names) - {"gas.yaml"}
    told = CliRunner().invoke(app, ["rules", "check", str(tmp_path), "--data", str(tmp_path / "none")])
    assert told.exit_code == 0, told.output
    assert "tuning/other.yml:0:0 未读取：规则目录只读取 *.yaml" in told.stdout
