"""Records that brought workers down and are left out: every partition's guard says in the database which."""

from __future__ import annotations

from sqlalchemy import Connection

from app.views.aside import AsideRecord
from storage.intake_reads import StoredSignal, get_signal
from storage.marks import written_marks
from streams.runtimes.poison import read_mark


def left_out(connection: Connection) -> tuple[int, ...]:
    """Return the numbers of these records, of all partitions, ascending; raises StoreCorrupt where a mark is damaged."""
    marks = (read_mark(written, "progress.mark") for written in written_marks(connection))
    return tuple(sorted({seq for mark in marks for seq in mark.quarantined}))


def aside(connection: Connection) -> tuple[AsideRecord, ...]:
    """Return them with what the rows say of those that are signals."""
    return tuple(_aside(seq, get_signal(connection, seq)) for seq in left_out(connection))


def _aside(seq: int, stored: StoredSignal | None) -> AsideRecord:
    if stored is None:
        return AsideRecord(seq=seq, type="", feed="", id="", received_at=None)
    return AsideRecord(seq=seq, type="signal", feed=stored.entry.feed, id=stored.entry.signal.id, received_at=stored.received_at)
