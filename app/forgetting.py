"""Shortening the journal: whole segments that no start needs any more, on command and never by itself.

Two sound snapshots of this software have to stand above what goes, so that a start finds its state even where one of them is damaged. What
is gone is gone for back-fills, backtests, questions about the past and replays; and another version of Fengsui, which takes up no snapshot
of this one, cannot work out its state without it. So the segments are moved to an archive, unless somebody says that they may be lost.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from app.version import VERSION
from domain.base import Noun
from domain.errors import InvalidAction, StoreUnavailable
from domain.messages import both
from domain.records import RulesetEntry
from storage.datadir import DataPaths
from storage.files import sync_folder
from storage.journal import Journal
from storage.journal_folder import JournalFolder
from storage.segments import first_seqs, segment_path
from storage.snapshots import SnapshotStore


class Plan(Noun, frozen=True, kw_only=True):
    """What would go: the records `first` to `last`, and how many bytes they take; nothing where `last` is less than `first`.

    `segments` are the first numbers of the segments that go.
    """

    first: int
    last: int
    bytes: int
    segments: tuple[int, ...]


def plan(paths: DataPaths, before: datetime) -> Plan:
    """Return which segments hold only records that were received before an instant.

    Raises:
        InvalidAction: a start may need some of them.
        StoreCorrupt: a record is damaged.
    """
    journal, firsts = JournalFolder(paths.journal), first_seqs(paths.journal)
    end = firsts[0] if firsts else 1
    for first in firsts[1:]:
        record = next(journal.read(first - 1), None)
        if record is None or record.received_at > before:
            break
        end = first
    found = tuple(first for first in firsts if first < end)
    size = sum(segment_path(paths.journal, first).stat().st_size for first in found)
    wanted = Plan(first=firsts[0] if firsts else 1, last=end - 1, bytes=size, segments=found)
    if found:
        _check(paths, journal, wanted)
    return wanted


def _check(paths: DataPaths, journal: JournalFolder, wanted: Plan) -> None:
    """Refuse what a start from either snapshot may read."""
    limit = SnapshotStore(paths.snapshots).forgettable(VERSION)
    if wanted.last > limit:
        raise InvalidAction(both("journal.needed" if limit else "journal.no_snapshots", last=wanted.last, limit=limit))
    for record in journal.read(limit):
        entry = record.entry
        if isinstance(entry, RulesetEntry) and entry.prepared is not None and entry.prepared.first <= wanted.last:
            raise InvalidAction(both("journal.counted_back", last=wanted.last, seq=record.seq, first=entry.prepared.first))


def forget(paths: DataPaths, wanted: Plan, archive: Path | None) -> int:
    """Move the planned segments to `archive` (None: delete them) and return how many; the caller holds the data folder.

    Raises:
        StoreUnavailable: the archive does not take them; what was not copied whole stays in the journal.
    """
    try:
        if archive is not None:
            archive.mkdir(parents=True, exist_ok=True, mode=0o700)
            for first in wanted.segments:
                _copy(segment_path(paths.journal, first), archive)
            sync_folder(archive)
        with Journal.open(paths.journal) as journal:
            return journal.forget_before(wanted.last + 1)
    except OSError as error:
        raise StoreUnavailable(both("journal.archive", where=error.filename or archive, error=error.strerror or error)) from error


def _copy(segment: Path, archive: Path) -> None:
    target = archive / segment.name
    shutil.copyfile(segment, target)
    with target.open("rb") as copied:
        os.fsync(copied.fileno())
