"""Which database the settings mean: the one place that chooses between the data folder's SQLite and a shared PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import Connection

from app.settings import Settings
from domain.ports import Clock
from storage.database import Database
from storage.datadir import DataPaths


def open_database(settings: Settings, clock: Clock) -> Database:
    """Return the database of the settings; without a `database_url` the data folder's own, which one process at a time may use.

    Raises:
        StoreUnavailable: it does not answer, its tables are those of another version, or the clocks differ.
        StoreCorrupt: the data folder's database is damaged.
    """
    if not settings.database_url:
        return Database.open(DataPaths(settings.data).database)
    from storage.postgres import PostgresDatabase  # noqa: PLC0415  the driver is no business of whoever has no server

    return PostgresDatabase.connect(settings.database_url, clock, password_file=settings.database_password_file)


def look(settings: Settings, data: Path | None = None) -> AbstractContextManager[Connection]:
    """Give a connection that only reads, beside running processes; `data` goes before the settings' folder. Nothing is made or migrated.

    Raises:
        StoreUnavailable: there is no database, or it cannot be read.
    """
    if not settings.database_url:
        return Database.look(DataPaths(data or settings.data).database)
    from storage.postgres import PostgresDatabase  # noqa: PLC0415  the driver is no business of whoever has no server

    return PostgresDatabase.looking(settings.database_url, password_file=settings.database_password_file)
