"""The replay runtime: recorded signals or journal exports through the pipeline, as fast as they come, with no clock but theirs.

What becomes due on the way is done by ticks written at its own instant, as a running server would have. Nothing is flushed at the end
unless `until` is given. It streams: at most `BATCH` records are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from domain.catalogue import Catalogue
from domain.errors import NotFound
from domain.findings import Outcome
from domain.levels import DEFAULT_LEVELS, LevelScale
from domain.objects import RegulatedObject, Resolution
from domain.ports import Commit, Detector, PeerComparison
from domain.records import AnyEntry, CatalogueEntry, ObjectsEntry, Record, RulesetEntry, SignalEntry, TickEntry
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


class Known:
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


class _Numbered:
    """Numbers what comes as a journal would, and never lets time go back."""

    def __init__(self) -> None:
        self.seq = 0
        self.now: datetime | None = None

    def record(self, at: datetime, entry: AnyEntry) -> Record:
        self.seq += 1
        self.now = at if self.now is None else max(at, self.now)
        return Record(seq=self.seq, received_at=self.now, entry=entry)


def replay(
    signals: Iterable[Given | Record],
    *,
    commit: Commit,
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
    `objects`, `catalogue` and `ruleset` come into force before the first of them. Records of a journal export may stand in their place
    (or among them): they keep their entries and times, are numbered anew, and may activate any of `rulesets`. `resolve` finds a
    signal's object; by default by exact id, then code, and without any objects the signal's own id or code. `until` lets time run on
    after the last signal.

    Raises:
        NotFound: a record activates a rule set that is not among `rulesets`.
    """
    sets = {**(rulesets or {}), ruleset.version: ruleset}

    def load(version: str) -> RuleSet:
        if version not in sets:
            raise NotFound(f"the journal activates rule set {version}, which was not given; given: {', '.join(sorted(sets))}")
        return sets[version]

    pipeline = Pipeline(levels, Catalogue(), load, detectors or {}, settings or PipelineSettings(), object_detector=object_detector)
    known = Known()
    run = _Run(pipeline, commit)
    numbered = _Numbered()
    source = iter(signals)
    first = next(source, None)
    if first is None and until is None:
        return run.summary(numbered.now)
    start = until if first is None else first.received_at if isinstance(first, Record) else first[2] or first[1].occurred_at
    assert start is not None
    for entry in _setup(objects, known, catalogue, ruleset):
        run.take(numbered.record(start, entry), numbered)
    with settled_collector():
        for given in chain(() if first is None else (first,), source):
            if isinstance(given, Record):
                run.take(numbered.record(given.received_at, given.entry), numbered)
            else:
                feed, signal, received = given
                entry = SignalEntry(feed=feed, signal=signal, resolution=(resolve or known)(signal), digest="")
                run.take(numbered.record(received or signal.occurred_at, entry), numbered)
    if until is not None:
        run.let_pass(until, numbered)
    run.flush()
    return run.summary(numbered.now)


def _setup(objects: Iterable[RegulatedObject], known: Known, catalogue: Catalogue | None, ruleset: RuleSet) -> Iterator[AnyEntry]:
    """Yield the entries that come into force before the first signal."""
    chunk: list[RegulatedObject] = []
    for version, thing in enumerate(objects, start=1):
        known.add(thing)
        chunk.append(thing)
        if len(chunk) == OBJECTS_PER_RECORD:
            yield ObjectsEntry(version=version, objects=tuple(chunk))
            chunk = []
    if chunk:
        yield ObjectsEntry(version=len(known), objects=tuple(chunk))
    if catalogue is not None:
        yield CatalogueEntry(catalogue=catalogue)
    if ruleset.version != EMPTY.version:
        yield RulesetEntry(version=ruleset.version)


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
            numbered.seq += 1
            record = Record(seq=numbered.seq, received_at=record.received_at, entry=record.entry)
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
