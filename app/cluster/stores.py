"""What every role of a cluster looks at: the topics as they have to be, the tables of the database as they have to stay."""

from __future__ import annotations

from app.logs import brokers_unheard
from app.settings import Settings
from connectors.kafka.topics import Topics
from domain.errors import StoreUnavailable
from domain.messages import both
from storage.database import Database
from storage.durability import Durability
from storage.migrate import newest, standing


def check_topics(settings: Settings) -> Durability:
    """Return how safely the topics keep what they are given, where they can be used as they are.

    Raises:
        StoreUnavailable: the brokers do not answer, or what is wrong with the topics: all of it, with what to do.
    """
    with brokers_unheard(), Topics(settings.kafka.access(), settings.kafka.layout()) as topics:
        wrong = topics.differences()
        kept = [topic for name, topic in topics.found().items() if name in settings.kafka.layout().logs()]
    if wrong:
        told = "\n".join(f"{one.topic}: {one.what}" for one in wrong)
        raise StoreUnavailable(f"{both('topics.refused')}\n{told}")
    return Durability(
        replicas=min(topic.replicas for topic in kept), in_sync=min(int(topic.config["min.insync.replicas"]) for topic in kept)
    )


def another_schema(database: Database) -> str:
    """Return why a running role has to end: the tables were brought to another version than its own; "" while they were not.

    A database that does not answer just now is no reason.
    """
    try:
        with database.read() as connection:
            held = standing(connection)
    except StoreUnavailable:
        return ""
    if held == newest():
        return ""
    return both("cluster.another_schema", where=database.where, own=newest(), held=held or "?")
