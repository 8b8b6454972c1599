"""Topics of other systems: whether they are there and may be read (kafka-python's admin client), asked by edges, doctor and checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from kafka.admin import KafkaAdminClient

from connectors.kafka.access import Access, addresses
from connectors.kafka.topics import open_admin, told_plainly
from domain.errors import StoreUnavailable
from domain.messages import both

_UNKNOWN_TOPIC: Final = 3
_NOT_AUTHORISED: Final = 29


@dataclass(frozen=True, slots=True)
class Foreign:
    """A topic and how its brokers are reached; `own` says that it is named like one of ours, which it may be on other brokers only."""

    topic: str
    access: Access
    own: bool = False

    def trouble(self, why: str) -> str:
        """Return why the topic cannot be read, and where to mend it."""
        return f"{both('foreign.trouble', topic=self.topic)}: {why}"


def look_for(foreign: Foreign, ours: Access) -> int:
    """Return how many partitions a source has.

    Raises:
        StoreUnavailable: its brokers do not answer or do not let us in, there is no such topic, or it is one of our own.
    """
    try:
        return _look_for(foreign, ours)
    except StoreUnavailable as error:
        raise StoreUnavailable(foreign.trouble(str(error))) from error


def _look_for(foreign: Foreign, ours: Access) -> int:
    with _admin(foreign.access) as admin, told_plainly(foreign.access):
        [found] = admin.describe_topics([foreign.topic])
        cluster = admin.describe_cluster()["cluster_id"] if foreign.own else ""
    if foreign.own and not addresses(foreign.access.bootstrap) & addresses(ours.bootstrap):
        with _admin(ours) as admin, told_plainly(ours):
            same = admin.describe_cluster()["cluster_id"] == cluster
        if same:  # the same brokers by other addresses
            raise StoreUnavailable(both("settings.source_loop", topic=foreign.topic))
    if found["error_code"] == _UNKNOWN_TOPIC:
        raise StoreUnavailable(both("foreign.missing", address=foreign.access.bootstrap))
    if found["error_code"] == _NOT_AUTHORISED:
        raise StoreUnavailable(both("foreign.forbidden", address=foreign.access.bootstrap, user=foreign.access.user or "ANONYMOUS"))
    if found["error_code"]:
        raise StoreUnavailable(both("kafka.not_ready", address=foreign.access.bootstrap))
    return len(found["partitions"])


@contextmanager
def _admin(access: Access) -> Iterator[KafkaAdminClient]:
    admin = open_admin(access, "fengsui-sources")
    try:
        yield admin
    finally:
        admin.close()
