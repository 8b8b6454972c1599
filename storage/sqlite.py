"""SQLite under `storage.database`: one writing connection that alone checkpoints, any number of readers (decision 12).

The stdlib's driver, WAL, `synchronous=FULL`. A single writer closes the WAL-reset race of SQLite before 3.51.3 and makes every
transaction serial; readers see the last committed one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool, StaticPool

from domain.errors import FengsuiError, StoreCorrupt, StoreUnavailable
from domain.messages import both
from domain.ports import Clock

_log = structlog.get_logger(__name__)

BUSY_MS = 5_000  # milliseconds that a statement waits for a lock before it gives up
READERS = 16
TURN_SECONDS = 10  # for which one waits for the turns of others
SYNC_FAILED = 70  # exit status: a sync failed, so nothing written since is known to be on the disk

# Primary result codes of https://www.sqlite.org/rescode.html by what the caller does next.
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SYNC = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}


class Sqlite:
    """A SQLite database as `storage.database.Kind`."""

    def __init__(self, writer: Engine, readers: Engine | None, *, where: str, die: Callable[[int], Any]) -> None:
        """Use `open` or `in_memory`; without `readers`, reads share the writing connection under its lock."""
        self.where = where
        self.shares_connection = readers is None
        self._die = die
        self._engine = writer
        self._readers = readers
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        try:
            self._writer = writer.connect()
        except DBAPIError as error:
            raise translated(error, where, die) from error

    @classmethod
    def open(cls, path: Path, die: Callable[[int], Any]) -> Self:
        """Open or make the file at `path`.

        Raises:
            StoreUnavailable: the file cannot be opened.
            StoreCorrupt: the file is no SQLite database or damaged.
        """

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA secure_delete = ON").fetchone()  # what is erased leaves nothing behind in free pages
            return connection

        def connect_reader() -> sqlite3.Connection:
            return _read_only(path, check_same_thread=False)

        writer = _engine(connect, "BEGIN IMMEDIATE", poolclass=StaticPool)
        readers = _engine(connect_reader, "BEGIN", poolclass=QueuePool, pool_size=READERS, max_overflow=0, pool_timeout=BUSY_MS / 1000)
        return cls(writer, readers, where=str(path), die=die)

    @classmethod
    def in_memory(cls) -> Self:
        """Return an empty database that lives in memory."""

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA foreign_keys = ON")
            return connection

        return cls(_engine(connect, "BEGIN IMMEDIATE", poolclass=StaticPool), None, where=":memory:", die=os._exit)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hold the writing connection for one transaction."""
        with self._lock, self._writer.begin():
            yield self._writer

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that cannot write, for one transaction."""
        if self._readers is not None:
            with self._readers.connect() as connection, connection.begin():
                yield connection
            return
        with self._lock, self._writer.begin():
            self._writer.exec_driver_sql("PRAGMA query_only = ON")
            try:
                yield self._writer
            finally:
                self._writer.exec_driver_sql("PRAGMA query_only = OFF")

    @contextmanager
    def turn(self, what: str) -> Iterator[None]:
        """Let threads that name the same thing follow one another: one process has the file."""
        lock = self._turns.setdefault(what, threading.Lock())
        if not lock.acquire(timeout=TURN_SECONDS):
            raise StoreUnavailable(both("store.turn_taken", where=self.where, what=what, seconds=TURN_SECONDS))
        try:
            yield
        finally:
            lock.release()

    def translated(self, error: Exception, *, reading: bool) -> Exception:
        """Return what the caller of a door should see."""
        if isinstance(error, PoolTimeout):
            return StoreUnavailable(both("store.readers", where=self.where, count=READERS))
        if reading and _code(error) & 0xFF == sqlite3.SQLITE_READONLY:
            return error
        return translated(error, self.where, self._die)

    def sweep(self) -> bool:
        """Move all of the write-ahead log into the database and cut it to nothing, so that it holds nothing that was erased.

        Return whether that was possible: a reader of an older state keeps the log as it is, and nobody waits for it.
        """
        with self._lock:
            driver = self._writer.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            try:
                driver.execute("PRAGMA busy_timeout = 0").fetchone()  # the one writer must not stand still for a reader
                busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_MS}").fetchone()
        return not busy

    def check_clock(self, clock: Clock) -> None:
        """Do nothing: the file lies on this machine and has no other clock."""

    def close(self) -> None:
        """Give the files back; the last checkpoint is the writer's."""
        if self._readers is not None:
            self._readers.dispose()
        self._writer.close()
        self._engine.dispose()


@contextmanager
def looking(path: Path) -> Iterator[Connection]:
    """Give a connection that only reads the database at `path`, beside a running `serve`; nothing is made or migrated.

    Raises:
        StoreUnavailable: there is no database, or it cannot be read.
    """
    if not path.is_file():
        raise StoreUnavailable(both("store.not_there", path=path))
    engine = _engine(lambda: _read_only(path), "BEGIN")
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        raise translated(error, str(path), os._exit) from error
    finally:
        engine.dispose()


def quick_check(connection: Connection) -> list[str]:
    """Return what SQLite finds wrong in the file behind `connection`, nothing for a sound one; reads all of it."""
    rows = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check")]
    return [] if rows == ["ok"] else rows


def _read_only(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=check_same_thread)


def _engine(connect: Callable[[], sqlite3.Connection], begin: str, **options: Any) -> Engine:
    """Return an engine whose transactions start with `begin`: the driver's own guessing is switched off (isolation_level None)."""
    engine = create_engine("sqlite+pysqlite://", creator=connect, **options)

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", start)
    return engine


def _code(error: Exception) -> int:
    """Return SQLite's extended result code, 0 where there is none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return int(getattr(original, "sqlite_errorcode", 0))


def translated(error: Exception, where: str, die: Callable[[int], Any]) -> Exception:
    """Return what the caller should see: an error of the store, or `error` itself where the statement was at fault."""
    original = error.orig if isinstance(error, DBAPIError) else error
    code = _code(error)
    found: FengsuiError
    if code in _SYNC:
        # After a failed sync the pages may be marked clean though they never reached the disk: trying again would seem to work.
        _log.critical("database_sync_failed", file=where, error=str(original))
        die(SYNC_FAILED)
    if code & 0xFF in _CORRUPT:
        found = StoreCorrupt(both("store.damaged", where=where, error=original))
    elif code & 0xFF in _UNAVAILABLE:
        found = StoreUnavailable(both("store.disk", where=where, error=original))
    else:
        return error
    return found
