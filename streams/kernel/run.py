"""Compiled: one signal after another.

For each: its object's clock, the windows that a moved clock empties, the windows that it feeds, and, only where a level or a test changed,
the rules. Before each there must be room for the worst that one signal can need; else the run stops there and the caller makes room.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streams.kernel import fixed
from streams.kernel.cells import add, advance, expires, read
from streams.kernel.jit import compiled, inlined
from streams.kernel.judge import judge, tests_rose
from streams.kernel.layout import (
    CELLS_TOP,
    COUNT,
    DISTINCT,
    FAR,
    KERNEL,
    LARGEST_ROOM,
    MEAN,
    PARTS_TOP,
    PYTHON,
    ROWS_TOP,
    SUM,
    SWEEP_AT,
    UNSEEN,
    WATCHES_TOP,
    WORDS_TOP,
    Batch,
    Classes,
    Found,
    Scratch,
    State,
    Tables,
)
from streams.kernel.rooms import give_cells, take_cells
from streams.kernel.scale import position
from streams.kernel.seen import find_row, note_row
from streams.kernel.watch import follow

# Why a run stopped: at its end, for want of room, at a signal seen before, to forget old rows, behind one that fusion has to look at.
DONE, NO_ROOM, KNOWN, SWEEP, ATTEND = range(5)
WORDS_OF_BUCKETS: Final = 256  # more than a cell of buckets can want at once


@compiled
def run(tables: Tables, classes: Classes, state: State, scratch: Scratch, batch: Batch, found: Found, first: int, end: int) -> int:
    """Take in the signals from `first` up to `end`; `found.told[2]` is where to go on after what is returned was seen to."""
    indicators = tables.aggregate.shape[0]
    rules = tables.conjuncts_at.shape[0] - 1
    lists = np.int64(0)  # indicators whose words can grow without bound
    for v in range(indicators):
        lists += tables.exact[v] or tables.aggregate[v] == DISTINCT
    for signal in range(first, end):
        found.told[2] = signal
        if state.counters[ROWS_TOP] >= state.counters[SWEEP_AT]:
            return SWEEP
        if not _roomy(state, found, indicators, rules, lists, tables.pointed):
            return NO_ROOM
        if find_row(state, batch.mark[signal]) >= 0:
            return KNOWN
        slot = np.int64(batch.slot[signal])
        owner = state.objects[slot].owner
        if owner == KERNEL and _odd(tables, classes, batch, signal):
            owner = PYTHON
            state.objects[slot].owner = owner
        attend = False
        if owner == KERNEL:
            attend = take(tables, classes, state, scratch, batch, found, signal, slot)
        else:
            reach(found, signal)
        note_row(state, batch, signal, slot)
        if attend:
            found.told[2] = signal + 1
            return ATTEND
    found.told[2] = end
    return DONE


@inlined
def _roomy(state: State, found: Found, indicators: int, rules: int, lists: int, pointed: int) -> bool:
    """Tell whether one more signal has room, whatever it does."""
    counters = state.counters
    words = WORDS_OF_BUCKETS * indicators + 2 * lists * counters[LARGEST_ROOM] + pointed * (4 * indicators + 4)
    return (
        found.hit_rule.shape[0] - found.told[0] >= rules
        and state.rows.shape[0] > counters[ROWS_TOP]
        and 2 * counters[ROWS_TOP] < state.by_mark.shape[0]
        and state.cells.shape[0] - counters[CELLS_TOP] >= 4 * indicators + 4
        and state.words.shape[0] - counters[WORDS_TOP] >= words
        and state.watches.shape[0] > counters[WATCHES_TOP]
        and state.parts.shape[0] - counters[PARTS_TOP] >= 4 * pointed
    )


@inlined
def reach(found: Found, signal: int) -> None:
    """Leave a signal to the Python engine."""
    found.reached[found.told[1]] = signal
    found.told[1] += 1


@inlined
def _odd(tables: Tables, classes: Classes, batch: Batch, signal: int) -> bool:
    """Tell whether a sum would have to take in a number that it cannot hold exactly."""
    signal_class = batch.signal_class[signal]
    for number in range(classes.fed_at[signal_class], classes.fed_at[signal_class + 1]):
        v = np.int64(classes.fed[number])
        if tables.aggregate[v] in (SUM, MEAN):
            value = batch.numbers[tables.column[v], signal]
            if not np.isnan(value) and not fixed.fits(value):
                return True
    return False


@inlined
def take(
    tables: Tables, classes: Classes, state: State, scratch: Scratch, batch: Batch, found: Found, signal: int, slot: int
) -> bool:  # fmt: skip
    """Take in a signal of an object that the kernel runs; tell whether fusion has to look at it."""
    thing = state.objects[slot]
    signal_class = np.int64(batch.signal_class[signal])
    before = np.int64(thing.signal_class)
    at = batch.at[signal]
    changes = np.int64(0)
    if thing.clock == UNSEEN:
        thing.expires = FAR
    if at > thing.clock:
        thing.clock = at
        if at >= thing.expires:
            changes = _expire(tables, state, scratch, slot)
    overfull = False
    for number in range(classes.fed_at[signal_class], classes.fed_at[signal_class + 1]):
        v = np.int64(classes.fed[number])
        place = _cell(tables, state, slot, v, position(tables, v, at if tables.own[v] else thing.clock), position(tables, v, at))
        if place < 0:
            continue
        cell = state.cells[place]
        column = np.int64(tables.column[v])
        value, code = np.nan, np.int64(-1)
        if tables.aggregate[v] == DISTINCT:
            code = batch.codes[column, signal]
        elif tables.aggregate[v] != COUNT:
            value = batch.numbers[column, signal]
        add(tables, state, cell, v, at, value, code)
        changes = _reread(tables, scratch, cell, v, changes)
        if not tables.own[v]:
            thing.expires = min(thing.expires, expires(tables, state, cell, v))
        overfull |= cell.high >= fixed.OVERFULL or cell.high <= -fixed.OVERFULL
    leaving = False
    first_hit = found.told[0]
    if changes or (signal_class != before and tests_rose(classes, signal_class, before)):
        leaving = judge(tables, classes, state, scratch, found, signal, slot, changes, signal_class, before)
    thing.signal_class = signal_class
    if leaving or overfull:
        found.told[0] = first_hit  # the Python engine takes the signal as well, and finds them again
        _untell(tables, classes, state, slot, signal_class, at)
        thing.owner = PYTHON
        reach(found, signal)
        return False
    if thing.watch < 0 and found.told[0] == first_hit:
        return False
    moved = changes > 0 or signal_class != before
    handle = batch.handle[signal]
    return follow(tables, classes, state, scratch, found, slot, batch.now[signal], handle, first_hit, signal_class, moved)


@inlined
def _untell(tables: Tables, classes: Classes, state: State, slot: int, signal_class: int, at: int) -> None:
    """Let `seen` be as it was before a signal: the Python engine takes the object over as it was, and then the signal."""
    thing = state.objects[slot]
    for number in range(classes.fed_at[signal_class], classes.fed_at[signal_class + 1]):
        v = np.int64(classes.fed[number])
        for place in range(thing.first, thing.first + thing.cells):
            cell = state.cells[place]
            if cell.indicator == v and position(tables, v, at) > cell.clock - tables.span[v]:
                cell.seen -= 1


@inlined
def _expire(tables: Tables, state: State, scratch: Scratch, slot: int) -> int:
    """Move the windows that follow the object's clock; return how many levels changed."""
    thing = state.objects[slot]
    next_time = np.int64(FAR)
    changes = np.int64(0)
    for place in range(thing.first, thing.first + thing.cells):
        cell = state.cells[place]
        v = np.int64(cell.indicator)
        if tables.own[v]:
            continue
        if advance(tables, state, cell, v, position(tables, v, thing.clock)):
            changes = _reread(tables, scratch, cell, v, changes)
        next_time = min(next_time, expires(tables, state, cell, v))
    thing.expires = next_time
    return changes


