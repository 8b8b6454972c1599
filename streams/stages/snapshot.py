"""The state of all stages as bytes: msgpack with a format version. The same history gives the same bytes, wherever it was cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

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
from streams.stages.raising import RaiseStage
from streams.stages.rows import Rows, encoded
from streams.stages.rule_state import dump_rules, load_rules
from streams.stages.rules import RuleStage
from streams.stages.wakes import Wakes

VERSION: Final = 7


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


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot; `lives` are the signals that anything in `state` names by number: (seq, packed, feed, id, instant, further ids, keys)."""

    version: int
    place: Place
    catalogue: Catalogue
    objects: list[RegulatedObject]
    lives: list[tuple[int, Packed, str, str, int, tuple[str, ...], list[tuple[By, str]]]]
    state: dict[str, Any]


def take(stages: Stages, place: Place) -> bytes:
    """Return the whole state."""
    lives: dict[int, Live] = dict(stages.ledger.waiting)
    for key in stages.indicators.keys.values():
        lives.update((item[1], item[3]) for cell in key.cells.values() for item in cell.items)
    lives.update((live.seq, live) for live in stages.rules.lives())
    lives.update((live.seq, live) for risk in stages.fuse.all() for part in risk.parts.values() for live in part.evidence.values())
    state = {
        "indicators": stages.indicators.dump(),
        "series": stages.series.dump(),
        "rules": dump_rules(stages.rules),
        "risks": stages.fuse.dump(),
        "inferred": stages.raising.dump(),
        "model": stages.model.dump(),
        "feeds": stages.feeds.dump(),
        "waiting": list(stages.ledger.waiting),
        "given_up": stages.ledger.given_up,
    }
    return encoded(
        {
            "version": VERSION,
            "place": place,
            "catalogue": stages.rules.catalogue,
            "objects": Rows(len(stages.indicators.objects), stages.indicators.objects.values()),
            "lives": Rows(len(lives), (_row(lives[seq]) for seq in sorted(lives))),
            "state": state,
        }
    )


def _row(live: Live) -> tuple[Any, ...]:
    return live.seq, live.pack(), live.feed, live.id, live.t, live.also, [(by, key.name) for by, key in live.keys.items()]


def put_back(stages: Stages, data: bytes, activate: Callable[[str], RuleSet]) -> Place:
    """Bring fresh `stages` to the state of a snapshot; `activate` makes a rule set version the active one and returns it.

    Raises:
        StoreCorrupt: `data` is no snapshot, or one of another format version.
    """
    try:
        saved = msgspec.msgpack.decode(data, type=_Saved)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(both("snapshot.no_pipeline", error=error)) from error
    if saved.version != VERSION:
        raise StoreCorrupt(both("snapshot.other_format", held=saved.version, own=VERSION))
    ruleset = activate(saved.place.ruleset)
    stages.rules.catalogue = saved.catalogue
    stages.indicators.objects = {thing.id: thing for thing in saved.objects}
    lives = {seq: Live(seq, kept, feed, id_, t, also) for seq, kept, feed, id_, t, also, _ in saved.lives}
    state = saved.state
    stages.indicators.load(state["indicators"], lives)
    for seq, *_, keys in saved.lives:
        lives[seq].keys = shared({by: stages.indicators.keys[name] for by, name in keys})
    stages.series.load(state["series"])
    load_rules(stages.rules, state["rules"], ruleset, lives)
    stages.fuse.load(state["risks"], lives)
    stages.model.load(state["model"])
    stages.feeds.load(state["feeds"])
    stages.raising.load(state["inferred"])
    for live in lives.values():
        stages.ledger.keep(live)
    stages.ledger.settle()
    stages.ledger.waiting = {seq: lives[seq] for seq in state["waiting"]}
    stages.ledger.given_up = state["given_up"]
    for risk in stages.fuse.all():
        stages.wakes.schedule(risk)
    return saved.place
