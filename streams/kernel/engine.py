"""The kernel as an object: it turns columns into the arrays that `run` walks, makes room, and is saved and restored as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreCorrupt
from domain.messages import both
from streams.kernel import layout
from streams.kernel.classes import FIELDS, ClassBook, classify
from streams.kernel.columns import Columns, writable
from streams.kernel.jit import compiled
from streams.kernel.layout import CELL, OBJECT, PART, PYTHON, ROW, ROWS_TOP, SWEEP_AT, UNSEEN, WATCH, Batch, Found, Scratch, State
from streams.kernel.names import Names, hash_of, mark_of, numbers_of
from streams.kernel.placement import Placement
from streams.kernel.run import ATTEND, KNOWN, NO_ROOM, SWEEP, WORDS_OF_BUCKETS, run
from streams.kernel.seen import find_row, forget_rows, index_again, note_row
from streams.kernel.tables import AggregatedFields, build

VERSION: Final = 2
HITS: Final = 1 << 14
LEAST_SWEEP: Final = 1 << 20  # rows before the first look at which may be forgotten


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a stretch of a batch: hits as (signal, rule), and the signals that the Python engine must take, by place in it.

    They are the kernel's own memory, good until it is fed again. The stretch ended at `end`: `known` says that the signal there looks as if
    it had been seen before and was not taken in, `attend` that fusion has to look at the signal before it, which was.
    """

    hit_signal: NDArray[np.int32]
    hit_rule: NDArray[np.int32]
    reached: NDArray[np.int32]
    end: int
    known: bool
    attend: bool


@compiled
def _marks(text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], feed: int, out: NDArray[np.uint64]) -> None:
    for place in range(starts.shape[0]):
        out[place] = mark_of(text, starts[place], ends[place], feed)


@compiled
def _levels(values: NDArray[np.float64], thresholds: NDArray[np.float64], out: NDArray[np.int64]) -> None:
    """Write how many thresholds each value reaches, plus 1; 0 for a value that is not given."""
    for place in range(values.shape[0]):
        value = values[place]
        if np.isnan(value):
            out[place] = 0
            continue
        level = 1
        for number in range(thresholds.shape[0]):
            level += thresholds[number] <= value
        out[place] = level


