"""Counting back for partitions of groups: all logs of the frames are read once, in the order in which groups take them, for all of them.

Each partition of groups has a back-fill of its own for its areas and one for its objects with their groups. A signal goes to those that
the sources would have passed it on to, had the rules been in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from domain.objects import RegulatedObject
from domain.partitions import Place, partition_of
from domain.records import ObjectsEntry, Record, SignalEntry
from models.registry import REGISTRY
from rules.ruleset import RuleSet
from rules.spread import Spread, spread
from storage import backfills
from streams.pipeline import PipelineSettings
from streams.runtimes.groups_past import Cut, Which, artifact_of, begins_of, in_order, kept, told_of, written
from streams.runtimes.past import LogHistory
from streams.stages.backfill import Backfill, Scope, scope_of
from streams.stages.passing import Passage
from streams.stages.windows import from_us, to_us

PIPELINES: Final[tuple[Which, ...]] = ("areas", "groups")


def scopes_of(ruleset: RuleSet, base: RuleSet) -> dict[Which, Scope]:
    """Return what partitions of groups have to count where `ruleset` takes the place of `base`; {} for nothing."""
    new, old = spread(ruleset), spread(base)
    found = {which: scope_of(_part(new, which), _part(old, which)) for which in PIPELINES}
    return {which: scope for which, scope in found.items() if scope.names}


def _part(found: Spread, which: Which) -> RuleSet:
    return found.areas if which == "areas" else found.groups


class GroupFills:
    """The back-fills of all partitions of groups; they go on from where they were for as long as this is at hand."""

    def __init__(self, ruleset: RuleSet, scopes: dict[Which, Scope], sources: Sequence[LogHistory], firsts: Sequence[int]) -> None:
        """Begin with the records `firsts` of all `sources`."""
        found, partitions = spread(ruleset), len(sources)
        self._sources = sources
        self._begins = begins_of(firsts)
        self._objects: dict[str, RegulatedObject] = {}
        self._passage = Passage(lambda _version: found, lambda about: partition_of(about, partitions), -1)
        self._passage.activate(ruleset.version)
        self._fills: list[list[tuple[Which, Backfill]]] = []
        for group in range(partitions):
            own: list[tuple[Which, Backfill]] = []
            for which, scope in scopes.items():
                mine = partial(kept, which, group, partitions)
                own.append((which, Backfill(_part(found, which), scope, REGISTRY, PipelineSettings().waiting_limit, keeps=mine)))
                own[-1][1].stage.objects = self._objects  # one registry for all
            self._fills.append(own)

    @property
    def since(self) -> datetime | None:
        """When the first record was received, None before there is one."""
        since = self._fills[0][0][1].since
        return from_us(since) if since >= 0 else None

    def go_on(self, lasts: Sequence[int]) -> int:
        """Count what follows, up to the offsets `lasts` of the sources, where all is known by then; return how many frames that were.

        Raises:
            NotFound, StoreUnavailable: as `streams.runtimes.groups_past.in_order`.
        """
        frames = 0
        for source, judged in in_order(self._sources, list(self._begins), lasts, to_the_end=False):
            for record in told_of(source, judged):
                self._take(record)
            self._begins[source] = (judged.offset + 1, judged.received_at)
            frames += 1
        return frames

    def _take(self, record: Record) -> None:
        if self.since is None:
            for own in self._fills:
                for _, fill in own:
                    fill.since = to_us(record.received_at)
        to = self._told(record)
        for group in range(len(self._fills)) if to is None else to:
            for _, fill in self._fills[group]:
                fill.take(record)

    def _told(self, record: Record) -> Sequence[int] | None:
        """Return the partitions of groups that a record concerns, None for all."""
        entry = record.entry
        if isinstance(entry, ObjectsEntry):
            self._passage.register(entry.objects)
        if not isinstance(entry, SignalEntry) or not entry.resolution.object_id:
            return None
        stage = self._fills[0][0][1].stage
        again = bool(entry.revision or entry.signal.corrects or entry.signal.withdraws)
        self._passage.note(record.seq, stage.facts_of(entry), stage.region_of(entry), everywhere=again)
        noted = self._passage.take()
        return noted[0].to if noted else ()

    def keep(self, connection: Connection, artifact: str) -> None:
        """Keep all of them, named after the `artifact` of a partition of the frames."""
        position = Place(0, self._begins[0][0], 0).seq() - 1
        for group, own in enumerate(self._fills):
            for which, fill in own:
                fill.position = position
                cut = Cut(position=position, begins=self._begins)
                backfills.keep(connection, artifact_of(artifact, which, group), written(cut, fill.dump()))
