"""Compiled: one window of one object. `layout.CELL` says what its words hold.

Three shapes cover all aggregates and windows: buckets (packed words for the occupied ones of at most 24), a list of signals by time (where
the window keeps times), and a set of values with their newest position (distinct). The newest value (last) is two words.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streams.kernel import fixed
from streams.kernel.jit import inlined, inner, lowest, popcount
from streams.kernel.layout import COUNT, DISTINCT, FAR, LAST, MAX, MEAN, MIN, SUM, State, Tables
from streams.kernel.rooms import give_words, widen
from streams.kernel.scale import leaves, position

NEWEST: Final = 23  # the bit of the newest bucket in a mask


@inlined
def words_of_bucket(aggregate: int) -> int:
    """Return how many words a bucket has."""
    return 3 if aggregate == MEAN else 2 if aggregate == SUM else 1


@inlined
def level_of(tables: Tables, v: int, value: float) -> int:
    """Return the level of a value of indicator `v`; NaN is unknown."""
    if value != value:  # noqa: PLR0124  # NaN
        return 0
    low, high = np.int64(tables.threshold_at[v]), np.int64(tables.threshold_at[v + 1])
    first = low
    while low < high:
        middle = (low + high) >> 1
        if tables.thresholds[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return 1 + low - first


@inlined
def read(tables: Tables, cell: Any, v: int) -> None:
    """Bring value and level of a cell up to its contents; minimum, maximum and last keep their value themselves."""
    aggregate = tables.aggregate[v]
    if aggregate in (COUNT, DISTINCT):
        cell.value = np.float64(cell.count)
    elif aggregate == SUM:
        cell.value = fixed.to_float(cell.high, cell.low)
    elif aggregate == MEAN:
        cell.value = fixed.to_float(cell.high, cell.low) / np.float64(cell.count) if cell.count else np.nan
    cell.level = level_of(tables, v, cell.value)


@inlined
def expires(tables: Tables, state: State, cell: Any, v: int) -> int:
    """Return the first clock at which something falls out of a cell."""
    aggregate = tables.aggregate[v]
    place = np.int64(cell.words)
    if aggregate == LAST:
        return FAR if np.isnan(cell.value) else leaves(tables, v, position(tables, v, state.words[place]))
    if aggregate == DISTINCT:
        oldest = np.int64(FAR)
        for number in range(np.int64(cell.count)):
            oldest = min(oldest, state.words[place + 2 * number + 1])
        return FAR if cell.count == 0 else leaves(tables, v, oldest)
    if tables.exact[v]:
        words = 1 if aggregate == COUNT else 2
        return leaves(tables, v, state.words[place + np.int64(cell.mask) * words]) if cell.count else FAR
    mask = np.int64(cell.mask)
    return leaves(tables, v, cell.clock - NEWEST + lowest(mask)) if mask else FAR


@inlined
def advance(tables: Tables, state: State, cell: Any, v: int, clock: int) -> bool:
    """Move a cell's clock to position `clock`; tell whether anything fell out. A clock that lies back changes nothing."""
    moved = clock - cell.clock
    if moved <= 0:
        return False
    cell.clock = clock
    aggregate = tables.aggregate[v]
    oldest = clock - tables.span[v] + 1
    if aggregate == LAST:
        if np.isnan(cell.value) or position(tables, v, state.words[cell.words]) >= oldest:
            return False
        cell.value = np.nan
        return True
    if aggregate == DISTINCT:
        return _forget_values(state, cell, oldest)
    if tables.exact[v]:
        return _forget_entries(state, cell, aggregate, oldest)
    return _forget_buckets(state, cell, aggregate, moved, tables.span[v])


@inlined
def _forget_values(state: State, cell: Any, oldest: int) -> bool:
    place, count, kept = np.int64(cell.words), np.int64(cell.count), np.int64(0)
    for number in range(count):
        if state.words[place + 2 * number + 1] >= oldest:
            state.words[place + 2 * kept] = state.words[place + 2 * number]
            state.words[place + 2 * kept + 1] = state.words[place + 2 * number + 1]
            kept += 1
    cell.count = kept
    if kept == 0:
        give_words(state, np.int64(cell.room), place)
        cell.room = 0
    return kept < count


@inner
def _forget_entries(state: State, cell: Any, aggregate: int, oldest: int) -> bool:
    """Drop the signals at the front of a list that are outside."""
    place, count, gone = np.int64(cell.words), np.int64(cell.count), np.int64(cell.mask)
    words = 1 if aggregate == COUNT else 2
    first = gone
    while count and state.words[place + gone * words] < oldest:
        if aggregate in (SUM, MEAN):
            high, low = fixed.from_float(state.reals[place + gone * words + 1])
            cell.high, cell.low = fixed.minus(cell.high, cell.low, high, low)
        gone += 1
        count -= 1
    if gone == first:
        return False
    cell.count = count
    if count == 0:
        give_words(state, np.int64(cell.room), place)
        cell.room, gone = 0, 0
        if aggregate in (MIN, MAX):
            cell.value = np.nan
    elif gone > count:  # close the gap when it is the larger part
        for number in range(count * words):
            state.words[place + number] = state.words[place + gone * words + number]
        gone = 0
    cell.mask = gone
    if count and aggregate in (MIN, MAX):
        cell.value = _extreme(state, place + gone * words + 1, count, words, aggregate)
    return True


