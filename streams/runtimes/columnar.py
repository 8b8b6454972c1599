"""The columnar replay: files of canonical signals through the compiled kernel.

Lines become columns, the kernel walks them, and hits become lines. Where a rule with points may change what is said of its object, the
pipeline looks at the signal (`streams.runtimes.watching`). Whatever is not a plain new signal of an object that the kernel runs (an id seen
before, a correction or withdrawal, a signal without an object, a number that sums cannot hold) goes through the pipeline, to which its
objects are handed over with all they have in their windows. So hits and warnings are those of the pipeline, one by one and in its order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.catalogue import Catalogue
from domain.errors import FileProblems
from domain.findings import Outcome, RuleHit
from domain.levels import DEFAULT_LEVELS
from domain.records import Record, RulesetEntry, SignalEntry
from domain.signals import Signal
from rules.ruleset import RuleSet
from streams.kernel.columns import Columns, Texts
from streams.kernel.decode import mend
from streams.kernel.engine import Kernel, Step
from streams.kernel.handover import Fetched, Handover
from streams.kernel.hitlines import HitLines
from streams.kernel.layout import Batch
from streams.kernel.placement import Placement
from streams.kernel.scan import ID, KEYS, OBJECT, PADDING, Lines, scan
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.collector import settled_collector
from streams.runtimes.places import Places, blocks
from streams.runtimes.replay import KnownObjects
from streams.runtimes.watching import Complete, Ticks, Watching
from streams.stages.windows import MICROSECOND, NEVER, from_us, to_us

BLOCK: Final = 1 << 20  # bytes read at a time
BATCH: Final = 4096  # lines of one batch

Read = Callable[[bytes, Path, int], tuple[str, Signal, datetime | None]]
"""Reads a line (of a file, by its number) to feed, signal and time of receipt; raises what a replay raises for a line that is no signal."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a columnar replay did: signals, those Python looked at, hits, other outcomes, ticks, objects handed over, where time stood."""

    signals: int
    reached: int
    hits: int
    others: int
    ticks: int
    handed_over: int
    ended: datetime | None


def leaves_of(placement: Placement) -> list[str]:
    """Return the rules with whose truth the pipeline takes an object over: a cooldown decides what their hits mean for the score."""
    return [rule.id for rule in placement.rules if rule.points and rule.cooldown]


class NotYet(Exception):
    """A rule is not in force at the first signal: the replay begins again on the pipeline, which knows when rules come into force."""


