"""Compiled arithmetic of windows: which position an instant has, and when a position begins (`streams.stages.windows` says the same)."""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.kernel.jit import compiled, inlined
from streams.kernel.layout import ALWAYS, EVEN, FAR, Tables
from streams.stages.windows import DAY, SHANGHAI_OFFSET

_DAY: Final = DAY
_OFFSET: Final = SHANGHAI_OFFSET


@compiled
def month_of(at: int) -> int:
    """Return the number of the month in Shanghai, months counted from January of the year 0.

    Days are counted in 400-year cycles from 1 March of the year 0, so that leap days come last.
    """
    day = (at + _OFFSET) // _DAY + 719_468
    cycle = day // 146_097
    in_cycle = day - cycle * 146_097
    year = (in_cycle - in_cycle // 1_460 + in_cycle // 36_524 - in_cycle // 146_096) // 365
    in_year = in_cycle - (365 * year + year // 4 - year // 100)
    return (cycle * 400 + year) * 12 + (5 * in_year + 2) // 153 + 2


@compiled
def month_begins(month: int) -> int:
    """Return the first instant of a month numbered by `month_of`."""
    march_based = month - 2
    year, number = march_based // 12, march_based % 12
    cycle = year // 400
    of_cycle = year - cycle * 400
    day = cycle * 146_097 + of_cycle * 365 + of_cycle // 4 - of_cycle // 100 + (153 * number + 2) // 5
    return (day - 719_468) * _DAY - _OFFSET


@inlined
def position(tables: Tables, v: int, at: int) -> int:
    """Return the position of an instant on the scale of indicator `v`."""
    if tables.scale[v] == EVEN:
        return at if tables.exact[v] else (at + tables.shift[v]) // tables.width[v]
    return np.int64(0) if tables.scale[v] == ALWAYS else month_of(at)


@inlined
def leaves(tables: Tables, v: int, place: int) -> int:
    """Return the first clock at which a signal at position `place` is outside the window of indicator `v`."""
    if tables.scale[v] == EVEN:
        return (place + tables.span[v]) * tables.width[v] - tables.shift[v]
    return FAR if tables.scale[v] == ALWAYS else month_begins(place + 1)


@inlined
def begins(tables: Tables, v: int, clock: int) -> int:
    """Return the first instant that is inside the window of indicator `v` when its clock is at position `clock`."""
    oldest = clock - tables.span[v] + 1
    if tables.scale[v] == EVEN:
        return oldest * tables.width[v] - tables.shift[v]
    return -FAR if tables.scale[v] == ALWAYS else month_begins(clock)
