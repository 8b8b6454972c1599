"""Shortening the journal: only on command, only what no start needs, and the service goes on as if nothing had happened."""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from app.cli import app as command_line
from app.commands.output import FINDINGS, USAGE
from storage.journal import Journal
from storage.journal_folder import JournalFolder
from tests.app.test_reloads import MORE, change
from tests.app.world import World, penalty, signal


def run(world: World, *arguments: object) -> Result:
    """Run `fengsui journal forget` on a world's folder."""
    given = ["journal", "forget", "--data", world.folder / "data", *arguments]
    return CliRunner().invoke(command_line, [str(each) for each in given])


def cut(world: World) -> None:
    """Give a stopped world's journal a file for every record, as years and 64 MiB would."""
    folder = world.folder / "data" / "journal"
    records = list(JournalFolder(folder).read(0))
    shutil.rmtree(folder)
    with Journal.open(folder, segment_bytes=1) as journal:
        for record in records:
            journal.append([record])
            journal.sync()


def first(world: World) -> int:
    """Return the first record that a stopped world's journal has."""
    return JournalFolder(world.folder / "data" / "journal").first()


def twice_stopped(world: World) -> None:
    """Stop a world with two snapshots behind its first signals, its journal cut small."""
    for _ in range(2):
        world.restart()
        for number in range(3):
            world.signals(signal(f"later-{number}-{world.app.journal.head()}", kind="gas.other"))
    world.shut()
    cut(world)


def test_what_no_start_needs_is_moved_and_the_service_goes_on(world: World, tmp_path: Path) -> None:
    """Told first and done at --yes; after it the warnings stand, what comes counts with what was, and the archive has what went."""
    world.signals(signal("s-1"), signal("s-2"))
    last, before = world.app.journal.head() - 1, world.clock.now().isoformat()  # the newest was received at that very instant
    world.at("1h")
    twice_stopped(world)
    told = run(world, "--before", before)
    assert (told.exit_code, first(world)) == (FINDINGS, 1)
    assert f"records 1 to {last} would go" in told.stderr
    assert run(world, "--before", before, "--yes").exit_code == USAGE, "neither an archive nor none"
    done = run(world, "--before", before, "--yes", "--archive", tmp_path / "old")
    assert done.exit_code == 0, done.output
    assert first(world) == last + 1
    assert [record.seq for record in JournalFolder(tmp_path / "old").read(0)] == list(range(1, last + 1))
    assert "nothing to forget" in run(world, "--before", before, "--yes", "--no-archive").stdout
    world.restart()
    world.signals(signal("s-3"))
    assert len(world.warnings()) == 1, "the third leak counts with the two that the journal lost"


def test_what_a_start_may_need_stays(world: World) -> None:
    """Without two snapshots nothing goes; then nothing behind the older one; and not what an activation behind it counts from."""
    world.signals(signal("s-1"))
    world.shut()
    for path in (world.folder / "data" / "snapshots").glob("*.snap"):
        path.unlink()
    cut(world)
    assert "not two sound snapshots" in run(world, "--before", "2027-01-01").stderr
    world.restart()
    twice_stopped(world)
    refused = run(world, "--before", "2027-01-01", "--yes", "--no-archive")
    assert (refused.exit_code, first(world)) == (USAGE, 1)
    assert "the older snapshot stands at record" in refused.stderr


def test_what_rules_are_counted_back_from_stays_until_two_snapshots_know_it(world: World) -> None:
    """An activation behind the older snapshot names the journal's first record: a start from there may read it again."""
    world.post(penalty(1, "1"))
    before = world.clock.now().isoformat()
    world.at("1h")
    world.restart()
    world.signals(signal("between", kind="gas.other"))
    world.restart()
    assert change(world, MORE) == "activated"
    world.shut()
    cut(world)
    refused = run(world, "--before", before, "--yes", "--no-archive")
    assert (refused.exit_code, first(world)) == (USAGE, 1)
    assert "restart serve twice" in refused.stderr


def test_a_running_server_keeps_its_journal(world: World) -> None:
    """The folder is in use: nothing is looked at, nothing goes."""
    refused = run(world, "--before", "2027-01-01", "--yes", "--no-archive")
    assert refused.exit_code == USAGE
    assert "in use by process" in refused.stderr
