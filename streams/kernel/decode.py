"""The second front: lines that the scanner is not sure of, decoded by msgspec into their types, many at once.

It reads every form of a canonical signal that needs no judgment: nested objects, attributes, escapes. What is left, and what is no signal
at all, is for the readable decoder (`connectors.inbound.canonical`), which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from domain.signals import ObjectRef, Signal
from streams.kernel.jit import compiled
from streams.kernel.scan import ID, KEYS, KIND, LONGEST_ID, MATTER, OBJECT, PADDING, REGION, SOURCE, UNIT, Bytes, Lines
from streams.kernel.signals import texts
from streams.kernel.times import UNSURE, instant

_COLUMN: Final = {"source": SOURCE, "kind": KIND, "matter": MATTER, "region": REGION, "unit": UNIT}


class Line(Signal, frozen=True, kw_only=True):
    """A canonical signal with a flat `object_id`; its time is read with the others'."""

    occurred_at: str  # type: ignore[assignment]  # as written
    object: ObjectRef | UnsetType = UNSET  # type: ignore[assignment]  # given or not given makes a difference beside `object_id`
    object_id: str | UnsetType = UNSET


_decode = msgspec.json.Decoder(Line).decode


@compiled
def _instants(text: Bytes, starts: Any, ends: Any, out: Any) -> None:
    for number in range(starts.shape[0]):
        out[number] = instant(text, starts[number], ends[number])


def _plain(line: bytes) -> tuple[Line, str] | None:
    """Return a line's signal and its object, None for what needs the readable decoder."""
    try:
        signal = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if (signal.object is UNSET) == (signal.object_id is UNSET):
        return None
    thing = signal.object_id if signal.object is UNSET else signal.object.id or signal.object.code
    if not (thing and signal.id and signal.kind) or signal.corrects or signal.withdraws or signal.place is not None:
        return None
    fits = len(signal.id) <= LONGEST_ID and signal.id.isprintable() and 0 <= signal.severity <= 3
    return (signal, thing) if fits else None


def mend(text: Bytes, end: int, count: int, lines: Lines, wanted: Sequence[str]) -> Bytes:
    """Read the unsure lines among the first `count`; those that can be read are unsure no more.

    Their texts are put behind `end` in `text`, which is returned, longer where that was needed.
    """
    numbers, found = [], []
    for number in np.flatnonzero(lines.unsure[:count]).tolist():
        line = _plain(text[lines.first[number] : lines.last[number]].tobytes())
        if line is not None:
            numbers.append(number)
            found.append(line)
    if not found:
        return text
    signals = [signal for signal, _ in found]
    columns = {ID: texts([signal.id for signal in signals]), OBJECT: texts([thing for _, thing in found])}
    columns |= {_COLUMN[name]: texts([getattr(signal, name) for signal in signals]) for name in wanted}
    times = texts([signal.occurred_at.strip() for signal in signals])
    at = np.empty(len(found), np.int64)
    _instants(times.source, times.starts, times.ends, at)
    place = end + PADDING
    needed = place + sum(len(each.source) for each in columns.values()) + PADDING
    if needed > len(text):
        longer = np.zeros(needed, np.uint8)
        longer[:end] = text[:end]
        text = longer
    which = np.array(numbers)
    lines.starts[:, which] = 0
    lines.ends[:, which] = 0
    for key, column in columns.items():
        text[place : place + len(column.source)] = column.source
        lines.starts[key, which] = column.starts + place
        lines.ends[key, which] = column.ends + place
        place += len(column.source)
    lines.at[which] = at
    lines.severity[which] = [signal.severity for signal in signals]
    lines.value[which] = [np.nan if signal.value is None else signal.value for signal in signals]
    lines.unsure[which] = at == UNSURE
    return text


assert set(_COLUMN) < set(KEYS)
