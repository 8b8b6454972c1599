"""The poison guard: what a dead process leaves, and what the next one makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import StoreCorrupt, StoreUnavailable
from streams.runtimes.poison import PoisonGuard


def test_a_batch_that_died_is_stepped_one_by_one(tmp_path: Path) -> None:
    """Nothing is set aside for one death of many."""
    PoisonGuard(tmp_path / "mark").enter(3, 9)
    guard = PoisonGuard(tmp_path / "mark")
    assert guard.died() is None
    assert guard.suspects == range(3, 10)


def test_a_record_that_died_alone_twice_is_set_aside(tmp_path: Path) -> None:
    """Counted over processes."""
    path = tmp_path / "mark"
    for expected in (None, None, None, 5):  # a batch, then alone, then alone again
        guard = PoisonGuard(path)
        assert guard.died() == expected
        first, last = (5, 5) if guard.suspects or expected else (1, 9)
        guard.enter(first, last)
    assert PoisonGuard(path).quarantined == (5,)


def test_what_the_disk_did_not_take_is_still_to_be_said(tmp_path: Path) -> None:
    """A record counts as set aside, and its number is returned, once that is written down, and not before."""
    path = tmp_path / "mark"
    for _ in range(2):
        guard = PoisonGuard(path)
        guard.died()
        guard.enter(5, 5)
    guard = PoisonGuard(path)
    path.unlink()
    with pytest.raises(StoreUnavailable):
        guard.died()
    assert guard.quarantined == ()
    assert guard.died() == 5
    assert PoisonGuard(path).quarantined == (5,)


def test_a_step_that_was_left_is_no_death(tmp_path: Path) -> None:
    """Nor is one that ended for a reason outside its records."""
    guard = PoisonGuard(tmp_path / "mark")
    guard.enter(5, 5)
    guard.leave()
    assert PoisonGuard(tmp_path / "mark").died() is None
    guard.enter(5, 5)
    guard.forgive()
    assert not PoisonGuard(tmp_path / "mark").suspects


def test_a_step_writes_over_the_mark_of_the_last_one(tmp_path: Path) -> None:
    """No step renames a file, short marks after long ones read well, and a mark that somebody deleted comes back."""
    path = tmp_path / "mark"
    guard = PoisonGuard(path)
    guard.enter(10**15, 10**15 + 99)
    file = path.stat().st_ino
    guard.leave()
    guard.enter(7, 8)
    assert path.stat().st_ino == file
    again = PoisonGuard(path)
    assert again.died() is None
    assert again.suspects == range(7, 9)
    path.unlink()
    with pytest.raises(StoreUnavailable):
        guard.leave()
    guard.enter(1, 2)
    assert PoisonGuard(path).entered


def test_more_than_a_sector_is_kept_too(tmp_path: Path) -> None:
    """However many records are set aside, all of them are known to the next process."""
    path = tmp_path / "mark"
    for seq in range(10**14, 10**14 + 60):
        for _ in range(2):
            guard = PoisonGuard(path)
            guard.died()
            guard.enter(seq, seq)
        assert PoisonGuard(path).died() == seq
    assert PoisonGuard(path).quarantined == tuple(range(10**14, 10**14 + 60))


def test_a_damaged_mark_is_named(tmp_path: Path) -> None:
    """The message says what to do."""
    (tmp_path / "mark").write_text("?")
    with pytest.raises(StoreCorrupt, match="delete it"):
        PoisonGuard(tmp_path / "mark")
