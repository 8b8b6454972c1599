"""What a cluster's data folder and database do not take: a serve beside the workers, and an export of a journal that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.clock import SystemClock
from app.settings import Settings
from app.wiring import Application
from domain.errors import StoreUnavailable
from storage.database import Database
from storage.datadir import DataPaths
from storage.progress import SqlProgress
from tests.app.test_command_line import run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings over a database in which a worker once took a partition."""
    found = Settings(data=tmp_path / "data", port=0)
    found.data.mkdir(mode=0o700)
    database = Database.open(DataPaths(found.data).database)
    SqlProgress(database, SystemClock()).assign("fengsui.frames", 0, "worker:1")
    database.close()
    return found


def test_serve_does_not_start_on_it(settings: Settings) -> None:
    """It would number its own journal's records beside the cluster's, and skip as done what is not: the roles are named instead."""
    with pytest.raises(StoreUnavailable, match="edge, worker, duty and api"):
        Application(settings)


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    """The folder of a role has a folder for a journal and none in it: how to export a cluster's log is said."""
    (tmp_path / "journal").mkdir()
    told = run("journal", "export", "--data", tmp_path)
    assert (told.exit_code, told.stdout, "settings file with --config" in told.stderr) == (2, "", True)
