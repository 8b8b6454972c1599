"""The journal as another process sees it: read-only, up to the last mark that its writer left."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from domain.errors import StoreCorrupt
from domain.messages import both
from domain.records import Record
from storage.segment_reader import SegmentReader
from storage.segments import FRAME_BYTES, HEADER_BYTES, BadFrame, check_header, first_seqs, frames, is_mark, marked_behind, segment_path


class JournalFolder:
    """A `JournalReader` over a folder that a `serve` in another process may be writing, or nobody."""

    def __init__(self, folder: Path) -> None:
        """Read the segments of `folder`; an empty or missing folder is an empty journal."""
        self._folder = folder
        self._reader = SegmentReader(folder)
        self._lock = threading.Lock()
        self._first = 0  # the segment that was last looked at, …
        self._offset = HEADER_BYTES  # … the end of its last mark, …
        self._synced = 0  # … and the number of the last record before that

    def head(self) -> int:
        """Return the `seq` of the last record that a mark vouches for, 0 for an empty journal.

        Raises:
            StoreCorrupt: a frame before a mark is damaged.
        """
        firsts = first_seqs(self._folder)
        if not firsts:
            return 0
        with self._lock:
            if self._first != firsts[-1]:
                self._first, self._offset = firsts[-1], HEADER_BYTES
                self._synced = firsts[-1] - 1  # a segment is only begun when all before it is synced
            self._walk(segment_path(self._folder, self._first))
            return self._synced

    def first(self) -> int:
        """Return the `seq` of the oldest record kept, 1 for an empty journal."""
        return next(iter(first_seqs(self._folder)), 1)

    def read(self, after: int) -> Iterator[Record]:
        """Yield the synced records with `seq` > `after` in order, up to the head at the time of the call.

        Raises:
            NotFound: records after `after` were deleted by retention.
            StoreCorrupt: a stored record is damaged.
        """
        return self._reader.records(after, self.head())

    def _walk(self, path: Path) -> None:
        """Move on to the newest mark; frames behind it may yet be cut away by the writer, so they are looked at again."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if os.fstat(descriptor).st_size < HEADER_BYTES:
                return  # being created
            check_header(descriptor, path, self._first)
            bad = self._to_last_mark(descriptor)
            if bad is not None and marked_behind(descriptor, bad.offset):
                again = self._to_last_mark(descriptor)  # the first look may have met a frame half written, and its mark since
                if again is not None and again.offset == bad.offset:
                    raise StoreCorrupt(both("journal.damaged", path=path, offset=bad.offset, error=bad)) from bad
        finally:
            os.close(descriptor)

    def _to_last_mark(self, descriptor: int) -> BadFrame | None:
        """Take in every mark from here on; return the frame that is not intact, if one ended the walk."""
        seq = self._synced
        try:
            for offset, payload in frames(descriptor, self._offset):
                if is_mark(payload):
                    self._synced, self._offset = seq, offset + FRAME_BYTES + len(payload)
                else:
                    seq += 1
        except BadFrame as bad:
            return bad
        return None
