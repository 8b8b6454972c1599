"""An export of a server's journal: whole or a part, to standard output or into a file that is there once it is whole."""

from __future__ import annotations

import json
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.exporting import whole_file
from domain.errors import StoreUnavailable
from tests.app.test_command_line import run
from tests.app.world import World, signal


def records(told: str) -> list[dict[str, Any]]:
    """Return the records of an export."""
    return [json.loads(line) for line in told.splitlines()]


def test_a_part_has_the_registry_and_the_rules_of_before(world: World, tmp_path: Path) -> None:
    """Signals of the period alone, under the journal's own numbers, behind what they cannot be read without."""
    world.signals(signal("s-1"))
    world.at("1h").signals(signal("s-2", occurred_at="2026-03-02T09:30:00+08:00"))
    world.at("2h").signals(signal("s-3", occurred_at="2026-03-02T10:30:00+08:00"))
    data, period = world.folder / "data", ("--from", "2026-03-02T09:30:00+08:00", "--to", "2026-03-02T10:30:00+08:00")
    whole = records(run("journal", "export", "--data", data).stdout)
    part = run("journal", "export", "--data", data, *period)
    assert (part.exit_code, part.stderr) == (0, "")
    found = records(part.stdout)
    assert [each["entry"]["signal"]["id"] for each in found if each["entry"]["type"] == "signal"] == ["s-2"]
    assert {"ruleset", "objects", "catalogue"} <= {each["entry"]["type"] for each in found}
    assert all(each in whole for each in found)
    file = tmp_path / "journal.ndjson"
    assert run("journal", "export", "--data", data, "--out", file).stdout == ""
    assert records(file.read_text()) == whole
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    refused = run("journal", "export", "--data", data, "--partition", 1)
    assert (refused.exit_code, refused.stdout, "has no partitions" in refused.stderr) == (2, "", True)


def test_a_file_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    """What was there before stays as it was where the writing breaks off, and nothing half done lies beside it."""
    file = tmp_path / "journal.ndjson"
    file.write_text("before")
    with suppress(StoreUnavailable), whole_file(file) as out:
        out.write(b"half")
        raise StoreUnavailable("the brokers went away")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("journal.ndjson", "before")]
    with pytest.raises(StoreUnavailable, match="cannot be written"), whole_file(tmp_path / "nowhere" / "journal.ndjson"):
        pass
