"""Files of signals, read in blocks of whole lines, and every line found again by its number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.findings import Evidence
from domain.signals import Source
from streams.kernel.scan import PADDING
from streams.stages.windows import from_us


class _Cited(msgspec.Struct, frozen=True):
    """What evidence says of a signal, as it is written."""

    id: str
    source: Source
    kind: str
    text: str = ""


_evidence_of = msgspec.json.Decoder(_Cited).decode


class Places:
    """Where the line of every signal is, in four bytes each: a batch's place in its file, and the lines' places in the batch."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # number of each batch's first line
        self._batches: list[tuple[Path, int, NDArray[np.uint32]]] = []
        self._received: list[NDArray[np.int64]] = []
        self._mapped: dict[Path, mmap] = {}
        self._feeds: dict[Path, str] = {}

    def add(self, number: int, path: Path, offset: int, lines: NDArray[np.int64]) -> None:
        """Note a batch that begins with line `number`; `lines` are places behind `offset`."""
        self._starts.append(number)
        self._batches.append((path, offset, lines.astype(np.uint32)))
        self._received.append(np.zeros(len(lines), np.int64))

    def cited(self, number: int, at: int, seq: int) -> Evidence:
        """Return what evidence says of a line that is a plain signal, of the instant `at` and of number `seq` in the journal."""
        path, line = self.line(number)
        known = _evidence_of(line)
        feed = self._feeds.get(path)
        if feed is None:
            feed = self._feeds[path] = path.stem
        return Evidence(feed=feed, id=known.id, seq=seq, source=known.source, kind=known.kind, occurred_at=from_us(at), text=known.text)

    def receive(self, number: int, times: NDArray[np.int64]) -> None:
        """Note when the lines from `number` on, all of the newest batch, were received."""
        first = number - self._starts[-1]
        self._received[-1][first : first + len(times)] = times

    def received(self, number: int) -> int:
        """Return when a line was received."""
        batch = bisect_right(self._starts, number) - 1
        return int(self._received[batch][number - self._starts[batch]])

    def line(self, number: int) -> tuple[Path, bytes]:
        """Return a line again."""
        batch = bisect_right(self._starts, number) - 1
        path, offset, lines = self._batches[batch]
        mapped = self._mapped.get(path)
        if mapped is None:
            with path.open("rb") as file:
                mapped = self._mapped[path] = mmap(file.fileno(), 0, access=ACCESS_READ)
        begin = offset + int(lines[number - self._starts[batch]])
        end = mapped.find(b"\n", begin)
        return path, mapped[begin : end if end >= 0 else len(mapped)]


def blocks(path: Path, size: int) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
    """Yield whole lines: their bytes with padding behind, where they end, and where they begin in the file."""
    with path.open("rb") as file:
        rest, offset = b"", 0
        while True:
            read = file.read(size)
            data = rest + read
            if not read and data and not data.endswith(b"\n"):
                data += b"\n"
            end = data.rfind(b"\n") + 1
            if end:
                text = np.zeros(end + PADDING, np.uint8)
                text[:end] = np.frombuffer(data, np.uint8, end)
                yield text, end, offset
                offset += end
            rest = data[end:]
            if not read:
                return
