"""Compiled: which signals were seen, and the chain of each object's signals that may still matter.

A signal is known by the hash of its feed and id. Two that differ and share one are taken for the same here, which costs time and nothing
else: whatever looks as if it had been seen goes to the Python engine, which compares the ids themselves.
"""

from __future__ import annotations

import numpy as np

from streams.kernel.jit import compiled, inlined, shared
from streams.kernel.layout import KERNEL, ROWS_TOP, Batch, State, Tables
from streams.kernel.scale import begins


@shared
def find_row(state: State, mark: int) -> int:
    """Return the row of a signal by its mark, -1 for none."""
    last = np.uint64(state.by_mark.shape[0] - 1)
    place = np.int64(mark & last)
    while state.by_mark[place] >= 0:
        row = np.int64(state.by_mark[place])
        if state.rows[row].mark == mark:
            return row
        place = np.int64((np.uint64(place) + np.uint64(1)) & last)
    return np.int64(-1)


@shared
def note_row(state: State, batch: Batch, signal: int, slot: int) -> None:
    """Remember a signal that was not seen before; of an object that the kernel runs it is the newest of the chain."""
    row = state.counters[ROWS_TOP]
    state.counters[ROWS_TOP] = row + 1
    new = state.rows[row]
    new.at = batch.at[signal]
    new.handle = batch.handle[signal]
    new.mark = batch.mark[signal]
    new.slot = slot
    new.signal_class = batch.signal_class[signal]
    new.before = -1
    thing = state.objects[slot]
    new.clock = thing.clock
    if thing.owner == KERNEL:
        new.before = thing.row
        thing.row = row
    put(state, row)


@inlined
def put(state: State, row: int) -> None:
    """Put a row into the index."""
    last = np.uint64(state.by_mark.shape[0] - 1)
    place = np.int64(state.rows[row].mark & last)
    while state.by_mark[place] >= 0:
        place = np.int64((np.uint64(place) + np.uint64(1)) & last)
    state.by_mark[place] = row


@compiled
def index_again(state: State) -> None:
    """Make the index anew."""
    state.by_mark[:] = -1
    for row in range(state.counters[ROWS_TOP]):
        put(state, row)


@compiled
def forget_rows(tables: Tables, state: State, wanted: np.ndarray, stands_for: np.ndarray) -> None:
    """Drop the rows that nothing can need any more; the others keep their order.

    A row of an object that the kernel runs is kept where it is inside the longest of its windows, or its newest; all that are left of one
    under watch are. Of the others' `wanted` says which are kept. `stands_for` is room for a number a row: where it is now; of a dropped
    one, where the nearest kept row before it in its chain is.
    """
    rows = state.counters[ROWS_TOP]
    kept = np.int64(0)
    for row in range(rows):
        old = state.rows[row]
        slot = np.int64(old.slot)
        thing = state.objects[slot]
        before = stands_for[old.before] if old.before >= 0 else np.int32(-1)
        stands_for[row] = before
        if wanted[row] if thing.owner != KERNEL else thing.row == row or thing.watch >= 0 or old.at >= _oldest(tables, state, slot):
            new = state.rows[kept]
            new.at, new.handle, new.mark, new.slot, new.before = old.at, old.handle, old.mark, old.slot, before
            new.clock, new.signal_class = old.clock, old.signal_class
            stands_for[row] = kept
            kept += 1
    state.counters[ROWS_TOP] = kept
    for slot in range(state.objects.shape[0]):
        thing = state.objects[slot]
        if thing.owner == KERNEL and thing.row >= 0:
            thing.row = stands_for[thing.row]
    index_again(state)


@inlined
def _oldest(tables: Tables, state: State, slot: int) -> int:
    """Return the first instant that is still inside one of an object's windows."""
    thing = state.objects[slot]
    oldest = thing.clock
    for place in range(thing.first, thing.first + thing.cells):
        cell = state.cells[place]
        oldest = min(oldest, begins(tables, np.int64(cell.indicator), cell.clock))
    return oldest
