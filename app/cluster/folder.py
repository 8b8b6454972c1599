"""A cluster as a command reads it beside its workers: the rows of its database, the log in Kafka; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from app.clock import SystemClock
from app.cluster.asking import PartitionQuestions
from app.cluster.consumed import ConsumedLog
from app.folder import Folder, Part, Told, silent
from app.settings import Settings
from app.stores import open_database
from domain.errors import NotFound
from domain.instants import spoken
from domain.messages import both
from domain.records import Record
from storage.database import Database
from streams.stages.inquiry import Inquiry


class ClusterFolder(Folder):
    """`app.folder.Folder` where what the engines read is in Kafka."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Ask nobody yet."""
        super().__init__(settings)
        self._database = database

    def records(self, part: Part, told: Told = silent) -> Iterator[Record]:
        """Yield what the workers have judged, of all partitions in one order.

        Raises:
            NotFound: retention has deleted the beginning of what is wanted; it says since when the log is whole.
            StoreUnavailable: brokers or database say nothing.
        """
        consumed = ConsumedLog(self.settings, self._database)
        begins = consumed.whole_since()
        if begins is not None and part.since is None:
            raise NotFound(both("cluster.log_not_whole", begins=spoken(begins)))
        yield from consumed.records(consumed.part(part), told=told)

    def inquire(self, rule: str, subject: str, at: datetime | None, told: Told = silent, *, restricted: bool) -> Inquiry:
        """Return why a rule is or is not true, from the partition that judges it. Raises as `PartitionQuestions.inquire`."""
        return PartitionQuestions(self.settings, self._database).inquire(rule, subject, at, told, restricted=restricted)


@contextmanager
def cluster_folder(settings: Settings) -> Iterator[ClusterFolder]:
    """Give the cluster of `settings`; raises StoreUnavailable."""
    database = open_database(settings, SystemClock())
    try:
        yield ClusterFolder(settings, database)
    finally:
        database.close()
