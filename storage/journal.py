"""The journal: append-only segments, a checksum per record, nothing readable before it is synced.

One thread appends and syncs; any thread, and any other process, reads while that goes on. `seq` counts from 1 without gaps.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from domain.errors import StoreCorrupt, StoreUnavailable
from domain.messages import both
from domain.records import Record
from storage.crashpoints import reach
from storage.files import sync_folder, write_fully
from storage.segment_reader import STRIDE, SegmentReader, check_number, decoded
from storage.segments import (
    FRAME_BYTES,
    HEADER_BYTES,
    MARK_BYTES,
    BadFrame,
    check_header,
    first_seqs,
    frame,
    frames,
    header,
    is_mark,
    mark,
    marked_behind,
    segment_path,
)

_log = structlog.get_logger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
SYNC_FAILED = 70  # exit status: nothing written since the last good sync is known to be on the disk

_encoder = msgspec.msgpack.Encoder()


class OpenReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `Journal.open` found: `torn_file` is "" unless a crash had torn the tail, which was never acknowledged and is cut off."""

    head: int
    segments: int
    torn_file: str = ""
    torn_at: int = 0
    torn_bytes: int = 0


class Journal:
    """The journal of this process: a `JournalReader` that also appends. Open it once per folder, under the folder's lock."""

    def __init__(self, folder: Path, *, sync: Callable[[int], None], die: Callable[[int], Any], segment_bytes: int, scan: _Scan) -> None:
        """Use `open`."""
        self._folder = folder
        self._sync = sync
        self._die = die
        self._segment_bytes = segment_bytes
        self._reader = SegmentReader(folder)
        self._first = scan.first  # of the segment that is written
        self._descriptor = scan.descriptor
        self._end = scan.end  # where the next byte goes
        self._ragged = False  # bytes of a failed write may stand behind `_end`
        self._failed = False
        self._written = scan.head
        self._head = scan.head
        self._last_received = scan.last_received
        self._received = scan.last_received
        self.report = scan.report

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        sync: Callable[[int], None] = os.fdatasync,
        die: Callable[[int], Any] = os._exit,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Self:
        """Open or start the journal in `folder`; what a crash tore off the end is cut away and named in `report`.

        `sync` and `die` are what puts bytes on the disk and what ends the process; tests stall, break and watch them.

        Raises:
            StoreCorrupt: bytes that had been synced fail their checksum.
            StoreUnavailable: the disk does not take writes.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            scan = _Scan(folder)
            sync(scan.descriptor)  # what survived a kill may still be in the page cache only
            write_fully(scan.descriptor, mark(scan.end), scan.end)
            scan.end += MARK_BYTES
        except OSError as error:
            raise StoreUnavailable(both("store.disk", where=folder, error=error.strerror or error)) from error
        if scan.report.torn_file:
            _log.warning("journal_tail_cut", **msgspec.structs.asdict(scan.report))
        return cls(folder, sync=sync, die=die, segment_bytes=segment_bytes, scan=scan)

    def head(self) -> int:
        """Return the `seq` of the last synced record, 0 for an empty journal."""
        return self._head

    def first(self) -> int:
        """Return the `seq` of the oldest record kept (or the next one to come in an empty journal)."""
        return first_seqs(self._folder)[0]

    def last_received(self) -> datetime | None:
        """Return the newest synced `received_at`, None for an empty journal."""
        return self._last_received

    def read(self, after: int) -> Iterator[Record]:
        """Yield the synced records with `seq` > `after` in order, up to the head at the time of the call.

        Raises:
            NotFound: records after `after` were deleted by retention.
            StoreCorrupt: a stored record is damaged.
        """
        return self._reader.records(after, self._head)

    def append(self, records: Sequence[Record]) -> None:
        """Write `records`, numbered on from the last; all or none. They are readable and safe only after `sync`.

        Raises:
            StoreUnavailable: the disk does not take them; the journal is as before and may be tried again.
        """
        if self._failed:
            raise StoreUnavailable(both("journal.sync_failed", where=self._folder, error="fsync"))
        if records[0].seq != self._written + 1:
            raise ValueError(f"record {records[0].seq} does not follow {self._written}")
        reach("journal.before_write")
        try:
            if self._ragged:
                os.ftruncate(self._descriptor, self._end)
                self._ragged = False
            if self._end >= self._segment_bytes and self._first <= self._written == self._head:
                self._roll()
            encoded = [frame(_encoder.encode(record)) for record in records]
            self._ragged = True
            write_fully(self._descriptor, b"".join(encoded), self._end)
            self._ragged = False
        except OSError as error:
            self._cut()
            where = segment_path(self._folder, self._first)
            raise StoreUnavailable(both("store.disk", where=where, error=error.strerror or error)) from error
        for record, data in zip(records, encoded, strict=True):
            if (record.seq - self._first) % STRIDE == 0:
                self._reader.remember(self._first, record.seq, self._end)
            self._end += len(data)
        self._written = records[-1].seq
        self._received = records[-1].received_at
        reach("journal.after_write")

    def sync(self) -> None:
        """Put everything appended on the disk; from here on it is read and may be acknowledged.

        A failed sync ends the process at once with status 70: the kernel may have marked the pages clean, so that a second try
        would succeed without having written them (PostgreSQL's fsync finding of 2018).
        """
        try:
            self._sync(self._descriptor)
        except OSError as error:
            self._failed = True
            _log.critical("journal_sync_failed", file=str(segment_path(self._folder, self._first)), error=str(error))
            self._die(SYNC_FAILED)
            raise StoreUnavailable(both("journal.sync_failed", where=self._folder, error=error)) from error
        reach("journal.after_sync")
        self._last_received = self._received
        self._head = self._written
        self._mark()
        reach("journal.after_mark")

    def _mark(self) -> None:
        """Say that everything so far is synced; a mark that finds no space is left out, the records are safe without it."""
        try:
            self._ragged = True
            write_fully(self._descriptor, mark(self._end), self._end)
            self._ragged = False
            self._end += MARK_BYTES
        except OSError:
            self._cut()

    def _cut(self) -> None:
        """Take away what a failed write left; if even that fails, the next append tries again before it writes."""
        if not self._ragged:
            return
        try:
            os.ftruncate(self._descriptor, self._end)
            self._ragged = False
        except OSError as error:
            _log.error("journal_cut_failed", file=str(segment_path(self._folder, self._first)), error=str(error))

    def _roll(self) -> None:
        """Start the next segment; the old one is complete and synced."""
        reach("journal.before_roll")
        first = self._written + 1
        descriptor = _create(self._folder, first)
        os.close(self._descriptor)
        self._descriptor, self._first, self._end = descriptor, first, HEADER_BYTES
        reach("journal.after_roll")

    def forget_before(self, seq: int) -> int:
        """Delete the segments that hold only records below `seq` and return how many; the one that is written stays."""
        firsts = first_seqs(self._folder)
        gone = [first for first, following in itertools.pairwise(firsts) if following <= seq]
        for first in gone:
            segment_path(self._folder, first).unlink()
            self._reader.forget(first)
        if gone:
            sync_folder(self._folder)
        return len(gone)

    def close(self) -> None:
        """Give the file back; what was appended and not synced was never acknowledged."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Scan:
    """The state of a folder at opening: checks the last segment and cuts what a crash tore."""

    def __init__(self, folder: Path) -> None:
        """Leave `descriptor` open on the segment to write, with its `first` seq and its `end`."""
        torn: tuple[str, int, int] = ("", 0, 0)
        firsts = first_seqs(folder)
        if firsts and _unborn(segment_path(folder, firsts[-1])):
            path = segment_path(folder, firsts.pop())
            torn = (path.name, 0, path.stat().st_size)
            path.unlink()
            sync_folder(folder)
        self.last_received: datetime | None = None
        self.head = 0
        if not firsts:
            self.first = int(Path(torn[0]).stem) if torn[0] else 1
            self.head = self.first - 1
            self.descriptor, self.end = _create(folder, self.first), HEADER_BYTES
            firsts = [self.first]
        else:
            self.first = firsts[-1]
            self.descriptor = os.open(segment_path(folder, self.first), os.O_RDWR)
            cut = self._check(segment_path(folder, self.first))
            torn = cut if cut[0] else torn
        if self.last_received is None and len(firsts) > 1:
            previous = SegmentReader(folder).records(firsts[-2] - 1, self.first - 1)
            self.last_received = max(record.received_at for record in previous)
        self.report = OpenReport(head=self.head, segments=len(firsts), torn_file=torn[0], torn_at=torn[1], torn_bytes=torn[2])

    def _check(self, path: Path) -> tuple[str, int, int]:
        """Walk the last segment and return what was cut off: file name, offset, bytes."""
        check_header(self.descriptor, path, self.first)
        seq, self.end, last = self.first - 1, HEADER_BYTES, b""
        cut = ("", 0, 0)
        try:
            for offset, payload in frames(self.descriptor, HEADER_BYTES):
                if not is_mark(payload):
                    seq, last = seq + 1, payload
                    check_number(payload, seq, path, offset)
                self.end = offset + FRAME_BYTES + len(payload)
        except BadFrame as bad:
            if marked_behind(self.descriptor, bad.offset):
                raise StoreCorrupt(both("journal.damaged_synced", path=path, offset=bad.offset, error=bad)) from bad
            cut = (path.name, bad.offset, os.fstat(self.descriptor).st_size - bad.offset)
            os.ftruncate(self.descriptor, bad.offset)
        if last:
            self.last_received = decoded(last, seq, path, self.end).received_at
        self.head = seq
        return cut


def _create(folder: Path, first: int) -> int:
    """Make an empty segment, on the disk with its name, and return its descriptor; a failed try leaves no file."""
    path = segment_path(folder, first)
    if path.exists() and path.stat().st_size <= HEADER_BYTES:
        path.unlink()  # of a try that could not even clean up after itself
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_fully(descriptor, header(first), 0)
        os.fsync(descriptor)
        sync_folder(folder)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def _unborn(path: Path) -> bool:
    """Tell whether a crash came between a segment's creation and the sync of its header: it cannot hold a record."""
    if path.stat().st_size > HEADER_BYTES:
        return False
    data = path.read_bytes()
    return len(data) < HEADER_BYTES or not any(data)