@inlined
def _extreme(state: State, place: int, count: int, step: int, aggregate: int) -> float:
    """Return the least or the greatest of `count` reals, `step` words apart."""
    found = state.reals[place]
    for number in range(1, count):
        value = state.reals[place + number * step]
        if (aggregate == MIN and value < found) or (aggregate == MAX and value > found):
            found = value
    return found


@inner
def _forget_buckets(state: State, cell: Any, aggregate: int, moved: int, span: int) -> bool:
    """Let every bucket grow older by `moved` and drop those that are `span` old."""
    mask = np.int64(cell.mask)
    before = popcount(mask)
    mask = np.int64(0) if moved >= span else (mask >> moved) >> (NEWEST + 1 - span) << (NEWEST + 1 - span)
    after = popcount(mask)
    cell.mask = mask
    if after == before:
        return False
    words = words_of_bucket(aggregate)
    place, dropped = np.int64(cell.words), before - after
    for bucket in range(dropped):
        at = place + bucket * words
        if aggregate == COUNT:
            cell.count -= state.words[at]
        elif aggregate in (SUM, MEAN):
            cell.high, cell.low = fixed.minus(cell.high, cell.low, state.words[at], np.uint64(state.words[at + 1]))
            if aggregate == MEAN:
                cell.count -= state.words[at + 2]
    for number in range(after * words):
        state.words[place + number] = state.words[place + dropped * words + number]
    if after == 0:
        give_words(state, np.int64(cell.room), place)
        cell.room = 0
    if aggregate in (MIN, MAX):
        cell.value = _extreme(state, place, after, np.int64(1), aggregate) if after else np.nan
    return True


@inlined
def add(tables: Tables, state: State, cell: Any, v: int, at: int, value: float, code: int) -> None:
    """Take in a signal at `at`, inside the window whose clock was moved before; `value` NaN and `code` -1 are not given."""
    aggregate = tables.aggregate[v]
    cell.seen += 1
    if aggregate == DISTINCT:
        if code != -1:
            _add_value(state, cell, code, position(tables, v, at))
    elif aggregate != COUNT and np.isnan(value):
        pass
    elif aggregate == LAST:
        if np.isnan(cell.value) or state.words[cell.words] <= at:
            state.words[widen(state, cell, np.int64(2), np.int64(0))] = at
            cell.value = value
    elif tables.exact[v]:
        _add_entry(state, cell, aggregate, at, value)
    else:
        _add_to_bucket(state, cell, aggregate, NEWEST - (cell.clock - position(tables, v, at)), value)


@inlined
def _add_value(state: State, cell: Any, code: int, place_in_time: int) -> None:
    place, count = np.int64(cell.words), np.int64(cell.count)
    for number in range(count):
        if state.words[place + 2 * number] == code:
            state.words[place + 2 * number + 1] = max(state.words[place + 2 * number + 1], place_in_time)
            return
    place = widen(state, cell, 2 * count + 2, 2 * count)
    state.words[place + 2 * count] = code
    state.words[place + 2 * count + 1] = place_in_time
    cell.count = count + 1


@inner
def _add_entry(state: State, cell: Any, aggregate: int, at: int, value: float) -> None:
    """Put a signal into a list by its time, behind those of the same instant."""
    words = 1 if aggregate == COUNT else 2
    gone, count = np.int64(cell.mask), np.int64(cell.count)
    used = (gone + count) * words
    place = widen(state, cell, used + words, used)
    behind = gone + count
    while behind > gone and state.words[place + (behind - 1) * words] > at:
        behind -= 1
    for number in range(used - 1, behind * words - 1, -1):
        state.words[place + number + words] = state.words[place + number]
    state.words[place + behind * words] = at
    cell.count = count + 1
    if aggregate == COUNT:
        return
    state.reals[place + behind * words + 1] = value
    if aggregate in (SUM, MEAN):
        high, low = fixed.from_float(value)
        cell.high, cell.low = fixed.plus(cell.high, cell.low, high, low)
    elif count == 0 or (aggregate == MIN and value < cell.value) or (aggregate == MAX and value > cell.value):
        cell.value = value


@inlined
def _add_to_bucket(state: State, cell: Any, aggregate: int, bit: int, value: float) -> None:
    """Add to the bucket of age `NEWEST - bit`."""
    mask = np.int64(cell.mask)
    words = words_of_bucket(aggregate)
    older = popcount(mask & ((1 << bit) - 1))
    fresh = (mask >> bit) & 1 == 0
    place = np.int64(cell.words)
    if fresh:
        used = popcount(mask) * words
        place = widen(state, cell, used + words, used)
        for number in range(used - 1, older * words - 1, -1):
            state.words[place + number + words] = state.words[place + number]
        for number in range(words):
            state.words[place + older * words + number] = 0
        cell.mask = mask | (1 << bit)
    at = place + older * words
    if aggregate == COUNT:
        state.words[at] += 1
        cell.count += 1
    elif aggregate in (SUM, MEAN):
        high, low = fixed.from_float(value)
        state.words[at], total = fixed.plus(state.words[at], np.uint64(state.words[at + 1]), high, low)
        state.words[at + 1] = np.int64(total)
        cell.high, cell.low = fixed.plus(cell.high, cell.low, high, low)
        if aggregate == MEAN:
            state.words[at + 2] += 1
            cell.count += 1
    else:
        if fresh or (aggregate == MIN and value < state.reals[at]) or (aggregate == MAX and value > state.reals[at]):
            state.reals[at] = value
        if mask == 0 or (aggregate == MIN and value < cell.value) or (aggregate == MAX and value > cell.value):
            cell.value = value
