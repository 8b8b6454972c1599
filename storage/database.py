"""The database behind two doors, one for writing and one for reading, whichever kind it is.

SQLite is the default and lives in the data folder (`storage.sqlite`); PostgreSQL serves several processes at once
(`storage.postgres`). Stores are written once over SQLAlchemy Core and `storage.dialects`, and are the same for both.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.ports import Clock
from storage.migrate import migrate
from storage.sqlite import Sqlite, looking


class Kind(Protocol):
    """What a kind of database has to do."""

    where: str  # names it in messages; never holds a secret
    shares_connection: bool  # readers wait for the writer: a read inside a read would wait for itself

    def writing(self) -> AbstractContextManager[Connection]:
        """Give a connection inside a transaction, committed at the end, rolled back on any error."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Give a connection that cannot write and sees one committed state throughout."""
        ...

    def turn(self, what: str) -> AbstractContextManager[None]:
        """Let those who name the same thing follow one another, whatever process they are in."""
        ...

    def translated(self, error: Exception, *, reading: bool) -> Exception:
        """Return what the caller of a door should see: an error of the store, or `error` itself where the statement was at fault."""
        ...

    def sweep(self) -> bool:
        """Leave as little as it can of what was erased; return False where it has to be tried again."""
        ...

    def check_clock(self, clock: Clock) -> None:
        """Raise StoreUnavailable where the database has a clock of its own and `clock` is far from it."""
        ...

    def close(self) -> None:
        """Give files and connections back."""
        ...


class Database:
    """SQL behind two doors: `with database.write() as connection:` and `with database.read() as connection:`.

    Each block is one transaction. Blocks of one thread do not nest in a `write()`: pass the connection on instead.
    """

    def __init__(self, kind: Kind) -> None:
        """Use `open`, `in_memory` or `storage.postgres.connect`."""
        self._kind = kind
        self._inside = threading.local()  # the doors that this thread stands in

    @classmethod
    def open(cls, path: Path, *, die: Callable[[int], Any] = os._exit) -> Self:
        """Open or make the SQLite database at `path` and bring its tables up to date.

        `die` ends the process with a status when a sync failed; tests watch it.

        Raises:
            StoreUnavailable: the file cannot be opened, or a newer Fengsui wrote it.
            StoreCorrupt: the file is no SQLite database or damaged.
        """
        return _migrated(cls(Sqlite.open(path, die)))

    @classmethod
    def in_memory(cls) -> Self:
        """Return an empty database of the current shape that lives in memory: for replays, the demo and tests."""
        return _migrated(cls(Sqlite.in_memory()))

    @staticmethod
    def look(path: Path) -> AbstractContextManager[Connection]:
        """Give a connection that only reads the SQLite database at `path`, beside a running `serve`; nothing is made or migrated.

        Raises:
            StoreUnavailable: there is no database, or it cannot be read.
        """
        return looking(path)

    @property
    def where(self) -> str:
        """What names it in messages: a path, or an address without its secret."""
        return self._kind.where

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection for one transaction: committed at the end, rolled back on any error.

        In SQLite transactions take turns. In PostgreSQL they do not: what two of them decide about is held by a row lock or by
        compare-and-set, and one that cannot go on says so.

        Raises:
            StoreUnavailable: the database does not take it, or another transaction was in the way; nothing of the block is kept, but
                where the connection was lost in the very commit nobody knows: do it again in a way that changes nothing twice.
            StoreCorrupt: stored pages are damaged.
        """
        with self._entered(), self._translating(reading=False), self._kind.writing() as connection:
            yield connection

    @contextmanager
    def turn(self, what: str) -> Iterator[None]:
        """Let those who name the same thing follow one another to the ends of their blocks, in whatever thread or process they are.

        It is no transaction: both doors may be used inside. Who loses the connection to the database loses the turn.

        Raises:
            StoreUnavailable: the turns of others took too long, and nothing of the block was done; or the turn was lost before the end of
                the block, which was done all the same, maybe beside that of another. The message says which.
        """
        self._refuse_nesting()
        with self._translating(reading=False), self._kind.turn(what):
            yield

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that cannot write and sees one committed state throughout the block.

        A statement that writes is a defect of the caller and raises SQLAlchemy's DBAPIError.

        Raises:
            StoreUnavailable: the database cannot be read, or all readers were taken for too long.
            StoreCorrupt: stored pages are damaged.
        """
        if self._kind.shares_connection:
            with self._entered(), self._translating(reading=True), self._kind.reading() as connection:
                yield connection
            return
        self._refuse_nesting()
        with self._translating(reading=True), self._kind.reading() as connection:
            yield connection

    def sweep(self) -> bool:
        """Leave as little as the database can of what was erased; return False where a reader holds it: try again.

        Raises:
            StoreUnavailable: the database does not take it.
            StoreCorrupt: stored pages are damaged.
        """
        with self._entered(), self._translating(reading=False):
            return self._kind.sweep()

    def check_clock(self, clock: Clock) -> None:
        """Compare this machine's clock with that of a database on another one; what is due and leased goes by both.

        Raises:
            StoreUnavailable: they differ by more than is legal, or the database does not answer.
        """
        with self._translating(reading=True):
            self._kind.check_clock(clock)

    def close(self) -> None:
        """Give files and connections back."""
        self._kind.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Stand in a door; a second entry by the same thread would wait for itself for ever, so it raises."""
        self._refuse_nesting()
        self._inside.door = True
        try:
            yield
        finally:
            self._inside.door = False

    def _refuse_nesting(self) -> None:
        if getattr(self._inside, "door", False):
            raise RuntimeError("write() or read() inside write() of the same thread; pass the connection on")

    @contextmanager
    def _translating(self, *, reading: bool) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
            found = self._kind.translated(error, reading=reading)
            if found is error:
                raise
            raise found from error


_D = TypeVar("_D", bound=Database)


def _migrated(database: _D) -> _D:
    with database.write() as connection:
        migrate(connection, database.where)
    return database
