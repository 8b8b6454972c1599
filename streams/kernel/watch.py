"""Compiled: objects under watch (受关注对象), those to whose score rules have contributed.

What a score comes to is Python's business (`streams.stages.fuse`); the kernel keeps which rules with points are true, and when each was
true last, and says at which signals Python has to look: where a contribution is new to an open warning, where the level might rise, where a
contribution may have faded away meanwhile, and where Python asked for it. Everywhere else nothing can follow from the signal.
"""

from __future__ import annotations

import numpy as np

from streams.kernel.jit import compiled, inlined, inner, shared
from streams.kernel.judge import holds_now
from streams.kernel.layout import ATTEND, FAR, FREE_PARTS, OPEN, PARTS_TOP, UNSEEN, WATCHES_TOP, Classes, Found, Scratch, State, Tables
from streams.kernel.rooms import give_words, take_words
from streams.kernel.scale import begins, position

ROUNDING = 1e-6  # points by which the kernel's sum may be off; only Python's counts


@inlined
def follow(
    tables: Tables, classes: Classes, state: State, scratch: Scratch, found: Found,
    slot: int, now: int, handle: int, first_hit: int, signal_class: int, moved: bool,
) -> bool:  # fmt: skip
    """Tell whether Python must look at a signal whose hits are `found` from `first_hit` on; `moved`: a level or the class changed."""
    at = np.int64(state.objects[slot].watch)
    if at < 0:
        points = 0.0
        for number in range(first_hit, found.told[0]):
            points += tables.points[found.hit_rule[number]]
        if points == 0.0:
            return False
        at = begin_watch(tables, state, slot, now)
    watch = state.watches[at]
    before = watch.last
    watch.before = before
    watch.last = now
    some_true = _fall(tables, classes, state, scratch, slot, at, before, signal_class) if moved else _any_true(state, at)
    attend = some_true and (watch.ask & ATTEND != 0 or now - before >= tables.soonest)
    hit, score = False, 0.0
    for number in range(first_hit, found.told[0]):
        rule = np.int64(found.hit_rule[number])
        if tables.points[rule] > 0.0:
            hit = True
            place = _part(state, at, rule)
            if place < 0 or now - state.parts[place].since >= tables.gone[rule]:
                attend |= watch.ask & OPEN != 0
            if place < 0:
                score += tables.points[rule]
            else:
                state.parts[place].true = 1
            attend |= tables.floor[rule]
    if hit and not attend:
        attend = watch.ask & ATTEND != 0
        if watch.rise_at < np.inf:  # or there is no higher level
            attend |= score + _bound(tables, state, at, now) + ROUNDING >= watch.rise_at
    if hit and not attend:
        for number in range(first_hit, found.told[0]):
            rule = np.int64(found.hit_rule[number])
            if tables.points[rule] > 0.0:
                _defer(tables, state, slot, at, rule, now, handle)
    return attend


@shared
def begin_watch(tables: Tables, state: State, slot: int, now: int) -> int:
    """Watch an object from its newest signal on, which was received at `now`; there is room."""
    at = state.counters[WATCHES_TOP]
    state.counters[WATCHES_TOP] = at + 1
    watch = state.watches[at]
    watch.last, watch.before, watch.rise_at = now, now, tables.first_rise
    watch.first, watch.parts, watch.room, watch.ask = 0, 0, 0, 0
    state.objects[slot].watch = at
    return at


@shared
def add_part(state: State, at: int, rule: int, handle: int) -> int:
    """Put a rule that is true into a watch and return its place; there is room for twice the parts it has."""
    watch = state.watches[at]
    first, count, room = np.int64(watch.first), np.int64(watch.parts), np.int64(watch.room)
    if count == (0 if room == 0 else 1 << (room - 1)):
        moved = state.counters[FREE_PARTS + room + 1]
        if moved >= 0:
            state.counters[FREE_PARTS + room + 1] = state.parts[moved].since
        else:
            moved = state.counters[PARTS_TOP]
            state.counters[PARTS_TOP] = moved + (1 << room)
        for number in range(count):
            old, new = state.parts[first + number], state.parts[moved + number]
            new.since, new.rule, new.true, new.handle, new.note = old.since, old.rule, old.true, old.handle, old.note
        if room:
            state.parts[first].since = state.counters[FREE_PARTS + room]
            state.counters[FREE_PARTS + room] = first
        watch.first, watch.room = moved, room + 1
        first = moved
    part = state.parts[first + count]
    part.since, part.rule, part.true, part.handle, part.note = 0, rule, 1, handle, -1
    watch.parts = count + 1
    return first + count


@inlined
def _room_of(words: int) -> int:
    """Return the class of the room that so many words take."""
    kind = np.int64(1)
    while (1 << (kind - 1)) < words:
        kind += 1
    return kind


@inner
def _defer(tables: Tables, state: State, slot: int, at: int, rule: int, now: int, handle: int) -> None:
    """Note how an object stands at a signal at which a rule begins to contribute, where it does: Python will ask."""
    place = _part(state, at, rule)
    if place >= 0 and now - state.parts[place].since < tables.gone[rule]:
        return
    if place < 0:
        place = add_part(state, at, rule, handle)
    forget_note(state, place)
    thing = state.objects[slot]
    cells = np.int64(thing.cells)
    note = take_words(state, _room_of(2 * cells + 1))
    state.words[note] = cells
    for number in range(cells):
        cell = state.cells[thing.first + number]
        state.words[note + 1 + 2 * number] = np.int64(cell.indicator) | np.int64(cell.seen) << 16
        state.reals[note + 2 + 2 * number] = cell.value
    part = state.parts[place]
    part.handle, part.note = handle, note


