"""A frame: many offered records of one partition in one message of a topic.

8 bytes magic with the format's version, CRC-32 of the rest, then msgpack. A message that is no frame, or not whole, is told apart from
one that a newer version wrote, since the first is set aside and the second is waited for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from domain.base import Noun
from domain.ports import Offer

MAGIC: Final = b"FSFRAME"
VERSION: Final = 1
MOST_BYTES: Final = 900_000  # of a frame that holds several records: below the megabyte that a broker takes by default
_LEAD = struct.Struct(">7sBI")
_encoder = msgspec.msgpack.Encoder()


class Frame(Noun, frozen=True, kw_only=True):
    """Records in order; `received_at` is the instant at which the edge had them, aware, UTC, `by` the edge's name."""

    received_at: datetime
    offers: tuple[Offer, ...]
    by: str = ""


_decoder = msgspec.msgpack.Decoder(Frame)


class BadFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Why a message cannot be taken in: it is `foreign`, `cut` (or damaged), or of a `newer` version than this one."""

    reason: Literal["foreign", "cut", "newer"]
    detail: str


def encode(frame: Frame) -> bytes:
    """Return `frame` as the value of one message."""
    return sealed(_encoder.encode(frame))


def sealed(body: bytes) -> bytes:
    """Return the message for a frame's encoded body."""
    return _LEAD.pack(MAGIC, VERSION, zlib.crc32(body)) + body


def decode(message: bytes | None) -> Frame | BadFrame:
    """Return the frame in a message, or what is wrong with it; never raises."""
    if message is None or not (message.startswith(MAGIC) or MAGIC.startswith(message)):
        return BadFrame(reason="foreign", detail=f"no frame of Fengsui: it begins with {bytes(message[:16]) if message else message!r}")
    if len(message) < _LEAD.size:
        return BadFrame(reason="cut", detail=f"{len(message)} bytes, less than a frame's head")
    _, version, crc = _LEAD.unpack_from(message)
    if version > VERSION:
        return BadFrame(reason="newer", detail=f"format {version}, this version of Fengsui reads up to {VERSION}")
    body = memoryview(message)[_LEAD.size :]
    if zlib.crc32(body) != crc:
        return BadFrame(reason="cut", detail=f"{len(body)} bytes whose checksum differs: cut short or damaged")
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        return BadFrame(reason="foreign", detail=f"whole, but no frame of this format: {error}")


def split(offers: Sequence[tuple[int, Offer]], most_records: int, most_bytes: int = MOST_BYTES) -> list[list[Offer]]:
    """Cut (encoded size, offer) pairs into frames, in order: each within both limits, or of a single record that is larger."""
    frames: list[list[Offer]] = []
    room = 0
    for size, offer in offers:
        if not frames or len(frames[-1]) == most_records or size > room:
            frames.append([])
            room = most_bytes
        frames[-1].append(offer)
        room -= size
    return frames
