"""The key of one-time links, which all roles of a cluster share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.links import load_or_make_key
from domain.errors import StoreUnavailable

ROLES = 4


@pytest.mark.parametrize("nth", range(10))
def test_roles_that_start_at_once_make_one_key(tmp_path: Path, nth: int) -> None:
    """Each finds none, one makes it, and all of them sign with that one: a link of one is good for the others."""
    start = threading.Barrier(ROLES)

    def load(_role: int) -> bytes:
        start.wait()
        return load_or_make_key(tmp_path / f"key-{nth}")

    with ThreadPoolExecutor(ROLES) as roles:
        keys = set(roles.map(load, range(ROLES)))
    assert keys == {(tmp_path / f"key-{nth}").read_bytes()}
    assert len(keys.pop()) == 32


def test_a_key_that_cannot_be_made_is_refused_with_its_place(tmp_path: Path) -> None:
    """The folder is not there: the message names the file."""
    with pytest.raises(StoreUnavailable, match="nowhere/key"):
        load_or_make_key(tmp_path / "nowhere" / "key")
