"""A data folder as a command reads it, beside a running `serve` or after it: nothing is written, nothing is locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from app.rulebook import stored
from app.settings import Settings
from rules.ruleset import RuleSet
from storage.database import Database
from storage.datadir import DataPaths
from storage.journal_folder import JournalFolder


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
