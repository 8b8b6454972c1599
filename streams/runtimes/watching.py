"""Objects whose windows and rules the kernel runs, while their scores and warnings are the pipeline's.

The kernel says at which signals something may follow (`streams.kernel.watch`); the pipeline then does there what it does for all objects.
What it has to know of the object it asks for when it is needed: until when a rule was true, what it read, which signals are behind it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.findings import Evidence, Outcome, WarningUpdated
from domain.records import Record, SignalEntry, TickEntry
from rules.ruleset import Value
from streams.kernel.engine import Kernel
from streams.kernel.handover import Begun
from streams.kernel.placement import column_of
from streams.kernel.watches import Cells, Contribution, Standing, Watches
from streams.pipeline import Pipeline
from streams.stages.cells import Cell
from streams.stages.fuse import COUNTED_LIMIT, EVIDENCE_LIMIT, Risk
from streams.stages.indicators import Moment
from streams.stages.keys import Key
from streams.stages.ledger import Live
from streams.stages.remote import Truth
from streams.stages.windows import from_us, to_us

Fetch = Callable[[int], SignalEntry]
Cite = Callable[[int, int, int], Evidence]
"""Says what evidence says of a signal, by its handle, its instant in microseconds and its number in the journal."""
NEAR: Final = 1_000  # microseconds: levels fall on whole milliseconds, so within one the order of fall and signal is the pipeline's to find
Ints = NDArray[np.int64]
Complete = Callable[[str, tuple[Evidence, ...], int], object]
"""Takes the evidence of a warning's last state: the warning's id, the newest signals, and how many there are."""


class _Owed(NamedTuple):
    """What the evidence of a warning follows from, as long as the kernel keeps the object's chain of signals."""

    slot: int
    upto: int
    contributions: list[Contribution]


class _Shown(Cell):
    """A window of the kernel as the pipeline reads it."""

    __slots__ = ("_now",)

    def __init__(self, now: Value) -> None:
        self._now = now

    def value(self) -> Value:
        """Return the aggregate at the object's newest signal."""
        return self._now


class Ticks:
    """What time alone brings about between signals, each at its own instant; a tick takes a number in the journal, as in `replay`."""

    def __init__(self, pipeline: Pipeline, take: Callable[[list[Outcome]], object]) -> None:
        """Start before the first signal; `take` is handed what comes of a tick."""
        self._pipeline = pipeline
        self._take = take
        self._at: list[int] = []  # of each tick, the signal that it came before
        self._known = np.empty(0, np.int64)  # the same, as far as it was asked for

    def __len__(self) -> int:
        return len(self._at)

    def number(self, signal: int) -> int:
        """Return the number in the journal of a signal: before it came the rule set, the signals and the ticks."""
        return signal + 2 + bisect_right(self._at, signal)

    def numbers(self, signals: Ints) -> Ints:
        """Return the numbers of many signals."""
        if len(self._known) < len(self._at):
            self._known = np.array(self._at, np.int64)
        return signals + 2 + np.searchsorted(self._known, signals, "right")

    def clear(self, now: int, signal: int) -> None:
        """Let happen what is due by `now`, when `signal` came."""
        pipeline, at = self._pipeline, from_us(now)
        while pipeline.may_be_due(at):
            wake = pipeline.next_wake()
            if wake is None or wake > at:
                break
            number = self.number(signal)
            self._at.append(signal)
            self._take(pipeline.step([Record(seq=number, received_at=wake, entry=TickEntry())]))

    def catch_up(self, times: Ints, first: int, end: int, base: int) -> None:
        """Let happen what is due by the last of the signals from `first` to `end`, each thing before the signal that it precedes."""
        while first < end and (due := self._pipeline.earliest()) is not None and due <= times[end - 1]:
            first = max(first, int(np.searchsorted(times[:end], due)))
            self.clear(int(times[first]), base + first)

    def until(self, times: Ints, first: int, end: int, base: int) -> tuple[int, bool]:
        """Return how far signals may go before time alone changes something that another engine may want to know; past `first` in any case.

        Also returned is whether that is due within a millisecond.
        """
        self.clear(int(times[first]), base + first)
        while (due := self._pipeline.earliest()) is not None:
            if due - NEAR > times[first]:
                return first + int(np.searchsorted(times[first:end], due - NEAR)), False
            exact = self._pipeline.next_wake()
            if exact is None:
                break
            if to_us(exact) - NEAR <= times[first]:
                return first + int(np.searchsorted(times[first:end], to_us(exact))), True
        return end, False


