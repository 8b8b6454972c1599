"""The kernel's objects under watch, for Python: to begin a watch, to read its parts, and to find the signals behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.engine import Kernel, grown
from streams.kernel.layout import ATTEND, OPEN, PARTS_TOP
from streams.kernel.watch import add_part, behind, forget_note, took

Handles = NDArray[np.int64]


class Standing(NamedTuple):
    """A rule under watch: when the object's last signal at which it was true was received, and whether it is true at its newest.

    It began to contribute at the signal `handle`; with a `note` Python was not told of that. `place` is the kernel's.
    """

    rule: int
    since: int
    true: bool
    handle: int
    note: int
    place: int


class Cells(NamedTuple):
    """How an object stood at a signal: its indicators, how many signals each had taken, and their values, NaN for unknown."""

    indicators: list[int]
    seen: list[int]
    values: list[float]


class Contribution(NamedTuple):
    """A rule that adds to a score, and the signal at which it began to."""

    rule: int
    since: int


class Watches:
    """All objects under watch of one kernel; it keeps no state of its own but room to work in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._fed_since, self._inside_from = np.zeros((2, max(1, len(kernel.placement.indicators))), np.int64)
        self._names = [each.name for each in kernel.placement.indicators]
        self._nothing = np.zeros((0, 0), np.bool_)
        self._feeds = np.zeros((len(kernel.placement.rules), max(1, len(self._names))), np.bool_)
        for number, rule in enumerate(kernel.placement.rules):
            self._feeds[number, [self._names.index(name) for name in rule.when.indicators]] = True
        self._of_signal = np.array([bool(rule.when.fields) for rule in kernel.placement.rules], np.bool_)
        self._alone = {number for number, rule in enumerate(kernel.placement.rules) if not rule.when.indicators}

    def watched(self, slot: int) -> bool:
        """Tell whether an object is under watch."""
        return bool(self._kernel.state.objects[slot]["watch"] >= 0)

    def add(self, slot: int, rule: int, handle: int) -> None:
        """Let a rule that is true at the object's newest signal, `handle`, be one of its parts."""
        state, pointed = self._kernel.state, self._kernel.tables.pointed
        if int(state.counters[PARTS_TOP]) + 4 * pointed > len(state.parts):
            parts = grown(state.parts, int(state.counters[PARTS_TOP]) + 8 * pointed)
            self._kernel.state = state = state._replace(parts=parts)
        add_part(state, int(state.objects[slot]["watch"]), rule, handle)

    def times(self, slot: int) -> tuple[int, int]:
        """Return when the object's newest signal and the one before were received."""
        watch = self._watch(slot)
        return int(watch["last"]), int(watch["before"])

    def parts(self, slot: int) -> list[Standing]:
        """Return the object's parts; while a rule is true, `since` is when it was true last before it became so."""
        watch = self._watch(slot)
        first = int(watch["first"])
        parts = self._kernel.state.parts[first : first + int(watch["parts"])].tolist()
        return [
            Standing(rule, since, bool(true), handle, note, place)
            for place, (since, rule, true, handle, note) in enumerate(parts, start=first)
        ]

    def note(self, part: Standing) -> Cells:
        """Return how the object stood when a part began that Python was not told of."""
        words = self._kernel.state.words[part.note :]
        count = int(words[0])
        cells = words[1 : 2 * count + 1 : 2]
        return Cells((cells & 0xFFFF).tolist(), (cells >> 16).tolist(), words[2 : 2 * count + 1 : 2].view(np.float64).tolist())

    def know(self, part: Standing) -> None:
        """Python was told of a part."""
        forget_note(self._kernel.state, part.place)

    def now(self, slot: int) -> Cells:
        """Return how an object stands."""
        thing = self._kernel.state.objects[slot]
        cells = self._kernel.state.cells[thing["first"] : thing["first"] + thing["cells"]]
        return Cells(cells["indicator"].tolist(), cells["seen"].tolist(), cells["value"].tolist())

    def ask(self, slot: int, rise_at: float, *, attend: bool, open: bool) -> None:  # noqa: A002  # as a warning is
        """Say from which score on fusion has to look at a hit, whether at the next signal in any case, and whether at all that begins."""
        watch = self._watch(slot)
        watch["rise_at"], watch["ask"] = rise_at, ATTEND * attend | OPEN * open

    def _watch(self, slot: int) -> np.void:
        state = self._kernel.state
        found: np.void = state.watches[state.objects[slot]["watch"]]
        return found

    def behind(self, slot: int, upto: int, contributions: Sequence[Contribution], newest: int, most: int) -> tuple[Handles, Handles, int]:
        """Return handles and instants of the `newest` signals behind contributions, in the order of their instants, and how many there are.

        None came after the signal `upto`; `most` is the greatest number that is told.
        """
        kernel = self._kernel
        fallen = sorted(contributions, key=lambda each: -each.since)
        rules = [each.rule for each in fallen]
        true_at = self._nothing
        if not self._alone.isdisjoint(rules):
            true_at = np.stack([self._true_at(rule) for rule in rules])
        handles, times = np.empty((2, newest), np.int64)
        written, count = behind(
            kernel.tables, kernel.book.classes, kernel.state, int(kernel.state.objects[slot]["row"]), upto,
            self._feeds, self._of_signal, true_at, np.array(rules, np.int64), np.array([each.since for each in fallen], np.int64),
            self._fed_since, self._inside_from, handles, times, most,
        )  # fmt: skip
        return handles[:written], times[:written], count

    def _row(self, slot: int, handle: int) -> int:
        rows = self._kernel.state.rows
        row = int(self._kernel.state.objects[slot]["row"])
        while int(rows[row]["handle"]) != handle:
            row = int(rows[row]["before"])
        return row

    def newest(self, slot: int) -> int:
        """Return the handle of an object's newest signal."""
        state = self._kernel.state
        return int(state.rows[state.objects[slot]["row"]]["handle"])

    def seen_before(self, slot: int, cells: Cells, handle: int) -> dict[str, int]:
        """Return how many signals the indicators of an object had taken before signal `handle`, behind which it stood as `cells` says."""
        out = np.zeros(max(1, len(self._names)), np.int32)
        took(self._kernel.tables, self._kernel.book.classes, self._kernel.state, self._row(slot, handle), out)
        seen = [count - int(out[number]) for number, count in zip(cells.indicators, cells.seen, strict=True)]
        return {self._names[number]: count for number, count in zip(cells.indicators, seen, strict=True) if count}

    def _true_at(self, rule: int) -> NDArray[np.bool_]:
        """Return, by class, whether the signal alone makes a rule true that reads no indicator."""
        book, tables = self._kernel.book, self._kernel.tables
        found = np.zeros(book.count, np.bool_)
        if rule not in self._alone:
            return found
        for conjunct in range(int(tables.conjuncts_at[rule]), int(tables.conjuncts_at[rule + 1])):
            every = np.ones(book.count, np.bool_)
            for test in tables.tests[tables.tests_at[conjunct] : tables.tests_at[conjunct + 1]].tolist():
                every &= (book.classes.holds[: book.count, test >> 6] >> np.uint64(test & 63)) & np.uint64(1) != 0
            found |= every
        return found
