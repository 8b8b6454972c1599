"""Which records the journal already has: (feed, id) → content, number, revision. Exact, and derived from the journal.

Kept rejections are in it too, under a key of their own, so that a bad record sent again is not kept again.

A SQLite file of its own; what was synced lately is in memory and written in portions together with the position it stands for, so
that a crash only makes the next start read a little more of the journal. A damaged file is thrown away and made again (ADR 0002).
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
import structlog

from domain.errors import StoreUnavailable
from domain.messages import both
from domain.ports import JournalReader
from domain.records import AnyEntry, Record, RejectionEntry, SignalEntry
from storage.crashpoints import reach
from storage.tables import to_us

_log = structlog.get_logger(__name__)

Key = tuple[str, str]  # feed, id

FLUSH = 2_000  # keys that wait in memory before they are written
_CHUNK = 500  # ids in one SELECT
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MESSAGE_MOVES = frozenset({"future", "conflicting_content"})  # the same rejection has another message at another time
_VERSION = 2  # 2: rejections too
_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE IF NOT EXISTS keys (
    feed TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, seq INTEGER NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (feed, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, received_at INTEGER NOT NULL);
"""


class Known(msgspec.Struct, frozen=True):
    """The newest content of a key: its digest, the `seq` that brought it, and how many revisions came before it."""

    digest: str
    seq: int
    revision: int = 0


class _Unusable(Exception):
    """The file is sound but does not belong to this journal or this version."""


