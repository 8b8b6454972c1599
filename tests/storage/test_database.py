"""The two doors of the database, its migrations and its answers when the disk misbehaves."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from domain.errors import StoreCorrupt, StoreUnavailable
from storage import tables
from storage.database import Database
from storage.dialects import take_turns
from storage.migrate import migrate, newest
from storage.sqlite import SYNC_FAILED, quick_check, translated
from storage.tables import meta, metadata


def keys(database: Database) -> list[str]:
    """Return the keys that a reader sees."""
    with database.read() as connection:
        return list(connection.scalars(select(meta.c.key).order_by(meta.c.key)))


def put(database: Database, key: str) -> None:
    """Commit one row."""
    with database.write() as connection:
        connection.execute(insert(meta).values(key=key, value="v"))


def test_a_block_is_committed_at_its_end(database: Database) -> None:
    """What a write block did is seen by the next read."""
    put(database, "a")
    assert keys(database) == ["a"]


def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    """Any error rolls the whole block back and reaches the caller unchanged."""

    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(meta).values(key="a", value="v"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert keys(database) == []
    put(database, "b")
    assert keys(database) == ["b"]


def test_an_integrity_error_stays_what_it_is(database: Database) -> None:
    """A broken constraint is the statement's fault, not the disk's."""
    put(database, "a")
    with pytest.raises(IntegrityError):
        put(database, "a")


def test_a_reader_cannot_write(database: Database) -> None:
    """The reading door refuses a statement that writes, and the writing door works afterwards."""
    with pytest.raises(DBAPIError, match=r"readonly|read-only"), database.read() as connection:
        connection.execute(insert(meta).values(key="a", value="v"))
    put(database, "b")
    assert keys(database) == ["b"]


def test_blocks_of_one_thread_do_not_nest_in_a_write(database: Database) -> None:
    """A second block inside a write is refused instead of waiting for itself."""
    with pytest.raises(RuntimeError, match="pass the connection on"), database.write():
        keys(database)
    with pytest.raises(RuntimeError, match="pass the connection on"), database.write():
        put(database, "a")


def test_writers_take_turns(database: Database) -> None:
    """Eight threads that each read, add one and write lose no update: in SQLite all of them, in PostgreSQL those that name one thing."""
    put(database, "n")
    with database.write() as connection:
        connection.execute(meta.update().values(value="0"))

    def add() -> None:
        for _ in range(25):
            with database.write() as connection:
                take_turns(connection, "n")
                n = int(connection.scalars(select(meta.c.value)).one())
                connection.execute(meta.update().values(value=str(n + 1)))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.scalars(select(meta.c.value)).one() == "200"


def test_a_read_block_sees_one_state(database: Database) -> None:
    """What is committed while a read block is open shows in the next block only; in memory it waits until the block is closed."""
    with database.read() as connection:
        assert connection.scalars(select(meta.c.key)).all() == []
        writer = threading.Thread(target=put, args=(database, "a"))
        writer.start()
        if database.where != ":memory:":
            writer.join()
        assert connection.scalars(select(meta.c.key)).all() == []
    writer.join()
    assert keys(database) == ["a"]


def test_the_file_is_durable_and_write_ahead(tmp_path: Path) -> None:
    """Every commit is synced: WAL with synchronous FULL, foreign keys on."""
    with Database.open(tmp_path / "x.db") as database, database.write() as connection:
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert values == ["wal", 2, 1]


def test_migrations_make_what_the_code_describes(database: Database) -> None:
    """The migrated tables of the risk side equal their definitions, column by column and index by index."""
    names = {table.name for table in vars(tables).values() if isinstance(table, Table)}

    def ours(thing: Any, name: str | None, kind: str, *_: object) -> bool:
        return (name if kind == "table" else thing.table.name) in names

    assert "signals" in names
    with database.write() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, metadata) == []


def test_migrations_run_once(database: Database) -> None:
    """A second start finds nothing to do."""
    with database.write() as connection:
        assert migrate(connection, "x") == []


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """Tables of an unknown revision stop the start with a message that names both revisions, and stay untouched."""
    path = tmp_path / "x.db"
    Database.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999_future'")
    with pytest.raises(StoreUnavailable, match=f"v9999_future.*{newest()}"):
        Database.open(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """A file that is no database says so and names the remedy."""
    (tmp_path / "x.db").write_bytes(b"no database at all, " * 500)
    with pytest.raises(StoreCorrupt, match=r"x\.db.*backup"):
        Database.open(tmp_path / "x.db")


def test_a_full_disk_is_unavailable_and_passes(tmp_path: Path) -> None:
    """A write that finds no space fails as StoreUnavailable, keeps nothing, and works again once there is space."""
    with Database.open(tmp_path / "x.db") as database:
        with database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreUnavailable, match="full"), database.write() as connection:
            connection.execute(insert(meta).values(key="big", value="v" * 1_000_000))
        assert keys(database) == []
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
            connection.execute(insert(meta).values(key="big", value="v" * 1_000_000))
        assert keys(database) == ["big"]


def test_a_failed_sync_ends_the_process() -> None:
    """SQLite's report of a failed fsync is never answered by another try: the process is told to die with 70."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    deaths: list[int] = []
    assert isinstance(translated(error, "x.db", deaths.append), StoreUnavailable)
    assert deaths == [SYNC_FAILED]


def test_quick_check_finds_a_damaged_page(tmp_path: Path) -> None:
    """A page overwritten behind SQLite's back is found, a sound file is not blamed."""
    path = tmp_path / "x.db"
    with Database.open(path) as database:
        with database.read() as connection:
            assert quick_check(connection) == []
        for i in range(200):
            put(database, f"{i:03}" + "k" * 200)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096 * 3)
        file.write(b"\xff" * 4096)
    with Database.open(path) as database:
        try:
            with database.read() as connection:
                found = quick_check(connection)
        except StoreCorrupt as error:
            found = [str(error)]
        assert found
