"""A data folder as a command reads it, beside a running `serve` or after it: nothing is written, nothing is locked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from app.history import JournalHistory
from app.pipelines import make_pipeline
from app.rule_folder import read_folder
from app.rulebook import stored
from app.settings import Settings
from app.stores import look
from app.version import VERSION
from domain.base import Noun
from domain.errors import NotFound
from domain.messages import both
from domain.records import SCENE, OutcomeEntry, Record, TickEntry
from rules.ruleset import RuleSet
from storage import progress, risk
from storage.artifacts import ArtifactStore
from storage.datadir import DataPaths
from storage.journal_folder import JournalFolder
from storage.snapshots import sound_snapshots
from storage.tables import rulesets
from streams.pipeline import Pipeline
from streams.runtimes.poison import PoisonGuard
from streams.stages.inquiry import Inquiry

TELL_EVERY: Final = 100  # records
SHORTEST: Final = 6  # characters of a version that name it
Told = Callable[[int, int], object]  # how far a long reading is: (done, all)


def silent(_done: int, _all: int) -> None:
    """Tell nobody how far it is."""


class Part(Noun, frozen=True, kw_only=True):
    """Which part of a journal or log is read: received in [since, until), None for no bound.

    What that cannot be read without (`SCENE`) is there from before too; with `answers` so is what the departments found later.
    """

    since: datetime | None = None
    until: datetime | None = None
    answers: bool = False

    def has(self, record: Record) -> bool:
        """Say whether a record belongs to it."""
        if self.since is not None and record.received_at < self.since:
            return isinstance(record.entry, SCENE)
        if self.until is not None and record.received_at >= self.until:
            return self.answers and isinstance(record.entry, OutcomeEntry)
        return True


@contextmanager
def opened(settings: Settings) -> Iterator[Folder]:
    """Give what was read where `settings` point: the journal of a data folder, or the log of a cluster, which its database shows.

    Raises:
        StoreUnavailable: there is no database, or database or brokers cannot be reached.
    """
    if is_shared(settings):
        from app.cluster.folder import cluster_folder  # noqa: PLC0415  Kafka's client is no business of whoever has no cluster

        with cluster_folder(settings) as found:
            yield found
    else:
        yield Folder(settings)


def is_shared(settings: Settings) -> bool:
    """Say whether `settings` are those of a cluster: workers judge over its database. Raises StoreUnavailable."""
    if not settings.database_url:
        return False
    with look(settings) as connection:
        return progress.anywhere(connection)


class Folder:
    """The journal, the tables and the stored rule sets of the data folder that `settings` name."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self.settings = settings
        self.paths = DataPaths(settings.data)
        self.journal = JournalFolder(self.paths.journal)
        self.history = JournalHistory(self.journal, ArtifactStore(self.paths.backfill), self.quarantined)
        self._sets: dict[str, RuleSet] = {}

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Give a connection that only reads.

        Raises:
            StoreUnavailable: there is no database, or it cannot be read.
        """
        with look(self.settings) as connection:
            yield connection

    def records(self, part: Part, told: Told = silent) -> Iterator[Record]:
        """Yield what the engine read, in order, but for what was set aside; `told` hears how far that is.

        Raises:
            NotFound: the beginning of what is wanted was deleted.
            StoreCorrupt: a record is damaged.
        """
        head, aside = self.journal.head(), self.quarantined()
        for record in self.journal.read(0):
            if record.seq % TELL_EVERY == 0:
                told(record.seq, head)
            if record.seq not in aside and part.has(record):
                yield record
        told(head, head)

    def inquire(self, rule: str, subject: str, at: datetime | None, told: Told = silent, *, restricted: bool) -> Inquiry:
        """Return why a rule is or is not true for an object's id or an area's name, as of `at` or the last record.

        `restricted` says whether the asker may read the text of restricted signals. Raises as `pipeline`, and NotFound where the rule set
        of that time has no such rule.
        """
        return self.pipeline(at, told).inquire(rule, subject, restricted=restricted)

    def version(self, named: str) -> str:
        """Return the stored rule set that `named` means: `active`, or the first characters of a version (at least 6).

        Raises:
            NotFound: no stored set begins so, or more than one does.
        """
        with self.look() as connection:
            known = {str(row.version) for row in connection.execute(select(rulesets.c.version))}
            active = risk.active_ruleset(connection)
        if named == "active" and active:
            return active
        fitting = sorted(version for version in known if len(named) >= SHORTEST and version.startswith(named))
        if len(fitting) != 1:
            listed = ", ".join(sorted(version[:12] for version in known))
            raise NotFound(both("rules.no_such_set", read=named, legal=f"active, {listed}"))
        return fitting[0]

    def texts(self, named: str) -> Mapping[str, str]:
        """Return the rule files of a folder of packs, or of a stored rule set (see `version`): file name → text.

        Raises:
            FileProblems: the folder holds no readable rule file.
            NotFound: `named` is neither.
        """
        folder = Path(named)
        return read_folder(folder) if folder.is_dir() else self.ruleset(self.version(named)).texts

    def quarantined(self) -> frozenset[int]:
        """Return the numbers of the records that were set aside: the engine passes over them.

        Raises:
            StoreCorrupt: the file that lists them is damaged.
        """
        return frozenset(PoisonGuard(self.paths.top / "stepping").quarantined)

    def pipeline(self, at: datetime | None = None, told: Told = silent) -> Pipeline:
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
                pipeline = make_pipeline(self.settings, self.ruleset, self.history)
                pipeline.restore(found.state["pipeline"])
                if at is None or pipeline.now <= at:
                    return pipeline
        return make_pipeline(self.settings, self.ruleset, self.history)

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