class Identity:
    """The index; one thread at a time asks and tells it (a lock makes sure)."""

    def __init__(self, path: Path | None, journal: JournalReader, first: int) -> None:
        """Use `open` or `in_memory`."""
        self._path = path
        self._journal = journal
        self._first = first
        self._lock = threading.RLock()
        self._pending: dict[Key, Known] = {}
        self._position = 0
        self._received = 0  # microseconds: together with the position it tells this journal from another one
        self._flush_at = FLUSH
        self._connection = self._connect()
        try:
            self._catch_up()
        except (sqlite3.DatabaseError, _Unusable) as error:
            self._rebuild(error)

    @classmethod
    def open(cls, path: Path, journal: JournalReader, *, first: int = 1) -> Self:
        """Open the index at `path` and bring it to the head of `journal`, whose oldest record kept is `first`.

        Raises:
            StoreUnavailable: the disk does not take it.
            StoreCorrupt: the journal is damaged where it has to be read.
        """
        return cls(path, journal, first)

    @classmethod
    def in_memory(cls, journal: JournalReader) -> Self:
        """Return an index that is gone with the process, at the head of `journal`."""
        return cls(None, journal, 1)

    def position(self) -> int:
        """Return the `seq` of the last record it knows."""
        return self._position

    def lookup(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """Return what is known of `keys`; unknown ones are left out.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        wanted = list(dict.fromkeys(keys))
        with self._lock:
            try:
                return self._found(wanted)
            except sqlite3.DatabaseError as error:
                self._rebuild(error)
                return self._found(wanted)

    def repeats(self, entries: Sequence[AnyEntry]) -> list[bool]:
        """Say of each signal or rejection whether the journal has just this content of it already.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        wanted = [_content(entry) for entry in entries]
        known = self.lookup(key for key, _ in wanted)
        return [key in known and known[key].digest == digest for key, digest in wanted]

    def update(self, records: Sequence[Record]) -> None:
        """Take in synced records, the next in order; never fails: what cannot be written now stays in memory."""
        reach("identity.before_update")
        with self._lock:
            self._take(records)
            if len(self._pending) < self._flush_at:
                return
            try:
                self._flush()
            except sqlite3.Error as error:
                self._flush_at = len(self._pending) + FLUSH
                _log.error("identity_flush_failed", file=str(self._path), error=str(error))

    def close(self) -> None:
        """Write what waits in memory and give the file back; what cannot be written is read from the journal at the next start."""
        with self._lock:
            try:
                self._flush()
            except sqlite3.Error as error:
                _log.warning("identity_flush_failed", file=str(self._path), error=str(error))
            self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self._path or ":memory:", isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StoreUnavailable(both("store.disk", where=self._path, error=error)) from error

    def _catch_up(self) -> None:
        """Read the journal from where the file stands; raises `_Unusable` or sqlite3.DatabaseError for a file of no use."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may then lose the newest portions, never tear the file: the position is lost with them.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA cache_size = -65536")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise _Unusable(f"the index has format {version}, this version of Fengsui makes {_VERSION}")
        self._connection.executescript(_SCHEMA)
        row = self._connection.execute("SELECT seq, received_at FROM position").fetchone()
        self._position, self._received = row or (0, 0)
        if self._position:
            self._check_position()
        if self._first > 1:
            self._connection.execute("DELETE FROM keys WHERE seq < ?", (self._first,))
            self._position = max(self._position, self._first - 1)
        portion: list[Record] = []
        for record in self._journal.read(self._position):
            portion.append(record)
            if len(portion) == FLUSH:
                self._take(portion)
                self._flush()
                portion.clear()
        self._take(portion)

    def _check_position(self) -> None:
        """Make sure that the file was made from this journal."""
        if self._position >= self._first:
            last = next(iter(self._journal.read(self._position - 1)), None)
            if last is None or to_us(last.received_at) != self._received:
                raise _Unusable(f"the index stands at record {self._position} of another journal or a longer one")

    def _rebuild(self, error: Exception) -> None:
        """Throw the file away and read the whole journal, where the file is at fault and not the disk."""
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF not in _DAMAGED:
            raise StoreUnavailable(both("store.disk", where=self._path, error=error)) from error
        _log.error("identity_rebuilt", file=str(self._path), reason=str(error))
        self._connection.close()
        if self._path is not None:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._pending.clear()
        self._connection = self._connect()
        try:
            self._catch_up()
        except sqlite3.Error as again:
            raise StoreUnavailable(both("store.disk", where=self._path, error=again)) from again

    def _found(self, keys: Sequence[Key]) -> dict[Key, Known]:
        found: dict[Key, Known] = {}
        missing: dict[str, list[str]] = {}
        for key in keys:
            known = self._pending.get(key)
            if known is not None:
                found[key] = known
            else:
                missing.setdefault(key[0], []).append(key[1])
        for feed, ids in missing.items():
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = self._connection.execute(
                    f"SELECT id, digest, seq, revision FROM keys WHERE feed = ? AND id IN ({marks})",  # noqa: S608  only question marks
                    (feed, *chunk),
                )
                found.update(((feed, row[0]), Known(row[1], row[2], row[3])) for row in rows)
        return found

    def _take(self, records: Sequence[Record]) -> None:
        if not records:
            return
        self._pending.update(keys_of(records))
        self._position = records[-1].seq
        self._received = to_us(records[-1].received_at)

    def _flush(self) -> None:
        """Write what waits together with the position it stands for."""
        if not self._position:
            return
        reach("identity.before_flush")
        rows = [(feed, id_, known.digest, known.seq, known.revision) for (feed, id_), known in sorted(self._pending.items())]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.execute("INSERT OR REPLACE INTO position VALUES (1, ?, ?)", (self._position, self._received))
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._pending.clear()
        self._flush_at = FLUSH


def rejection_key(entry: RejectionEntry) -> Key:
    """Return the key of a kept rejection: its input (`batch`), its place there, what is wrong, and the record's own bytes.

    The message tells two readings of one record apart; where it names the time or another record it is no part of the key. The feed's
    name is marked: a sender chooses its ids but never the feed, so no signal can have the key of a rejection.
    """
    message = "" if entry.reason in _MESSAGE_MOVES else entry.message
    parts = (entry.batch, str(entry.position), entry.reason, entry.field, message)
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return "\0" + entry.feed, hashlib.sha256(text + b"\0" + entry.raw).hexdigest()


def _content(entry: AnyEntry) -> tuple[Key, str]:
    """Return key and digest as `keys_of` notes them."""
    if isinstance(entry, RejectionEntry):
        return rejection_key(entry), ""
    assert isinstance(entry, SignalEntry)
    return (entry.feed, entry.signal.id), entry.digest


def keys_of(records: Iterable[Record]) -> Mapping[Key, Known]:
    """Return what `records` make known: the last one of a signal's key wins, the first one of a rejection's."""
    found: dict[Key, Known] = {}
    for record in records:
        entry = record.entry
        if isinstance(entry, SignalEntry):
            found[entry.feed, entry.signal.id] = Known(entry.digest, record.seq, entry.revision)
        elif isinstance(entry, RejectionEntry):
            found.setdefault(rejection_key(entry), Known("", record.seq))
    return found
