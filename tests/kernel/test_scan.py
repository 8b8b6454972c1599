"""The scanner and the second front against the readable decoder, on lines bent in every way."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.lines import FAR
from connectors.inbound.canonical import read_signal
from domain.errors import SignalRejected
from domain.signals import SOURCES, Signal
from streams.kernel.decode import mend
from streams.kernel.scan import ID, KEYS, OBJECT, PADDING, Lines, scan
from streams.runtimes.columnar import _lines
from streams.runtimes.places import blocks
from streams.stages.windows import to_us

TEXTS = ("source", "kind", "matter", "region", "unit")
WANTED = np.array([key in {"id", "object_id", "occurred_at", *TEXTS} for key in KEYS])
ODD = (
    '"a\\nb"', '"\\u71c3"', '"\\ud83d\\ude00"', '"\\ud83d"', '"x\\q"', "1e3", "1E-7", "-0", "-0.0", "01", "1.", ".5",
    "123456789012345678901", "0.1234567890123456789", "9007199254740993", "null", "true", "[1]", '{"a":1}', '{"code":"c"}', '""', '"燃气"',
    '"2026-02-29T00:00:00Z"', '"2026-03-01T07:55:19.5+08:00"', '" 2026-03-01T07:55:19Z "', '"iot"', "3.14", "5", "-1", "3",
    '"a\\\\b"', '"\x7f"', "NaN", "1e400",
)  # fmt: skip
BYTES = b'"\\{}:,0129.-eE \x01\x7f\x80\xe7\xff\xe0\xed\xf4'


def _base(draw: random.Random) -> dict[str, Any]:
    signal: dict[str, Any] = {
        "id": f"S{draw.randrange(10**9)}",
        "source": draw.choice(SOURCES),
        "kind": draw.choice(["gas.leak", "12345", "k" * 40]),
        "object_id": draw.choice(["91610100MA6129939J", "o-1", "某某燃气"]),
        "occurred_at": draw.choice(["2026-03-01T07:55:19.500+08:00", "2024-02-29T00:00:00Z", "1969-12-31T23:59:59.999999Z"]),
        "severity": draw.randrange(4),
        "value": draw.choice([1, 2.5, 12345.678, -0.25, None]),
        "text": draw.choice(["视频识别到明火或烟雾,置信度较高", 'a "quote" \\ and\ttab', "é", ""]),
    }
    more = (("matter", "gas"), ("region", "610113"), ("unit", "kPa"))
    return signal | {key: value for key, value in more if draw.random() < 0.5}


def _bent(draw: random.Random) -> bytes:
    """Return a line, most often not quite as it should be."""
    signal = _base(draw)
    chance = draw.random()
    if chance < 0.1:
        signal = dict(draw.sample(list(signal.items()), len(signal)))
    elif chance < 0.2:
        del signal[draw.choice(list(signal))]
    elif chance < 0.3:
        key = draw.choice(["attrs", "place", "object", "corrects", "withdraws", "confidential", "feed", "Source", "sourceX"])
        signal[key] = draw.choice(["", "public", {}, {"code": "c"}, {"lng": 1, "lat": 2}])
    separators = draw.choice([(",", ":"), (", ", ": "), (" ,", " :")])
    line = json.dumps(signal, ensure_ascii=draw.random() < 0.3, separators=separators).encode()
    if chance > 0.75:
        key = draw.choice(list(signal))
        whole = json.dumps(signal, separators=(",", ":"))
        part = f"{json.dumps(key)}:{json.dumps(signal[key])}"
        line = whole.replace(part, f"{json.dumps(key)}:{draw.choice(ODD)}").encode()
    elif chance > 0.45:
        data = bytearray(line)
        for _ in range(draw.randint(1, 2)):
            place = draw.randrange(len(data))
            match draw.randrange(3):
                case 0:
                    data[place] = draw.choice(BYTES)
                case 1:
                    del data[place]
                case _:
                    data.insert(place, draw.choice(BYTES))
        line = bytes(data)
    elif chance > 0.4:
        line = line[:-1] + b',"value":7}'
    elif chance > 0.35:
        line += draw.choice([b" ", b"x", b"}", b"\r", b"\t", b"\r \r"])
    return line.replace(b"\n", b"")


def _readable(line: bytes) -> Signal | None:
    """Return what the readable decoder makes of a line."""
    try:
        values = msgspec.json.decode(line)
        return None if {"feed", "received_at"} & set(values) else read_signal(values, FAR)
    except (msgspec.MsgspecError, SignalRejected, ValueError, AttributeError, TypeError):
        return None


def _columns(path: Path, lines: list[bytes]) -> Iterator[tuple[bytes, np.ndarray, Lines, int, bool]]:
    """Yield each line with the columns that hold it, and whether the scanner itself took it."""
    path.write_bytes(b"\n".join(lines) + b"\n")
    order = np.arange(len(KEYS))
    for text, end, _ in blocks(path, 1 << 16):
        place = 0
        while place < end:
            found = _lines(500)
            count, place = scan(text, place, end, WANTED, order, found)
            scanned = ~found.unsure[:count].copy()
            mended = mend(text, len(text) - PADDING, count, found, TEXTS)
            for number in range(count):
                yield text[found.first[number] : found.last[number]].tobytes(), mended, found, number, bool(scanned[number])


def test_what_the_fronts_take_is_what_the_readable_decoder_says(tmp_path: Path) -> None:
    """A line that a front takes is a signal, with these fields; most sound lines are taken, by the scanner above all."""
    draw = random.Random(5)
    lines = [line for line in (_bent(draw) for _ in range(12_000)) if line]
    met = scanned = taken = sound = 0
    for line, text, found, number, by_scanner in _columns(tmp_path / "lines", lines):
        met += 1
        wanted = _readable(line)
        sound += wanted is not None
        if found.unsure[number]:
            continue
        scanned, taken = scanned + by_scanner, taken + 1

        def read(key: int, text: np.ndarray = text, found: Lines = found, number: int = number) -> str:
            return text[found.starts[key, number] : found.ends[key, number]].tobytes().decode()

        source = read(KEYS.index("source"))
        if source not in SOURCES:
            continue  # refused when its class is learnt
        assert wanted is not None, line
        value = None if math.isnan(found.value[number]) else float(found.value[number])
        assert (read(ID), read(OBJECT), int(found.at[number])) == (
            wanted.id, wanted.object.id or wanted.object.code, to_us(wanted.occurred_at),
        ), line  # fmt: skip
        assert (value, int(found.severity[number])) == (wanted.value, wanted.severity), line
        assert [read(KEYS.index(name)) for name in TEXTS] == [getattr(wanted, name) for name in TEXTS], line
    assert met == len(lines)
    assert taken > 0.9 * sound > 4_000
    assert scanned > 0.6 * sound


def test_blank_lines_and_a_last_line_without_an_end_are_read(tmp_path: Path) -> None:
    """The number of signals is that of the lines with something in them."""
    line = b'{"id":"a","source":"iot","kind":"k","object_id":"o","occurred_at":"2026-03-01T00:00:00Z"}'
    path = tmp_path / "lines"
    path.write_bytes(b"\n\n" + line + b"\n\n" + line)
    order, found = np.arange(len(KEYS)), _lines(10)
    sure = []
    for text, end, _ in blocks(path, 1 << 16):
        count, _ = scan(text, 0, end, WANTED, order, found)
        sure += (~found.unsure[:count]).tolist()
    assert sure == [True, True]
