"""The replay runtime: recorded signals or journal exports through the pipeline, as fast as they come, with no clock but theirs.

What becomes due on the way is done by ticks written at its own instant, as a running server would have. Nothing is flushed at the end
unless `until` is given. It streams: at most `BATCH` records are in memory.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from domain.catalogue import Catalogue
from domain.errors import NotFound
from domain.findings import Outcome
from domain.levels import DEFAULT_LEVELS, LevelScale
from domain.messages import both
from domain.objects import RegulatedObject, Resolution
from domain.ports import Commit, Detector, PeerComparison
from domain.records import AnyEntry, CatalogueEntry, ObjectsEntry, Prepared, Record, RulesetEntry, SignalEntry, TickEntry
from domain.signals import Signal
from rules.ruleset import EMPTY, RuleSet
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.collector import settled_collector

BATCH: Final = 512  # records of one commit
OBJECTS_PER_RECORD: Final = 1000

Given = tuple[str, Signal, datetime | None]  # (feed, signal, received_at or None)
Resolve = Callable[[Signal], Resolution]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay did: numbers of records (ticks included), signals and outcomes, and where time stood at the end.

    `reached` are the signals that the pipeline took; all of them, but for a columnar replay.
    """

    records: int
    signals: int
    outcomes: int
    ended: datetime | None
    reached: int


class KnownObjects:
    """Finds a signal's object by its id, then by its code. Without any objects a signal's own id or code is taken at its word."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._codes: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, thing: RegulatedObject) -> None:
        """Know one more object."""
        self._ids.add(thing.id)
        if thing.code:
            self._codes[thing.code] = thing.id

    def __call__(self, signal: Signal) -> Resolution:
        """Return the object of `signal`, unresolved where none is known."""
        about = signal.object
        if not self._ids:
            given = about.id or about.code
            return Resolution(object_id=given, method="id" if about.id else "code", confidence=1.0) if given else Resolution()
        if about.id in self._ids:
            return Resolution(object_id=about.id, method="id", confidence=1.0)
        if about.code in self._codes:
            return Resolution(object_id=self._codes[about.code], method="code", confidence=1.0)
        return Resolution()


class _Source:
    """The entries of a replay in order: what was given, the registry and catalogue before it, the rule set before the first signal.

    The rule set is left out where a journal export activates one itself before any signal.
    """

    def __init__(
        self,
        objects: Sequence[RegulatedObject],
        catalogue: Catalogue | None,
        ruleset: RuleSet,
        resolve: Resolve | None,
        until: datetime | None,
    ) -> None:
        self._objects = objects
        self._catalogue = catalogue
        self._ruleset = ruleset
        self._known = KnownObjects()
        for thing in objects:
            self._known.add(thing)
        self._resolve = resolve or self._known
        self._until = until

    def entries(self, given: Iterable[Given | Record]) -> Iterator[tuple[datetime, AnyEntry, int]]:
        """Yield (time, entry, its number in the journal that it is from or 0)."""
        begun, wants = False, self._ruleset.version != EMPTY.version
        for each in given:
            at = each.received_at if isinstance(each, Record) else each[2] or each[1].occurred_at
            entry = each.entry if isinstance(each, Record) else self._entry(each)
            if not begun:
                begun = True
                yield from ((at, setup, 0) for setup in self._setup())
            if wants and isinstance(entry, RulesetEntry | SignalEntry):
                wants = False
                if isinstance(entry, SignalEntry):
                    yield at, RulesetEntry(version=self._ruleset.version), 0
            yield at, entry, each.seq if isinstance(each, Record) else 0
        if not begun and self._until is not None:
            yield from ((self._until, setup, 0) for setup in self._setup())

    def _entry(self, given: Given) -> SignalEntry:
        feed, signal, _ = given
        return SignalEntry(feed=feed, signal=signal, resolution=self._resolve(signal), digest="")

    def _setup(self) -> Iterator[AnyEntry]:
        """Yield the entries that come into force before everything else."""
        for end in range(OBJECTS_PER_RECORD, len(self._objects) + OBJECTS_PER_RECORD, OBJECTS_PER_RECORD):
            chunk = tuple(self._objects[end - OBJECTS_PER_RECORD : end])
            yield ObjectsEntry(version=min(end, len(self._known)), objects=chunk)
        if self._catalogue is not None:
            yield CatalogueEntry(catalogue=self._catalogue)


class _Numbered:
    """Numbers what comes as a journal would, and never lets time go back; `ticks` are the numbers that ticks took."""

    def __init__(self, ticks: Sequence[int] = ()) -> None:
        """`ticks` are the numbers to be passed over, those of an earlier numbering of the same."""
        self.seq = 0
        self.now: datetime | None = None
        self.ticks = list(ticks)
        self._skipped = 0

    def record(self, at: datetime, entry: AnyEntry) -> Record:
        self.seq += 1
        while self._skipped < len(self.ticks) and self.ticks[self._skipped] == self.seq:
            self._skipped += 1
            self.seq += 1
        self.now = at if self.now is None else max(at, self.now)
        return Record(seq=self.seq, received_at=self.now, entry=entry)

    def tick(self) -> int:
        """Let a tick take the number that was given last; return the next one."""
        self.ticks.append(self.seq)
        self._skipped = len(self.ticks)
        self.seq += 1
        return self.seq


class _Again:
    """The past of a replay, for activations that count back: what was given is read once more, and numbered as it was."""

    def __init__(self, source: _Source, again: Callable[[], Iterable[Given | Record]], numbered: _Numbered) -> None:
        self._source = source
        self._again = again
        self._numbered = numbered

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield the records between two; those that a back-fill reads, which ticks are not among."""
        numbered = _Numbered(self._numbered.ticks)
        for at, entry, _ in self._source.entries(self._again()):
            record = numbered.record(at, entry)
            if record.seq >= before:
                return
            if record.seq > after:
                yield record
        raise NotFound(both("replay.pipe"))

    def artifact(self, name: str) -> None:
        """Know no stored back-fill: an export holds none."""
        del name


