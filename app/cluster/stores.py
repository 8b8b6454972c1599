"""What every role of a cluster opens first: the database that all of them share, and the topics as they have to be."""

from __future__ import annotations

from app.settings import Settings
from connectors.kafka.topics import Topics
from domain.errors import StoreUnavailable
from domain.messages import both
from domain.ports import Clock
from storage.database import Database
from storage.datadir import DataPaths


def open_database(settings: Settings, paths: DataPaths, clock: Clock) -> Database:
    """Return the database of the settings; without a `database_url` the data folder's own, which one process at a time may use.

    Raises:
        StoreUnavailable: it does not answer, or its tables are those of another version.
        StoreCorrupt: the data folder's database is damaged.
    """
    if not settings.database_url:
        return Database.open(paths.database)
    from storage.postgres import PostgresDatabase  # noqa: PLC0415  the driver is no business of whoever has no server

    return PostgresDatabase.connect(settings.database_url, clock, password_file=settings.database_password_file)


def check_topics(settings: Settings) -> None:
    """Return where the topics can be used as they are.

    Raises:
        StoreUnavailable: the brokers do not answer, or what is wrong with the topics: all of it, with what to do.
    """
    with Topics(settings.kafka.access(), settings.kafka.layout()) as topics:
        wrong = topics.differences()
    if wrong:
        told = "\n".join(f"{one.topic}: {one.what}" for one in wrong)
        raise StoreUnavailable(f"{both('topics.refused')}\n{told}")
