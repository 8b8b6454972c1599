"""The kernel's objects under watch, for Python: to begin a watch, to read its parts, and to find the signals behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.engine import Kernel, grown
from streams.kernel.layout import PARTS_TOP, WATCH, WATCHES_TOP
from streams.kernel.rooms import add_part
from streams.kernel.watch import fed_since, inside_now

FIRST_ROOM: Final = 64


class Truth(NamedTuple):
    """A rule under watch: when the object's last signal at which it was true was received, and whether it is true at its newest."""

    rule: int
    since: int
    true: bool


class Cited(NamedTuple):
    """Signals in order of arrival: their handles and instants, and `of[place, number]`, whether one is behind thing `number`."""

    handles: NDArray[np.int64]
    times: NDArray[np.int64]
    of: NDArray[np.bool_]

    @property
    def first(self) -> int:
        """The oldest handle; 0 for none."""
        return int(self.handles[0]) if len(self.handles) else 0


class Watches:
    """All objects under watch of one kernel; it keeps no state of its own but room to work in."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._room = FIRST_ROOM
        self._variable = {each.name: number for number, each in enumerate(kernel.placement.indicators)}
        self._feeds = np.zeros((len(kernel.placement.rules), max(1, len(self._variable))), np.bool_)
        for number, rule in enumerate(kernel.placement.rules):
            self._feeds[number, [self._variable[name] for name in rule.when.indicators]] = True
        self._alone = {number for number, rule in enumerate(kernel.placement.rules) if not rule.when.indicators}

    def begin(self, slot: int, now: int) -> None:
        """Watch an object from its newest signal on, which was received at `now`; a watch never ends."""
        state = self._kernel.state
        place = int(state.counters[WATCHES_TOP])
        if place == len(state.watches):
            self._kernel.state = state = state._replace(watches=grown(state.watches, 2 * place + FIRST_ROOM))
        state.counters[WATCHES_TOP] = place + 1
        state.watches[place] = np.zeros(1, WATCH)[0]
        state.watches[place]["last"] = state.watches[place]["before"] = now
        state.objects[slot]["watch"] = place

    def watched(self, slot: int) -> bool:
        """Tell whether an object is under watch."""
        return bool(self._kernel.state.objects[slot]["watch"] >= 0)

    def add(self, slot: int, rule: int) -> None:
        """Let a rule that is true at the object's newest signal be one of its parts."""
        state = self._kernel.state
        top = int(state.counters[PARTS_TOP]) + 4 * max(1, self._kernel.rules)
        if top > len(state.parts):
            self._kernel.state = state = state._replace(parts=grown(state.parts, top))
        add_part(state, int(state.objects[slot]["watch"]), rule)

    def times(self, slot: int) -> tuple[int, int]:
        """Return when the object's newest signal and the one before were received."""
        watch = self._watch(slot)
        return int(watch["last"]), int(watch["before"])

    def parts(self, slot: int) -> list[Truth]:
        """Return the object's parts; while a rule is true, `since` is when it was true last before it became so."""
        watch = self._watch(slot)
        first = int(watch["first"])
        return [
            Truth(rule, since, bool(true)) for since, rule, true in self._kernel.state.parts[first : first + int(watch["parts"])].tolist()
        ]

    def ask(self, slot: int, rise_at: float, *, attend: bool) -> None:
        """Say from which score on fusion has to look at a hit, and whether it has to look at the next signal in any case."""
        watch = self._watch(slot)
        watch["rise_at"], watch["attend"] = rise_at, attend

    def _watch(self, slot: int) -> np.void:
        state = self._kernel.state
        found: np.void = state.watches[state.objects[slot]["watch"]]
        return found

    def fed_since(self, slot: int, handle: int, rules: list[int]) -> Cited:
        """Return the signals newer than `handle` behind rules: that fed an indicator of one, or make one true that reads none."""
        state, tables, book = self._kernel.state, self._kernel.tables, self._kernel.book
        feeds = self._feeds[rules]
        true_at = np.zeros((len(rules), book.count), np.bool_)
        for number, rule in enumerate(rules):
            if rule in self._alone:
                true_at[number] = self._true_at(rule)
        row = int(state.objects[slot]["row"])

        def find(handles: NDArray[np.int64], times: NDArray[np.int64], of: NDArray[np.bool_]) -> int:
            return fed_since(tables, book.classes, state, row, handle, feeds, true_at, handles, times, of)

        return self._found(find, len(rules))

    def inside(self, slot: int, rule: int) -> Cited:
        """Return the signals inside the windows that a rule reads of an object."""
        state, tables, wanted = self._kernel.state, self._kernel.tables, self._feeds[rule]

        def find(handles: NDArray[np.int64], times: NDArray[np.int64], _of: NDArray[np.bool_]) -> int:
            return inside_now(tables, self._kernel.book.classes, state, slot, wanted, handles, times)

        return self._found(find, 0)

    def _found(self, find: Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]], int], things: int) -> Cited:
        while True:
            handles, times, of = np.empty(self._room, np.int64), np.empty(self._room, np.int64), np.zeros((self._room, things), np.bool_)
            count = find(handles, times, of)
            if count >= 0:
                return Cited(handles[:count][::-1], times[:count][::-1], of[:count][::-1])
            self._room *= 4

    def newest(self, slot: int) -> int:
        """Return the handle of an object's newest signal."""
        state = self._kernel.state
        return int(state.rows[state.objects[slot]["row"]]["handle"])

    def taken(self, slot: int) -> NDArray[np.void]:
        """Return an object's cells as they are now."""
        thing = self._kernel.state.objects[slot]
        cells: NDArray[np.void] = self._kernel.state.cells[thing["first"] : thing["first"] + thing["cells"]].copy()
        return cells

    def seen_before(self, slot: int, cells: NDArray[np.void], handle: int) -> dict[str, int]:
        """Return how many signals the indicators of an object had taken before the signal `handle`, behind which its `cells` were taken."""
        state, count = self._kernel.state, len(self._variable)
        row = int(state.objects[slot]["row"])
        while int(state.rows[row]["handle"]) != handle:
            row = int(state.rows[row]["before"])
        each, none = np.eye(count, max(1, count), dtype=np.bool_), np.zeros((count, self._kernel.book.count), np.bool_)
        handles, times, of = np.empty(1, np.int64), np.empty(1, np.int64), np.zeros((1, count), np.bool_)
        fed_since(self._kernel.tables, self._kernel.book.classes, state, row, handle - 1, each, none, handles, times, of)
        names = [self._kernel.placement.indicators[number].name for number in cells["indicator"].tolist()]
        seen = (cells["seen"] - of[0, cells["indicator"]]).tolist()
        return {name: number for name, number in zip(names, seen, strict=True) if number}

    def _true_at(self, rule: int) -> NDArray[np.bool_]:
        """Return, by class, whether the signal alone makes a rule true that reads no indicator."""
        book, tables = self._kernel.book, self._kernel.tables
        found = np.zeros(book.count, np.bool_)
        for conjunct in range(int(tables.conjuncts_at[rule]), int(tables.conjuncts_at[rule + 1])):
            every = np.ones(book.count, np.bool_)
            for test in tables.tests[tables.tests_at[conjunct] : tables.tests_at[conjunct + 1]].tolist():
                every &= (book.classes.holds[: book.count, test >> 6] >> np.uint64(test & 63)) & np.uint64(1) != 0
            found |= every
        return found