def replay(
    signals: Iterable[Given | Record],
    *,
    commit: Commit,
    again: Callable[[], Iterable[Given | Record]] | None = None,
    objects: Iterable[RegulatedObject] = (),
    catalogue: Catalogue | None = None,
    ruleset: RuleSet = EMPTY,
    rulesets: Mapping[str, RuleSet] | None = None,
    until: datetime | None = None,
    resolve: Resolve | None = None,
    levels: LevelScale = DEFAULT_LEVELS,
    detectors: Mapping[str, Callable[[], Detector]] | None = None,
    object_detector: Callable[[], PeerComparison] | None = None,
    settings: PipelineSettings | None = None,
) -> Summary:
    """Run `signals` through a pipeline of its own, and hand every batch of records with its outcomes to `commit`.

    Signals are (feed, signal, received_at); without a time of receipt one counts as received at the greatest `occurred_at` so far.
    `objects` and `catalogue` come into force before everything else, `ruleset` before the first signal. Records of a journal export may
    stand in their place (or among them): they keep their entries and times, are numbered anew, and may activate any of `rulesets`; where
    one does before the first signal, `ruleset` is only one of those. `again` gives the same input once more, for activations whose
    indicators count from the past on. `resolve` finds a signal's object; by default by exact id, then code, and without any objects the
    signal's own id or code. `until` lets time run on after the last signal.

    Raises:
        NotFound: a record activates a rule set that is not among `rulesets`, or counts back to records that were not given.
    """
    sets = {**(rulesets or {}), ruleset.version: ruleset}

    def load(version: str) -> RuleSet:
        if version not in sets:
            raise NotFound(both("replay.no_set", version=version, given=", ".join(sorted(sets))))
        return sets[version]

    source = _Source(tuple(objects), catalogue, ruleset, resolve, until)
    numbered = _Numbered()
    history = None if again is None else _Again(source, again, numbered)
    options = settings or PipelineSettings()
    pipeline = Pipeline(levels, Catalogue(), load, detectors or {}, options, object_detector=object_detector, history=history)
    run = _Run(pipeline, commit)
    places = _Places()
    with settled_collector():
        for at, entry, number in source.entries(signals):
            run.take(numbered.record(at, places.renumbered(entry, number)), numbered)
            places.note(number, numbered.seq)
    if until is not None:
        run.let_pass(until, numbered)
    run.flush()
    return run.summary(numbered.now)


class _Places:
    """Where the records of a journal export stand in the replay: one entry for each run of them that nothing comes between."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int]] = []  # (number in the journal, number here)

    def note(self, number: int, seq: int) -> None:
        """Note that the journal's record `number` (0: none of a journal) is record `seq` here."""
        if number and (not self._runs or seq - number != self._runs[-1][1] - self._runs[-1][0]):
            self._runs.append((number, seq))

    def renumbered(self, entry: AnyEntry, number: int) -> AnyEntry:
        """Return the journal's record `number` as one of this replay: an activation names the record that it counts back to.

        Raises:
            NotFound: it counts back to a record before the first that was given.
        """
        if not isinstance(entry, RulesetEntry) or entry.prepared is None:
            return entry
        first, oldest = entry.prepared.first, self._runs[0][0] if self._runs else number
        if first < oldest:
            told = {"number": number, "version": entry.version, "first": first, "oldest": oldest, "after": first - 1}
            raise NotFound(both("replay.too_late", **told))
        there, here = self._runs[bisect_right(self._runs, (first, sys.maxsize)) - 1] if first > oldest else (first, 1)
        return msgspec.structs.replace(entry, prepared=Prepared(first=here + first - there))


class _Run:
    """Steps records, puts in the ticks that fall due before each, and commits in batches."""

    def __init__(self, pipeline: Pipeline, commit: Commit) -> None:
        self._pipeline = pipeline
        self._commit = commit
        self._records: list[Record] = []
        self._outcomes: list[Outcome] = []
        self._signals = 0
        self._written = 0
        self._found = 0

    def take(self, record: Record, numbered: _Numbered) -> None:
        """Step `record` after the ticks that are due by its time, which take its number and push it on."""
        while self._pipeline.may_be_due(record.received_at):
            wake = self._pipeline.next_wake()
            if wake is None or wake > record.received_at:
                break
            self._step(Record(seq=record.seq, received_at=wake, entry=TickEntry()))
            record = Record(seq=numbered.tick(), received_at=record.received_at, entry=record.entry)
        self._signals += isinstance(record.entry, SignalEntry)
        self._step(record)

    def let_pass(self, until: datetime, numbered: _Numbered) -> None:
        """Do everything that falls due up to and including `until`."""
        wake = self._pipeline.next_wake()
        while wake is not None and wake <= until:
            self._step(numbered.record(wake, TickEntry()))
            wake = self._pipeline.next_wake()

    def _step(self, record: Record) -> None:
        self._outcomes += self._pipeline.step((record,))
        self._records.append(record)
        if len(self._records) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Commit what is pending."""
        if self._records:
            self._commit(self._records, self._outcomes)
        self._written += len(self._records)
        self._found += len(self._outcomes)
        self._records, self._outcomes = [], []

    def summary(self, ended: datetime | None) -> Summary:
        """Return what was done so far."""
        return Summary(records=self._written, signals=self._signals, outcomes=self._found, ended=ended, reached=self._signals)
