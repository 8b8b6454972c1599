"""The collector's pace in a process that takes in batches."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from streams.runtimes import collector
from streams.runtimes.collector import BatchCollector


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
