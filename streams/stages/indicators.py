"""Indicators (指标): which signals each selects, in whose windows they count, and what the windows come to.

The exact and readable engine: every value is what the signals inside the window say now, whatever arrived late, twice, corrected or
taken back. A window's clock is a high-water mark: an instant once seen stays seen, also when the signal that showed it is withdrawn.
"""

# Long because: what a signal does to windows, forwards, backwards and from a snapshot, has to agree, and is read side by side.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Protocol

from domain.objects import RegulatedObject
from domain.records import SignalEntry
from rules.facts import Facts
from rules.ruleset import By, Indicator, RuleSet, Value
from streams.stages.cells import Cell, Item
from streams.stages.groups import area_name, group_at
from streams.stages.keys import Key, shared
from streams.stages.ledger import Ledger, Live
from streams.stages.peers import Peers
from streams.stages.plans import PEERS, Plan, definition_of, kinds_of
from streams.stages.selecting import Selector, combination_of
from streams.stages.small import NOTHING, having, lacking
from streams.stages.windows import NEVER


class Series(Protocol):
    """What this stage asks of `streams.stages.models`."""

    def start(self, indicator: Indicator) -> None:
        """Begin a fresh detector for an anomaly indicator."""

    def stop(self, name: str) -> None:
        """Forget the detector of an indicator."""

    def score(self, name: str, key: str, at: int, value: object) -> float:
        """Score one point of the series `key` and learn from it."""


Objects = Mapping[str, RegulatedObject]
Keeps = Callable[[By, str], bool]
"""Whether windows of a kind are kept here: for an area its name is given, for all else the object that the signal is about."""


class Moment:
    """A signal with everything that can be read at it: its object, its keys by `by`, and its facts.

    Its values are those of the state as it stands after the signal; a moment does not outlive its record.
    """

    __slots__ = ("combination", "entry", "facts", "fed", "keys", "live", "object", "region", "values")

    def __init__(
        self, live: Live, entry: SignalEntry, thing: RegulatedObject | None, region: str, keys: dict[By, Key], objects: Objects
    ) -> None:
        """`entry` is that of `live`, which makes it anew where it is packed."""
        self.live = live
        self.entry = entry
        self.object = thing
        self.region = region
        self.keys = keys
        self.values: dict[str, Value] = {}  # read so far, by indicator
        self.fed: list[str] = []  # indicators and courses that the signal went into as it was counted
        self.facts = Facts(entry, thing, self.values, objects)
        self.combination = combination_of(self.facts)


def _dumped(name: str, cell: Cell) -> list[Any]:
    """Return a cell as plain data; signals stand by their number."""
    memory = cell.memory()
    return [name, cell.clock, cell.seen, [item[1] for item in cell.items], cell.values(), *([] if memory is None else [memory])]


def _row(key: Key) -> list[Any]:
    return [key.name, key.clock, key.expires, [_dumped(name, cell) for name, cell in key.cells.items()], dict(key.scores)]


