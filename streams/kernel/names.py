"""Texts as small numbers: the first different text is 0, the next 1, … Each set of names is its own bytes, so a snapshot keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.columns import writable
from streams.kernel.jit import compiled, inlined, load64, shared

PADDING: Final = 8  # readable bytes that follow every text, since eight are read at a time
_FIRST: Final = np.uint64(0x9E3779B97F4A7C15)
_SECOND: Final = np.uint64(0xD6E8FEB86659FD93)


class Table(NamedTuple):
    """A set of names."""

    text: NDArray[np.uint8]  # all names in a row
    starts: NDArray[np.int64]  # name n is text[starts[n] : starts[n + 1]]
    hashes: NDArray[np.uint64]
    by_hash: NDArray[np.int32]  # open addressing: name by hash, -1 for free; its length is a power of two
    size: NDArray[np.int64]  # [0]: how many names


@shared
def hash_of(text: NDArray[np.uint8], first: int, end: int, seed: int) -> int:
    """Return a hash of 64 bits of some bytes; eight more must be readable."""
    found = (seed ^ np.uint64(end - first)) * _FIRST
    while end - first >= 8:
        found = (found ^ load64(text, first)) * _FIRST
        found ^= found >> np.uint64(29)
        first += 8
    if end > first:
        found = (found ^ (load64(text, first) << np.uint64(8 * (8 - (end - first))))) * _SECOND
        found ^= found >> np.uint64(32)
    found *= _FIRST
    return found ^ (found >> np.uint64(31))


@compiled
def mark_of(text: NDArray[np.uint8], first: int, end: int, feed: int) -> int:
    """Return the mark of a signal: the hash of its feed's hash and its id."""
    return hash_of(text, first, end, feed)


@inlined
def _same(table: Table, name: int, text: NDArray[np.uint8], first: int, end: int) -> bool:
    start = table.starts[name]
    if table.starts[name + 1] - start != end - first:
        return False
    for place in range(end - first):
        if table.text[start + place] != text[first + place]:
            return False
    return True


@compiled
def find(table: Table, text: NDArray[np.uint8], first: int, end: int) -> int:
    """Return the number of a name; where it is not known -2 less the free place of `by_hash` that it would take."""
    found = hash_of(text, first, end, np.uint64(0))
    last = np.uint64(table.by_hash.shape[0] - 1)
    place = np.int64(found & last)
    while table.by_hash[place] >= 0:
        name = np.int64(table.by_hash[place])
        if table.hashes[name] == found and _same(table, name, text, first, end):
            return name
        place = np.int64((np.uint64(place) + np.uint64(1)) & last)
    return -place - 2


@compiled
def number_of(table: Table, text: NDArray[np.uint8], first: int, end: int) -> int:
    """Return the number of a name, a new one where it is not known; there must be room."""
    found = find(table, text, first, end)
    if found >= 0:
        return found
    name = table.size[0]
    start = table.starts[name]
    for place in range(end - first):
        table.text[start + place] = text[first + place]
    table.starts[name + 1] = start + end - first
    table.hashes[name] = hash_of(text, first, end, np.uint64(0))
    table.by_hash[-found - 2] = name
    table.size[0] = name + 1
    return name


@compiled
def numbers_of(table: Table, text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write the number of each text; an empty one, which says nothing, is -1."""
    for place in range(starts.shape[0]):
        out[place] = number_of(table, text, starts[place], ends[place]) if ends[place] > starts[place] else -1


@compiled
def _index_again(table: Table) -> None:
    table.by_hash[:] = -1
    last = np.uint64(table.by_hash.shape[0] - 1)
    for name in range(table.size[0]):
        place = np.int64(table.hashes[name] & last)
        while table.by_hash[place] >= 0:
            place = np.int64((np.uint64(place) + np.uint64(1)) & last)
        table.by_hash[place] = name


class Names:
    """A set of names that grows."""

    def __init__(self, room: int = 1 << 8) -> None:
        """Start empty, with room for some names."""
        self.table = Table(
            text=np.zeros(16 * room + PADDING, np.uint8),
            starts=np.zeros(room + 1, np.int64),
            hashes=np.zeros(room, np.uint64),
            by_hash=np.full(4 * room, -1, np.int32),
            size=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return int(self.table.size[0])

    def make_room(self, names: int, size: int) -> None:
        """See to it that `names` more of `size` bytes together find room."""
        table, count = self.table, len(self)
        used = int(table.starts[count])
        if used + size + PADDING > len(table.text):
            table = table._replace(text=_grown(table.text, used + size + PADDING))
        if count + names > len(table.hashes):
            room = max(2 * len(table.hashes), count + names)
            table = table._replace(starts=_grown(table.starts, room + 1), hashes=_grown(table.hashes, room))
        if 2 * (count + names) > len(table.by_hash):
            table = table._replace(by_hash=np.full(1 << (2 * (count + names)).bit_length(), -1, np.int32))
            _index_again(table)
        self.table = table

    def number(self, text: str) -> int:
        """Return the number of a name, a new one where it is not known."""
        data = text.encode()
        self.make_room(1, len(data))
        return int(number_of(self.table, writable(data + bytes(PADDING)), 0, len(data)))

    def find(self, text: str) -> int:
        """Return the number of a name, negative where it is not known."""
        data = text.encode()
        return int(find(self.table, writable(data + bytes(PADDING)), 0, len(data)))

    def name(self, number: int) -> str:
        """Return the name of a number."""
        start, end = self.table.starts[number], self.table.starts[number + 1]
        return self.table.text[start:end].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        return (self.name(number) for number in range(len(self)))

    def dump(self) -> bytes:
        """Return all names."""
        count = len(self)
        lengths = np.diff(self.table.starts[: count + 1]).astype(np.int64)
        return lengths.tobytes() + self.table.text[: int(self.table.starts[count])].tobytes()

    @classmethod
    def load(cls, data: bytes, count: int) -> Names:
        """Return the names of a `dump` of `count` names."""
        names = cls(max(count, 1))
        lengths = np.frombuffer(data, np.int64, count)
        text = np.frombuffer(data, np.uint8, offset=8 * count)
        names.make_room(count, len(text))
        table = names.table
        table.starts[1 : count + 1] = np.cumsum(lengths)
        table.text[: len(text)] = text
        table.size[0] = count
        for name in range(count):
            table.hashes[name] = hash_of(table.text, table.starts[name], table.starts[name + 1], np.uint64(0))
        _index_again(table)
        return names


def _grown(array: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """Return `array` with room for at least `size`, zero where nothing was."""
    larger = np.zeros(max(size, len(array) * 3 // 2), array.dtype)
    larger[: len(array)] = array
    return larger
