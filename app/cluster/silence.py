"""Marks of silent feeds in a cluster: one duty role at a time looks at what was heard anywhere, and tells every partition.

So every partition is blind at the same feeds. Where that role dies, another one has the office within `OFFICE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
import structlog

from app.silence import SilenceWatch
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock, Intake
from storage.database import Database
from storage.heard import heard, hold_office
from storage.intake_reads import FeedStatus, feeds_status, unseen

OFFICE: Final = timedelta(seconds=60)
log = structlog.get_logger(__name__)


class ElectedSilence:
    """Looks where this process holds the office; one thread calls it."""

    def __init__(self, database: Database, mappings: Mapping[str, FeedMapping], intake: Intake, clock: Clock, owner: str) -> None:
        """`owner` names this process among those that share the database."""
        self._database = database
        self._mappings = mappings
        self._intake = intake
        self._clock = clock
        self._owner = owner
        self._watch: SilenceWatch | None = None

    def look(self) -> bool:
        """Append the marks that are due, where this process holds the office; return whether it does.

        Raises:
            StoreUnavailable: database or brokers do not take it; the next look tries again.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            elected = hold_office(connection, "silence", self._owner, now, now + OFFICE)
        if not elected:
            self._watch = None
            return False
        told = self._told()
        if self._watch is None:
            self._watch = SilenceWatch(self._mappings, self._intake, self._clock)
            self._watch.take_up(told, ())
            log.info("silence.elected", owner=self._owner)
        else:
            self._watch.follow(told)
        self._watch.look()
        return True

    def _told(self) -> list[FeedStatus]:
        """Return what the workers wrote of each feed, with what the edges heard since."""
        with self._database.read() as connection:
            rows, noted = {one.feed: one for one in feeds_status(connection)}, heard(connection)
        for feed, at in noted.items():
            one = rows.get(feed, unseen(feed))
            last = at if one.last_received_at is None else max(at, one.last_received_at)
            rows[feed] = msgspec.structs.replace(one, last_received_at=last)
        return [rows[feed] for feed in sorted(rows)]
