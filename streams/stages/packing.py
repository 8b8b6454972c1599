"""A signal that counts, as few bytes: it is read again only when a correction, a warning or another rule set asks for it.

As a struct with its strings a signal takes a kilobyte and more, as bytes about a quarter of that. What its holder has anyhow (feed, id,
instant) is not repeated.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import ObjectRef, Place, Signal
from streams.stages.windows import from_us

Packed = bytes | SignalEntry
"""A packed signal; the signal itself where packing would change it."""

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_APART: Final = frozenset({"id", "occurred_at", "object", "place", "attrs"})
_FIELDS: Final = tuple(name for name in Signal.__struct_fields__ if name not in _APART)
_OBJECT: Final = ObjectRef.__struct_fields__
_PLACE: Final = Place.__struct_fields__
_RESOLUTION: Final = Resolution.__struct_fields__
_SOURCE, _KIND, _TEXT = (_FIELDS.index(name) for name in ("source", "kind", "text"))
_HASH: Final = 64  # hexadecimal digits
_fields = attrgetter(*_FIELDS)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def _plain(value: Any) -> bool:
    """Tell whether msgpack gives a value back as it is."""
    if value.__class__ in _SCALARS:
        return True
    if value.__class__ is list:
        return all(map(_plain, value))
    return value.__class__ is dict and all(key.__class__ is str and _plain(each) for key, each in value.items())


def _short(text: str) -> bytes | str:
    """Return a hash as bytes, any other text as it is."""
    if len(text) == _HASH:
        try:
            found = bytes.fromhex(text)
        except ValueError:
            return text
        return found if found.hex() == text else text
    return text


def _long(short: bytes | str) -> str:
    return short if isinstance(short, str) else short.hex()


def pack(entry: SignalEntry) -> Packed:
    """Return a signal as bytes, without feed, id and instant; the same signal gives the same bytes.

    Attributes that came from no JSON, integers of more than 64 bits and broken text are not packed.
    """
    signal, found, place = entry.signal, entry.resolution, entry.signal.place
    attrs = signal.attrs
    if attrs and not _plain(attrs):
        return entry
    row = (
        _fields(signal),
        astuple(signal.object),
        None if place is None else astuple(place),
        attrs or None,
        astuple(found),
        _short(entry.digest),
        entry.revision,
        _short(entry.batch),
        entry.position,
    )
    try:
        return _encode(row)
    except (OverflowError, UnicodeEncodeError):
        return entry


def unpack(packed: bytes, feed: str, name: str, t: int) -> SignalEntry:
    """Return what `pack` was given; `name` is the signal's id and `t` its instant in microseconds."""
    fields, about, place, attrs, found, digest, revision, batch, position = _decode(packed)
    signal = Signal(
        id=name,
        occurred_at=from_us(t),
        object=ObjectRef(**_by_name(_OBJECT, about)),
        place=None if place is None else Place(**_by_name(_PLACE, place)),
        attrs=attrs or {},
        **_by_name(_FIELDS, fields),
    )
    told = _by_name(_RESOLUTION, found)
    told["candidates"] = tuple(told["candidates"])
    return SignalEntry(
        feed=feed,
        signal=signal,
        resolution=Resolution(**told),
        digest=_long(digest),
        revision=revision,
        batch=_long(batch),
        position=position,
    )


def glance(packed: bytes) -> tuple[str, str, str]:
    """Return a packed signal's source, kind and text, much cheaper than all of it."""
    fields = _decode(packed)[0]
    return fields[_SOURCE], fields[_KIND], fields[_TEXT]


def _by_name(names: tuple[str, ...], values: list[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))
