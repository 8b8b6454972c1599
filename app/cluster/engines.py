"""The pipelines of a cluster's partitions, and the rule sets that they run: the same for a worker and for a question about the past."""

from __future__ import annotations

from collections.abc import Iterator

from app.inferring import Inferring
from app.pipelines import make_pipeline
from app.rulebook import stored
from app.settings import Settings
from domain.ports import History
from rules.ruleset import RuleSet
from rules.spread import Spread, spread
from storage import backfills
from storage.database import Database
from streams.pipeline import Pipeline


class Engines:
    """Makes pipelines; a rule set is read from the database once."""

    def __init__(self, settings: Settings, database: Database, inferring: Inferring | None = None) -> None:
        """`inferring` answers what follows from findings, and tries a set that comes into force; without it the matcher does."""
        self._settings = settings
        self._database = database
        self._inferring = inferring
        self._inference = inferring.engine if inferring is not None else None
        self._sets: dict[str, RuleSet] = {}
        self._spread: dict[str, Spread] = {}
        self.several = settings.kafka.partitions > 1

    def objects(self, past: History | None) -> Pipeline:
        """Return what a partition of the frames runs, for its objects; it has taken in nothing."""
        return make_pipeline(self._settings, self.load, past, self._inference)

    def areas(self, past: History | None) -> Pipeline:
        """Return what a partition of groups runs for its areas."""
        return make_pipeline(self._settings, lambda version: self.spread_of(version).areas, past, passed_on=True)

    def groups(self, past: History | None) -> Pipeline:
        """Return what a partition of groups runs for its objects, whose rules read groups too."""
        return make_pipeline(self._settings, self._of_groups, past, self._inference, passed_on=True)

    def load(self, version: str) -> RuleSet:
        """Return what partitions of objects run of a stored rule set: all of it where there is one partition.

        Raises:
            NotFound: the version is not in the database: the worker stops before the record that activates it.
        """
        if self.several:
            return self._gated(version).objects
        found = self.stored(version)
        if self._inferring is not None:
            self._inferring.gate(found)
        return found

    def _of_groups(self, version: str) -> RuleSet:
        """Return what partitions of groups run of a stored rule set for their objects."""
        return self._gated(version).groups

    def _gated(self, version: str) -> Spread:
        """Return how a rule set that comes into force is spread, while its inferences are tried on durable-rules."""
        found = self.spread_of(version)
        if self._inferring is not None:
            self._inferring.gate(found.objects, found.groups)
        return found

    def stored(self, version: str) -> RuleSet:
        """Return a whole rule set; raises NotFound."""
        if version not in self._sets:
            with self._database.read() as connection:
                self._sets[version] = stored(connection, version)
        return self._sets[version]

    def spread_of(self, version: str) -> Spread:
        """Return how a rule set is spread over several partitions."""
        if version not in self._spread:
            self._spread[version] = spread(self.stored(version))
        return self._spread[version]

    def worked_out(self, name: str) -> Iterator[bytes] | None:
        """Return the parts of a back-fill that was counted beforehand."""
        with self._database.read() as connection:
            if not backfills.there(connection, name):
                return None
        return self._back_fill(name)

    def _back_fill(self, name: str) -> Iterator[bytes]:
        with self._database.read() as connection:
            yield from backfills.load(connection, name)
