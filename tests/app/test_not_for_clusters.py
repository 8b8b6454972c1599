"""What does not go together: serve and a cluster's database, a role and no database, two servers on a port, an export and no journal."""

from __future__ import annotations

import socket
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

PUBLISH = ("rules", "publish", "--rules", "rules/packs")


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


@pytest.mark.parametrize(
    "command",
    [
        ("edge", "--host", "127.0.0.1"),
        ("worker", "--host", "127.0.0.1"),
        ("duty", "--host", "127.0.0.1"),
        ("api", "--host", "127.0.0.1"),
        PUBLISH,
    ],
)
def test_a_role_without_the_shared_database_does_not_start(command: tuple[str, ...], tmp_path: Path) -> None:
    """On a file of its own a worker took partitions from the others and nobody saw what it found; all four know `--host`."""
    told = run(*command, "--data", tmp_path / "data", "--bootstrap", "127.0.0.1:1")
    assert (told.exit_code, "there is no database_url" in told.stderr) == (2, True), told.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """A second server on a port says which one it is and what to do, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("serve", "--data", tmp_path / "data", "--port", port)
    assert (told.exit_code, f"127.0.0.1:{port} cannot be listened on" in told.stderr) == (2, True), told.stderr
    assert "choose another port" in told.stderr
