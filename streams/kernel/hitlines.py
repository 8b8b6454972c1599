"""Compiled: hits as the lines of `replay --hits`, byte for byte as `json.dumps(..., ensure_ascii=False)` writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.kernel.columns import Columns
from streams.kernel.engine import Kernel, Step
from streams.kernel.jit import compiled, inlined
from streams.kernel.names import Table

Bytes = NDArray[np.uint8]
_SIGNAL: Final = np.frombuffer(b'{"signal": "', np.uint8)
_OBJECT: Final = np.frombuffer(b'", "object_id": "', np.uint8)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_SHORT: Final = np.zeros(32, np.uint8)  # the letter of a control sign's short escape
for _sign, _letter in zip("\b\t\n\f\r", "btnfr", strict=True):
    _SHORT[ord(_sign)] = ord(_letter)
_LONGEST_ESCAPE: Final = 6


@inlined
def _copy(out: Bytes, place: int, text: Bytes, first: int, end: int) -> int:
    for number in range(first, end):
        out[place] = text[number]
        place += 1
    return place


@inlined
def _escaped(out: Bytes, place: int, text: Bytes, first: int, end: int) -> int:
    """Write a text as it stands between the quotes of JSON."""
    for number in range(first, end):
        sign = text[number]
        if sign >= 32 and sign != 34 and sign != 92:
            out[place] = sign
            place += 1
            continue
        out[place] = 92
        if sign >= 32:
            out[place + 1] = sign
            place += 2
        elif _SHORT[sign]:
            out[place + 1] = _SHORT[sign]
            place += 2
        else:
            out[place + 1], out[place + 2], out[place + 3] = 117, 48, 48
            out[place + 4], out[place + 5] = _HEX[sign >> 4], _HEX[sign & 15]
            place += 6
    return place


@compiled
def _write(
    signals: NDArray[np.int32], rules: NDArray[np.int32], first: int,
    text: Bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], slots: NDArray[np.int32], objects: Table,
    endings: Bytes, ending_at: NDArray[np.int64], out: Bytes,
) -> tuple[int, int]:  # fmt: skip
    """Write lines from hit `first` on as far as there is room; return which is next, and how many bytes were written."""
    place = np.int64(0)
    for hit in range(first, signals.shape[0]):
        signal, rule = signals[hit], rules[hit]
        slot = slots[signal]
        name, name_end = objects.starts[slot], objects.starts[slot + 1]
        ending, ending_end = ending_at[rule], ending_at[rule + 1]
        size = _LONGEST_ESCAPE * (ends[signal] - starts[signal] + name_end - name) + ending_end - ending + 64
        if place + size > out.shape[0]:
            return hit, place
        place = _copy(out, place, _SIGNAL, np.int64(0), _SIGNAL.shape[0])
        place = _escaped(out, place, text, starts[signal], ends[signal])
        place = _copy(out, place, _OBJECT, np.int64(0), _OBJECT.shape[0])
        place = _escaped(out, place, objects.text, name, name_end)
        place = _copy(out, place, endings, ending, ending_end)
    return signals.shape[0], place


class HitLines:
    """Writes the lines of one rule set's hits."""

    def __init__(self, rules: Sequence[str], room: int = 1 << 20) -> None:
        """`rules` are the ids by number; `room` bytes are written at a time, more only for a line that is longer."""
        endings = [f'", "rule": {json.dumps(rule, ensure_ascii=False)}}}\n'.encode() for rule in rules]
        self._endings = np.frombuffer(b"".join(endings) or b"\0", np.uint8)
        self._ending_at = np.cumsum([0, *map(len, endings)]).astype(np.int64)
        self._out = np.empty(room, np.uint8)

    def lines(self, kernel: Kernel, columns: Columns, slots: NDArray[np.int32], step: Step) -> bytes:
        """Return the lines of a step's hits, in order."""
        ids, parts, done = columns.ids, [], 0
        while done < len(step.hit_signal):
            before = done
            done, size = _write(
                step.hit_signal, step.hit_rule, done, ids.source, ids.starts, ids.ends, slots, kernel.objects.table,
                self._endings, self._ending_at, self._out,
            )  # fmt: skip
            parts.append(self._out[:size].tobytes())
            if done == before:
                self._out = np.empty(2 * len(self._out), np.uint8)
        return b"".join(parts)