class ColumnarReplay:
    """One replay. `read` is the readable decoder of a line, `write` takes lines of hits in order."""

    def __init__(
        self,
        ruleset: RuleSet,
        placement: Placement,
        read: Read,
        write: Callable[[bytes], object],
        found: Callable[[list[Outcome]], object] = lambda _: None,
        *,
        complete: Complete | None = None,
        batch: int = BATCH,
        block: int = BLOCK,
        kernel: Kernel | None = None,
    ) -> None:
        """Start with nothing taken in. What comes out does not depend on `batch` (lines) and `block` (bytes at a time).

        `found` is handed all outcomes but hits, in order. With `complete` only the evidence of warnings' last states is looked up, which is
        far less, and told at the end: `found` gets warnings of the kernel's objects without it.

        Raises:
            ValueError: the kernel cannot run every rule.
        """
        if not placement.whole:
            raise ValueError("the columnar replay runs rule sets that are wholly in the kernel")
        self._placement = placement
        self._read = read
        self._write = write
        self._kernel = kernel if kernel is not None else Kernel(placement, leaves_of(placement), first_rise=DEFAULT_LEVELS.levels[0].at)
        self._block_size = block
        self._pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), lambda _version: ruleset, {}, PipelineSettings(model_points=0.0))
        self._ruleset = ruleset
        self._found_outcomes = found
        self._known = KnownObjects()
        self._lines = HitLines([rule.id for rule in placement.rules])
        self._cooldowns = {number: rule.cooldown // MICROSECOND for number, rule in enumerate(placement.rules) if rule.cooldown}
        self._last_hits: dict[int, dict[int, int]] = {}  # slot → rule with a cooldown → when it hit last
        self._places = Places()
        self._pointed = any(rule.points for rule in placement.rules)
        self._ticks = Ticks(self._pipeline, self._told)
        self._watching = Watching(self._kernel, self._pipeline, self._ticks, self._at_hand, self._places.cited, complete)
        self._heard: set[tuple[str, int]] = set()  # feeds with the classes of their signals that the pipeline knows of
        self._handover = Handover(self._kernel, self._pipeline, self._watching, self._fetch)
        self._nobody = self._kernel.slot_of("")
        self._kernel.leave(self._nobody)
        self._kernel.rows_wanted = self._wanted
        self._now = -NEVER
        self._signals = self._reached = self._hits = self._others = 0
        wanted = {"id", "object_id", "occurred_at", *self._kernel.texts}
        self._wanted_keys = np.array([key in wanted for key in KEYS])
        self._order = np.arange(len(KEYS))
        self._found = _lines(batch)

    def play(self, paths: Sequence[Path]) -> Told:
        """Take in files one after the other; the name of a file is its signals' feed.

        Raises:
            FileProblems: or whatever else `read` raises, at the first line that is no signal.
            NotYet: the first signal is older than a rule; nothing was written.
        """
        with settled_collector():
            for path in paths:
                for text, end, offset in blocks(path, self._block_size):
                    self._block(text, end, offset, path)
            self._watching.settle()
        ended = None if self._now == -NEVER else from_us(self._now)
        return Told(self._signals, self._reached, self._hits, self._others, len(self._ticks), len(self._handover), ended)

    def forget(self) -> None:
        """Forget what no window needs any more, without waiting until there is much of it."""
        self._kernel.forget()

    def _block(self, text: NDArray[np.uint8], end: int, offset: int, path: Path) -> None:
        place = 0
        while place < end:
            lines = self._found
            count, place = scan(text, place, end, self._wanted_keys, self._order, lines)
            if not count:
                continue
            first = int(lines.first[0])
            self._places.add(self._signals, path, offset + first, lines.first[:count] - first)
            mended = mend(text, len(text) - PADDING, count, lines, self._kernel.texts) if lines.unsure[:count].any() else text
            stretch = 0
            for unsure in [*np.flatnonzero(lines.unsure[:count]).tolist(), count]:
                if unsure > stretch:
                    self._stretch(mended, lines, stretch, unsure, path)
                if unsure < count:
                    self._line(text[lines.first[unsure] : lines.last[unsure]].tobytes(), path)
                stretch = unsure + 1

    def _stretch(self, text: NDArray[np.uint8], lines: Lines, first: int, end: int, path: Path) -> None:
        """Take in lines that are plain signals."""

        def texts(key: int) -> Texts:
            return Texts(text, lines.starts[key, first:end], lines.ends[key, first:end])

        def entry(number: int) -> SignalEntry:
            return self._entry(text[lines.first[first + number] : lines.last[first + number]].tobytes(), path)[0]

        count = end - first
        columns = Columns(
            ids=texts(ID),
            objects=texts(OBJECT),
            fields={name: texts(KEYS.index(name)) for name in self._kernel.texts},
            at=lines.at[first:end],
            severity=lines.severity[first:end],
            value=lines.value[first:end],
            handle=np.arange(self._signals, self._signals + count),
            entry=entry,
        )
        times = np.maximum.accumulate(np.maximum(columns.at, self._now))
        self._in_force(int(times[0]))
        self._places.receive(self._signals, times)
        batch = self._kernel.prepare(columns, path.stem, times)
        new = self._unheard(batch, path.stem)
        done = 0
        while done < count:
            upto = count
            if self._pointed:
                upto, near = self._ticks.until(times, done, count, self._signals)
                if near:
                    self._watching.near(int(times[done]))
            step = self._kernel.feed(batch, done, upto)
            hits = self._cooled(step, batch, times) if self._cooldowns else step
            self._tell(hits, columns, batch, times, done)
            self._ticks.catch_up(times, done, step.end, self._signals)
            if step.attend:
                self._hear(new, columns, step.end)
                self._attend(step.end - 1, hits, columns, batch, int(times[step.end - 1]))
            done = step.end
            if step.known:
                self._now = int(times[done])
                self._signal(columns.entry(done), self._signals + done, self._now)
                done += 1
        self._hear(new, columns, count)
        self._now = int(times[-1])
        self._signals += count

    def _unheard(self, batch: Batch, feed: str) -> list[int]:
        """Return the first signals of classes that this feed was not heard to send: they may be of sources that are news."""
        classes, first = np.unique(batch.signal_class, return_index=True)
        fresh = [place for number, place in zip(classes.tolist(), first.tolist(), strict=True) if (feed, number) not in self._heard]
        self._heard.update((feed, number) for number in classes.tolist())
        return sorted(fresh)

    def _hear(self, new: list[int], columns: Columns, end: int) -> None:
        """Let the pipeline know which feeds were heard of before the signal `end`."""
        while self._pointed and new and new[0] < end:
            entry = columns.entry(new.pop(0))
            self._pipeline.remote.saw(entry.signal.source, entry.feed)

    def _attend(self, signal: int, step: Step, columns: Columns, batch: Batch, now: int) -> None:
        """Let fusion look at a signal."""
        self._reached += 1
        hits = step.hit_rule[step.hit_signal == signal].tolist()
        outcomes = self._watching.attend(int(batch.slot[signal]), columns.entry(signal), self._signals + signal, hits, now)
        self._others += len(outcomes)
        self._found_outcomes(outcomes)

    def _told(self, outcomes: list[Outcome]) -> None:
        """Hand on what a tick brought about."""
        self._watching.told(outcomes)
        self._others += len(outcomes)
        self._found_outcomes(outcomes)

    def _in_force(self, at: int) -> None:
        """See to it, at the first signal, that all rules are in force; where fusion will ask for it, they are from here on."""
        if self._signals:
            return
        if at < self._placement.in_force:
            raise NotYet
        if self._pointed:
            self._begin(at)

    def _tell(self, step: Step, columns: Columns, batch: Batch, times: NDArray[np.int64], first: int) -> None:
        """Write the hits of a step that began at `first`, and let the pipeline take the signals that it must, all in order."""
        if not len(step.reached):
            self._write(self._lines.lines(self._kernel, columns, batch.slot, step))
            self._hits += len(step.hit_signal)
            return
        written = 0
        for signal in [*step.reached.tolist(), -1]:
            upto = len(step.hit_signal) if signal < 0 else int(np.searchsorted(step.hit_signal, signal))
            part = replace(step, hit_signal=step.hit_signal[written:upto], hit_rule=step.hit_rule[written:upto])
            self._write(self._lines.lines(self._kernel, columns, batch.slot, part))
            self._hits += upto - written
            written = upto
            if signal >= 0:
                self._ticks.catch_up(times, first, signal + 1, self._signals)
                self._take_over(int(batch.slot[signal]), int(times[signal]))
                self._step(columns.entry(signal), self._signals + signal, int(times[signal]))

    def _cooled(self, step: Step, batch: Batch, times: NDArray[np.int64]) -> Step:
        """Return a step without the hits that their rule's cooldown holds back."""
        keep = np.ones(len(step.hit_rule), np.bool_)
        for place in np.flatnonzero(np.isin(step.hit_rule, list(self._cooldowns))).tolist():
            signal, rule = int(step.hit_signal[place]), int(step.hit_rule[place])
            last, now = self._last_hits.setdefault(int(batch.slot[signal]), {}), int(times[signal])
            if now - last.get(rule, -NEVER) >= self._cooldowns[rule]:
                last[rule] = now
            else:
                keep[place] = False
        return replace(step, hit_signal=step.hit_signal[keep], hit_rule=step.hit_rule[keep])

    def _line(self, line: bytes, path: Path) -> None:
        """Take in a line that only the readable decoder reads."""
        entry, received = self._entry(line, path)
        at = to_us(received) if received is not None else to_us(entry.signal.occurred_at)
        self._in_force(at)
        self._now = max(self._now, at)
        self._places.receive(self._signals, np.array([self._now]))
        self._signal(entry, self._signals, self._now)
        self._signals += 1

    def _signal(self, entry: SignalEntry, number: int, now: int) -> None:
        """Take in a signal that the pipeline must judge: with it go its object and those of all signals that it may be about."""
        signal = entry.signal
        self._ticks.clear(now, number)
        slots = [self._kernel.slot_of_signal(entry.feed, name) for name in (signal.id, signal.corrects, signal.withdraws) if name]
        own = self._kernel.slot_of(entry.resolution.object_id)
        for slot in (*slots, own):
            if slot >= 0:
                self._take_over(slot, now)
        self._step(entry, number, now)
        for name in filter(None, (signal.id, signal.corrects)):  # it answers to what it corrects, whether that was seen or not
            self._kernel.note(entry.feed, name, own, to_us(signal.occurred_at), number)

    def _begin(self, now: int) -> None:
        """Let the pipeline run the rules, from the first signal on that it has to know of."""
        if not self._pipeline.position:
            self._pipeline.step([Record(seq=1, received_at=from_us(now), entry=RulesetEntry(version=self._ruleset.version))])

    def _take_over(self, slot: int, now: int) -> None:
        self._begin(now)
        rules = self._placement.rules
        hits = {rules[rule].id: at for rule, at in self._last_hits.get(slot, {}).items()}
        self._handover.take(slot, hits, now)

    def _step(self, entry: SignalEntry, number: int, now: int) -> None:
        """Let the pipeline take a signal, and write its hits."""
        self._reached += 1
        self._ticks.clear(now, number)
        outcomes = self._pipeline.step([Record(seq=self._ticks.number(number), received_at=from_us(now), entry=entry)])
        others: list[Outcome] = [outcome for outcome in outcomes if not isinstance(outcome, RuleHit)]
        for outcome in outcomes:
            if isinstance(outcome, RuleHit):
                self._hits += 1
                self._write(hit_line(outcome))
        self._others += len(others)
        self._found_outcomes(others)

    def _entry(self, line: bytes, path: Path) -> tuple[SignalEntry, datetime | None]:
        try:
            feed, signal, received = self._read(line, path, 0)
        except FileProblems:
            self._read(line, path, _number_of_line(path, line))  # the same again, with the place that a person looks for
            raise
        return SignalEntry(feed=feed, signal=signal, resolution=self._known(signal), digest=""), received

    def _fetch(self, number: int) -> Fetched:
        """Return a signal again: its number in the journal, when it was received, and itself."""
        path, line = self._places.line(number)
        entry, _ = self._entry(line, path)
        return Fetched(self._ticks.number(number), self._places.received(number), entry)

    def _at_hand(self, number: int) -> SignalEntry:
        return self._fetch(number).entry

    def _wanted(self, marks: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return np.isin(marks, self._kernel.marks(self._pipeline.names()))


def _number_of_line(path: Path, line: bytes) -> int:
    """Return the number of the first line of a file with this content, from 1; 0 for none."""
    with path.open("rb") as lines:
        return next((number for number, each in enumerate(lines, start=1) if each.rstrip(b"\n") == line), 0)


def hit_line(hit: RuleHit) -> bytes:
    """Return the line of a hit."""
    told = {"signal": hit.signal, "object_id": hit.object_id, "rule": hit.rule}
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _lines(room: int) -> Lines:
    return Lines(
        starts=np.zeros((len(KEYS), room), np.int64),
        ends=np.zeros((len(KEYS), room), np.int64),
        at=np.zeros(room, np.int64),
        severity=np.zeros(room, np.int64),
        value=np.zeros(room, np.float64),
        first=np.zeros(room, np.int64),
        last=np.zeros(room, np.int64),
        unsure=np.zeros(room, np.bool_),
    )
