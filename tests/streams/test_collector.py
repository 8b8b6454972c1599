"""The collector's pace in a process that takes in batches."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from streams.runtimes import collector
from streams.runtimes.collector import BatchCollector, taking_up


class Knot:
    """Keeps itself alive."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def pace_of_before() -> Iterator[None]:
    """Put back how the collector was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_a_batch_leaves_in_a_knot_is_found_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle that nobody holds goes once the batches left enough."""
    monkeypatch.setattr(collector, "BATCH", 1_000)
    pace = BatchCollector()
    gone = weakref.ref(Knot())
    pace.batch_done()
    assert gone() is not None  # too little to look at
    kept: list[list[object]] = [[] for _ in range(2_000)]
    pace.batch_done()
    assert gone() is None
    assert len(kept) == 2_000


def test_a_look_that_found_next_to_nothing_spares_the_next_ones_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where batches leave no cycles, one look in ten is taken; where one finds some, the next batch is looked at as well."""
    monkeypatch.setattr(collector, "BATCH", 1_000)
    pace, kept, looks = BatchCollector(), list[object](), list[int]()
    gc.callbacks.append(note := lambda phase, info: looks.append(info["collected"]) if phase == "stop" else None)
    try:
        for made in [list[object]] * 20 + [Knot] * 3:
            kept += ([] for _ in range(2_000))
            for _ in range(500):
                made()
            pace.batch_done()
    finally:
        gc.callbacks.remove(note)
    assert [found > 0 for found in looks] == [False, False, True, True, True]
    assert len(kept) == 23 * 2_000


def test_what_was_alive_behind_its_batch_is_found_once_as_much_has_come_as_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cycle that somebody held for some batches goes as well, later."""
    monkeypatch.setattr(collector, "BATCH", 1_000)
    monkeypatch.setattr(collector, "GROWN", 1_000)
    pace = BatchCollector()
    knot = Knot()
    gone = weakref.ref(knot)
    kept: list[list[object]] = [[] for _ in range(2_000)]
    pace.batch_done()
    del knot
    gc.collect()
    assert gone() is not None  # no usual look sees it any more
    there = gc.get_freeze_count()
    while gone() is not None and len(kept) < 3 * there:
        kept += ([] for _ in range(2_000))
        pace.batch_done()
    assert gone() is None


def test_nothing_is_looked_at_while_a_state_is_taken_up_and_what_it_made_is_left_alone() -> None:
    """No look disturbs a state that is being made, whatever the pace, nor comes back to it; afterwards the pace is what it was."""
    looks: list[str] = []
    gc.set_threshold(100, 1, 1)
    gc.collect()
    gc.callbacks.append(note := lambda phase, _info: looks.append(phase))
    try:
        with taking_up():
            before = len(looks)
            state: list[list[object]] = [[] for _ in range(20_000)]
            assert len(looks) == before
    finally:
        gc.callbacks.remove(note)
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(state)
    assert gc.get_count()[0] < 100


def test_of_two_states_that_are_taken_up_at_once_neither_is_looked_at_before_both_are_there() -> None:
    """The first to be ready does not let the collector loose on the other."""
    with taking_up():
        with taking_up():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off_behind_a_state() -> None:
    """Whoever has switched the collector off finds it off."""
    gc.disable()
    try:
        with taking_up():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_state_that_was_taken_up_counts_as_there_when_everything_is_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few batches behind a takeover do not have the whole new state walked: as much has to come as was taken up."""
    monkeypatch.setattr(collector, "BATCH", 1_000)
    monkeypatch.setattr(collector, "GROWN", 1_000)
    pace = BatchCollector()
    there = gc.get_freeze_count()
    knot = Knot()
    gone = weakref.ref(knot)
    with taking_up():
        state: list[list[object]] = [[] for _ in range(5 * there)]
    del knot
    kept: list[list[object]] = [[] for _ in range(2 * there)]
    pace.batch_done()
    assert gone() is not None
    while gone() is not None and len(kept) < 3 * len(state):
        kept += ([] for _ in range(there))
        pace.batch_done()
    assert gone() is None
