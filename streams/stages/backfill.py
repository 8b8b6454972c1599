"""Back-fill (补算): what the windows of new indicators would hold had they always been counted.

A `Backfill` runs these indicators alone over the journal, from its first record on, in the same stages as the pipeline does. It can be
written down after any record and taken up again: what comes out does not depend on where that was done, nor on whether it was done at
all. A signal that none of them selected is not followed: a person who moves it to another object later does not make it count there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import Any, Final

import msgspec

from domain.errors import StoreCorrupt
from domain.messages import both
from domain.objects import RegulatedObject
from domain.partitions import elsewhere
from domain.ports import Detector
from domain.records import MovedEntry, ObjectsEntry, Record, ResolutionEntry, SignalEntry
from rules.ruleset import EMPTY, By, RuleSet
from streams.stages.indicators import IndicatorStage
from streams.stages.ledger import Identity, Ledger, Live, inherit, resolved
from streams.stages.making import cell_of
from streams.stages.models import SeriesDetectors
from streams.stages.pieces import chunks
from streams.stages.plans import ANOMALY, fresh_names, kinds_of
from streams.stages.windows import to_us

FORMAT: Final = 3
NOBODY: Final = 0  # no signal has this number
Detectors = Mapping[str, Callable[[], Detector]]
Away = Callable[[SignalEntry], bool]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a back-fill is about: the indicators of `version` that have no state yet, and the kinds of subject that nobody remembers."""

    version: str
    names: tuple[str, ...]
    kinds: tuple[By, ...]


class _Head(msgspec.Struct, frozen=True, kw_only=True, tag="head"):
    """`since` is when the first record was received (microseconds), -1 where there was none."""

    format: int
    scope: Scope
    position: int
    since: int
    given_up: int
    waiting: list[int]
    series: dict[str, bytes]
    heard: dict[int, int] = {}


class _Objects(msgspec.Struct, frozen=True, kw_only=True, tag="objects"):
    rows: list[RegulatedObject]


class _Lives(msgspec.Struct, frozen=True, kw_only=True, tag="lives"):
    rows: list[tuple[int, SignalEntry, list[Identity]]]


class _Keys(msgspec.Struct, frozen=True, kw_only=True, tag="keys"):
    rows: list[list[Any]]


class _Places(msgspec.Struct, frozen=True, kw_only=True, tag="places"):
    rows: list[tuple[int, list[tuple[By, str]]]]


class _Last(msgspec.Struct, frozen=True, kw_only=True, tag="last"):
    """The newest signals by subject; `NOBODY` where it was undone and none came since."""

    rows: list[tuple[str, int]]


_Part = _Head | _Objects | _Lives | _Keys | _Places | _Last
_frame = msgspec.msgpack.Decoder(_Part)
_encode = msgspec.msgpack.Encoder().encode


def scope_of(ruleset: RuleSet, before: RuleSet) -> Scope:
    """Return what is to be back-filled where `ruleset` takes the place of `before`; without names where nothing is."""
    names = tuple(name for name in fresh_names(ruleset, before) if _counts(ruleset, name))
    nothing = before.version == EMPTY.version or not (before.rules or before.indicators)  # a partition of groups hears of no object then
    known: tuple[By, ...] = () if nothing else ("object", *kinds_of(before)[0])
    kinds: tuple[By, ...] = ("object", *kinds_of(ruleset)[0])
    return Scope(version=ruleset.version, names=names, kinds=tuple(by for by in kinds if by not in known))


def _counts(ruleset: RuleSet, name: str) -> bool:
    indicator = ruleset.indicators[name]
    return indicator.aggregate == ANOMALY or cell_of(indicator) is not None


