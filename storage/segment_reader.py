"""Reading the segments of a journal: the right segment, the right place in it, and every number checked."""

from __future__ import annotations

import bisect
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from domain.errors import NotFound, StoreCorrupt
from domain.messages import both
from domain.records import Record
from storage.segments import HEADER_BYTES, BadFrame, check_header, first_seqs, frames, is_mark, segment_path

STRIDE = 512  # records between two remembered offsets of a segment

_decoder = msgspec.msgpack.Decoder(Record)


class _Numbered(msgspec.Struct, frozen=True):
    """Only the number of a record: quick to decode when the rest is not needed."""

    seq: int


_number = msgspec.msgpack.Decoder(_Numbered)


class SegmentReader:
    """Reads records of a folder of segments up to a bound that its owner vouches for; remembers offsets on the way."""

    def __init__(self, folder: Path) -> None:
        """Read the segments of `folder`; nothing is opened yet."""
        self._folder = folder
        self._offsets: dict[int, list[int]] = {}  # first seq of a segment → offsets of its records 0, 512, 1024, …
        self._lock = threading.Lock()

    def records(self, after: int, head: int) -> Iterator[Record]:
        """Yield the records with after < seq <= head, in order.

        Raises:
            NotFound: records after `after` were deleted by retention.
            StoreCorrupt: a frame among them is damaged or missing.
        """
        wanted = after + 1
        if wanted > head:
            return
        firsts = first_seqs(self._folder)
        if not firsts or firsts[0] > wanted:
            raise NotFound(both("journal.begins_later", folder=self._folder, first=firsts[0] if firsts else head + 1, wanted=wanted))
        at = bisect.bisect_right(firsts, wanted) - 1
        ends = [*firsts[at + 1 :], head + 1]
        for first, end in zip(firsts[at:], ends, strict=True):
            last = min(end - 1, head)
            if wanted <= last:
                yield from self._segment(first, wanted, last)
                wanted = last + 1

    def _segment(self, first: int, wanted: int, last: int) -> Iterator[Record]:
        """Yield the records `wanted` to `last` of the segment that starts at `first`."""
        path = segment_path(self._folder, first)
        seq, start = self._start(first, wanted)
        offset = start
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise NotFound(both("journal.deleted", path=path)) from error
        try:
            check_header(descriptor, path, first)
            for offset, payload in frames(descriptor, start):
                if is_mark(payload):
                    continue
                if (seq - first) % STRIDE == 0:
                    self.remember(first, seq, offset)
                if seq >= wanted:
                    yield decoded(payload, seq, path, offset)
                if seq == last:
                    return
                seq += 1
        except BadFrame as bad:
            raise StoreCorrupt(both("journal.damaged", path=path, offset=bad.offset, error=bad)) from bad
        finally:
            os.close(descriptor)
        raise StoreCorrupt(both("journal.ends_early", path=path, offset=offset, seq=seq))

    def _start(self, first: int, wanted: int) -> tuple[int, int]:
        """Return the nearest remembered (seq, offset) at or before `wanted`."""
        with self._lock:
            known = self._offsets.get(first, [])
            if not known:
                return first, HEADER_BYTES
            step = min((wanted - first) // STRIDE, len(known) - 1)
            return first + step * STRIDE, known[step]

    def forget(self, first: int) -> None:
        """Drop what is remembered of a deleted segment."""
        with self._lock:
            self._offsets.pop(first, None)

    def remember(self, first: int, seq: int, offset: int) -> None:
        """Keep where record `seq` of a segment stands; only the next of its stride is kept."""
        with self._lock:
            known = self._offsets.setdefault(first, [])
            if (seq - first) == len(known) * STRIDE:
                known.append(offset)


def check_number(payload: bytes, seq: int, path: Path, offset: int) -> None:
    """Compare a record's own number with its place; raises StoreCorrupt where they differ."""
    try:
        number = _number.decode(payload).seq
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(both("journal.no_record", path=path, offset=offset, error=error)) from error
    if number != seq:
        raise StoreCorrupt(both("journal.wrong_number", path=path, offset=offset, found=number, seq=seq))


def decoded(payload: bytes, seq: int, path: Path, offset: int) -> Record:
    """Return the record of `payload`; raises StoreCorrupt unless it is number `seq`."""
    try:
        record = _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(both("journal.no_record", path=path, offset=offset, error=error)) from error
    if record.seq != seq:
        raise StoreCorrupt(both("journal.wrong_number", path=path, offset=offset, found=record.seq, seq=seq))
    return record
