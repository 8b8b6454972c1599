"""The front for signals that are objects already: their fields as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from domain.records import SignalEntry
from streams.kernel.columns import Columns, Texts, writable
from streams.stages.windows import to_us

_PADDING: Final = bytes(8)


def texts(values: Sequence[str]) -> Texts:
    """Return a column of texts."""
    joined = "".join(values)
    if joined.isascii():
        data = joined.encode()
        lengths = np.fromiter(map(len, values), np.int64, len(values))
    else:
        each = [value.encode() for value in values]
        data = b"".join(each)
        lengths = np.fromiter(map(len, each), np.int64, len(values))
    ends = np.cumsum(lengths)
    return Texts(writable(data + _PADDING), ends - lengths, ends)


def columns_of(entries: Sequence[SignalEntry], fields: Sequence[str], handles: Sequence[int]) -> Columns:
    """Return signals, each of a known object, as columns; `fields` are the texts that the kernel asks for."""
    signals = [entry.signal for entry in entries]
    count = len(signals)
    return Columns(
        ids=texts([signal.id for signal in signals]),
        objects=texts([entry.resolution.object_id for entry in entries]),
        fields={name: texts([getattr(signal, name) for signal in signals]) for name in fields},
        at=np.fromiter((to_us(signal.occurred_at) for signal in signals), np.int64, count),
        severity=np.fromiter((signal.severity for signal in signals), np.int64, count),
        value=np.fromiter((np.nan if signal.value is None else signal.value for signal in signals), np.float64, count),
        handle=np.fromiter(handles, np.int64, count),
        entry=entries.__getitem__,
    )
