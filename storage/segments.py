"""Segment files of the journal: their names, their header, their frames, and where a crash may have torn them.

A segment is `<first seq, 20 digits>.seg`. Header: 8 bytes magic, u32 format, u64 first seq, u32 crc32 of these. Then frames
`u32 length | u32 crc32(payload) | payload`, little-endian. A payload is the msgpack of one `domain.records.Record`, or a mark.

A mark is written after each sync (and reaches the disk with the next one): "every byte before me was synced". Its first byte 0xC1
never starts msgpack. So a bad frame with a mark behind it is damage, and one without is what a crash tore: those bytes were never
acknowledged. The same marks tell readers in other processes how far they may read.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from domain.errors import StoreCorrupt
from domain.messages import both

SUFFIX = ".seg"
FORMAT = 1
MAX_PAYLOAD = 64 * 1024 * 1024  # bytes; a longer length is damage

_MAGIC = b"FSJOURNL"
_HEADER = struct.Struct("<8sIQ")
_CRC = struct.Struct("<I")
_FRAME = struct.Struct("<II")
_MARK = struct.Struct("<16sQ")
_MARK_MAGIC = b"\xc1FENGSUI-SYNCED\xc1"
_CHUNK = 1024 * 1024

HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size  # before each payload
MARK_BYTES = _FRAME.size + _MARK.size


class BadFrame(Exception):
    """No intact frame starts at `offset`, though the file goes on there."""

    def __init__(self, offset: int, why: str) -> None:
        """Keep the place; what it means depends on what stands behind it."""
        super().__init__(why)
        self.offset = offset


def segment_path(folder: Path, first: int) -> Path:
    """Return the path of the segment whose first record is `first`."""
    return folder / f"{first:020d}{SUFFIX}"


def first_seqs(folder: Path) -> list[int]:
    """Return the first seq of every segment in `folder`, ascending."""
    return sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())


def header(first: int) -> bytes:
    """Return the header of the segment that starts at `first`."""
    body = _HEADER.pack(_MAGIC, FORMAT, first)
    return body + _CRC.pack(zlib.crc32(body))


def check_header(descriptor: int, path: Path, first: int) -> None:
    """Read the header.

    Raises:
        StoreCorrupt: it is damaged, of another format, or of another segment.
    """
    data = os.pread(descriptor, HEADER_BYTES, 0)
    if len(data) < HEADER_BYTES or _CRC.unpack_from(data, _HEADER.size)[0] != zlib.crc32(data[: _HEADER.size]):
        raise StoreCorrupt(both("journal.header_damaged", path=path))
    magic, version, named = _HEADER.unpack_from(data)
    if magic != _MAGIC or named != first:
        raise StoreCorrupt(both("journal.header_foreign", path=path))
    if version != FORMAT:
        raise StoreCorrupt(both("journal.other_format", path=path, held=version, own=FORMAT))


def frame(payload: bytes) -> bytes:
    """Return the frame of `payload`; raises ValueError for one that no reader would take."""
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a frame holds 1 to {MAX_PAYLOAD} bytes, not {len(payload)}")
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def mark(offset: int) -> bytes:
    """Return the mark frame to be written at `offset`."""
    return frame(_MARK.pack(_MARK_MAGIC, offset))


def is_mark(payload: bytes) -> bool:
    """Tell a mark from a record."""
    return payload[:1] == b"\xc1"


def frames(descriptor: int, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, payload) of the frames from `offset` to the end of the file.

    Raises:
        BadFrame: the next frame is cut short or fails its checksum.
    """
    data, start, at = b"", offset, 0  # data[at:] is what was read and not yet yielded; data[0] stands at `start`
    while True:
        need = _FRAME.size
        length = checksum = 0
        if len(data) - at >= need:
            length, checksum = _FRAME.unpack_from(data, at)
            if not 0 < length <= MAX_PAYLOAD:
                raise BadFrame(start + at, f"a frame of {length} bytes")
            need += length
        if len(data) - at < need:
            rest = data[at:]
            more = os.pread(descriptor, max(_CHUNK, need - len(rest)), start + at + len(rest))
            if not more and not rest:
                return
            if not more:
                raise BadFrame(start + at, "the frame is cut short")
            data, start, at = rest + more, start + at, 0
            continue
        payload = data[at + _FRAME.size : at + need]
        if zlib.crc32(payload) != checksum:
            raise BadFrame(start + at, "the checksum does not match")
        yield start + at, payload
        at += need


def marked_behind(descriptor: int, offset: int) -> bool:
    """Tell whether an intact mark stands behind `offset`: then the bytes at `offset` had been synced."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size - offset, offset)
    found = data.find(_MARK_MAGIC)
    while found >= 0:
        at = found - _FRAME.size
        if at > 0 and data[at : at + MARK_BYTES] == mark(offset + at):
            return True
        found = data.find(_MARK_MAGIC, found + 1)
    return False
