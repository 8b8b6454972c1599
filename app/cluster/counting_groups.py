"""Counting back for partitions of groups: all logs of the frames are read once, in the order in which groups take them, for all of them.

There is one back-fill for the areas and one for the objects with their groups; each partition of groups takes over what is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from domain.partitions import Place
from models.registry import REGISTRY
from rules.ruleset import RuleSet
from rules.spread import Spread, spread
from storage import backfills
from streams.pipeline import PipelineSettings
from streams.runtimes.groups_past import Cut, Which, artifact_of, begins_of, in_order, told_of, written
from streams.runtimes.past import LogHistory
from streams.stages.backfill import Backfill, Scope, scope_of
from streams.stages.windows import from_us

PIPELINES: Final[tuple[Which, ...]] = ("areas", "groups")


def scopes_of(ruleset: RuleSet, base: RuleSet) -> dict[Which, Scope]:
    """Return what partitions of groups have to count where `ruleset` takes the place of `base`; {} for nothing."""
    new, old = spread(ruleset), spread(base)
    found = {which: scope_of(_part(new, which), _part(old, which)) for which in PIPELINES}
    return {which: scope for which, scope in found.items() if scope.names}


def _part(found: Spread, which: Which) -> RuleSet:
    return found.areas if which == "areas" else found.groups


class GroupFills:
    """The back-fills of partitions of groups; they go on from where they were for as long as this is at hand."""

    def __init__(self, ruleset: RuleSet, scopes: dict[Which, Scope], sources: Sequence[LogHistory], firsts: Sequence[int]) -> None:
        """Begin with the records `firsts` of all `sources`."""
        found, most = spread(ruleset), PipelineSettings().waiting_limit
        self._sources = sources
        self._begins = begins_of(firsts)
        self._fills = {which: Backfill(_part(found, which), scope, REGISTRY, most) for which, scope in scopes.items()}
        first, *others = self._fills.values()
        for fill in others:
            fill.stage.objects = first.stage.objects  # one registry for both

    @property
    def since(self) -> datetime | None:
        """When the first record was received, None before there is one."""
        since = next(iter(self._fills.values())).since
        return from_us(since) if since >= 0 else None

    def go_on(self, lasts: Sequence[int]) -> int:
        """Count what follows, up to the offsets `lasts` of the sources, where all is known by then; return how many frames that were.

        Raises:
            NotFound, StoreUnavailable: as `streams.runtimes.groups_past.in_order`.
        """
        frames = 0
        for source, judged in in_order(self._sources, list(self._begins), lasts, to_the_end=False):
            for record in told_of(source, judged):
                for fill in self._fills.values():
                    fill.take(record)
            self._begins[source] = (judged.offset + 1, judged.received_at)
            frames += 1
        return frames

    def keep(self, connection: Connection, artifact: str) -> None:
        """Keep both, named after the `artifact` of a partition of the frames."""
        position = Place(0, self._begins[0][0], 0).seq() - 1
        cut = Cut(position=position, begins=self._begins)
        for which, fill in self._fills.items():
            fill.position = position
            backfills.keep(connection, artifact_of(artifact, which), written(cut, fill.dump()))