class IndicatorStage:
    """All windows of all keys. One thread; state changes in place."""

    def __init__(self, ledger: Ledger, series: Series) -> None:
        self._ledger = ledger
        self._series = series
        self.plans: dict[str, Plan] = {}
        self.keys: dict[str, Key] = {}
        self.objects: dict[str, RegulatedObject] = {}
        self.warming_since: dict[str, int] = {}
        self.digits: tuple[int, ...] = ()  # of the regions that indicators and rules are about
        self.groups: tuple[By, ...] = ()  # that indicators are about beside objects and regions
        self.keeps: Keeps | None = None  # None: everything is kept here
        self.peers = Peers(self)
        self._stirred: set[str] = set()  # keys whose windows may have changed since the objects were compared
        self._watchers: dict[str, list[Plan]] = {}
        self._own: frozenset[str] = frozenset()  # indicators whose windows have a clock of their own
        self._selector = Selector()

    def activate(self, ruleset: RuleSet, now: int) -> list[str]:
        """Run `ruleset` from `now` on: indicators defined as before keep their state, all others start empty; return those."""
        plans = {name: Plan(each, definition_of(each, ruleset)) for name, each in ruleset.indicators.items()}
        kept = {name for name, plan in plans.items() if name in self.plans and self.plans[name].definition == plan.definition}
        dropped = [name for name in self.plans if name not in kept]
        self._stirred.update(self.keys)
        for key in self.keys.values():
            for name in dropped:
                self._drop(key, name)
        for name in dropped:
            self._series.stop(name)
            self.warming_since.pop(name, None)
        for name, plan in plans.items():
            if name not in kept:
                self.warming_since[name] = now
                if plan.score:
                    self._series.start(plan.indicator)
        self.plans = plans
        self._own = frozenset(name for name, plan in plans.items() if plan.own)
        self.digits, self.groups = kinds_of(ruleset)
        self.peers.activate([plan.indicator for plan in plans.values() if plan.indicator.aggregate == PEERS], now)
        self._watchers = {}
        for plan in plans.values():
            if plan.score:
                self._watchers.setdefault(plan.indicator.input, []).append(plan)
        self._selector = Selector(plans.values())
        return [name for name in plans if name not in kept]

    def _drop(self, key: Key, name: str) -> None:
        """Let go of a window of `key` and of what it holds."""
        key.lose(name)
        cell = key.cells.get(name)
        key.cells = lacking(key.cells, name)
        for item in cell.items if cell is not None else ():
            self._ledger.release(item[3])

    def moment(self, live: Live) -> Moment:
        """Return what `live` is about; keys that are met for the first time are made."""
        entry = live.entry
        object_id = entry.resolution.object_id
        thing = self.objects.get(object_id)
        region = (thing.region if thing is not None else "") or entry.signal.region  # as `region_of`, which would look it up again
        keeps = self.keeps
        keys: dict[By, Key] = {"object": self.key(object_id)} if keeps is None or keeps("object", object_id) else {}
        for digits in self.digits:
            if len(region) >= digits and (keeps is None or keeps(digits, area_name(region, digits))):
                keys[digits] = self.key(area_name(region, digits))
        for by in self.groups:
            name = group_at(by, entry, thing, region)
            if name and (keeps is None or keeps(by, object_id)):
                keys[by] = self.key(name)
        return Moment(live, entry, thing, region, keys, self.objects)

    def moment_of_undoing(self, live: Live) -> Moment:
        """Return the moment of a signal that is taken back: its keys are those that it counted for, wherever its object is now."""
        entry = live.entry
        thing = self.objects.get(entry.resolution.object_id)
        return Moment(live, entry, thing, self.region_of(entry), dict(live.keys), self.objects)

    def facts_of(self, entry: SignalEntry) -> Facts:
        """Return what can be read of a signal before it counts."""
        return Facts(entry, self.objects.get(entry.resolution.object_id), objects=self.objects)

    def region_of(self, entry: SignalEntry) -> str:
        """Return the region of a signal's object as the registry has it, else its own; "" where neither tells one."""
        thing = self.objects.get(entry.resolution.object_id)
        return (thing.region if thing is not None else "") or entry.signal.region

    def key(self, name: str) -> Key:
        """Return the key of this name, made where it is met for the first time."""
        key = self.keys.get(name)
        if key is None:
            key = self.keys[name] = Key(name)
        return key

    def add(self, moment: Moment) -> dict[By, list[str]]:
        """Let the moment's signal count; return, by kind of key, the indicators whose value can have changed."""
        live = moment.live
        live.keys = shared(moment.keys)
        t = live.t
        if (about := moment.keys.get("object")) is not None:
            self._stirred.add(about.name)
        changed: dict[By, list[str]] = {}
        for by, key in moment.keys.items():
            if t > key.clock:
                key.clock = t
                if t >= key.expires:
                    changed[by] = self._expire(key)
        selected = self._selector.select(moment.combination, moment.facts)
        if not selected:
            return changed
        bare: Item = (t, live.seq, None, live)  # windows share what they hold of a signal
        valued, fed = bare, moment.fed
        for plan in selected:
            owner = moment.keys.get(plan.by)
            if owner is not None and (item := self._count(plan, owner, bare, valued, moment.facts)) is not None:
                valued = valued if item is bare else item
                names = changed.get(plan.by)
                if names is None:
                    names = changed[plan.by] = []
                names.append(plan.name)
                fed.append(plan.name)
                if plan.name in self._watchers:
                    watching: list[str] = []
                    self._watch(plan.name, owner, watching)
                    names += watching
                    fed += watching
        return changed

    def _count(self, plan: Plan, key: Key, bare: Item, valued: Item, facts: Facts) -> Item | None:
        """Put a signal into one window; return what the window holds of it, None when it is too old for it.

        `bare` is what windows hold that want no value, `valued` what the last one held that wants one.
        """
        live: Live = bare[3]
        cell = key.cells.get(plan.name)
        new = cell is None
        if cell is None:
            cell = plan.cell(plan.frame, plan.name, key)  # type: ignore[misc]  # the selector yields no anomaly indicators
        clock = live.t if plan.own else key.clock
        if clock > cell.clock:
            if clock < cell.drops:
                cell.advance(clock)
            else:
                for item in cell.move(clock):
                    self._ledger.release(item[3])
        if plan.picky and not cell.takes(live.t, correction=bool(live.entry.revision or live.entry.signal.corrects)):
            return None
        value = None if plan.of is None else cell.reads(plan.of.evaluate(facts))
        if value is None:
            item = bare
        else:
            item = valued if valued[2].__class__ is value.__class__ and valued[2] == value else (bare[0], bare[1], value, live)
        if not cell.add(item):
            return None
        if new:
            key.cells = having(key.cells, plan.name, cell)
        live.holds += 1
        if plan.keeps and (spare := cell.shed(plan.keeps)) is not None:
            self._ledger.release(spare[3])
        if not plan.own and cell.drops < key.expires:
            key.expires = cell.drops
        return item

    def _watch(self, name: str, key: Key, changed: list[str]) -> None:
        """Feed the detectors that watch indicator `name`, and those that watch them."""
        for plan in self._watchers.get(name, ()):
            at = key.cells[name].clock if name in key.cells else key.clock
            key.note(plan.name, self._series.score(plan.name, key.name, at, self._value(name, key)))
            changed.append(plan.name)
            self._watch(plan.name, key, changed)

    def _expire(self, key: Key) -> list[str]:
        """Move the windows that follow the key's clock; return those that lost a signal."""
        changed: list[str] = []
        expires, clock = NEVER, key.clock
        for name, cell in key.cells.items():
            if name in self._own:
                continue
            if clock < cell.drops:
                if clock > cell.clock:
                    cell.advance(clock)
            else:
                dropped = cell.move(clock)
                if cell.lighter(dropped):
                    changed.append(name)
                for item in dropped:
                    self._ledger.release(item[3])
            expires = min(expires, cell.drops)
        key.expires = expires
        return changed

    def settle(self, key: Key) -> None:
        """Bring the windows of a key up to its clock, whatever was put into them."""
        self._stirred.add(key.name)
        key.expires = min((cell.drops for name, cell in key.cells.items() if name not in self._own), default=NEVER)
        if key.clock >= key.expires:
            self._expire(key)

    def remove(self, live: Live) -> set[str]:
        """Undo what `live` counted; return the indicators whose value can have changed."""
        changed = set()
        for key in live.keys.values():
            for name, cell in list(key.cells.items()):
                if cell.discard(live.t, live.seq):
                    changed.add(name)
                    self._stirred.add(key.name)
                    self._ledger.release(live)
                    if cell.seen == 0:
                        key.cells = lacking(key.cells, name)
        return changed

    def value(self, name: str, moment: Moment) -> Value:
        """Return the value of indicator `name` for the moment's object or area; None where it is unknown."""
        plan = self.plans.get(name)
        if plan is None:
            return None
        if plan.formula is not None:
            inputs = {each: self.value(each, moment) for each in plan.inputs}
            worked_out: Value = plan.formula.evaluate(Facts(moment.entry, moment.object, inputs, self.objects))
            return worked_out
        key = moment.keys.get(plan.by)
        return plan.unseen if key is None else self._value(name, key)

    def _value(self, name: str, key: Key) -> Value:
        cell = key.cells.get(name)
        if cell is not None:
            return cell.value()
        score = key.scores.get(name)
        return self.plans[name].unseen if score is None else score

    def value_as_of(self, name: str, key_name: str, at: int) -> Value:
        """Return what `name` comes to for a key when its window's clock is moved to `at`; nothing is moved."""
        plan, key = self.plans[name], self.keys.get(key_name)
        cell = key.cells.get(name) if key is not None else None
        if key is None or cell is None or plan.cell is None:
            return plan.unseen
        if at < cell.drops:
            return cell.value()
        later = plan.cell(plan.frame, name, key)
        start = plan.frame.start(at)
        kept = [item for item in cell.items if item[0] >= start]
        later.put_back(kept, max(at, cell.clock), len(kept))
        memory = cell.memory()
        if memory is not None:
            later.remember(later.since(memory, start))
        return later.value()

    def inside(self, names: Sequence[str], moment: Moment) -> list[Live]:
        """Return the signals inside the windows of these indicators for the moment's keys, by number: of a formula, those of its inputs."""
        found: dict[int, Live] = {}
        waiting = list(names)
        while waiting:
            plan = self.plans.get(waiting.pop())
            if plan is None or plan.cell is None:
                # What its peers came to says nothing about the object.
                waiting += plan.indicator.made_of if plan is not None and plan.indicator.aggregate != PEERS else ()
                continue
            key = moment.keys.get(plan.by)
            cell = key.cells.get(plan.name) if key is not None else None
            if cell is not None:
                found.update((item[1], item[3]) for item in cell.inside())
        return [found[seq] for seq in sorted(found)]

    def vector(self, names: Sequence[str], key_name: str) -> list[Value] | None:
        """Return the values of these indicators for an object; None for one that has none of them."""
        key = self.keys.get(key_name)
        return None if key is None or key.cells.keys().isdisjoint(names) else [self._value(name, key) for name in names]

    def take_stirred(self) -> set[str]:
        """Return the objects whose values may have changed since this was asked last; areas and groups may be among them."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    def take_over(self, lives: Sequence[Live], seen: Mapping[str, int]) -> None:
        """Take up an object that another engine ran until here: the signals that may still be inside its windows, in order of arrival.

        `seen` says how many signals each of its indicators ever took; what is not named has no window yet.
        """
        key = self.moment(lives[-1]).keys["object"]
        self._stirred.add(key.name)
        key.cells = {name: self.plans[name].cell(self.plans[name].frame, name, key) for name in seen}  # type: ignore[misc]  # see `_count`
        items: dict[str, list[Item]] = {name: [] for name in seen}
        for live in lives:
            moment = self.moment(live)
            live.keys = shared(moment.keys)
            key.clock = max(key.clock, live.t)
            for plan in self._selector.select(moment.combination, moment.facts):
                if plan.name in items:
                    value = None if plan.of is None else key.cells[plan.name].reads(plan.of.evaluate(moment.facts))
                    items[plan.name].append((live.t, live.seq, value, live))
        for name, cell in key.cells.items():
            plan = self.plans[name]
            clock = max(item[0] for item in items[name]) if plan.own and items[name] else key.clock
            inside = sorted(item for item in items[name] if item[0] >= plan.frame.start(clock))
            cell.put_back(inside, clock, seen[name])
            for item in inside:
                item[3].holds += 1
            if not plan.own:
                key.expires = min(key.expires, cell.drops)

    def dump(self) -> dict[str, Any]:
        """Return everything but the windows as plain data."""
        return {"warming_since": self.warming_since, "peers": self.peers.dump()}

    def dump_keys(self) -> Iterator[list[Any]]:
        """Yield all windows as plain data, key by key; signals stand by their number."""
        return map(_row, self.keys.values())

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up `dump` under the rule set that it was taken under."""
        self.warming_since = dict(state["warming_since"])
        self.peers.load(state["peers"])

    def load_keys(self, keys: Iterable[list[Any]], lives: Mapping[int, Live]) -> None:
        """Take up `dump_keys`, likewise."""
        self.keys, self._stirred = {}, set()
        for name, clock, expires, cells, scores in keys:
            self._stirred.add(name)
            key = self.key(name)
            key.clock, key.expires, key.scores = clock, expires, dict(scores) or NOTHING
            for indicator, cell_clock, seen, seqs, values, *memory in cells:
                plan = self.plans[indicator]
                cell = plan.cell(plan.frame, indicator, key)  # type: ignore[misc]  # anomaly indicators have no windows
                key.cells = having(key.cells, indicator, cell)
                items = [(lives[seq].t, seq, value, lives[seq]) for seq, value in zip(seqs, values or repeat(None), strict=False)]
                cell.put_back(items, cell_clock, seen)
                if memory:
                    cell.remember(memory[0])
                for item in items:
                    item[3].holds += 1
