"""The state of all stages as a train of small frames of msgpack. The same history gives the same bytes, wherever it was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from domain.catalogue import Catalogue
from domain.errors import StoreCorrupt
from domain.messages import both
from domain.objects import RegulatedObject
from rules.ruleset import By, RuleSet
from streams.stages.feeds import Feeds
from streams.stages.fuse import FuseStage
from streams.stages.indicators import IndicatorStage
from streams.stages.keys import shared
from streams.stages.ledger import Ledger, Live
from streams.stages.models import ObjectModel, SeriesDetectors
from streams.stages.packing import Packed
from streams.stages.pieces import chunks, framed
from streams.stages.raising import RaiseStage
from streams.stages.rule_state import dump_rules, dump_subjects, load_rules
from streams.stages.rules import RuleStage
from streams.stages.wakes import Wakes

VERSION: Final = 8


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one pipeline; each is mutable, the set is not."""

    ledger: Ledger
    series: SeriesDetectors
    indicators: IndicatorStage
    rules: RuleStage
    model: ObjectModel
    fuse: FuseStage
    feeds: Feeds
    raising: RaiseStage
    wakes: Wakes


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the sequence a snapshot stands; instants in microseconds."""

    position: int
    now: int
    ruleset: str
    sweep_at: int
    unknown_resolutions: int


class _Head(msgspec.Struct, frozen=True, kw_only=True, tag="head"):
    """What is not large."""

    version: int
    place: Place
    catalogue: Catalogue
    state: dict[str, Any]


class _Objects(msgspec.Struct, frozen=True, tag="objects"):
    rows: list[RegulatedObject]


class _Lives(msgspec.Struct, frozen=True, tag="lives"):
    """Signals that anything in what follows names by number: (seq, packed, feed, id, instant, further ids)."""

    rows: list[tuple[int, Packed, str, str, int, tuple[str, ...]]]


class _Keys(msgspec.Struct, frozen=True, tag="keys"):
    rows: list[list[Any]]


class _Places(msgspec.Struct, frozen=True, tag="places"):
    """The keys for which a signal counts, by its number."""

    rows: list[tuple[int, list[tuple[By, str]]]]


class _Subjects(msgspec.Struct, frozen=True, tag="subjects"):
    rows: list[list[Any]]


class _Risks(msgspec.Struct, frozen=True, tag="risks"):
    rows: list[dict[str, Any]]


class _Inferred(msgspec.Struct, frozen=True, tag="inferred"):
    rows: list[list[Any]]


class _End(msgspec.Struct, frozen=True, tag="end"):
    """Nothing follows: a snapshot is whole, and another one may begin."""


_Rows = _Objects | _Lives | _Keys | _Places | _Subjects | _Risks | _Inferred
_decoder = msgspec.msgpack.Decoder(_Head | _Rows | _End)
_encode = msgspec.msgpack.Encoder().encode
_R = TypeVar("_R", bound=_Rows)


def take(stages: Stages, place: Place) -> Iterator[bytes]:
    """Yield the whole state as a train of frames (`streams.stages.pieces`); nothing may change meanwhile."""
    lives: dict[int, Live] = dict(stages.ledger.waiting)
    for key in stages.indicators.keys.values():
        lives.update((item[1], item[3]) for cell in key.cells.values() for item in cell.items)
    lives.update((live.seq, live) for live in stages.rules.lives())
    lives.update((live.seq, live) for risk in stages.fuse.all() for part in risk.parts.values() for live in part.evidence.values())
    state = {
        "indicators": stages.indicators.dump(),
        "series": stages.series.dump(),
        "rules": dump_rules(stages.rules),
        "model": stages.model.dump(),
        "feeds": stages.feeds.dump(),
        "waiting": list(stages.ledger.waiting),
        "given_up": stages.ledger.given_up,
        "heard": list(stages.ledger.heard.items()),
    }
    order = sorted(lives)
    packed = ((seq, live.pack(), live.feed, live.id, live.t, live.also) for seq in order for live in [lives[seq]])
    places = ((seq, [(by, key.name) for by, key in lives[seq].keys.items()]) for seq in order)
    yield framed(_encode(_Head(version=VERSION, place=place, catalogue=stages.rules.catalogue, state=state)))
    yield from _train(_Objects, stages.indicators.objects.values())
    yield from _train(_Lives, packed)
    yield from _train(_Keys, stages.indicators.dump_keys())
    yield from _train(_Places, places)
    yield from _train(_Subjects, dump_subjects(stages.rules))
    yield from _train(_Risks, stages.fuse.dump())
    yield from _train(_Inferred, stages.raising.dump())
    yield framed(_encode(_End()))


def _train(kind: Callable[[list[Any]], _Rows], rows: Iterable[Any]) -> Iterator[bytes]:
    return (framed(_encode(kind(some))) for some in chunks(rows))


class _Reading:
    """The frames of one snapshot, in their order."""

    def __init__(self, train: Iterator[bytes]) -> None:
        self._train = train
        self._at = self._following()

    def head(self) -> _Head:
        """Return what a snapshot begins with."""
        if not isinstance(self._at, _Head):
            raise _corrupt(type(self._at).__name__)
        head, self._at = self._at, self._following()
        if head.version != VERSION:
            raise StoreCorrupt(both("snapshot.other_format", held=head.version, own=VERSION))
        return head

    def rows(self, kind: type[_R]) -> Iterator[Any]:
        """Yield the rows of one kind, which is the next one."""
        while isinstance(self._at, kind):
            yield from self._at.rows
            self._at = self._following()

    def end(self) -> None:
        """See that nothing is left."""
        if not isinstance(self._at, _End):
            raise _corrupt(type(self._at).__name__)

    def _following(self) -> _Head | _Rows | _End:
        try:
            following: _Head | _Rows | _End = _decoder.decode(next(self._train))
        except StopIteration:
            raise _corrupt(both("store.cut_short")) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _corrupt(str(error)) from error
        return following


def _corrupt(how: str) -> StoreCorrupt:
    return StoreCorrupt(both("snapshot.no_pipeline", error=how))


def put_back(stages: Stages, train: Iterator[bytes], activate: Callable[[str], RuleSet]) -> Place:
    """Bring fresh `stages` to the state of a snapshot, whose frames are taken from `train`; `activate` makes a rule set version the active
    one and returns it.

    Raises:
        StoreCorrupt: they are no snapshot, or one of another format version.
    """  # noqa: D205  one sentence
    reading = _Reading(train)
    head = reading.head()
    ruleset, state = activate(head.place.ruleset), head.state
    stages.rules.catalogue = head.catalogue
    stages.indicators.objects = {thing.id: thing for thing in reading.rows(_Objects)}
    lives = {seq: Live(seq, kept, feed, id_, t, also) for seq, kept, feed, id_, t, also in reading.rows(_Lives)}
    stages.indicators.load(state["indicators"])
    stages.indicators.load_keys(reading.rows(_Keys), lives)
    for seq, keys in reading.rows(_Places):
        lives[seq].keys = shared({by: stages.indicators.keys[name] for by, name in keys})
    stages.series.load(state["series"])
    load_rules(stages.rules, state["rules"], reading.rows(_Subjects), ruleset, lives)
    stages.fuse.load(reading.rows(_Risks), lives)
    stages.model.load(state["model"])
    stages.feeds.load(state["feeds"])
    stages.raising.load(reading.rows(_Inferred))
    reading.end()
    for live in lives.values():
        stages.ledger.keep(live)
    stages.ledger.settle()
    stages.ledger.waiting = {seq: lives[seq] for seq in state["waiting"]}
    stages.ledger.given_up = state["given_up"]
    stages.ledger.heard = dict(state.get("heard", ()))  # earlier versions kept none
    for risk in stages.fuse.all():
        stages.wakes.schedule(risk)
    return head.place
