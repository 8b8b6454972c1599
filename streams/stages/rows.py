"""State as msgpack without all of it standing twice: rows are made one at a time, and are gone when they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

_encode: Final = msgspec.msgpack.Encoder().encode
_ARRAY: Final = (0x90, 0xDC, 0xDD)  # up to 15, to 65,535, and more
_MAP: Final = (0x80, 0xDE, 0xDF)


class Rows:
    """So many rows, to be gone through once."""

    __slots__ = ("_count", "_rows")

    def __init__(self, count: int, rows: Iterable[Any]) -> None:
        self._count = count
        self._rows = rows

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    def __iter__(self) -> Iterator[Any]:
        """Make one after the other."""
        return iter(self._rows)


def encoded(value: Any) -> bytes:
    """Return the msgpack of `value`, in which dicts may hold `Rows`: the same bytes as with lists in their place.

    >>> encoded({"a": Rows(2, iter((1, None)))}) == msgspec.msgpack.encode({"a": [1, None]})
    True
    """
    buffer = bytearray()
    _write(buffer, value)
    return bytes(buffer)


def _write(buffer: bytearray, value: Any) -> None:
    if isinstance(value, Rows):
        buffer += _head(_ARRAY, len(value))
        for row in value:
            buffer += _encode(row)
    elif isinstance(value, dict):
        buffer += _head(_MAP, len(value))
        for name, each in value.items():
            buffer += _encode(name)
            _write(buffer, each)
    else:
        buffer += _encode(value)


def _head(kind: tuple[int, int, int], count: int) -> bytes:
    few, some, many = kind
    if count < 16:  # so many fit beside the kind
        return bytes((few | count,))
    return bytes((some,)) + count.to_bytes(2, "big") if count < 1 << 16 else bytes((many,)) + count.to_bytes(4, "big")
