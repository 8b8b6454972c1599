"""The first seal of a database, over every kind of it: processes that start at the same moment agree on the key, or one is refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from domain.errors import StoreUnavailable
from storage import sealing
from storage.database import Database


def test_processes_that_start_at_once_take_the_same_key(database: Database, tmp_path: Path) -> None:
    """Each finds no seal yet; one writes it, the other takes it, and one with another key is refused."""
    key, foreign = tmp_path / "key", tmp_path / "foreign"
    key.write_text("a1" * 32)
    foreign.write_text("b2" * 32)
    failed: list[BaseException] = []
    start = threading.Barrier(4)

    def open_it() -> None:
        start.wait(10)
        try:
            sealing.open_seal(database, key, make=False)
        except BaseException as error:  # noqa: BLE001  shown below, in the thread of the test
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    with pytest.raises(StoreUnavailable):
        sealing.open_seal(database, foreign, make=False)
