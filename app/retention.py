"""What is deleted when its time is over: raw input, by the retention that its feed's mapping declares.

Raw input is the only place where personal values stand in clear; signals carry tokens instead. Deleting it is what erases them.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.instants import SHANGHAI
from domain.ports import Clock
from storage.raw import RawStore

log = structlog.get_logger(__name__)


class Retention:
    """Looks once an hour; a day's input goes when the whole day is older than its feed's retention."""

    def __init__(self, raw: RawStore, mappings: Mapping[str, FeedMapping], clock: Clock) -> None:
        """Take the store and what says how long."""
        self._raw = raw
        self._mappings = mappings
        self._clock = clock

    def enforce(self) -> int:
        """Delete what is over and return how many inputs that were."""
        gone = 0
        today = self._clock.now().astimezone(SHANGHAI).date()
        for feed, mapping in sorted(self._mappings.items()):
            deleted = self._raw.delete_older_than(feed, today - mapping.retention)
            if deleted:
                log.info("raw.deleted", feed=feed, inputs=deleted, older_than=str(today - mapping.retention))
            gone += deleted
        return gone
