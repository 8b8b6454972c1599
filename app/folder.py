"""A data folder as a command reads it, beside a running `serve` or after it: nothing is written, nothing is locked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.pipelines import make_pipeline
from app.rulebook import stored
from app.settings import Settings
from app.version import VERSION
from domain.records import Record, TickEntry
from rules.ruleset import RuleSet
from storage.database import Database
from storage.datadir import DataPaths
from storage.journal_folder import JournalFolder
from storage.snapshots import sound_snapshots
from streams.pipeline import Pipeline
from streams.runtimes.poison import PoisonGuard

TELL_EVERY: Final = 1000  # records


class Folder:
    """The journal, the tables and the stored rule sets of the data folder that `settings` name."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self.settings = settings
        self.paths = DataPaths(settings.data)
        self.journal = JournalFolder(self.paths.journal)
        self._sets: dict[str, RuleSet] = {}

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Give a connection that only reads.

        Raises:
            StoreUnavailable: there is no database, or it cannot be read.
        """
        with Database.look(self.paths.database) as connection:
            yield connection

    def quarantined(self) -> frozenset[int]:
        """Return the numbers of the records that were set aside: the engine passes over them.

        Raises:
            StoreCorrupt: the file that lists them is damaged.
        """
        return frozenset(PoisonGuard(self.paths.top / "stepping").quarantined)

    def pipeline(self, at: datetime | None = None, told: Callable[[int, int], object] = lambda _seq, _head: None) -> Pipeline:
        """Return the engine's state as it stood at `at`, or after the last record: the newest snapshot before it, and the journal since.

        `told` hears how far it is, by record number and the journal's head.

        Raises:
            NotFound: the journal does not reach back to the beginning, and no snapshot of this software is as old.
            StoreCorrupt: a record or a snapshot is damaged.
        """
        pipeline, head, aside = self._nearest(at), self.journal.head(), self.quarantined()
        for record in self.journal.read(pipeline.position):
            if at is not None and record.received_at > at:
                break
            if record.seq in aside:
                pipeline.skip(record)
            else:
                pipeline.step((record,))
            if record.seq % TELL_EVERY == 0:
                told(record.seq, head)
        if at is not None and at > pipeline.now:
            pipeline.step((Record(seq=pipeline.position + 1, received_at=at, entry=TickEntry()),))
        return pipeline

    def _nearest(self, at: datetime | None) -> Pipeline:
        for found in sound_snapshots(self.paths.snapshots):
            if found.software == VERSION:
                pipeline = make_pipeline(self.settings, self.ruleset)
                pipeline.restore(found.state["pipeline"])
                if at is None or pipeline.now <= at:
                    return pipeline
        return make_pipeline(self.settings, self.ruleset)

    def ruleset(self, version: str) -> RuleSet:
        """Return a stored rule set by its version.

        Raises:
            NotFound: it was never stored here.
            FileProblems: it was written for another version of Fengsui.
        """
        if version not in self._sets:
            with self.look() as connection:
                self._sets[version] = stored(connection, version)
        return self._sets[version]
