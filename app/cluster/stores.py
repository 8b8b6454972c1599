"""What every role of a cluster looks at first: the topics as they have to be."""

from __future__ import annotations

from app.settings import Settings
from connectors.kafka.topics import Topics
from domain.errors import StoreUnavailable
from domain.messages import both


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
