"""A frame: many offered records of one partition in one message of a topic.

8 bytes magic with the format's version, CRC-32 of the rest, then msgpack. A message that is no frame, or not whole, is told apart from
one that a newer version wrote, since the first is set aside and the second is waited for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from domain.base import Noun
from domain.ports import Offer
from domain.records import AnyEntry

MAGIC: Final = b"FSFRAME"
PASSING: Final = b"FSGROUP"
VERSION: Final = 4  # what moves to another partition: 3 without number, 2 without further ids; 1: confirmations without content
MOST_BYTES: Final = 2_000_000  # of a frame that holds several records; each frame costs a commit, and a fetch takes two of them
_LEAD = struct.Struct(">7sBI")
_encoder = msgspec.msgpack.Encoder()
Body = TypeVar("Body")


class Frame(Noun, frozen=True, kw_only=True):
    """Records in order; `received_at` is the instant at which the edge had them, aware, UTC, `by` the edge's name."""

    received_at: datetime
    offers: tuple[Offer, ...]
    by: str = ""


class Passed(Noun, frozen=True, kw_only=True):
    """A record that one partition passes on, under the number that it has there."""

    seq: int
    entry: AnyEntry


class Passing(Noun, frozen=True, kw_only=True):
    """What a partition of groups is told by the partition `source` of the frames, in the order of the frames.

    `offset` is that of the frame which it follows from: it grows from one to the next, and one that comes again is known by it.
    `received_at` is the time of the source, aware, UTC: nothing that it passes on later was received earlier.
    """

    source: int
    offset: int
    received_at: datetime
    records: tuple[Passed, ...] = ()


_decoder = msgspec.msgpack.Decoder(Frame)
_passing = msgspec.msgpack.Decoder(Passing)


class BadFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Why a message cannot be taken in: it is `foreign`, `cut` (or damaged), or of a `newer` version than this one."""

    reason: Literal["foreign", "cut", "newer"]
    detail: str


def encode(frame: Frame | Passing) -> bytes:
    """Return `frame` as the value of one message."""
    return sealed(_encoder.encode(frame), MAGIC if isinstance(frame, Frame) else PASSING)


def sealed(body: bytes, magic: bytes = MAGIC) -> bytes:
    """Return the message for a frame's encoded body."""
    return _LEAD.pack(magic, VERSION, zlib.crc32(body)) + body


def decode(message: bytes | None) -> Frame | BadFrame:
    """Return the frame in a message, or what is wrong with it; never raises."""
    return _opened(message, MAGIC, _decoder)


def decode_passing(message: bytes | None) -> Passing | BadFrame:
    """Return what a partition passed on, or what is wrong with the message; never raises."""
    return _opened(message, PASSING, _passing)


def _opened(message: bytes | None, magic: bytes, decoder: msgspec.msgpack.Decoder[Body]) -> Body | BadFrame:
    if message is None or not (message.startswith(magic) or magic.startswith(message)):
        return BadFrame(reason="foreign", detail="null" if message is None else f"{bytes(message[:16])!r}…")
    if len(message) < _LEAD.size:
        return BadFrame(reason="cut", detail=f"{len(message)} < {_LEAD.size} B")
    _, version, crc = _LEAD.unpack_from(message)
    if version > VERSION:
        return BadFrame(reason="newer", detail=f"format {version}, this version of Fengsui reads up to {VERSION}")
    body = memoryview(message)[_LEAD.size :]
    if zlib.crc32(body) != crc:
        return BadFrame(reason="cut", detail=f"{len(body)} B, CRC-32")
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        return BadFrame(reason="foreign", detail=f"{bytes(message[:16])!r}…: {error}")


def split(offers: Sequence[tuple[int, Offer]], most_records: int, most_bytes: int = MOST_BYTES) -> list[list[Offer]]:
    """Cut (encoded size, offer) pairs into frames, in order: each within both limits, or of a single record that is larger.

    The frames are about equally large: a last one of a few records would cost a commit like any other.
    """
    total = sum(size for size, _ in offers)
    share = total / max(1, -(-total // most_bytes))
    frames: list[list[Offer]] = []
    held = 0
    for size, offer in offers:
        if not frames or len(frames[-1]) == most_records or held >= share or held + size > most_bytes:
            frames.append([])
            held = 0
        frames[-1].append(offer)
        held += size
    return frames
