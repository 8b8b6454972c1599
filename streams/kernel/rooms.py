"""Compiled: rooms for cells and words, of 1, 2, 4, … places, given back into lists by size; nothing is ever moved but by its owner."""

from __future__ import annotations

from typing import Any

import numpy as np

from streams.kernel.jit import inlined
from streams.kernel.layout import CELLS_TOP, FREE_CELLS, FREE_WORDS, LARGEST_ROOM, WORDS_TOP, State


@inlined
def take_words(state: State, kind: int) -> int:
    """Return the place of a room for 2^(kind - 1) words."""
    free = state.counters[FREE_WORDS + kind]
    if free >= 0:
        state.counters[FREE_WORDS + kind] = state.words[free]
        return free
    top = state.counters[WORDS_TOP]
    state.counters[WORDS_TOP] = top + (1 << (kind - 1))
    return top


@inlined
def give_words(state: State, kind: int, place: int) -> None:
    """Give a room for words back; class 0 is no room."""
    if kind:
        state.words[place] = state.counters[FREE_WORDS + kind]
        state.counters[FREE_WORDS + kind] = place


@inlined
def take_cells(state: State, kind: int) -> int:
    """Return the place of a room for 2^(kind - 1) cells."""
    free = state.counters[FREE_CELLS + kind]
    if free >= 0:
        state.counters[FREE_CELLS + kind] = state.cells[free].clock
        return free
    top = state.counters[CELLS_TOP]
    state.counters[CELLS_TOP] = top + (1 << (kind - 1))
    return top


@inlined
def give_cells(state: State, kind: int, place: int) -> None:
    """Give a room for cells back; class 0 is no room."""
    if kind:
        state.cells[place].clock = state.counters[FREE_CELLS + kind]
        state.counters[FREE_CELLS + kind] = place


@inlined
def widen(state: State, cell: Any, needed: int, used: int) -> int:
    """Make sure that a cell has room for `needed` words, of which the first `used` are kept; return their place."""
    kind = np.int64(cell.room)
    place = np.int64(cell.words)
    if kind and needed <= 1 << (kind - 1):
        return place
    wider = kind + 1
    while (1 << (wider - 1)) < needed:
        wider += 1
    moved = take_words(state, wider)
    state.counters[LARGEST_ROOM] = max(state.counters[LARGEST_ROOM], 1 << (wider - 1))
    for number in range(used):
        state.words[moved + number] = state.words[place + number]
    give_words(state, kind, place)
    cell.room = wider
    cell.words = moved
    return moved
