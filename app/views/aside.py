"""What was set aside because nothing survived it: records that brought the engine down, and files that brought a reader down.

Neither is lost and neither has an effect until somebody looked at it; so both are listed where feeds are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from connectors.inbound.folder import SetAside
from domain.base import Noun
from domain.ports import JournalReader
from domain.records import RejectionEntry, ResolutionEntry, SignalEntry


class AsideRecord(Noun, frozen=True, kw_only=True):
    """A record of the journal without effect; `type` is its kind of entry, `feed` and `id` name it where it came from one."""

    seq: int
    type: str
    feed: str
    id: str
    received_at: datetime | None  # None: the journal no longer has it


class AsideFile(Noun, frozen=True, kw_only=True):
    """A file of the watched folder in its feed's `failed`, and what happened when it was read."""

    feed: str
    file: str
    at: datetime
    why: str


class Aside(Noun, frozen=True, kw_only=True):
    """Everything that is set aside; records by number, files by feed and name. `elsewhere` says where more is to be seen."""

    records: tuple[AsideRecord, ...] = ()
    files: tuple[AsideFile, ...] = ()
    elsewhere: str = ""


def aside(journal: JournalReader, quarantined: Iterable[int], files: Sequence[SetAside]) -> Aside:
    """Return what is set aside, with what the journal and the folder still say of it."""
    return Aside(
        records=tuple(_record(journal, seq) for seq in sorted(quarantined)),
        files=tuple(AsideFile(feed=one.feed, file=str(one.file), at=one.at, why=one.why) for one in files),
    )


def _record(journal: JournalReader, seq: int) -> AsideRecord:
    record = next(iter(journal.read(seq - 1)), None)
    if record is None or record.seq != seq:
        return AsideRecord(seq=seq, type="", feed="", id="", received_at=None)
    entry = record.entry
    feed = entry.feed if isinstance(entry, SignalEntry | RejectionEntry | ResolutionEntry) else ""
    name = entry.signal.id if isinstance(entry, SignalEntry) else entry.signal_id if isinstance(entry, ResolutionEntry) else ""
    tag = str(type(entry).__struct_config__.tag)
    return AsideRecord(seq=seq, type=tag, feed=feed, id=name, received_at=record.received_at)
