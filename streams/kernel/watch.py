"""Compiled: objects under watch (受关注对象), those to whose score rules have contributed.

What a score comes to is Python's business (`streams.stages.fuse`); the kernel keeps which rules with points are true, and when each was
true last, and says at which signals Python has to look: where a rule becomes true that did not contribute yet, where the level might rise,
where a contribution may have faded away meanwhile, and where Python asked for it. Everywhere else nothing can follow from the signal.
"""

from __future__ import annotations

import numpy as np

from streams.kernel.jit import compiled, inlined, inner
from streams.kernel.judge import holds_now
from streams.kernel.layout import Classes, Found, Scratch, State, Tables
from streams.kernel.scale import begins, position

ROUNDING = 1e-6  # points by which the kernel's sum may be off; only Python's counts


@inlined
def follow(
    tables: Tables, classes: Classes, state: State, scratch: Scratch, found: Found,
    slot: int, now: int, first_hit: int, signal_class: int, moved: bool,
) -> bool:  # fmt: skip
    """Tell whether Python must look at a signal whose hits are `found` from `first_hit` on; `moved`: a level or the class changed."""
    at = np.int64(state.objects[slot].watch)
    if at < 0:
        for number in range(first_hit, found.told[0]):
            if tables.points[found.hit_rule[number]] > 0.0:
                return True
        return False
    watch = state.watches[at]
    before = watch.last
    watch.before = before
    watch.last = now
    some_true = _fall(tables, classes, state, scratch, slot, at, before, signal_class) if moved else _any_true(state, at)
    attend = some_true and (watch.attend != 0 or now - before >= tables.soonest)
    hit = False
    for number in range(first_hit, found.told[0]):
        rule = found.hit_rule[number]
        if tables.points[rule] > 0.0:
            hit = True
            attend |= _rise(tables, state, at, rule, now)
    if hit and not attend:
        attend = watch.attend != 0 or _bound(tables, state, at, now) + ROUNDING >= watch.rise_at
    return attend


@inlined
def _any_true(state: State, at: int) -> bool:
    watch = state.watches[at]
    for place in range(watch.first, watch.first + watch.parts):
        if state.parts[place].true:
            return True
    return False


@inner
def _fall(
    tables: Tables, classes: Classes, state: State, scratch: Scratch, slot: int, at: int, before: int, signal_class: int
) -> bool:  # fmt: skip
    """Note which rules are true no more, the last time at the signal of `before`; tell whether one still is."""
    thing, watch = state.objects[slot], state.watches[at]
    for place in range(thing.first, thing.first + thing.cells):
        cell = state.cells[place]
        scratch.now[cell.indicator] = cell.level
    some_true = False
    for place in range(watch.first, watch.first + watch.parts):
        part = state.parts[place]
        if part.true:
            if holds_now(tables, classes, scratch, np.int64(part.rule), signal_class):
                some_true = True
            else:
                part.true = 0
                part.since = before
    for place in range(thing.first, thing.first + thing.cells):
        v = np.int64(state.cells[place].indicator)
        scratch.now[v] = tables.untouched[v]
    return some_true


@inlined
def _rise(tables: Tables, state: State, at: int, rule: int, now: int) -> bool:
    """Note that a rule became true; tell whether Python must know: it contributes anew, or may hold up a level."""
    watch = state.watches[at]
    for place in range(watch.first, watch.first + watch.parts):
        part = state.parts[place]
        if part.rule == rule:
            part.true = 1
            return tables.floor[rule] or now - part.since >= tables.gone[rule]
    return True


@inlined
def _bound(tables: Tables, state: State, at: int, now: int) -> float:
    """Return what the score cannot be above at `now`, whatever matters and families the rules are of."""
    watch = state.watches[at]
    score = 0.0
    for place in range(watch.first, watch.first + watch.parts):
        part = state.parts[place]
        points = tables.points[part.rule]
        half_life = tables.half_life[part.rule]
        if part.true == 0 and half_life > 0:
            points *= 2.0 ** (-np.float64(now - part.since) / np.float64(half_life))
        score += points
    return score


@compiled
def fed_since(
    tables: Tables, classes: Classes, state: State, row: int, handle: int, feeds: np.ndarray, true_at: np.ndarray,
    handles: np.ndarray, times: np.ndarray, of: np.ndarray,
) -> int:  # fmt: skip
    """Write the signals of a chain newer than `handle` that fed one of several things, the newest first; return how many.

    The chain begins at `row`. `feeds[number, v]` says whether indicator `v` is one that thing `number` rests on, `true_at[number, class]`
    whether a signal of that class is behind it without any. Written are each signal's handle and instant, and in `of[place, number]`
    whether it is behind the thing. Where there are more than there is room for, -1 is returned.
    """
    count = 0
    while row >= 0 and state.rows[row].handle > handle:
        signal = state.rows[row]
        if count == handles.shape[0]:
            return -1
        some = False
        for number in range(feeds.shape[0]):
            of[count, number] = true_at[number, signal.signal_class]
            some |= true_at[number, signal.signal_class]
        for place in range(classes.fed_at[signal.signal_class], classes.fed_at[signal.signal_class + 1]):
            v = np.int64(classes.fed[place])
            wanted = False
            for number in range(feeds.shape[0]):
                wanted |= feeds[number, v]
            if wanted and _accepted(tables, classes, state, row, v):
                some = True
                for number in range(feeds.shape[0]):
                    of[count, number] |= feeds[number, v]
        if some:
            handles[count] = signal.handle
            times[count] = signal.at
            count += 1
        row = np.int64(signal.before)
    return count


@inlined
def _accepted(tables: Tables, classes: Classes, state: State, row: int, v: int) -> bool:
    """Tell whether a signal was inside the window of an indicator that it feeds when it came."""
    signal = state.rows[row]
    clock = signal.clock
    if tables.own[v]:
        clock = signal.at
        before = np.int64(signal.before)
        while before >= 0:
            clock = max(clock, state.rows[before].at if _feeds(classes, state.rows[before].signal_class, v) else clock)
            before = np.int64(state.rows[before].before)
    return signal.at >= begins(tables, v, position(tables, v, clock))


@inlined
def _feeds(classes: Classes, signal_class: int, v: int) -> bool:
    for place in range(classes.fed_at[signal_class], classes.fed_at[signal_class + 1]):
        if classes.fed[place] == v:
            return True
    return False


@compiled
def inside_now(
    tables: Tables, classes: Classes, state: State, slot: int, wanted: np.ndarray, handles: np.ndarray, times: np.ndarray
) -> int:  # fmt: skip
    """Write the signals inside an object's windows of the `wanted` indicators, the newest first; return how many, -1 as above."""
    thing = state.objects[slot]
    count = 0
    row = np.int64(thing.row)
    while row >= 0:
        signal = state.rows[row]
        inside = False
        for place in range(thing.first, thing.first + thing.cells):
            cell = state.cells[place]
            v = np.int64(cell.indicator)
            if wanted[v] and signal.at >= begins(tables, v, cell.clock) and _feeds(classes, signal.signal_class, v):
                inside = True
                break
        if inside:
            if count == handles.shape[0]:
                return -1
            handles[count] = signal.handle
            times[count] = signal.at
            count += 1
        row = np.int64(signal.before)
    return count