class Watching:
    """The watch over one kernel's objects; `ticks` says which number in the journal a signal has, by its handle."""

    def __init__(
        self, kernel: Kernel, pipeline: Pipeline, ticks: Ticks, fetch: Fetch, cited: Cite, complete: Complete | None = None
    ) -> None:
        """Start with nobody under watch. `fetch` finds a signal by its handle, `cited` what evidence says of it.

        With `complete` the outcomes have no evidence of the kernel's objects: it is told what that of each warning's last state is.
        """
        self._kernel = kernel
        self._watches = Watches(kernel)
        self._pipeline = pipeline
        self._fetch = fetch
        self._ticks = ticks
        self._number = ticks.number
        self._evidence = cited
        self._told: dict[int, dict[int, Evidence]] = {}  # by slot and handle
        rules, indicators = kernel.placement.rules, kernel.placement.indicators
        self._names = [rule.id for rule in rules]
        self._rules = {rule.id: place for place, rule in enumerate(rules)}
        self._points = [bool(rule.points) for rule in rules]
        self._variables = [indicator.name for indicator in indicators]
        counted = {"count", "distinct"}
        self._whole = [each.aggregate in counted or (each.aggregate == "last" and column_of(each) == "severity") for each in indicators]
        self._slots: dict[str, int] = {}
        self._begun: dict[int, tuple[int, Cells]] = {}  # slot → handle of the first signal that matters, how the object stood behind it
        self._made: dict[tuple[str, str], int] = {}  # by (subject, rule), the signal at which it began to contribute
        self._complete = complete
        self._owed: dict[str, _Owed] = {}  # by the warning's id
        self._moment_at_hand: Moment | None = None
        self._remote = pipeline.remote
        self._remote.heed(self._sync, self._tell)

    def begun(self, slot: int) -> Begun | None:
        """Return how the watch over an object began; None where there is none."""
        if not self._watches.watched(slot):
            return None
        handle, cells = self._begun.get(slot) or self._beginning(slot, self._watches.parts(slot), 0)
        return Begun(self._number(handle), self._watches.seen_before(slot, cells, handle))

    def leave(self, slot: int, subject: str) -> None:
        """The pipeline runs the object from here on."""
        if self._begun.pop(slot, None) is not None:
            self._pay([warning for warning, owed in self._owed.items() if owed.slot == slot])
            del self._slots[subject]
            self._told.pop(slot, None)

    def settle(self) -> None:
        """Say what is owed of all warnings' last states."""
        self._pay(list(self._owed))

    def near(self, now: int) -> None:
        """See to it that nothing is missed in the millisecond before a level may fall."""
        for risk in self._remote.near(now + NEAR):
            if risk.subject in self._slots:
                self._watches.ask(self._slots[risk.subject], 0.0, attend=True, open=True)

    def attend(self, slot: int, entry: SignalEntry, handle: int, hits: Sequence[int], now: int) -> list[Outcome]:
        """Let the pipeline look at the newest signal of an object; `hits` are the rules that became true at it."""
        subject = entry.resolution.object_id
        parts = self._watches.parts(slot)
        if slot not in self._begun:
            self._begun[slot] = self._beginning(slot, parts, handle)
            self._slots[subject] = slot
        before = self._watches.times(slot)[1]
        became = {rule for rule in hits if self._points[rule]}
        truths = []
        for part in sorted(parts, key=lambda part: (part.handle, part.rule)):
            since = before if part.true and part.rule not in became else part.since
            if part.note >= 0:
                self._tell_late(part, since, now)
            elif not part.true:
                self._bring(subject, self._names[part.rule], since)
            if part.true:
                truths.append(Truth(self._names[part.rule], since, hit=part.rule in became))
        for rule in sorted(became.difference(part.rule for part in parts)):
            self._watches.add(slot, rule, handle)
            truths.append(Truth(self._names[rule], now, hit=True))
        moment = self._moment(Live.of(self._number(handle), entry), self._watches.now(slot))

        def made(rules: list[str]) -> None:
            for rule in rules:
                self._made[subject, rule] = handle

        self._moment_at_hand = moment
        outcomes = self._pipeline.attend(moment, truths, now, made)
        self._moment_at_hand = None
        self._ask(slot, subject)
        return outcomes

    def _beginning(self, slot: int, parts: Sequence[Standing], handle: int) -> tuple[int, Cells]:
        """Return the first signal under watch that still matters, and how the object stood behind it."""
        first = min((part for part in parts if part.note >= 0), key=lambda part: part.handle, default=None)
        return (handle, self._watches.now(slot)) if first is None else (first.handle, self._watches.note(first))

    def _tell_late(self, part: Standing, since: int, now: int) -> None:
        """Tell the pipeline of a contribution that began when no level could be reached by it."""
        entry = self._fetch(part.handle)
        moment = self._moment(Live.of(self._number(part.handle), entry), self._watches.note(part))
        if self._remote.begin(self._names[part.rule], moment, since, now, self._pipeline.ruleset.version):
            self._made[entry.resolution.object_id, self._names[part.rule]] = part.handle
        self._watches.know(part)

    def told(self, outcomes: Sequence[Outcome]) -> None:
        """Time alone brought these about: a level that fell may rise again at the object's next signal."""
        for outcome in outcomes:
            subject = outcome.warning.subject if isinstance(outcome, WarningUpdated) else ""
            if subject in self._slots:
                self._ask(self._slots[subject], subject, attend=True)

    def _ask(self, slot: int, subject: str, *, attend: bool = False) -> None:
        self._watches.ask(slot, self._remote.rise_at(subject), attend=attend, open=self._remote.open(subject))

    def _bring(self, subject: str, rule: str, since: int) -> None:
        for risk in self._remote.risks(subject):
            _refreshed(risk, rule, since)

    def _moment(self, live: Live, cells: Cells) -> Moment:
        entry = live.entry
        key = Key(entry.resolution.object_id)
        shown: dict[str, Cell] = {}
        for variable, value in zip(cells.indicators, cells.values, strict=True):
            known: Value = None if math.isnan(value) else int(value) if self._whole[variable] else value
            shown[self._variables[variable]] = _Shown(known)
        key.cells = shown
        return Moment(live, entry, None, entry.signal.region, {"object": key}, {})

    def _sync(self, risk: Risk) -> None:
        """Bring up to date until when the rules behind a risk were true."""
        slot = self._slots.get(risk.subject)
        if slot is None:
            return
        last = self._watches.times(slot)[0]
        for rule, since, true, *_ in self._watches.parts(slot):
            _refreshed(risk, self._names[rule], last if true else since)

    def _tell(self, risk: Risk, now: int) -> bool:
        """Bring up to date what a risk's contributions say and rest on; False where the kernel does not run its object."""
        slot = self._slots.get(risk.subject)
        if slot is None:
            return False
        moment = self._moment_at_hand
        if moment is None:
            handle = self._watches.newest(slot)
            moment = self._moment(Live.of(self._number(handle), self._fetch(handle)), self._watches.now(slot))
        true = {self._names[part.rule] for part in self._watches.parts(slot) if part.true}
        self._remote.describe(risk, true, moment)
        standing = [name for name, part in risk.parts.items() if part.points(now) > 0.0]
        contributions = [Contribution(self._rules[name], self._made[risk.subject, name]) for name in standing]
        owed = _Owed(slot, self._watches.newest(slot), contributions)
        if self._complete is None or risk.episode is None:
            risk.behind = self._gather(owed)
        else:
            risk.behind = (), 0
            self._owed[risk.episode.id] = owed
        return True

    def _pay(self, warnings: list[str]) -> None:
        for warning in warnings:
            evidence, count = self._gather(self._owed.pop(warning))
            if self._complete is not None:
                self._complete(warning, evidence, count)

    def _gather(self, owed: _Owed) -> tuple[tuple[Evidence, ...], int]:
        """Return the newest signals behind contributions by their instants, and how many there are in all."""
        newest, times, count = self._watches.behind(*owed, EVIDENCE_LIMIT, COUNTED_LIMIT)
        return self._told_of(owed.slot, newest.tolist(), times.tolist(), self._ticks.numbers(newest).tolist()), count

    def _told_of(self, slot: int, handles: list[int], times: list[int], numbers: list[int]) -> tuple[Evidence, ...]:
        """Return what evidence says of signals; what is told of an object's newest is kept until it is told of again."""
        before, kept = self._told.get(slot, {}), {}
        for handle, t, number in zip(handles, times, numbers, strict=True):
            kept[handle] = before.get(handle) or self._evidence(handle, t, number)
        self._told[slot] = kept
        return tuple(kept.values())


def _refreshed(risk: Risk, rule: str, since: int) -> None:
    """Note until when a rule was true; what the risk's next change was thought to be is no longer known then."""
    part = risk.parts.get(rule)
    if part is not None and part.since != since:
        part.since, risk.stale = since, True
