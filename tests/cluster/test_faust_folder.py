"""Where Faust makes its folders; no broker is needed for that."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from streams.runtimes.faust_worker import Cluster, Host


def test_a_worker_makes_nothing_where_it_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder of a container cannot be written to: what Faust makes lies in the folder that it is given."""
    started_in, folder = tmp_path / "started", tmp_path / "faust"
    started_in.mkdir()
    monkeypatch.chdir(started_in)
    cluster = Cluster(bootstrap="127.0.0.1:1", topic="t.frames", partitions=1, group="t-workers", owner="test", folder=folder)
    nothing = cast("Any", None)  # partitions and progress are asked when brokers answer
    host = Host(cluster, nothing, nothing, die=lambda _status: None)
    asyncio.run(host.app.on_first_start())
    assert folder.is_dir()
    assert list(started_in.iterdir()) == []
