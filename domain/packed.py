"""A large state, compressed as it is made and read piece by piece: nobody has to have the whole of it in memory beside itself."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

from domain.messages import both

PIECE: Final = 8 * 2**20  # bytes
LEVEL: Final = 1  # states compress to a tenth and less, also at the quickest level
_IN: Final = 2**16  # compressed bytes that are looked at together
_OUT: Final = 2**20  # and what comes out of them, at the most


class PackedState:
    """Bytes in compressed pieces; iterating gives them part by part, again and again. Immutable."""

    __slots__ = ("_size", "pieces")

    def __init__(self, pieces: Sequence[bytes], size: int) -> None:
        """Use `of` or `stored`; `pieces` are one zlib stream, `size` the number of bytes that come out of it."""
        self.pieces = tuple(pieces)
        self._size = size

    @classmethod
    def of(cls, parts: Iterable[bytes]) -> Self:
        """Compress `parts` one by one."""
        packing, held, pieces, size = zlib.compressobj(LEVEL), bytearray(), list[bytes](), 0
        for part in parts:
            size += len(part)
            held += packing.compress(part)
            while len(held) >= PIECE:
                pieces.append(bytes(held[:PIECE]))
                del held[:PIECE]
        held += packing.flush()
        return cls([*pieces, bytes(held)], size)

    @classmethod
    def stored(cls, pieces: Sequence[bytes]) -> Self:
        """Return what these pieces were made of.

        Raises:
            ValueError: they are not what `of` made, or not all of it; it says how.
        """
        return cls(pieces, sum(map(len, _unpacked(pieces))))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return _unpacked(self.pieces)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedState) and self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacking = zlib.decompressobj()
    try:
        for piece in pieces:
            for start in range(0, len(piece), _IN):
                given = piece[start : start + _IN]
                while given:
                    if part := unpacking.decompress(given, _OUT):
                        yield part
                    given = unpacking.unconsumed_tail
        while part := unpacking.decompress(unpacking.unconsumed_tail, _OUT):
            yield part
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof:
        raise ValueError(both("store.cut_short"))
