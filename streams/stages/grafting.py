"""Putting what was back-filled into the running stages: as if the new indicators had always been there, and nothing raised by that."""

from __future__ import annotations

from itertools import repeat

from domain.errors import NotFound, StoreCorrupt
from domain.ports import History, SharedHistory
from domain.records import Prepared
from rules.ruleset import RuleSet
from streams.stages.backfill import Away, Backfill, Detectors, Scope, scope_of
from streams.stages.cells import Cell
from streams.stages.groups import whose
from streams.stages.indicators import IndicatorStage
from streams.stages.keys import Key
from streams.stages.ledger import Ledger, Live
from streams.stages.models import SeriesDetectors
from streams.stages.rules import RuleStage
from streams.stages.small import having


class Past:
    """Gives the new indicators of an activation the state that the records before it make of them."""

    def __init__(
        self,
        ledger: Ledger,
        series: SeriesDetectors,
        indicators: IndicatorStage,
        rules: RuleStage,
        detectors: Detectors,
        history: History | None,
        waiting: int,
        away: Away,
    ) -> None:
        """Work on the stages of one pipeline; without a `history` nothing can be counted back; `waiting` and `away` are for `Backfill`."""
        self._ledger = ledger
        self._series = series
        self._indicators = indicators
        self._rules = rules
        self._detectors = detectors
        self._history = history
        self._waiting = waiting
        self._away = away

    def count_back(self, ruleset: RuleSet, before: RuleSet, seq: int, prepared: Prepared) -> list[Live]:
        """Count back for the activation of `ruleset` in the place of `before` by record `seq`.

        `indicators` run `ruleset` already, `rules` do not yet. Where the stored state is missing or does not fit, all records are read.
        Return the signals that count in other partitions since a person said so while nothing here knew them any more, in order of arrival:
        these partitions have not been told.

        Raises:
            NotFound: records that it takes are not at hand.
        """
        scope = scope_of(ruleset, before)
        if not scope.names:
            return []
        if self._history is None:
            raise NotFound(f"record {seq} activates indicators that count from record {prepared.first} on, which is not at hand here")
        history = self._history

        def count() -> Backfill:
            return self._count(history, ruleset, scope, seq, prepared)

        fill = history.counted(seq, scope, count) if isinstance(history, SharedHistory) else count()
        graft = _Graft(self._ledger, self._series, self._indicators, self._rules)
        graft.put(fill)
        return graft.untold(fill)

    def _count(self, history: History, ruleset: RuleSet, scope: Scope, seq: int, prepared: Prepared) -> Backfill:
        fill = self._stored(history, ruleset, scope, prepared)
        if fill is None or fill.position >= seq:
            fill = self._new(ruleset, scope)
            fill.position = prepared.first - 1
        for record in history.records(fill.position, seq):
            fill.take(record)
        return fill

    def _new(self, ruleset: RuleSet, scope: Scope) -> Backfill:
        return Backfill(ruleset, scope, self._detectors, self._waiting, self._away)

    def _stored(self, history: History, ruleset: RuleSet, scope: Scope, prepared: Prepared) -> Backfill | None:
        frames = history.artifact(prepared.artifact) if prepared.artifact else None
        if frames is None:
            return None
        fill = self._new(ruleset, scope)
        try:
            return fill if fill.load(frames) else None
        except StoreCorrupt:
            return None  # written by other software: a new fill reads the records


class _Graft:
    """One use of a back-fill."""

    def __init__(self, ledger: Ledger, series: SeriesDetectors, indicators: IndicatorStage, rules: RuleStage) -> None:
        self._ledger = ledger
        self._series = series
        self._indicators = indicators
        self._rules = rules
        self._lives: dict[int, Live] = {}
        self._kept: set[str] = set()  # the keys of the back-fill that are kept here

    def put(self, fill: Backfill) -> None:
        """Take over windows, scores and detectors of the indicators that `fill` is about, and the subjects that nobody remembers.

        What is not kept here stays behind; `fill` itself is only read.
        """
        names, keeps = set(fill.scope.names), self._indicators.keeps
        self._kept = {name for name in fill.stage.keys if keeps is None or keeps(*whose(name, fill.stage.groups))}
        for own in fill.stage.keys.values():
            if own.name not in self._kept:
                continue
            key = self._indicators.key(own.name)
            key.clock = max(key.clock, own.clock)
            for name, cell in own.cells.items():
                if name in names:
                    self._window(key, name, cell)
            for name, score in own.scores.items():
                if name in names:
                    key.note(name, score)
            self._indicators.settle(key)
        only = None if keeps is None else self._kept.__contains__
        self._series.load({name: state for name, state in fill.series.dump(only).items() if name in names})
        for subject, live in fill.last.items():
            if subject in self._kept:
                self._rules.adopt(subject, None if live is None else self._own(live))
        for live in self._lives.values():
            if live.holds:
                self._ledger.keep(live)
        if fill.since >= 0:
            self._indicators.warming_since.update(dict.fromkeys(fill.scope.names, fill.since))

    def untold(self, fill: Backfill) -> list[Live]:
        """Return what a person moved to other partitions when only `fill` knew it; from here on it is known as all that was moved there."""
        found = []
        for live in [fill.ledger.waiting[seq] for seq in sorted(fill.ledger.waiting)]:
            entry = live.entry
            if not entry.resolution.object_id or entry.resolution.method != "confirmed":
                continue
            known = self._ledger.named(live.feed, live.id)
            if known is None:
                self._ledger.wait(Live.of(live.seq, entry, live.also))
            if known is None or (known.seq == live.seq and known.entry.resolution.object_id != entry.resolution.object_id):
                found.append(live)
        return found

    def _window(self, key: Key, name: str, cell: Cell) -> None:
        plan = self._indicators.plans[name]
        new = plan.cell(plan.frame, name, key)  # type: ignore[misc]  # what has windows has a cell
        key.cells = having(key.cells, name, new)
        values = cell.values()
        items = [(item[0], item[1], value, self._own(item[3])) for item, value in zip(cell.items, values or repeat(None), strict=False)]
        new.put_back(items, cell.clock, cell.seen)
        memory = cell.memory()
        if memory is not None:
            new.remember(memory)
        for item in items:
            item[3].holds += 1

    def _own(self, live: Live) -> Live:
        """Return the running stages' own of a signal, which knows from here on everything that it counts for."""
        found = self._lives.get(live.seq)
        if found is None:
            known = next((each for id_ in live.ids if (each := self._ledger.named(live.feed, id_)) and each.seq == live.seq), None)
            found = self._lives[live.seq] = known or Live.of(live.seq, live.entry, live.also)
            known_for = {by: self._indicators.key(key.name) for by, key in live.keys.items() if key.name in self._kept}
            found.keys = {**known_for, **found.keys}
        return found
