"""Snapshots: whole or not at all, the older one where the newest is damaged, nothing where both are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StoreUnavailable
from storage.snapshots import Loaded, Snapshot, SnapshotStore
from tests.storage.disk import no_file_beyond

STATE: dict[str, Any] = {"cells": b"\x00\xff" * 300, "names": ["o-1", "o-2"], "clock": 1_772_323_200_000, "share": 0.25, "open": {"gas": 1}}


def make_snapshot(position: int) -> Snapshot:
    """Return a snapshot whose state knows its position."""
    return Snapshot(position=position, ruleset="r1", software="0.1.0", state=STATE | {"n": position})


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """Return a store with snapshots at 10 and 20."""
    store = SnapshotStore(tmp_path)
    for position in (10, 20):
        store.save(make_snapshot(position))
    return store


def test_an_empty_folder_means_full_replay(tmp_path: Path) -> None:
    """Without snapshots there is nothing to load and nothing to complain of."""
    assert SnapshotStore(tmp_path).load() == Loaded(snapshot=None)


def test_the_newest_is_loaded_as_it_was_saved(store: SnapshotStore) -> None:
    """Position, rule set, software and every value of the state come back."""
    assert store.load() == Loaded(snapshot=make_snapshot(20))


def test_two_are_kept(store: SnapshotStore, tmp_path: Path) -> None:
    """A third snapshot replaces the oldest; the journal may be forgotten up to the older one only."""
    assert store.forgettable("0.1.0") == 10
    store.save(make_snapshot(30))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{20:020d}.snap", f"{30:020d}.snap"]
    assert store.forgettable("0.1.0") == 20
    assert store.forgettable("0.2.0") == 0, "another version takes up neither"


def test_a_single_snapshot_keeps_the_whole_journal(tmp_path: Path) -> None:
    """With one sound snapshot its damage would need a full replay, so nothing may be forgotten."""
    store = SnapshotStore(tmp_path)
    store.save(make_snapshot(10))
    assert store.forgettable("0.1.0") == 0


@settings(derandomize=True, max_examples=200, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(0, 300))
def test_a_damaged_newest_one_falls_back(place: float, change: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any changed byte and any cut of the newest file is noticed, named, and answered by the older one."""
    folder = tmp_path_factory.getbasetemp() / "snapshots"
    folder.mkdir(exist_ok=True)
    store = SnapshotStore(folder)
    for position in (10, 20):
        store.save(make_snapshot(position))
    path = folder / f"{20:020d}.snap"
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    if change in range(1, 256):
        data[at] ^= change
    else:
        del data[at:]
    path.write_bytes(data)
    loaded = store.load()
    assert loaded.snapshot == make_snapshot(10)
    assert [path.name in message for message in loaded.damaged] == [True]
    assert store.forgettable("0.1.0") == 0


def test_two_damaged_ones_mean_full_replay(store: SnapshotStore, tmp_path: Path) -> None:
    """With both damaged there is no snapshot, and both are named."""
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    loaded = store.load()
    assert (loaded.snapshot, len(loaded.damaged)) == (None, 2)


def test_a_full_disk_leaves_the_earlier_ones(store: SnapshotStore, tmp_path: Path) -> None:
    """A snapshot that finds no space is refused, leaves nothing behind, and the newest before it is loaded."""
    with no_file_beyond(100), pytest.raises(StoreUnavailable, match="free space"):
        store.save(make_snapshot(30))
    assert len(list(tmp_path.iterdir())) == 2
    assert store.load() == Loaded(snapshot=make_snapshot(20))


def test_what_a_kill_left_is_cleared_away(store: SnapshotStore, tmp_path: Path) -> None:
    """The temporary file of a killed save is neither loaded nor kept."""
    (tmp_path / f".{30:020d}.snap.tmp").write_bytes(b"half")
    assert SnapshotStore(tmp_path).load() == store.load() == Loaded(snapshot=make_snapshot(20))
    assert len(list(tmp_path.iterdir())) == 2
