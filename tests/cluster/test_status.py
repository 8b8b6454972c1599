"""The file in which a role tells how it stands."""

from __future__ import annotations

from pathlib import Path

import msgspec

from app.cluster.role import tell
from domain.clock import ManualClock
from tests.factories import T0


def test_a_disk_that_does_not_take_the_status_stops_nobody(tmp_path: Path) -> None:
    """The role goes on with what it was told before still there, whole; with room again the next one is written."""
    file, clock = tmp_path / "worker.json", ManualClock(T0)
    tell(file, clock, {"looks": 1})
    in_the_way = tmp_path / ".worker.json.new"
    in_the_way.mkdir()  # nothing can be written there, whoever tries
    tell(file, clock, {"looks": 2})
    assert msgspec.json.decode(file.read_bytes())["looks"] == 1
    in_the_way.rmdir()
    tell(file, clock, {"looks": 3})
    assert msgspec.json.decode(file.read_bytes())["looks"] == 3