@shared
def forget_note(state: State, place: int) -> None:
    """Give back the note of a part: Python knows of it."""
    part = state.parts[place]
    if part.note >= 0:
        give_words(state, _room_of(2 * state.words[part.note] + 1), part.note)
        part.note = -1


@inlined
def _part(state: State, at: int, rule: int) -> int:
    """Return the place of a rule's part, -1 for none."""
    watch = state.watches[at]
    for place in range(watch.first, watch.first + watch.parts):
        if state.parts[place].rule == rule:
            return place
    return np.int64(-1)


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


@inlined
def _accepted(tables: Tables, classes: Classes, state: State, row: int, v: int) -> bool:
    """Tell whether a signal was inside the window of an indicator that it feeds when it came."""
    return state.rows[row].at >= begins(tables, v, position(tables, v, _clock(tables, classes, state, row, v)))


@inlined
def _clock(tables: Tables, classes: Classes, state: State, row: int, v: int) -> int:
    """Return the clock of an indicator's window when the signal of `row` had come; one that nothing fed yet has the object's."""
    if not tables.own[v]:
        return state.rows[row].clock
    clock = np.int64(UNSEEN)
    while row >= 0:
        if _feeds(classes, state.rows[row].signal_class, v):
            clock = max(clock, state.rows[row].at)
        row = np.int64(state.rows[row].before)
    return clock if clock > UNSEEN else np.int64(0)


@inlined
def _feeds(classes: Classes, signal_class: int, v: int) -> bool:
    for place in range(classes.fed_at[signal_class], classes.fed_at[signal_class + 1]):
        if classes.fed[place] == v:
            return True
    return False


@compiled
def behind(
    tables: Tables, classes: Classes, state: State, row: int, upto: int, feeds: np.ndarray, of_signal: np.ndarray, true_at: np.ndarray,
    rules: np.ndarray, since: np.ndarray, fed_since: np.ndarray, inside_from: np.ndarray, handles: np.ndarray, times: np.ndarray, most: int,
) -> tuple[int, int]:  # fmt: skip
    """Find the signals behind contributions in the chain that begins at `row`; return how many are written, and how many there are.

    None is newer than `upto`. Behind the contribution of `rules[number]`, which was made at the signal `since[number]`, are

    - those that were inside the window of an indicator `v` with `feeds[rule, v]` then, and newer ones that fed such an indicator;
    - newer ones of a class with `true_at[number, class]`, which has no width where no rule asks for it;
    - with `of_signal[rule]` the signal that it was made at.

    `since` falls. Written are the newest by their instants, the newest last, as many as there is room for; counted are `most` at most.
    `fed_since` and `inside_from` are room for a number for each indicator.
    """
    contributions, indicators = since.shape[0], fed_since.shape[0]
    fed_since[:] = FAR
    inside_from[:] = FAR
    for number in range(contributions):
        for v in range(indicators):
            if feeds[rules[number], v]:
                fed_since[v] = since[number]
    room, written, count, made, earliest = handles.shape[0], 0, 0, 0, np.int64(FAR)
    while row >= 0:
        signal = state.rows[row]
        handle = signal.handle
        if handle <= upto:
            is_behind = False
            while made < contributions and handle <= since[made]:
                is_behind |= of_signal[rules[made]] and handle == since[made]
                for v in range(indicators):
                    if feeds[rules[made], v]:
                        start = begins(tables, v, position(tables, v, _clock(tables, classes, state, row, v)))
                        inside_from[v] = min(inside_from[v], start)
                        earliest = min(earliest, start)
                made += 1
            if made == contributions and signal.clock < earliest and not is_behind:
                break  # no signal before is newer than the object's clock was
            if true_at.shape[1]:
                for number in range(made, contributions):
                    is_behind |= true_at[number, signal.signal_class]
            for at in range(classes.fed_at[signal.signal_class], classes.fed_at[signal.signal_class + 1]):
                if is_behind:
                    break
                v = np.int64(classes.fed[at])
                is_behind = signal.at >= inside_from[v] or (handle > fed_since[v] and _accepted(tables, classes, state, row, v))
            if is_behind:
                count += count < most
                written = _among_newest(handles, times, written, room, handle, signal.at)
        row = np.int64(signal.before)
    return written, count


@inlined
def _among_newest(handles: np.ndarray, times: np.ndarray, written: int, room: int, handle: int, at: int) -> int:
    """Put a signal, which came before all that are written, among them where it is one of the newest; return how many are written."""
    if written == room:
        if at <= times[0]:
            return written
        place = 0
        while place + 1 < written and times[place + 1] < at:
            handles[place], times[place] = handles[place + 1], times[place + 1]
            place += 1
        handles[place], times[place] = handle, at
        return written
    place = written
    while place > 0 and times[place - 1] >= at:
        handles[place], times[place] = handles[place - 1], times[place - 1]
        place -= 1
    handles[place], times[place] = handle, at
    return written + 1


@compiled
def took(tables: Tables, classes: Classes, state: State, row: int, out: np.ndarray) -> None:
    """Write 1 for every indicator that took a signal, 0 for the others."""
    out[:] = 0
    signal_class = state.rows[row].signal_class
    for place in range(classes.fed_at[signal_class], classes.fed_at[signal_class + 1]):
        v = np.int64(classes.fed[place])
        out[v] = _accepted(tables, classes, state, row, v)