@inlined
def _reread(tables: Tables, scratch: Scratch, cell: Any, v: int, changes: int) -> int:
    """Bring a cell's value up to date; return how many changes of level there are now."""
    before = cell.level
    read(tables, cell, v)
    if cell.level == before:
        return changes
    scratch.changed[changes] = v
    scratch.was[changes] = before
    return changes + 1


@inlined
def _cell(tables: Tables, state: State, slot: int, v: int, clock: int, place_in_time: int) -> int:
    """Return the place of an object's cell for indicator `v`, its clock at `clock` at least, made where there is none.

    -1 where the signal is older than the window, which ignores it. Nothing falls out then: such a signal moves no clock.
    """
    thing = state.objects[slot]
    first, count = np.int64(thing.first), np.int64(thing.cells)
    for place in range(first, first + count):
        if state.cells[place].indicator == v:
            cell = state.cells[place]
            advance(tables, state, cell, v, clock)
            return -1 if place_in_time < cell.clock - tables.span[v] + 1 else place
    if place_in_time < clock - tables.span[v] + 1:
        return -1
    room = np.int64(thing.room)
    if count == (0 if room == 0 else 1 << (room - 1)):
        moved = take_cells(state, room + 1)
        for number in range(count):
            state.cells[moved + number] = state.cells[first + number]
        give_cells(state, room, first)
        thing.first, thing.room = moved, room + 1
        first = moved
    cell = state.cells[first + count]
    cell.clock, cell.high, cell.low, cell.value = clock, 0, np.uint64(0), np.nan
    cell.words, cell.count, cell.seen, cell.mask = 0, 0, 0, 0
    cell.indicator, cell.level, cell.room = v, tables.untouched[v], 0
    thing.cells = count + 1
    return first + count
