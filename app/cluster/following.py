"""A rules folder that is watched for a cluster: what changes there is put in force, as `serve` does with its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from app.cluster.publishing import Published, put_in_force
from app.rule_folder import Settled, read_folder
from app.settings import Settings
from domain.errors import Conflict, FileProblems, IllegalValue, Problem
from domain.messages import both
from domain.ports import Clock
from rules.load import version_of
from storage import rule_versions
from storage.database import Database

log = structlog.get_logger(__name__)


class Following:
    """Publishes a folder whenever it holds something new and stands still; one process of a deployment does this, one thread calls it."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        by: str,
        clock: Clock,
        database: Database,
        *,
        count_back: bool = True,
        on_published: Callable[[Published], object] = lambda _done: None,
        tell: Callable[[str], None] = lambda _told: None,
    ) -> None:
        """`tell` hears of progress, and of what is not put in force, once each; the other arguments are those of `publish`."""
        self._settings = settings
        self._folder = folder
        self._by = by
        self._clock = clock
        self._database = database
        self._count_back = count_back
        self._on_published = on_published
        self._tell = tell
        self._settled = Settled(folder)
        self._seen: Mapping[str, str] | None = None  # what the folder held when it was last dealt with
        self._problems: Sequence[Problem] | None = None

    def look(self) -> str:
        """Publish what is new; return what became of it: same, published, waits, pinned or refused.

        What is wrong with the folder stands on the rules page of every api until it is mended.

        Raises:
            StoreUnavailable: brokers, topics or database cannot be used; the next look tries again.
        """
        if not self._settled.look():
            return "same"
        try:
            texts = read_folder(self._folder)
        except FileProblems as error:
            self._seen = None
            return self._refuse(error.problems)
        if texts == self._seen:
            return "same"
        found = self._deal_with(texts)
        self._seen = texts
        return found

    def _deal_with(self, texts: Mapping[str, str]) -> str:
        version = version_of(texts)
        with self._database.read() as connection:
            in_place, pin = rule_versions.in_place(connection, version), rule_versions.pin(connection)
        if pin is not None and pin.over == version:
            self._tell(both("publish.pinned", by=pin.by, version=pin.version[:12]))
            return "pinned"
        if in_place:
            if pin is not None:
                with self._database.write() as connection:
                    rule_versions.drop_pin(connection)
            self._keep(())
            return "same"
        try:
            done = put_in_force(self._settings, texts, self._by, self._clock, count_back=self._count_back, tell=self._tell)
        except FileProblems as error:
            return self._refuse(error.problems)
        except IllegalValue as error:
            return self._refuse([Problem(file=str(self._folder), line=0, column=0, message=str(error))])
        except Conflict as error:
            self._tell(str(error))
            self._keep(())
            return "waits"
        self._keep(())
        self._on_published(done)
        return "published"

    def _refuse(self, problems: Sequence[Problem]) -> str:
        if problems == self._problems:
            return "same"
        self._keep(problems)
        for problem in problems:
            log.error("rules.refused", problem=str(problem), problems=len(problems))
        return "refused"

    def _keep(self, problems: Sequence[Problem]) -> None:
        """Have the apis show what is wrong with the folder now."""
        if problems != self._problems:
            with self._database.write() as connection:
                rule_versions.keep_refused(connection, problems)
            self._problems = problems
