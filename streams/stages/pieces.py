"""A state as a train of frames, none of them large: 4 bytes length (big-endian), then the frame.

Whoever writes has one frame in memory beside the state, and whoever reads too, however the bytes were cut on their way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from domain.errors import StoreCorrupt
from domain.messages import both

ROWS: Final = 256  # of one frame: other threads get their turn between two
CUT: Final = 2**20  # bytes
_LENGTH: Final = struct.Struct(">I")
T = TypeVar("T")


def chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    """Yield the rows in lists of `ROWS`; the last one may have fewer, none is empty.

    >>> [len(chunk) for chunk in chunks(range(600))]
    [256, 256, 88]
    """
    left = iter(rows)
    while chunk := list(islice(left, ROWS)):
        yield chunk


def framed(body: bytes) -> bytes:
    """Return a frame with its length before it."""
    return _LENGTH.pack(len(body)) + body


def frames(state: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frames of a train, which may be cut anywhere.

    >>> list(frames([framed(b"one")[:5], framed(b"one")[5:] + framed(b"")]))
    [b'one', b'']

    Raises:
        StoreCorrupt: it ends in the middle of a frame, or is none.
    """
    held = bytearray()
    for part in _cut(state) if isinstance(state, bytes) else state:
        held += part
        at = 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            end = at + _LENGTH.size + length
            if end > len(held):
                break
            yield bytes(held[at + _LENGTH.size : end])
            at = end
        del held[:at]
    if held:
        raise StoreCorrupt(both("snapshot.no_pipeline", error=both("store.cut_short")))


def _cut(state: bytes) -> Iterator[bytes]:
    for start in range(0, len(state), CUT):
        yield state[start : start + CUT]