class Kernel:
    """All objects that the kernel runs, and the names of all. One thread; state changes in place."""

    def __init__(self, placement: Placement, leaves: Iterable[str] = (), *, first_rise: float = 0.0, room: int = 1 << 10) -> None:
        """Start empty. With the truth of a rule of `leaves` an object goes over to Python; a score below `first_rise` reaches no level."""
        self.placement = placement
        self.tables = build(placement, leaves, first_rise)
        self.book = ClassBook(placement)
        self.objects = Names(room)
        self.names = {field: Names(16) for field in FIELDS}
        aggregated = AggregatedFields(placement.indicators)
        self._number_columns, self._code_columns = aggregated.numbers, aggregated.codes
        indicators, rules = len(placement.indicators), len(placement.rules)
        self.rules = rules
        untouched = self.tables.untouched.astype(np.int32)
        self._scratch = Scratch(
            now=untouched.copy(),
            before=untouched.copy(),
            changed=np.zeros(2 * indicators + 2, np.int32),
            was=np.zeros(2 * indicators + 2, np.int32),
            candidates=np.zeros(rules // 64 + 1, np.uint64),
        )
        self._found = _found(room, rules)
        counters = np.zeros(layout.COUNTERS, np.int64)
        counters[layout.FREE_CELLS :] = -1
        counters[SWEEP_AT] = LEAST_SWEEP
        words = np.zeros(room, np.int64)
        self.state = State(
            objects=_new_objects(room),
            cells=np.zeros(room, CELL),
            words=words,
            reals=words.view(np.float64),
            rows=np.zeros(room, ROW),
            by_mark=np.full(4 * room, -1, np.int32),
            watches=np.zeros(1, WATCH),
            parts=np.zeros(0, PART),
            counters=counters,
        )
        self.rows_wanted: Callable[[NDArray[np.uint64]], NDArray[np.bool_]] = lambda marks: np.ones(len(marks), np.bool_)

    @property
    def texts(self) -> tuple[str, ...]:
        """The fields of the signal that columns must hold as texts."""
        return tuple(name for name in FIELDS if name in {*self.book.fields, *self._code_columns})

    # From columns to a batch

    def prepare(self, columns: Columns, feed: str, now: NDArray[np.int64]) -> Batch:
        """Number the texts and classes of signals, in their order; `now` is when each was received, never falling.

        Raises:
            SignalRejected: or whatever else `columns.entry` raises for a signal of a class that was not met before.
        """
        signals = len(columns)
        codes = {name: self._number(self.names[name], columns.fields[name]) for name in self.texts}
        slots = self._number(self.objects, columns.objects).astype(np.int32)
        self._make_objects(len(self.objects))
        marks = np.empty(signals, np.uint64)
        _marks(columns.ids.source, columns.ids.starts, columns.ids.ends, feed_hash(feed), marks)
        codes["severity"] = columns.severity
        values = columns.value + 0.0  # -0.0 and 0.0 are one value
        numbers = {"value": values, "severity": columns.severity}
        return Batch(
            slot=slots,
            at=columns.at,
            now=now,
            signal_class=self._classify(columns, codes, values),
            mark=marks,
            handle=columns.handle,
            numbers=_stack([numbers[name] for name in self._number_columns], signals, np.float64),
            codes=_stack([_as_code(values) if name == "value" else codes[name] for name in self._code_columns], signals, np.int64),
        )

    @staticmethod
    def _number(names: Names, texts: Any) -> NDArray[np.int64]:
        names.make_room(len(texts.starts), int((texts.ends - texts.starts).sum()))
        out = np.empty(len(texts.starts), np.int64)
        numbers_of(names.table, texts.source, texts.starts, texts.ends, out)
        return out

    def _classify(self, columns: Columns, codes: dict[str, NDArray[np.int64]], values: NDArray[np.float64]) -> NDArray[np.int32]:
        signals = len(columns)
        fields = np.empty((len(self.book.fields), signals), np.int64)
        for place, name in enumerate(self.book.fields):
            if name == "value":
                _levels(values, self.book.thresholds, fields[place])
            else:
                fields[place] = codes[name]
        out = np.empty(signals, np.int32)
        done = classify(self.book.known, fields, 0, out)
        while done < signals:
            self.book.learn(fields[:, done], columns.entry(done))
            done = classify(self.book.known, fields, done, out)
        return out

    def _make_objects(self, count: int) -> None:
        have = len(self.state.objects)
        if count > have:
            objects = _new_objects(max(count, 3 * have // 2))
            objects[:have] = self.state.objects
            self.state = self.state._replace(objects=objects)

    # A batch

    def feed(self, batch: Batch, first: int, end: int) -> Step:
        """Take in signals until the end, one that looks as if it had been seen before, or a pause: then `end` is where to go on."""
        hits: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
        reached: list[NDArray[np.int32]] = []
        if len(self._found.reached) < len(batch.at):
            self._found = self._found._replace(reached=np.zeros(len(batch.at), np.int32))
        while True:
            found = self._found
            found.told[:] = 0
            why = run(self.tables, self.book.classes, self.state, self._scratch, batch, found, first, end)
            count, passed, first = found.told.tolist()
            step = Step(
                hit_signal=found.hit_signal[:count],
                hit_rule=found.hit_rule[:count],
                reached=found.reached[:passed],
                end=first,
                known=why == KNOWN,
                attend=why == ATTEND,
            )
            if why == NO_ROOM or (why == SWEEP and not passed and not any(len(each) for each in reached)):
                hits.append((step.hit_signal.copy(), step.hit_rule.copy()))
                reached.append(step.reached.copy())
                self._make_room(count) if why == NO_ROOM else self.forget()
            else:  # with signals reached their objects have to be handed over before anything is forgotten
                break
        if not hits:
            return step
        return replace(
            step,
            hit_signal=np.concatenate([*(each[0] for each in hits), step.hit_signal]),
            hit_rule=np.concatenate([*(each[1] for each in hits), step.hit_rule]),
            reached=np.concatenate([*reached, step.reached]),
        )

    def _make_room(self, hits: int) -> None:
        """Make room for one more signal at least, whatever it does: `run._roomy` asks for this."""
        state, counters = self.state, self.state.counters
        indicators = len(self.placement.indicators)
        if len(self._found.hit_rule) - hits < self.rules:
            self._found = _found(2 * len(self._found.hit_rule), self.rules)._replace(reached=self._found.reached)
        rows = int(counters[ROWS_TOP])
        if rows + 1 > len(state.rows):
            state = state._replace(rows=grown(state.rows, rows + 1))
        if 2 * (rows + 1) > len(state.by_mark):
            state = state._replace(by_mark=np.full(2 * len(state.by_mark), -1, np.int32))
            index_again(state)
        cells = int(counters[layout.CELLS_TOP]) + 4 * indicators + 4
        if cells > len(state.cells):
            state = state._replace(cells=grown(state.cells, cells))
        lists = int(np.count_nonzero(self.tables.exact | (self.tables.aggregate == layout.DISTINCT)))
        pointed = self.tables.pointed
        words = int(counters[layout.WORDS_TOP]) + WORDS_OF_BUCKETS * indicators + 2 * lists * int(counters[layout.LARGEST_ROOM])
        words += pointed * (4 * indicators + 4)
        if words > len(state.words):
            larger = grown(state.words, words)
            state = state._replace(words=larger, reals=larger.view(np.float64))
        if int(counters[layout.WATCHES_TOP]) == len(state.watches):
            state = state._replace(watches=grown(state.watches, 2 * len(state.watches) + 1))
        if int(counters[layout.PARTS_TOP]) + 4 * pointed > len(state.parts):
            state = state._replace(parts=grown(state.parts, int(counters[layout.PARTS_TOP]) + 8 * pointed))
        self.state = state

    def forget(self) -> None:
        """Forget the rows that nothing needs any more, and look again when there are twice as many as are left."""
        rows = self.state.rows[: int(self.state.counters[ROWS_TOP])]
        forget_rows(self.tables, self.state, self.rows_wanted(rows["mark"]), np.full(len(rows), -1, np.int32))
        self.state.counters[SWEEP_AT] = max(LEAST_SWEEP, 2 * int(self.state.counters[ROWS_TOP]))

    # Single objects

    def slot_of_signal(self, feed: str, identity: str) -> int:
        """Return the slot of the object that a signal seen before is about, -1 where none looks like it."""
        row = find_row(self.state, _mark(feed, identity))
        return int(self.state.rows[row]["slot"]) if row >= 0 else -1

    def slot_of(self, object_id: str) -> int:
        """Return the slot of an object, a new one where it is not known."""
        slot = self.objects.number(object_id)
        self._make_objects(slot + 1)
        return slot

    def leave(self, slot: int) -> bool:
        """Let the Python engine run an object from here on; False where it does already."""
        thing = self.state.objects[slot]
        if thing["owner"] != layout.KERNEL:
            return False
        thing["owner"] = PYTHON
        return True

    def note(self, feed: str, identity: str, slot: int, at: int, handle: int) -> None:
        """Remember a signal that the Python engine takes without its having been in a batch."""
        if self.slot_of_signal(feed, identity) >= 0:
            return
        self._make_room(0)
        new = np.zeros(1, np.int64)
        batch = Batch(
            slot=new.astype(np.int32) + slot,
            at=new + at,
            now=new,
            signal_class=new.astype(np.int32),
            mark=np.array([_mark(feed, identity)], np.uint64),
            handle=new + handle,
            numbers=new.astype(np.float64).reshape(1, 1),
            codes=new.reshape(1, 1),
        )
        note_row(self.state, batch, 0, slot)

    def marks(self, names: Iterable[tuple[str, str]]) -> NDArray[np.uint64]:
        """Return the marks of signals by feed and id."""
        return np.array([_mark(feed, identity) for feed, identity in names], np.uint64)

    def chain(self, slot: int) -> list[int]:
        """Return the handles of an object's signals that may still be inside a window, in order of arrival, its newest last."""
        handles = []
        row = int(self.state.objects[slot]["row"])
        while row >= 0:
            handles.append(int(self.state.rows[row]["handle"]))
            row = int(self.state.rows[row]["before"])
        return handles[::-1]

    def seen(self, slot: int) -> dict[str, int]:
        """Return how many signals each indicator of an object ever took, by name."""
        thing = self.state.objects[slot]
        cells = self.state.cells[thing["first"] : thing["first"] + thing["cells"]]
        return {self.placement.indicators[int(cell["indicator"])].name: int(cell["seen"]) for cell in cells if cell["seen"]}

    def values(self, slot: int) -> dict[str, float | None]:
        """Return the indicators that an object has, by name; None is unknown."""
        thing = self.state.objects[slot]
        cells = self.state.cells[thing["first"] : thing["first"] + thing["cells"]]
        return {
            self.placement.indicators[int(cell["indicator"])].name: None if np.isnan(cell["value"]) else float(cell["value"])
            for cell in cells
        }

    # Snapshots

    def snapshot(self) -> bytes:
        """Return the whole state; the same signals give the same bytes, however they were cut into batches."""
        state, counters = self.state, self.state.counters
        count = len(self.objects)
        saved = {
            "version": VERSION,
            "objects": state.objects[:count].tobytes(),
            "cells": state.cells[: int(counters[layout.CELLS_TOP])].tobytes(),
            "words": state.words[: int(counters[layout.WORDS_TOP])].tobytes(),
            "rows": state.rows[: int(counters[ROWS_TOP])].tobytes(),
            "watches": state.watches[: int(counters[layout.WATCHES_TOP])].tobytes(),
            "parts": state.parts[: int(counters[layout.PARTS_TOP])].tobytes(),
            "counters": counters.tobytes(),
            "classes": self.book.dump(),
            "names": {name: [len(each), each.dump()] for name, each in {"": self.objects, **self.names}.items()},
        }
        return msgspec.msgpack.encode(saved)

    def restore(self, data: bytes) -> None:
        """Take up a snapshot of a kernel with the same rule set; it goes on as if there had been no pause.

        Raises:
            StoreCorrupt: `data` is no snapshot, or one of another format version.
        """
        try:
            saved = msgspec.msgpack.decode(data)
            if saved["version"] != VERSION:
                raise StoreCorrupt(both("snapshot.other_format", held=saved["version"], own=VERSION))
            words = _taken(saved["words"], np.dtype(np.int64))
            rows = _taken(saved["rows"], ROW)
            state = State(
                objects=_taken(saved["objects"], OBJECT),
                cells=_taken(saved["cells"], CELL),
                words=words,
                reals=words.view(np.float64),
                rows=rows,
                by_mark=np.full(1 << (2 * len(rows) + 1).bit_length(), -1, np.int32),
                watches=_taken(saved["watches"], WATCH),
                parts=_taken(saved["parts"], PART),
                counters=np.frombuffer(saved["counters"], np.int64).copy(),
            )
            names = {name: Names.load(text, count) for name, (count, text) in saved["names"].items()}
            self.book.load(saved["classes"])
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            raise StoreCorrupt(both("snapshot.no_kernel", error=error)) from error
        index_again(state)
        self.objects = names.pop("")
        self.names = names
        self.state = state


def feed_hash(feed: str) -> Any:
    """Return what the marks of a feed's signals begin with."""
    data = feed.encode()
    seed: Any = np.uint64(1)
    return np.uint64(hash_of(writable(data + bytes(8)), 0, len(data), seed))


def _mark(feed: str, identity: str) -> Any:
    """Return the mark of one signal."""
    data = writable(identity.encode() + bytes(8))
    return np.uint64(mark_of(data, 0, len(data) - 8, feed_hash(feed)))


def _new_objects(count: int) -> NDArray[np.void]:
    objects = np.zeros(count, OBJECT)
    objects["clock"], objects["signal_class"], objects["row"], objects["watch"] = UNSEEN, -1, -1, -1
    return objects


def _found(room: int, rules: int) -> Found:
    size = max(room, 2 * rules)
    return Found(np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(0, np.int32), np.zeros(3, np.int64))


def _stack(columns: list[Any], signals: int, kind: Any) -> NDArray[Any]:
    return np.array(columns, kind).reshape(len(columns), signals) if columns else np.zeros((1, signals), kind)


def _as_code(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a number for each value, different for different values, -1 for none."""
    return np.where(np.isnan(values), np.int64(-1), values.view(np.int64))


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a copy with `size` places at least, zero where there was none."""
    larger = np.zeros(max(size, len(array) * 3 // 2), array.dtype)
    larger[: len(array)] = array
    return larger


def _taken(data: bytes, kind: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(data, kind).copy()
