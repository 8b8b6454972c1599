"""The guard of a partition over workers that share nothing but the database: who died, where, and what the next one makes of it."""

from __future__ import annotations

import pytest

from domain.clock import ManualClock
from domain.errors import Fenced, StoreCorrupt
from storage.database import Database
from storage.marks import SqlMarks
from storage.progress import SqlProgress
from streams.runtimes.partition_guard import TRIED, WATCHED, PartitionGuard
from tests.factories import T0


class Ward:
    """One partition, and the guards of those who take it over."""

    def __init__(self, database: Database) -> None:
        self.progress = SqlProgress(database, ManualClock(T0))
        self.marks = SqlMarks(database, "frames", 3)

    def taken_over(self) -> PartitionGuard:
        return PartitionGuard(self.marks, self.progress.assign("frames", 3, "w").epoch)

    def mark(self) -> bytes:
        return self.marks.read()[1]


@pytest.fixture
def ward(database: Database) -> Ward:
    """Give a partition that nobody has had."""
    return Ward(database)


def test_nothing_is_written_while_all_goes_well(ward: Ward) -> None:
    """Workers that let go in order leave no suspicion, and neither steps nor frames write."""
    for _ in range(3):
        guard = ward.taken_over()
        assert guard.begin() is None
        guard.replayed()
        for first in range(1, 10 * WATCHED, 10):
            guard.enter(first, first + 9)
            guard.leave()
            guard.judged()
        guard.let_go()
    assert b'"first":0' in ward.mark()
    assert not ward.taken_over().suspects


def test_a_record_is_set_aside_after_four_deaths_of_any_workers(ward: Ward) -> None:
    """The first is seen by nobody, the second is of a frame, then the record alone twice; whoever comes later knows it."""
    for death in range(4):
        guard = ward.taken_over()
        assert guard.begin() is None
        guard.replayed()
        assert list(guard.suspects) == [[], [], list(range(3, 10)), [5]][death]
        guard.enter(*((5, 5) if guard.suspects else (3, 9)))
    guard = ward.taken_over()
    assert guard.begin() == 5
    guard.let_go()
    assert ward.taken_over().quarantined == (5,)


def test_the_first_frames_after_a_death_are_watched(ward: Ward) -> None:
    """A few, also where the worker let go of it in between; once they are judged nothing is written any more."""
    ward.taken_over().begin()
    for left in (WATCHED, WATCHED):  # whoever comes next watches them from the start
        guard = ward.taken_over()
        guard.begin()
        guard.replayed()
        for _ in range(left - 1):
            guard.enter(1, 9)
            assert guard.entered
            guard.leave()
            guard.judged()
        guard.let_go()
    guard = ward.taken_over()
    guard.begin()
    guard.replayed()
    for _ in range(WATCHED):
        guard.judged()
    guard.enter(1, 9)
    assert not guard.entered
    assert not ward.taken_over().begin()  # a first death again: of this one


def test_what_is_committed_is_watched_only_where_nobody_gets_through(ward: Ward) -> None:
    """A replay writes nothing after one death, and its frames are watched after workers died in it."""
    for tries in range(TRIED + 2):
        guard = ward.taken_over()
        guard.begin()
        guard.enter(1, 9)
        assert guard.entered == (tries > TRIED)
    guard = ward.taken_over()
    guard.begin()
    assert guard.suspects == range(1, 10)


def test_who_was_replaced_writes_no_mark(ward: Ward) -> None:
    """What the new owner set aside stays so, however late the old one wakes."""
    ward.taken_over().begin()
    old = ward.taken_over()
    old.begin()
    old.replayed()
    new = ward.taken_over()
    new.begin()
    before = ward.mark()
    for late in (lambda: old.enter(1, 2), old.let_go):
        with pytest.raises(Fenced):
            late()
    assert ward.mark() == before


def test_a_step_that_ended_for_another_reason_is_no_death(ward: Ward) -> None:
    """A frame in which the engine found no rule set, say, is not suspected."""
    ward.taken_over().begin()
    guard = ward.taken_over()
    guard.begin()
    guard.replayed()
    guard.enter(1, 1)
    guard.forgive()
    guard = ward.taken_over()
    assert guard.begin() is None
    assert not guard.suspects


def test_a_damaged_mark_says_where_it_stands(ward: Ward) -> None:
    """The message names the column."""
    ward.marks.write(ward.progress.assign("frames", 3, "w").epoch, 1, b"?")
    with pytest.raises(StoreCorrupt, match=r"progress\.mark"):
        ward.taken_over()