class Backfill:
    """The indicators of `scope` over a journal. One thread; state changes in place."""

    def __init__(
        self,
        ruleset: RuleSet,
        scope: Scope,
        detectors: Detectors,
        waiting_limit: int,
        away: Away = lambda _entry: False,
    ) -> None:
        """Begin before the first record; `waiting_limit` is that of the pipeline, `away` says which signals do not count in its partition.

        All windows are kept, also those that the pipeline does not keep: a person's word may move a signal from one to another, and
        what it speaks of is to be known for as long as one process knows it.

        Raises:
            NotFound: no detector of a name is registered.
        """
        self.scope = scope
        self.position = 0
        self.since = -1
        self.ledger = Ledger(waiting_limit)
        self._away = away
        self.series = SeriesDetectors(detectors)
        self.stage = IndicatorStage(self.ledger, self.series)
        self.last: dict[str, Live | None] = {}  # None: it was undone, and none came since
        needed = {name: ruleset.indicators[name] for name in _needed(ruleset, scope.names)}
        self.stage.activate(replace(ruleset, indicators=needed, rules=()), 0)
        self.stage.digits, self.stage.groups = kinds_of(ruleset)  # a signal knows everything that it counts for

    def take(self, record: Record) -> None:
        """Take in the next record; what the indicators do not read only moves the position."""
        self.position = record.seq
        if self.since < 0:
            self.since = to_us(record.received_at)
        entry = record.entry
        if isinstance(entry, SignalEntry):
            self._signal(record.seq, entry)
        elif isinstance(entry, ResolutionEntry):
            self._resolution(record.seq, entry)
        elif isinstance(entry, MovedEntry):
            self._moved(entry)
        elif isinstance(entry, ObjectsEntry):
            self.stage.objects.update((thing.id, thing) for thing in entry.objects)
        self.ledger.settle()

    def _signal(self, seq: int, entry: SignalEntry) -> None:
        replaced = self.ledger.replaced_by(entry)
        also: tuple[str, ...] = ()
        if replaced or entry.signal.corrects:
            also = self.ledger.also_for(entry, replaced)
            entry = inherit(entry, replaced)
            for earlier in replaced:
                self._undo(earlier)
        if not entry.signal.withdraws:
            self._place(Live.of(seq, entry, also), away=self._away(entry))

    def _resolution(self, seq: int, entry: ResolutionEntry) -> None:
        earlier = self.ledger.meant_by(entry, seq)
        if earlier is None:
            return
        found = resolved(earlier.entry, entry.object_id)
        if earlier.entry.resolution.object_id == entry.object_id:
            earlier.entry = found
            return
        live = Live.of(earlier.seq, found, earlier.also)
        self._undo(earlier)
        self._place(live, away=elsewhere(entry, seq))

    def _moved(self, entry: MovedEntry) -> None:
        if not self.ledger.hear(entry):
            return
        for earlier in self.ledger.gone_by(entry):
            self._undo(earlier)
        live = self.ledger.moved_here(entry)
        if live is not None:
            self._place(live)

    def _place(self, live: Live, *, away: bool = False) -> None:
        """Let a signal count for its object, or wait for one."""
        if away or not live.entry.resolution.object_id:
            self.ledger.wait(live)
            return
        moment = self.stage.moment(live)
        self.stage.add(moment)
        for by in self.scope.kinds:
            key = moment.keys.get(by)
            if key is not None:
                self._see(key.name, live)
        if live.holds:
            self.ledger.keep(live)

    def _see(self, subject: str, live: Live) -> None:
        before = self.last.get(subject)
        live.holds += 1
        self.last[subject] = live
        if before is not None:
            self.ledger.release(before)

    def _undo(self, live: Live) -> None:
        if live.seq not in self.ledger.waiting:
            self.stage.remove(live)
            for by in self.scope.kinds:
                key = live.keys.get(by)
                if key is not None and self.last.get(key.name) is live:
                    self.last[key.name] = None
        self.ledger.forget(live)

    def dump(self) -> Iterator[bytes]:
        """Yield the state as frames; the same records give the same bytes."""
        lives: dict[int, Live] = {**self.ledger.waiting, **{live.seq: live for live in self.last.values() if live is not None}}
        for key in self.stage.keys.values():
            lives.update((item[1], item[3]) for cell in key.cells.values() for item in cell.items)
        yield _encode(
            _Head(
                format=FORMAT,
                scope=self.scope,
                position=self.position,
                since=self.since,
                given_up=self.ledger.given_up,
                waiting=list(self.ledger.waiting),
                series=self.series.dump(),
                heard=self.ledger.heard,
            )
        )
        yield from (_encode(_Objects(rows=rows)) for rows in chunks(self.stage.objects.values()))
        yield from (_encode(_Lives(rows=rows)) for rows in chunks(_row(lives[seq]) for seq in sorted(lives)))
        yield from (_encode(_Keys(rows=rows)) for rows in chunks(self.stage.dump_keys()))
        yield from (_encode(_Places(rows=rows)) for rows in chunks(_places(lives[seq]) for seq in sorted(lives)))
        yield from (
            _encode(_Last(rows=rows))
            for rows in chunks((subject, NOBODY if live is None else live.seq) for subject, live in self.last.items())
        )

    def load(self, frames: Iterator[bytes]) -> bool:
        """Take up `dump` in a fresh back-fill, frame by frame; False, and nothing is taken up, where it is about something else.

        Raises:
            StoreCorrupt: the frames are none of a back-fill; some of it may be taken up, so begin with another one.
        """
        try:
            return self._load(_frame.decode(frame) for frame in frames)
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            raise StoreCorrupt(both("snapshot.no_backfill", error=repr(error))) from error

    def _load(self, parts: Iterator[_Part]) -> bool:
        head = next(parts, None)
        if not isinstance(head, _Head) or (head.format, head.scope) != (FORMAT, self.scope):
            return False
        lives: dict[int, Live] = {}
        self.stage.warming_since = {}
        for kind, group in groupby(parts, type):
            rows: Iterator[Any] = chain.from_iterable(part.rows for part in group if not isinstance(part, _Head))
            if kind is _Objects:
                self.stage.objects.update((thing.id, thing) for thing in rows)
            elif kind is _Lives:
                lives.update((seq, Live.of(seq, entry, tuple(id_ for _, id_ in names[1:]))) for seq, entry, names in rows)
            elif kind is _Keys:
                self.stage.load_keys(rows, lives)
            elif kind is _Places:
                for seq, of in rows:
                    lives[seq].keys = {by: self.stage.keys[name] for by, name in of}
            elif kind is _Last:
                for subject, seq in rows:
                    if seq == NOBODY:
                        self.last[subject] = None
                    else:
                        self._see(subject, lives[seq])
        for live in lives.values():
            self.ledger.keep(live)
        self.ledger.settle()
        self.series.load(head.series)
        self.ledger.waiting = {seq: lives[seq] for seq in head.waiting}
        self.ledger.given_up = head.given_up
        self.ledger.heard = head.heard
        self.position, self.since = head.position, head.since
        return True


def _row(live: Live) -> tuple[int, SignalEntry, list[Identity]]:
    return live.seq, live.entry, [(live.feed, id_) for id_ in live.ids]


def _places(live: Live) -> tuple[int, list[tuple[By, str]]]:
    return live.seq, [(by, key.name) for by, key in live.keys.items()]


def _needed(ruleset: RuleSet, names: Sequence[str]) -> list[str]:
    """Return `names` with what detectors among them watch, in the order of the rule set."""
    found = set(names)
    waiting = list(names)
    while waiting:
        more = [name for name in ruleset.indicators[waiting.pop()].made_of if name in ruleset.indicators and name not in found]
        found.update(more)
        waiting += more
    return [name for name in ruleset.indicators if name in found]
