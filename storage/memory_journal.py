"""A journal that lives in memory: for the demo, replays and tests; the same contract as the one on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from domain.records import Record


class MemoryJournal:
    """A `JournalReader` that also appends; `sync` makes readable what was appended."""

    def __init__(self) -> None:
        """Start empty."""
        self._records: list[Record] = []
        self._head = 0

    def head(self) -> int:
        """Return the `seq` of the last synced record, 0 for an empty journal."""
        return self._head

    def last_received(self) -> datetime | None:
        """Return the newest synced `received_at`, None for an empty journal."""
        return self._records[self._head - 1].received_at if self._head else None

    def read(self, after: int) -> Iterator[Record]:
        """Yield the synced records with `seq` > `after` in order, up to the head at the time of the call."""
        return iter(self._records[after : self._head])

    def append(self, records: Sequence[Record]) -> None:
        """Keep `records`, numbered on from the last; raises ValueError where they do not follow."""
        if records[0].seq != len(self._records) + 1:
            raise ValueError(f"record {records[0].seq} does not follow {len(self._records)}")
        self._records.extend(records)

    def sync(self) -> None:
        """Make readable what was appended."""
        self._head = len(self._records)
