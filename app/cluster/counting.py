"""Counting new indicators back before they are put in force: each partition's log is read here, and the workers go on meanwhile.

What comes of it is kept in the database, where every worker finds it. A worker reads what came since, up to the activation itself; where
what was kept is missing or does not fit, it reads the log instead and comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import select

from app.cluster.counting_groups import GroupFills, scopes_of
from app.rulebook import stored
from app.settings import Settings
from connectors.kafka.log import KafkaFrames
from domain.messages import both
from domain.partitions import Place, partition_of
from domain.records import Prepared, SignalEntry
from models.registry import REGISTRY
from rules.ruleset import EMPTY, RuleSet
from rules.spread import spread
from storage import backfills, rule_versions
from storage.database import Database
from storage.progress import SqlProgress
from storage.stored_names import PartitionAdmission
from storage.tables import activations
from streams.pipeline import PipelineSettings
from streams.runtimes.groups_past import Which
from streams.runtimes.past import LogHistory
from streams.stages.backfill import Backfill, Scope, scope_of
from streams.stages.windows import from_us

NEAR: Final = 16  # frames: what a worker reads by itself at the activation, without anybody noticing
ROUNDS: Final = 5  # at most, where the log grows faster than it is read
TOLD: Final = 100_000  # records between two words about it


@dataclass(slots=True)
class CountedBack:
    """What was counted: by partition what its activation says, the indicators, and since when all partitions know them.

    `prepared` is empty where no partition has anything to count, else it has all.
    """

    prepared: dict[int, Prepared] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    since: datetime | None = None


class Counting:
    """One use: count for the rule set that is to be put in force."""

    def __init__(
        self, settings: Settings, database: Database, progress: SqlProgress, ruleset: RuleSet, tell: Callable[[str], None]
    ) -> None:
        """`tell` hears how far it is."""
        kafka = settings.kafka
        self._topic = kafka.layout().topic("frames")
        self._partitions = kafka.partitions
        self._log = KafkaFrames(kafka.access(), self._topic)
        self._database = database
        self._progress = progress
        self._ruleset = ruleset
        self._tell = tell
        self._sets: dict[str, RuleSet] = {"": EMPTY}

    def run(self) -> CountedBack:
        """Count, round after round, until what is left to the workers is little; keep what was counted.

        Raises:
            StoreUnavailable: brokers or database cannot be used.
            NotFound: a rule set that is active is not stored, or the log is being deleted while it is read.
        """
        found = CountedBack()
        bases = {partition: self._base(partition) for partition in range(self._partitions)}
        fresh: dict[str, None] = {}
        bounds = [self._log.bounds(partition) for partition in range(self._partitions)]
        firsts = tuple(Place(partition, first, 0).seq() for partition, (first, _) in enumerate(bounds))
        prepared = {
            partition: Prepared(first=first, artifact=f"{self._ruleset.version}/{partition}", firsts=firsts if self._partitions > 1 else ())
            for partition, first in enumerate(firsts)
        }
        behind: list[int] = []
        for partition, base in bases.items():
            names = scope_of(self._of_objects(self._ruleset), self._of_objects(base)).names
            fresh |= dict.fromkeys(names)
            first, end = bounds[partition]
            if names and end > first:
                behind.append(partition)
        scopes = scopes_of(self._ruleset, bases[0]) if self._partitions > 1 else {}  # what the first partition is told goes to groups
        fresh |= dict.fromkeys(name for scope in scopes.values() for name in scope.names)
        groups = self._of_groups(scopes, firsts) if scopes and any(end > first for first, end in bounds) else None
        found.fresh = tuple(name for name in fresh if name in self._ruleset.indicators)
        if behind or groups is not None:
            found.prepared = prepared
            with self._database.write() as connection:
                backfills.clear(connection, {base.version for base in bases.values()} - {self._ruleset.version})
            for _ in range(ROUNDS):
                counts = [self._count(bases[partition], prepared[partition]) for partition in behind]
                if groups is not None:
                    counts.append(self._count_groups(groups, prepared[0]))
                found.since = max((since for _, since in counts if since is not None), default=None)
                if max(read for read, _ in counts) <= NEAR:
                    break
        return found

    def _of_groups(self, scopes: dict[Which, Scope], firsts: Sequence[int]) -> GroupFills:
        return GroupFills(self._ruleset, scopes, [self._history(partition) for partition in range(self._partitions)], firsts)

    def _count_groups(self, groups: GroupFills, prepared: Prepared) -> tuple[int, datetime | None]:
        """Go on with all partitions of groups up to what is committed everywhere, and keep it; return as `_count`."""
        standings = [self._progress.standing(self._topic, partition) for partition in range(self._partitions)]
        read = groups.go_on([standing.offset_done if standing is not None else -1 for standing in standings])
        if groups.since is not None:
            with self._database.write() as connection:
                groups.keep(connection, prepared.artifact)
        return read, groups.since

    def _history(self, partition: int) -> LogHistory:
        return LogHistory(partition, self._log, lambda number: PartitionAdmission(self._database, number), lambda _name: None)

    def _base(self, partition: int) -> RuleSet:
        """Return the set that a partition was sent last; where that is not written down, the one that it judged by last."""
        mine = (activations.c.seq >= Place(partition, 0, 0).seq(), activations.c.seq < Place(partition + 1, 0, 0).seq())
        with self._database.read() as connection:
            sent = rule_versions.sent(connection)
            judged = connection.scalar(select(activations.c.version).where(*mine).order_by(activations.c.seq.desc()).limit(1))
            newest = judged if sent is None else sent.control.version
            return EMPTY if newest is None else stored(connection, newest)

    def _of_objects(self, ruleset: RuleSet) -> RuleSet:
        return ruleset if self._partitions == 1 else spread(ruleset).objects

    def _count(self, base: RuleSet, prepared: Prepared) -> tuple[int, datetime | None]:
        """Go on with a partition up to what is committed, and keep it; return how many frames that were, and since when it counts."""
        ruleset, partition = self._of_objects(self._ruleset), Place.of(prepared.first).partition
        standing = self._progress.standing(self._topic, partition)
        end = Place(partition, standing.offset_done + 1 if standing is not None else 0, 0).seq()
        fill = self._new(ruleset, base, partition)
        with self._database.read() as connection:
            taken_up = fill.load(backfills.load(connection, prepared.artifact))
        if not taken_up or not prepared.first - 1 <= fill.position < end:
            fill = self._new(ruleset, base, partition)
            fill.position = prepared.first - 1
        begun = Place.of(fill.position + 1).offset
        for number, record in enumerate(self._history(partition).records(fill.position, end), 1):
            fill.take(record)
            if number % TOLD == 0:
                self._tell(both("publish.counting", partition=partition, records=number))
        if fill.since >= 0:
            with self._database.write() as connection:
                backfills.keep(connection, prepared.artifact, fill.dump())
        return Place.of(end).offset - begun, from_us(fill.since) if fill.since >= 0 else None

    def _new(self, ruleset: RuleSet, base: RuleSet, partition: int) -> Backfill:
        def away(entry: SignalEntry) -> bool:
            about = entry.resolution.object_id
            return bool(about) and partition_of(about, self._partitions) != partition

        scope = scope_of(ruleset, self._of_objects(base))
        return Backfill(ruleset, scope, REGISTRY, PipelineSettings().waiting_limit, away)
