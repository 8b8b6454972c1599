"""Compiled: which rules become true at a signal.

No rule's truth is stored: it follows from the levels, and the levels before the signal are known. Only conjuncts that a change can have
made true are looked at: where a level rose, those with a lower bound that it passed; where it fell, those with an upper bound that it
passed; where a test of the signal came to hold, those with that test, reached through the cells that pass their most demanding bound. One
that holds now makes its rule a hit unless the rule held before. Hits come out in the order of the rules.
"""

from __future__ import annotations

import numpy as np

from streams.kernel.jit import inlined, inner, lowest
from streams.kernel.layout import Classes, Found, Scratch, State, Tables

_NO_CLASS = -1


@inlined
def _holds(tables: Tables, classes: Classes, conjunct: int, levels: np.ndarray, signal_class: int) -> bool:
    """Tell whether a conjunct is true for these levels and this class of signal."""
    for number in range(tables.tests_at[conjunct], tables.tests_at[conjunct + 1]):
        test = np.int64(tables.tests[number])
        if (classes.holds[signal_class, test >> 6] >> np.uint64(test & 63)) & np.uint64(1) == 0:
            return False
    for number in range(tables.bounds_at[conjunct], tables.bounds_at[conjunct + 1]):
        level = levels[tables.bound_of[number]]
        if level < tables.lowest[number] or level > tables.highest[number]:
            return False
    return True


@inlined
def _look(tables: Tables, classes: Classes, scratch: Scratch, conjuncts: np.ndarray, first: int, end: int, signal_class: int) -> bool:
    """Note the rules of the conjuncts of a list that hold now; tell whether there was one."""
    found = False
    for number in range(first, end):
        conjunct = np.int64(conjuncts[number])
        rule = np.int64(tables.rule_of[conjunct])
        bit = np.uint64(1) << np.uint64(rule & 63)
        if scratch.candidates[rule >> 6] & bit == 0 and _holds(tables, classes, conjunct, scratch.now, signal_class):
            scratch.candidates[rule >> 6] |= bit
            found = True
    return found


@inlined
def _held_before(tables: Tables, classes: Classes, scratch: Scratch, rule: int, signal_class: int) -> bool:
    for conjunct in range(tables.conjuncts_at[rule], tables.conjuncts_at[rule + 1]):
        if _holds(tables, classes, np.int64(conjunct), scratch.before, signal_class):
            return True
    return False


@inlined
def holds_now(tables: Tables, classes: Classes, scratch: Scratch, rule: int, signal_class: int) -> bool:
    """Tell whether a rule is true for the levels in `scratch.now`."""
    for conjunct in range(tables.conjuncts_at[rule], tables.conjuncts_at[rule + 1]):
        if _holds(tables, classes, conjunct, scratch.now, signal_class):
            return True
    return False


@inlined
def tests_rose(classes: Classes, now: int, before: int) -> bool:
    """Tell whether a test holds for class `now` that did not for class `before`; a first signal may make anything true."""
    if before == _NO_CLASS:
        return True
    for word in range(classes.holds.shape[1]):
        if classes.holds[now, word] & ~classes.holds[before, word]:
            return True
    return False


@inner
def _tests_risen(tables: Tables, classes: Classes, state: State, scratch: Scratch, slot: int, now: int, before: int) -> bool:
    """Look at the conjuncts of the tests that hold for class `now` and did not for class `before`."""
    thing = state.objects[slot]
    variables = tables.aggregate.shape[0]
    positions = np.int64(tables.position_at[variables])
    found = False
    for word in range(classes.holds.shape[1]):
        risen = classes.holds[now, word]
        if before != _NO_CLASS:
            risen &= ~classes.holds[before, word]
        while risen:
            test = 64 * word + lowest(np.int64(risen))
            risen &= risen - np.uint64(1)
            found |= _look(tables, classes, scratch, tables.loose, tables.loose_at[test], tables.loose_at[test + 1], now)
            for place in range(thing.first, thing.first + thing.cells):
                cell = state.cells[place]
                v = np.int64(cell.indicator)
                if cell.level > tables.untouched[v]:
                    at = test * positions + tables.position_at[v]
                    first, end = tables.anchor_at[at + tables.untouched[v] + 1], tables.anchor_at[at + np.int64(cell.level) + 1]
                    found |= _look(tables, classes, scratch, tables.anchor, first, end, now)
    return found


@inner
def judge(
    tables: Tables, classes: Classes, state: State, scratch: Scratch, found: Found,
    signal: int, slot: int, changes: int, now: int, before: int,
) -> bool:  # fmt: skip
    """Write the hits of a signal; tell whether one of them takes the object out of the kernel.

    `changes` variables are in `scratch.changed`; `now` and `before` are the classes of the signal and of the object's signal before, which
    is -1 for none.
    """
    thing = state.objects[slot]
    for place in range(thing.first, thing.first + thing.cells):
        cell = state.cells[place]
        scratch.now[cell.indicator] = cell.level
        scratch.before[cell.indicator] = cell.level
    for number in range(changes - 1, -1, -1):  # the first change of a variable has the level before the signal
        scratch.before[scratch.changed[number]] = scratch.was[number]
    any_found = False
    for number in range(changes):
        v = np.int64(scratch.changed[number])
        low, high = np.int64(scratch.before[v]), np.int64(scratch.now[v])
        at = np.int64(tables.position_at[v])
        if high > low:
            any_found |= _look(tables, classes, scratch, tables.rise, tables.rise_at[at + low + 1], tables.rise_at[at + high + 1], now)
        elif high < low:
            any_found |= _look(tables, classes, scratch, tables.fall, tables.fall_at[at + high], tables.fall_at[at + low], now)
    if now != before:
        any_found |= _tests_risen(tables, classes, state, scratch, slot, now, before)
    if before == _NO_CLASS:
        any_found |= _look(tables, classes, scratch, tables.initial, np.int32(0), np.int32(tables.initial.shape[0]), now)
    leaving = _write_hits(tables, classes, scratch, found, signal, before) if any_found else False
    for place in range(thing.first, thing.first + thing.cells):
        v = np.int64(state.cells[place].indicator)
        scratch.now[v] = tables.untouched[v]
        scratch.before[v] = tables.untouched[v]
    return leaving


@inlined
def _write_hits(tables: Tables, classes: Classes, scratch: Scratch, found: Found, signal: int, before: int) -> bool:
    """Write the candidates that did not hold before, in the order of the rules, and clear them all."""
    leaving = False
    count = found.told[0]
    for word in range(scratch.candidates.shape[0]):
        bits = scratch.candidates[word]
        scratch.candidates[word] = 0
        while bits:
            rule = 64 * word + lowest(np.int64(bits))
            bits &= bits - np.uint64(1)
            if before == _NO_CLASS or not _held_before(tables, classes, scratch, rule, before):
                found.hit_signal[count] = signal
                found.hit_rule[count] = rule
                count += 1
                leaving |= tables.leaves[rule]
    found.told[0] = count
    return leaving
