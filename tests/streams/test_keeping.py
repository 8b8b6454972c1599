"""When a snapshot of a partition is due: bounded by records and by time, and never most of the work itself."""

from __future__ import annotations

import pytest

from domain.errors import StoreUnavailable
from domain.packed import PackedState
from streams.runtimes.keeping import Keeping, Kept

STATE = Kept(1, None, PackedState.of([]))


class _Slow:
    """A shelf on which a snapshot takes `cost` seconds, and a clock."""

    def __init__(self, cost: float = 0.0) -> None:
        self.at, self.cost, self.full = 0.0, cost, False

    def now(self) -> float:
        return self.at

    def save(self, _kept: Kept) -> None:
        self.at += self.cost
        if self.full:
            raise StoreUnavailable("no space")

    def load(self) -> Kept | None:
        return None


def _keeping(shelf: _Slow) -> Keeping:
    return Keeping(shelf, 100, 15.0, shelf.now)


def test_records_or_seconds_make_a_snapshot_due() -> None:
    """The hundredth record does, and so do fifteen seconds of judging a few; both counts begin anew after it."""
    keeping = _keeping(_Slow())
    keeping.worked(99, 1.0)
    assert not keeping.due
    keeping.worked(1, 1.0)
    assert keeping.due
    keeping.save(lambda: STATE)
    keeping.worked(3, 14.5)
    assert not keeping.due
    keeping.worked(1, 0.6)
    assert keeping.due


def test_keeping_takes_a_tenth_of_the_time_where_there_is_much_to_do() -> None:
    """One that took half a second comes after five of judging, however many records that are; one that took two not after twenty."""
    for cost, wait in ((0.5, 5.0), (2.0, 15.0)):
        keeping = _keeping(_Slow(cost))
        keeping.worked(100, 2.0)
        keeping.save(lambda: STATE)
        keeping.worked(1000, wait - 0.1)
        assert not keeping.due
        keeping.worked(1, 0.2)
        assert keeping.due


def test_a_costly_snapshot_waits_for_as_much_work() -> None:
    """One that took 40 seconds comes after 40 seconds of judging, not after 15."""
    keeping = _keeping(_Slow(40.0))
    keeping.worked(100, 2.0)
    keeping.save(lambda: STATE)
    keeping.worked(1000, 39.0)
    assert not keeping.due
    keeping.worked(1, 1.0)
    assert keeping.due


def test_a_snapshot_that_failed_is_not_tried_with_every_frame() -> None:
    """The next one is due as if it had been kept."""
    shelf = _Slow()
    shelf.full = True
    keeping = _keeping(shelf)
    keeping.worked(100, 2.0)
    with pytest.raises(StoreUnavailable):
        keeping.save(lambda: STATE)
    assert not keeping.due
    keeping.worked(100, 2.0)
    assert keeping.due
