"""A replay's parts: the pipeline of `serve` with its commit on a database in memory, or with nobody to tell at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from app.columnar import NeedsPipeline, first_lines_are_signals, has_points, open_replay, why_not
from app.commit import Commit, Consequences
from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from app.pipelines import lateness
from app.rule_folder import read_folder
from app.settings import SHIPPED_PACKS, SHIPPED_POLICIES
from app.views.warning import canonical
from connectors.inbound.catalogue import read_catalogue
from connectors.inbound.departments import read_departments
from connectors.inbound.registry import read_objects
from connectors.inbound.resolve import resolve
from domain.clock import ManualClock
from domain.findings import Outcome
from domain.messages import both
from domain.objects import Resolution
from domain.principals import Principal
from domain.records import ObjectsEntry, Record
from domain.signals import Signal
from models.registry import REGISTRY, VECTOR_REGISTRY
from rules.load import load_rules
from storage import obligations
from storage.calendars import load_calendar
from storage.database import Database
from storage.registry import MemoryObjectLookup
from storage.tables import warnings
from streams.pipeline import PipelineSettings
from streams.runtimes.findings import Findings
from streams.runtimes.replay import Summary, replay

if TYPE_CHECKING:
    from streams.runtimes.columnar import Read

YEARS = range(2004, 2031)  # what the calendar library knows, and some years of statutory days
READER = Principal(name="replay", role="auditor")


class _Routing:
    """What `serve` does with outcomes; its clock is the records' own time, so due times are what they would have been."""

    def __init__(self, departments: Path | None) -> None:
        self._clock = ManualClock(datetime(1970, 1, 1, tzinfo=UTC))
        self._database = Database.in_memory()
        if departments is not None:
            found = read_departments(departments.read_bytes(), departments.name)
            with self._database.write() as connection:
                obligations.put_departments(connection, found.directory.departments)
        writer = EffectWriter(base_url="", link_key=b"no link leaves a replay")
        desk = Desk(load_calendar(YEARS), SHIPPED_POLICIES)
        self._commit = Commit(self._database, Consequences(desk, writer, self._clock, Metrics()))

    def take(self, records: Sequence[Record], outcomes: Sequence[Outcome]) -> None:
        """Commit a batch."""
        self._clock.move_to(max(self._clock.now(), records[-1].received_at))
        self._commit(records, outcomes)

    def lines(self) -> Iterator[bytes]:
        """Yield the warnings in the canonical form, in the order in which they were raised."""
        with self._database.read() as connection:
            for warning_id in connection.scalars(select(warnings.c.id).order_by(warnings.c.raised_at, warnings.c.id)).all():
                found = msgspec.to_builtins(canonical(connection, READER, warning_id))
                yield (json.dumps(found, ensure_ascii=False) + "\n").encode()


class Replaying:
    """One replay. With `engine_only` rules, fusion and raising run alone: no nightly comparison, no routing and no database."""

    def __init__(
        self,
        rules: Sequence[Path] = (),
        *,
        objects: Path | None,
        catalogue: Path | None,
        departments: Path | None,
        mappings: Path | None = None,
        engine_only: bool = False,
    ) -> None:
        """Read the files; `rules` are folders of packs, the one that is in force first, then those that a journal export activates.

        `mappings` is a folder of own mappings beside the shipped ones, which say how late the data of a feed may be.

        Raises:
            FileProblems: a file cannot be used; all problems at once.
        """
        sets = [load_rules(read_folder(folder)) for folder in rules or (SHIPPED_PACKS,)]
        self._rules, self._sets = sets[0], {each.version: each for each in sets}
        self._objects = read_objects(objects.read_bytes(), objects.name).objects if objects else ()
        self._catalogue = read_catalogue(catalogue.read_bytes(), catalogue.name).catalogue if catalogue else None
        told = PipelineSettings(lateness=lateness(mappings))
        self._settings = msgspec.structs.replace(told, model_points=0.0) if engine_only else told
        self.findings = Findings()  # filled where the engine runs alone
        self._routing = None if engine_only else _Routing(departments)
        self._on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _found: None

    def why_not_columnar(self, signals: Sequence[Path], until: datetime | None) -> str:
        """Return why these files cannot go through the compiled kernel, in both languages; "" where they can."""
        if self._objects:
            return both("kernel.registry")
        if has_points(self._rules):
            if self._routing is not None:
                return both("kernel.points")
            if self._catalogue is not None:
                return both("kernel.catalogue")
            if until is not None:
                return both("kernel.until")
        if not first_lines_are_signals(signals):
            return both("kernel.records")
        return why_not(self._rules)

    def play_columns(self, signals: Sequence[Path], read: Read, write: Callable[[bytes], object], say: Callable[[str], object]) -> Summary:
        """Run files of signals through the compiled kernel, and hand the lines of their hits to `write`.

        Raises:
            NeedsPipeline: there is something that only the pipeline does; nothing of what was done counts.
        """
        from streams.runtimes.columnar import NotYet  # noqa: PLC0415  # it brings numba, which only this path pays for

        found = self.findings
        try:
            told = open_replay(self._rules, read, write, found.take, say, complete=found.complete).play(signals)
        except NotYet as error:
            raise NeedsPipeline(both("kernel.in_force")) from error
        except NeedsPipeline:
            self.findings = Findings()
            raise
        setup = 1 + (self._catalogue is not None)
        records = told.signals + told.ticks + setup if told.signals else 0
        return Summary(records=records, signals=told.signals, outcomes=told.hits + told.others, ended=told.ended, reached=told.reached)

    def play(
        self,
        given: Callable[[], Iterable[tuple[str, Signal, datetime | None] | Record]],
        *,
        until: datetime | None,
        on_outcomes: Callable[[Sequence[Outcome]], None],
    ) -> Summary:
        """Run everything through the pipeline and return what it was; `given` is asked again where an activation counts back.

        Raises:
            NotFound: a journal export activates a rule set that is not among the given ones, or counts back to records that are not there.
        """
        self._on_outcomes = on_outcomes
        return replay(
            given(),
            again=given,
            commit=self._take,
            objects=self._objects,
            catalogue=self._catalogue,
            ruleset=self._rules,
            rulesets=self._sets,
            until=until,
            resolve=self._resolver(),
            detectors=REGISTRY,
            object_detector=VECTOR_REGISTRY["forest"],
            settings=self._settings,
        )

    def _resolver(self) -> Callable[[Signal], Resolution] | None:
        """Return the resolution of `serve` where there is a registry; without one an id or code is taken at its word."""
        if not self._objects:
            return None
        lookup = MemoryObjectLookup()
        lookup.apply(ObjectsEntry(version=1, objects=tuple(self._objects)))
        return lambda signal: resolve(signal.object, signal.text, lookup, signal.region)

    def _take(self, records: Sequence[Record], outcomes: Sequence[Outcome]) -> None:
        if self._routing is None:
            self.findings.take(outcomes)
        else:
            self._routing.take(records, outcomes)
        self._on_outcomes(outcomes)

    def lines(self) -> Iterator[bytes]:
        """Yield the warnings as lines of JSON, in the order in which they were raised."""
        yield from self.findings.lines() if self._routing is None else self._routing.lines()
