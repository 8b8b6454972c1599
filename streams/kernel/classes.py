"""Classes of signals: what a signal's own fields decide, found out once for every combination of them.

The filters of indicators and the tests of rules are asked themselves, with a real signal of the class, by the readable engine's closures:
so the kernel knows no operator of the filter language, and a filter costs nothing after its first signal.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.records import SignalEntry
from rules.facts import Facts
from streams.kernel.conditions import CODED, Tested
from streams.kernel.jit import compiled, inner
from streams.kernel.layout import Classes
from streams.kernel.placement import Placement, tests
from streams.kernel.tables import above

FIELDS: Final = ("source", "kind", "matter", "region", "unit")  # texts, in this order in a class's fields; then severity, then value
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


class KnownClasses(NamedTuple):
    """The fields of the classes that are known."""

    fields: NDArray[np.int64]  # [class, field]
    by_hash: NDArray[np.int32]  # open addressing: class by the hash of its fields, -1 for free


@compiled
def classify(known: KnownClasses, fields: NDArray[np.int64], first: int, out: NDArray[np.int32]) -> int:
    """Write the class of each signal from `first` on; return the first signal whose class is not known, or the number of signals."""
    width, signals = fields.shape
    last = np.uint64(known.by_hash.shape[0] - 1)
    for signal in range(first, signals):
        place = _place(fields[:, signal], last)
        found = np.int64(-1)
        while known.by_hash[place] >= 0:
            candidate = np.int64(known.by_hash[place])
            same = True
            for field in range(width):
                if known.fields[candidate, field] != fields[field, signal]:
                    same = False
                    break
            if same:
                found = candidate
                break
            place = np.int64((np.uint64(place) + np.uint64(1)) & last)
        if found < 0:
            return signal
        out[signal] = found
    return signals


@inner
def _place(fields: NDArray[np.int64], last: int) -> int:
    mixed = np.uint64(0)
    for number in range(fields.shape[0]):
        mixed = (mixed ^ np.uint64(fields[number])) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return np.int64(mixed & last)


@compiled
def _put(known: KnownClasses, number: int) -> None:
    last = np.uint64(known.by_hash.shape[0] - 1)
    place = _place(known.fields[number], last)
    while known.by_hash[place] >= 0:
        place = np.int64((np.uint64(place) + np.uint64(1)) & last)
    known.by_hash[place] = number


def fields_read(placement: Placement) -> tuple[str, ...]:
    """Return the fields that filters and tests of a rule set read, `source` always first: its legal values are checked by learning."""
    read = {name for each in placement.indicators if each.where is not None for name in each.where.fields}
    read |= {name for rule in placement.rules for name in rule.when.fields}
    return ("source", *(name for name in (*FIELDS[1:], "severity", "value") if name in read and (name in CODED or name == "value")))


def thresholds_of_value(placement: Placement) -> NDArray[np.float64]:
    """Return the numbers between which no filter and no test can tell values of the signal apart, rising."""
    return np.array(sorted({each for limit in placement.limits for each in (limit, above(limit))}), np.float64)


class ClassBook:
    """The classes of one rule set."""

    def __init__(self, placement: Placement) -> None:
        """Know no class yet."""
        self._indicators = placement.indicators
        self._tests: list[Tested] = tests(placement.conditions)
        self.fields = fields_read(placement)
        self.thresholds = thresholds_of_value(placement)
        room = 16
        self.known = KnownClasses(np.zeros((room, len(self.fields)), np.int64), np.full(4 * room, -1, np.int32))
        words = max(1, -(-len(self._tests) // 64))
        self.classes = Classes(np.zeros(room + 1, np.int32), np.zeros(64, np.int32), np.zeros((room, words), np.uint64))
        self.count = 0

    def learn(self, fields: NDArray[np.int64], entry: SignalEntry) -> None:
        """Note the class of a signal, asking the filters and tests themselves."""
        facts = Facts(entry, None)
        fed = [number for number, each in enumerate(self._indicators) if each.where is None or each.where.evaluate(facts) is True]
        self._make_room(len(fed))
        number, first = self.count, int(self.classes.fed_at[self.count])
        self.known.fields[number] = fields
        self.classes.fed[first : first + len(fed)] = fed
        self.classes.fed_at[number + 1] = first + len(fed)
        for place, test in enumerate(self._tests):
            if test.run(facts) is test.wanted:
                self.classes.holds[number, place >> 6] |= np.uint64(1) << np.uint64(place & 63)
        self.count = number + 1
        _put(self.known, number)

    def _make_room(self, fed: int) -> None:
        classes, room = self.classes, len(self.known.fields)
        if self.count == room:
            self.known = KnownClasses(_longer(self.known.fields, 2 * room), np.full(8 * room, -1, np.int32))
            for number in range(self.count):
                _put(self.known, number)
            classes = classes._replace(fed_at=_longer(classes.fed_at, 2 * room + 1), holds=_longer(classes.holds, 2 * room))
        needed = int(classes.fed_at[self.count]) + fed
        if needed > len(classes.fed):
            classes = classes._replace(fed=_longer(classes.fed, 2 * needed))
        self.classes = classes

    def dump(self) -> dict[str, Any]:
        """Return all classes as plain data."""
        return {
            "fields": self.known.fields[: self.count].tobytes(),
            "fed_at": self.classes.fed_at[: self.count + 1].tobytes(),
            "fed": self.classes.fed[: int(self.classes.fed_at[self.count])].tobytes(),
            "holds": self.classes.holds[: self.count].tobytes(),
            "count": self.count,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up a dump under the same rule set."""
        count = self.count = state["count"]
        room = 1 << max(4, count.bit_length())
        words = self.classes.holds.shape[1]
        fed_at = np.frombuffer(state["fed_at"], np.int32)
        fed = np.frombuffer(state["fed"], np.int32)
        fields = np.frombuffer(state["fields"], np.int64).reshape(count, len(self.fields))
        holds = np.frombuffer(state["holds"], np.uint64).reshape(count, words)
        self.known = KnownClasses(_longer(fields, room), np.full(4 * room, -1, np.int32))
        self.classes = Classes(_longer(fed_at, room + 1), _longer(fed, max(64, len(fed))), _longer(holds, room))
        for number in range(count):
            _put(self.known, number)


def _longer(array: NDArray[Any], length: int) -> NDArray[Any]:
    """Return a copy with `length` rows, zero where there was none."""
    longer = np.zeros((length, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
