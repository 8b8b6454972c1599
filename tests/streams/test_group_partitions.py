"""Rules about areas and groups over three partitions: what one pipeline says that sees everything, in whatever order, whoever dies."""

# Long because: the deployment and the stories that are told over it make one picture.

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cluster.counting_groups import GroupFills, scopes_of
from app.cluster.watching import Telling
from app.metrics import Metrics
from domain.catalogue import Catalogue
from domain.clock import ManualClock
from domain.findings import EpisodeEnded, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from domain.frames import Frame, Passing, decode_passing, encode
from domain.levels import DEFAULT_LEVELS
from domain.objects import Relation, Resolution
from domain.partitions import IN_GROUPS, Place, everywhere, partition_of, routing_key
from domain.ports import Grant, History, Letter, Message, Offer
from domain.records import AnyEntry, ObjectsEntry, Prepared, Record, RejectionEntry, ResolutionEntry, RulesetEntry, SignalEntry, TickEntry
from domain.signals import ObjectRef
from rules.facts import Facts
from rules.ruleset import RuleSet, Window
from rules.spread import Spread, spread
from storage import backfills
from storage.database import Database
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.faust_worker import Slot
from streams.runtimes.group_partitions import GroupPartition
from streams.runtimes.groups_past import GroupsPast, Which, kept
from streams.runtimes.keeping import Kept
from streams.runtimes.partitions import MARK, ONLOOKER, Partition, Parts
from streams.runtimes.past import LogHistory
from streams.stages.backfill import Backfill
from streams.stages.grafting import Past
from streams.stages.groups import whose
from streams.stages.passing import Passage, Windows
from tests.factories import T0, make_entry, make_object
from tests.streams.kit import VALUE, at_least, expression, indicator, kind_is, rule, ruleset, severity_from, source_is
from tests.streams.worlds import rulesets, worlds


def _over(one: str, other: str) -> Any:
    """Return the condition that one indicator is greater than another one."""

    def evaluate(facts: Facts) -> bool | None:
        values = facts.values.get(one), facts.values.get(other)
        return None if None in values else values[0] > values[1]  # type: ignore[operator]  # numbers

    return expression(f"{one} > {other}", evaluate, indicators=(one, other))


def _sets() -> dict[str, RuleSet]:
    """Return the sets of the worlds: rules about areas and objects (`plain`), with rules about objects that read what only signals that
    count change (`counted`), what the time of a group changes and an area's windows (`followed`), or the time of a parent (`timed`)."""  # noqa: D205, D209  # one sentence reads best
    day, exact = Window(kind="sliding", length=timedelta(days=1)), Window(kind="sliding", length=timedelta(hours=10), exact=True)
    about = expression("object", lambda f: f.entry.resolution.object_id, fields=("object",))
    counted = (
        [
            rule("chain", at_least("p.chain", 2), points=22.0),
            rule("trade", at_least("p.trade", 2), points=0.0, cooldown=timedelta(hours=5)),
            rule("alone", at_least("p.alone", 2), points=0.0),
        ],
        [
            indicator("p.chain", "distinct", of=about, where=kind_is("gas."), by="parent", window=day),
            indicator("p.trade", where=kind_is("fire."), by=("industry", 4), window=day),
            indicator("p.alone", where=kind_is("gas."), by=("object", "matter"), window=day),
        ],
    )
    known = rulesets()
    near = next(each for each in known["v1"].rules if each.id == "near")
    followed = (
        [rule("events", at_least("p.events", 9), points=18.0, half_life=timedelta(hours=6), sector="fire"), near],
        [indicator("p.events", "sum", of=VALUE, where=source_is("iot"), by=("matter", 6), window=exact, as_of="object")],
    )
    timed = (
        [rule("timed", at_least("p.timed", 2), points=30.0)],
        [indicator("p.timed", where=kind_is("gas."), by="parent", window=exact, as_of="object")],
    )
    # What objects of a trade, and of a county, usually come to: read by a rule about objects and by one about counties.
    peers = (
        [
            rule("odd", _over("p.readings", "p.usual"), points=24.0),
            rule("odd-county", at_least("p.county_usual", 0.5), by=6, points=26.0),
            rule("alone", at_least("p.alone", 2), points=0.0),
        ],
        [
            indicator("p.readings", window=day, as_of="object"),
            indicator("p.leaks", where=kind_is("gas."), window=exact),
            indicator("p.usual", "peers", window=None, input="p.readings", by="industry", take="median", needs=1),
            indicator("p.county_usual", "peers", window=None, input="p.leaks", by=6, take="mean", needs=1),
            indicator("p.alone", where=kind_is("gas."), by=("object", "matter"), window=day),
        ],
    )
    # What a deployment begins with whose later rules count back: nothing of it is judged in partitions of groups.
    few = ([rule("quiet", at_least("p.count", 99), points=0.0)], [known["v1"].indicators["p.count"]])
    found = {f"{name}-few": ruleset(*few, f"{name}-few") for name in ("plain", "counted", "followed", "timed", "peers")}
    grave = rule("grave", severity_from(3), by=6, points=0.0)
    more = {"plain": ([grave], []), "counted": counted, "followed": followed, "timed": timed, "peers": peers}
    for name, (rules, indicators) in more.items():
        for version, each in known.items():
            own = [one for one in each.rules if one.id != "near"]
            every = [*each.indicators.values(), *indicators]
            found[f"{name}-{version}"] = ruleset([*own, *rules], every, f"{name}-{version}", each.inferences)
    return found


SETS: dict[str, RuleSet] = _sets()
SOURCES = 3
END = T0 + timedelta(days=400)
thorough = settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def spread_of(version: str) -> Spread:
    """Return how a set is spread."""
    return spread(SETS[version])


def pipeline(which: str, history: History | None = None) -> Pipeline:
    """Return a pipeline for the whole set, its objects, its areas or its groups."""
    own = PipelineSettings(waiting_limit=1, waiting_before=100_000) if which in {"areas", "groups"} else PipelineSettings()
    return Pipeline(
        DEFAULT_LEVELS,
        Catalogue(),
        lambda version: SETS[version] if which == "whole" else getattr(spread_of(version), which),
        {},
        own,
        history=history,
    )


class Before:
    """The past of a pipeline that sees everything: all records before an activation."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.told = records

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield them."""
        del after
        return takewhile(lambda record: record.seq != before, self.told)

    def artifact(self, name: str) -> None:
        """Know none."""
        del name


class Shelf:
    """Snapshots of one partition, in memory."""

    def __init__(self) -> None:
        self.kept: Kept | None = None

    def save(self, kept: Kept) -> None:
        self.kept = kept

    def load(self) -> Kept | None:
        return self.kept

    def newest(self) -> int | None:
        return self.kept.offset if self.kept else None


class Marks:
    """The marks of a partition that nobody died with."""

    def read(self) -> tuple[int, bytes]:
        return 1, b""

    def write(self, _epoch: int, _takeovers: int, _mark: bytes) -> None:
        raise AssertionError("nothing is written while all goes well")


class Admission:
    """Takes every offer in under the number of its place."""

    def __init__(self, partition: int) -> None:
        self.partition = partition

    def __call__(self, offset: int, frame: Frame, received_at: Any) -> list[Record]:
        return [
            Record(seq=Place(self.partition, offset, nth).seq(), received_at=received_at, entry=offer.entry)
            for nth, offer in enumerate(frame.offers)
        ]

    def settled(self, upto: int) -> None:
        """Nothing is kept here."""


class Side:
    """The partitions of one topic: their logs, what is committed of each, their snapshots, and whoever works on them now."""

    def __init__(self, *, frames: Side | None = None) -> None:
        """Make the partitions of groups beside those of `frames`, or those of the frames themselves."""
        self.groups = groups = frames is not None
        self.logs: list[list[bytes]] = [[] for _ in range(SOURCES)]
        self.done = [-1] * SOURCES
        self.outcomes: list[list[Outcome]] = [[] for _ in range(SOURCES)]
        self.letters: list[list[Letter]] = [[] for _ in range(SOURCES)]
        self.shelves = [Shelf() for _ in range(SOURCES)]
        self.clock = ManualClock(T0)
        self.artifacts: dict[str, list[bytes]] = {}
        self.parts = Parts(
            pipeline=lambda past: pipeline("areas" if groups else "objects", past),
            admission=Admission,
            snapshots=self.shelves.__getitem__,
            marks=lambda _partition: Marks(),
            commit=self.commit,
            clock=self.clock,
            groups=0 if groups else SOURCES,
            spread_of=spread_of,
            beside=(lambda past: pipeline("groups", past)) if groups else None,
            log=frames or self,
            worked_out=self.worked_out,
        )
        self.workers = [self.made(partition) for partition in range(SOURCES)]
        self.standbys: dict[int, Partition] = {}

    def made(self, partition: int, epoch: int = 1) -> Partition:
        """Return a partition as a worker has it that takes it over now."""
        grant = Grant(topic="t", partition=partition, epoch=epoch, offset_done=self.done[partition])
        stopping = threading.Event()
        return GroupPartition(grant, self.parts, stopping, SOURCES) if self.groups else Partition(grant, self.parts, stopping)

    def commit(
        self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()
    ) -> Grant:
        assert grant.epoch != ONLOOKER
        assert not self.groups or all(isinstance(record.entry, RejectionEntry) for record in records)  # signals have their rows
        self.done[grant.partition] = upto
        self.outcomes[grant.partition] += outcomes
        self.letters[grant.partition] += letters
        return Grant(topic="t", partition=grant.partition, epoch=1, offset_done=upto)

    def read(self, partition: int, first: int, last: int) -> Generator[Message]:
        """Yield messages of the log (`domain.ports.FrameLog`)."""
        assert last <= self.done[partition] + 1, "what is read is committed, or being judged"
        for offset in range(first, last + 1):
            yield Message(offset, END, self.logs[partition][offset])

    def worked_out(self, name: str) -> Iterator[bytes] | None:
        """Return what was counted beforehand."""
        return iter(self.artifacts[name]) if name in self.artifacts else None

    def stand_by(self, partition: int) -> None:
        """Let another worker follow a partition as far as it is committed."""
        standby = self.standbys.setdefault(partition, self.made(partition, ONLOOKER))
        assert standby.follow_to(self.workers[partition].grant)
        while standby.next_offset <= self.done[partition]:
            standby.take(standby.next_offset, self.logs[partition][standby.next_offset], END)

    def succeed(self, partition: int) -> None:
        """Let whoever stands by for a partition take it over, or else a worker that begins with the snapshot."""
        standby = self.standbys.pop(partition, None)
        if standby is not None:
            assert standby.take_over(Grant(topic="t", partition=partition, epoch=1, offset_done=self.done[partition]))
        self.workers[partition] = standby or self.made(partition)

    def take(self, partition: int) -> bool:
        """Let the worker take its next message; False where there is none."""
        worker = self.workers[partition]
        if worker.next_offset >= len(self.logs[partition]):
            return False
        worker.take(worker.next_offset, self.logs[partition][worker.next_offset], END)
        return True


class Deployment:
    """Both topics, with a post between that is late and says things twice; all chances from `random`."""

    def __init__(self, random: Random, rules: str = "plain") -> None:
        """`rules` says which of the sets its activations mean."""
        self.random = random
        self.rules = rules
        spreads = [spread_of(version) for version in SETS if version.startswith(rules)]
        self.here = {each.id for found in spreads for each in (*found.areas.rules, *found.groups.rules)}
        self.sources = Side()
        self.areas = Side(frames=self.sources)
        self.posted = [0] * SOURCES  # letters that have been sent
        self.homes: dict[tuple[str, str], int] = {}
        self.judged: list[tuple[Any, int, int, Record]] = []  # everything, by when and where it is

    def send(self, record: Record) -> None:
        """Append a record to the partitions that it belongs to, as an edge does."""
        entry = record.entry
        if isinstance(entry, RulesetEntry):
            entry = msgspec.structs.replace(entry, version=f"{self.rules}-{entry.version}")
        elif isinstance(entry, ResolutionEntry) and entry.object_id:
            entry = msgspec.structs.replace(entry, partition=partition_of(entry.object_id, SOURCES))
        homes = [self._home(entry)] if not isinstance(entry, TickEntry) and routing_key(entry) is not None else list(range(SOURCES))
        for home in homes:
            offset = len(self.sources.logs[home])
            if isinstance(entry, RulesetEntry) and entry.prepared is not None:
                firsts = tuple(Place(number, 0, 0).seq() for number in range(SOURCES))
                entry = msgspec.structs.replace(
                    entry, prepared=Prepared(first=firsts[home], firsts=firsts, artifact=f"{entry.version}/{home}")
                )
            self.sources.logs[home].append(encode(Frame(received_at=record.received_at, offers=(Offer(entry=entry),))))
            if home == homes[0]:
                seq = Place(home, offset, 0).seq()
                self.judged.append(
                    (record.received_at, home, offset, Record(seq=seq, received_at=record.received_at, entry=everywhere(entry)))
                )

    def _home(self, entry: AnyEntry) -> int:
        key = routing_key(entry)
        assert key is not None
        if not isinstance(entry, SignalEntry):
            return partition_of(key, SOURCES)
        names = [(entry.feed, name) for name in (entry.signal.id, entry.signal.corrects, entry.signal.withdraws) if name]
        home = next((self.homes[name] for name in names if name in self.homes), partition_of(key, SOURCES))
        return self.homes.setdefault(names[0], home)

    def run(self, *, trouble: bool = True) -> None:
        """Let everybody work in a random order until nothing is left."""
        while True:
            busy = [lambda side=side, at=at: side.take(at) for side in (self.sources, self.areas) for at in range(SOURCES)]
            busy += [lambda source=source: self._post(source) for source in range(SOURCES)]
            self.random.shuffle(busy)
            if not any([work() for work in busy if self.random.random() < 0.7 or not trouble] or [True]) and not any(
                work() for work in busy
            ):
                return
            if trouble and self.random.random() < 0.2:
                self._kill()

    def _post(self, source: int) -> bool:
        """Send the next letters of a source."""
        at = self.posted[source]
        letters = self.sources.letters[source][at : at + 1 + self.random.randrange(4)]
        for letter in letters:
            self._deliver(letter)
        self.posted[source] = at + len(letters)
        return bool(letters)

    def _deliver(self, letter: Letter) -> None:
        (self.sources if letter.to == "frames" else self.areas).logs[letter.partition].append(letter.body)

    def linger(self, source: int, most: int = 8) -> None:
        """Somebody who believes that a source is still theirs sends some letters again, out of the last `most` that have arrived.

        They are in order; others that arrived between them or after them are not sent again.
        """
        arrived = self.sources.letters[source][: self.posted[source]]
        for letter in arrived[-most:]:
            if self.random.random() < 0.4:
                self._deliver(letter)

    def _kill(self) -> None:
        """Somebody dies: a worker, with or without a newer snapshot, or whoever sends letters, after the sending; or comes back to life and
        sends some again; or somebody stands by."""  # noqa: D205, D209  # one sentence reads best
        side, at = self.random.choice((self.sources, self.areas)), self.random.randrange(SOURCES)
        if self.random.random() < 0.3:
            side.stand_by(at)
            return
        if self.random.random() < 0.5:
            side.workers[at].keep()
        side.succeed(at)
        if self.random.random() < 0.5:
            self.linger(at)
        self.posted[at] = max(0, self.posted[at] - self.random.randrange(3))

    def expected(self) -> dict[str, list[Outcome]]:
        """Return what one pipeline says that sees everything in the order of time, of what partitions of groups judge."""
        records = [record for *_, record in sorted(self.judged, key=lambda each: each[:3])]
        whole = pipeline("whole", Before(records))
        return self._here([out for record in records for out in whole.step([record], growing=False)])

    def found(self) -> dict[str, list[Outcome]]:
        return self._here([out for outcomes in self.areas.outcomes for out in outcomes])

    def _here(self, outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
        """Return what was said of each area and each object by rules that partitions of groups judge, in order."""
        found: defaultdict[str, list[Outcome]] = defaultdict(list)
        subjects: dict[str, str] = {}
        for out in outcomes:
            if isinstance(out, RuleHit | RuleBlind):
                subject, ours = out.subject, out.rule in self.here
            else:
                if not isinstance(out, EpisodeEnded):
                    subjects[out.warning.id] = out.warning.subject
                subject = subjects[out.warning_id if isinstance(out, EpisodeEnded) else out.warning.id]
                ours = subject.startswith("region:") or self.rules != "plain"  # then all rules with points are judged there
            if ours:
                found[subject].append(out)
        return dict(found)


def all_of(deployment: Deployment, records: Sequence[Record]) -> None:
    """Send records a moment apart, and at the end say everywhere that all is told."""
    for number, record in enumerate(records):
        deployment.send(replace_time(record, number))
    deployment.send(Record(seq=1, received_at=END, entry=TickEntry()))


def replace_time(record: Record, number: int) -> Record:
    """Return the record a moment later for each one before it."""
    return Record(seq=record.seq, received_at=record.received_at + timedelta(microseconds=number), entry=record.entry)


@pytest.mark.parametrize("rules", ["plain", "counted", "followed", "peers"])
@thorough
@given(records=worlds(), seed=st.integers(0, 10_000))
def test_areas_and_groups_over_three_partitions_are_as_in_one(rules: str, records: list[Record], seed: int) -> None:
    """Signals, corrections, withdrawals, confirmations, closings and activations in any order of arrival, with deaths and repeats between,
    the registry changing: of each area, and each object by rules that read its groups, the same hits, warnings, levels and ends as one
    pipeline gives that sees all of it."""  # noqa: D205, D209  # one sentence
    deployment = Deployment(Random(seed), rules)
    all_of(deployment, records)
    deployment.run()
    assert deployment.found() == deployment.expected()


def counting_back(records: list[Record], place: int, version: str) -> list[Record]:
    """Return the records of a world that begins with few rules; at a place in it those of `version` are put in force, and count back."""
    begun = [msgspec.structs.replace(records[0], entry=RulesetEntry(version="few")), *records[1:]]
    at = min(place, len(begun))
    new = Record(seq=1, received_at=begun[at - 1].received_at, entry=RulesetEntry(version=version))
    whole = [*begun[:at], new, *begun[at:]]
    return [
        msgspec.structs.replace(each, entry=msgspec.structs.replace(each.entry, prepared=Prepared(first=1)))
        if number and isinstance(each.entry, RulesetEntry)
        else each
        for number, each in enumerate(whole)
    ]


@pytest.mark.parametrize("rules", ["plain", "counted", "followed", "timed", "peers"])
@thorough
@given(records=worlds(), place=st.integers(1, 40), version=st.sampled_from(["v1", "v2"]), seed=st.integers(0, 10_000))
def test_what_comes_later_counts_back_over_three_partitions_as_in_one(
    rules: str, records: list[Record], place: int, version: str, seed: int
) -> None:
    """Rules about areas and groups are put in force in the middle, and later others: their windows hold what the frames' logs say, so that
    all that is said from then on is what one pipeline says that counts back over everything."""  # noqa: D205, D209  # one sentence
    deployment = Deployment(Random(seed), rules)
    all_of(deployment, counting_back(records, place, version))
    deployment.run()
    assert deployment.found() == deployment.expected()
    assert kept_as_its_own(deployment)


def counted_beforehand(deployment: Deployment, version: str) -> list[int]:
    """Count back for partitions of groups as `fengsui rules publish` does, in two rounds; return how many frames each read."""
    side = deployment.sources
    sources = [LogHistory(number, side, Admission, lambda _name: None) for number in range(SOURCES)]
    firsts = [Place(number, 0, 0).seq() for number in range(SOURCES)]
    fills = GroupFills(SETS[version], scopes_of(SETS[version], SETS[f"{deployment.rules}-few"]), sources, firsts)
    rounds = [fills.go_on([done // 2 for done in side.done]), fills.go_on(side.done)]
    with Database.in_memory().write() as connection:
        fills.keep(connection, f"{version}/0")
        deployment.areas.artifacts |= {name: list(backfills.load(connection, name)) for name in backfills.names(connection)}
    return rounds


@pytest.mark.parametrize("beforehand", [False, True])
def test_what_is_true_of_an_object_whose_newest_signal_was_moved_is_noticed_at_its_next_one(beforehand: bool) -> None:
    """A high reading of an object, then a complaint that is revised to be about another one: a set that counts back has all rules about the
    first object read at its next signal, whatever that is about, as where the object was known before."""  # noqa: D205, D209  # one sentence reads best
    made = Deployment(Random(1), "counted")
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="few")))
    story = [("s-1", 1, "o-1", "iot", 9.0), ("s-2", 100, "o-1", "complaint", None), ("s-2", 101, "o-2", "complaint", None)]
    for revision, (name, hour, about, source, value) in enumerate(story):
        at = T0 + timedelta(hours=hour)
        more = {"source": source, "value": value, "severity": 0, "region": "", "revision": revision}
        made.send(
            Record(seq=1, received_at=at, entry=make_entry(id=name, object=ObjectRef(id=about), kind="gas.leak", occurred_at=at, **more))
        )
    made.run(trouble=False)
    if beforehand:
        counted_beforehand(made, "counted-v1")
    activation = RulesetEntry(version="v1", prepared=Prepared(first=1))
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=200), entry=activation))
    at = T0 + timedelta(hours=201)
    smoke = {"source": "hotline", "value": None, "severity": 0, "region": ""}
    entry = make_entry(id="s-3", object=ObjectRef(id="o-1"), kind="fire.smoke", occurred_at=at, **smoke)
    made.send(Record(seq=1, received_at=at, entry=entry))
    told(made)
    made.run(trouble=False)
    assert "max" in {out.rule for out in made.found()["o-1"] if isinstance(out, RuleHit)}
    assert made.found() == made.expected()


def _own_windows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Past._new

    def new(self: Past, *given: Any) -> Backfill:
        fill = sound(self, *given)
        fill.stage.keeps = self._indicators.keeps
        return fill

    monkeypatch.setattr(Past, "_new", new)


def _of_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.stages.grafting.whose", lambda *_: ("each", ""))


def _both_of(worker: GroupPartition) -> list[tuple[Which, Pipeline]]:
    return [("areas", worker.pipeline), ("groups", worker.beside)]


def kept_as_its_own(deployment: Deployment) -> bool:
    """Tell whether no partition of groups has a window of another one's."""
    return all(
        kept(which, at, SOURCES, *whose(key.name, each._indicators.groups))
        for at, worker in enumerate(deployment.areas.workers)
        if isinstance(worker, GroupPartition)
        for which, each in _both_of(worker)
        for key in each._indicators.keys.values()
        if key.cells
    )


@pytest.mark.parametrize(
    "plant",
    [None, pytest.param(_own_windows_alone, marks=pytest.mark.sources), pytest.param(_of_others_too, marks=pytest.mark.sources)],
)
@pytest.mark.parametrize("beforehand", [False, True])
@pytest.mark.parametrize("rules", ["plain", "counted", "followed", "timed", "peers"])
def test_what_a_person_said_before_an_activation_is_counted_back(
    rules: str, beforehand: bool, plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal is said to be about an object of another partition and county, then a set counts back that finds two of an object, or of a
    county: the next one there is the second. Who counts back in its own windows alone misses it; who takes over others' is seen."""  # noqa: D205, D209  # one sentence reads best
    if plant is not None:
        plant(monkeypatch)
    one, other, third = (next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == at) for at in range(SOURCES))
    home = partition_of("region:610113", SOURCES)
    there = next(f"{n}" for n in range(610114, 610199) if partition_of(f"region:{n}", SOURCES) != home)
    made = Deployment(Random(1), rules)
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="few")))
    things = tuple(make_object(id=name, region=region) for name, region in ((one, there), (other, "610113"), (third, "610113")))
    made.send(Record(seq=1, received_at=T0, entry=ObjectsEntry(version=1, objects=things)))

    def tell(id_: str, hour: int, about: str) -> None:
        at = T0 + timedelta(hours=hour)
        entry = make_entry(id=id_, object=ObjectRef(id=about), occurred_at=at, source="iot", kind="fire.smoke", severity=0, region="")
        made.send(Record(seq=1, received_at=at, entry=entry))

    tell("s-1", 1, one)
    said = ResolutionEntry(feed="test", signal_id="s-1", object_id=other, by="a")
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=2), entry=said))
    made.run(trouble=False)
    if beforehand:
        counted_beforehand(made, f"{rules}-v2")
    activation = RulesetEntry(version="v2", prepared=Prepared(first=1))
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=3), entry=activation))
    tell("s-2", 4, other)
    tell("s-3", 5, third)
    told(made)
    made.run(trouble=False)
    expected = made.expected()
    hits = {subject: {out.rule for out in outs if isinstance(out, RuleHit)} for subject, outs in expected.items()}
    assert "street" in hits["region:610113"]
    assert rules == "plain" or "burst" in hits[other]
    assert kept_as_its_own(made) is (plant is not _of_others_too)
    if plant is not _of_others_too:
        assert (made.found() == expected) is (plant is None or beforehand)


@pytest.mark.parametrize("rules", ["plain", "counted", "followed", "timed", "peers"])
@thorough
@given(records=worlds(), place=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_what_was_counted_beforehand_changes_nothing(rules: str, records: list[Record], place: int, seed: int) -> None:
    """As `fengsui rules publish` counts it, of part of what there was: all that is said is what it is without that."""
    told = counting_back(records, place, "v1")
    begun = min(place, len(records))
    deployment = Deployment(Random(seed), rules)
    for number, record in enumerate(told[:begun]):
        deployment.send(replace_time(record, number))
    deployment.run()
    counted_beforehand(deployment, f"{rules}-v1")
    for number, record in enumerate(told[begun:], begun):
        deployment.send(replace_time(record, number))
    deployment.send(Record(seq=1, received_at=END, entry=TickEntry()))
    deployment.run()
    assert deployment.found() == deployment.expected()


def _nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupsPast, "records", lambda *_: iter(()))


def _others_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.runtimes.groups_past.told_of", lambda source, judged: judged.records if not source else [])


@pytest.mark.parametrize("plant", [None, _nothing_before, _others_before])
@pytest.mark.parametrize("beforehand", [False, True])
def test_an_area_knows_what_was_before_its_rule(plant: Any, beforehand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak of a street, the rule about it, then a second leak: the warning rests on both; what was counted beforehand is not read again,
    and who reads nothing of the past, or one partition's alone, is found out."""  # noqa: D205, D209  # one sentence
    made = Deployment(Random(1))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="few")))
    names = [next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == at) for at in (1, 2)]
    leak = {"region": "610113001", "kind": "gas.leak"}
    before = make_entry(id="s-1", object=ObjectRef(id=names[0]), occurred_at=T0 + timedelta(hours=1), **leak)
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=1), entry=before))
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=2), entry=TickEntry()))
    made.run(trouble=False)
    if beforehand:
        assert sum(counted_beforehand(made, "plain-v1")) >= SOURCES
    if plant is not None:
        plant(monkeypatch)
    read: list[int] = []
    sound = Side.read
    monkeypatch.setattr(Side, "read", lambda self, number, first, last: read.append(first) or sound(self, number, first, last))
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=3), entry=RulesetEntry(version="v1", prepared=Prepared(first=1))))
    after = make_entry(id="s-2", object=ObjectRef(id=names[1]), occurred_at=T0 + timedelta(hours=4), **leak)
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=4), entry=after))
    told(made)
    made.run(trouble=False)
    raised = [out for out in made.found().get("region:610113", []) if isinstance(out, WarningRaised)]
    rests = [[each.id for each in out.warning.evidence] for out in raised]
    assert (rests == [["s-1", "s-2"]]) is (plant is None or beforehand)
    assert (read.count(0) > SOURCES) is (not beforehand and plant is not _nothing_before)  # each of the frames reads its own
    assert (made.found() == made.expected()) is (plant is None or beforehand)


def leaks(deployment: Deployment, *hours: float, number: int = 0, **kw: Any) -> None:
    """Send a leak for each of these hours, each about another object of one street."""
    for nth, hour in enumerate(hours, start=number):
        entry = make_entry(id=f"s-{nth}", object=ObjectRef(id=f"o-{nth}"), occurred_at=T0 + timedelta(hours=hour), region="610113001", **kw)
        deployment.send(Record(seq=1, received_at=T0 + timedelta(hours=hour), entry=entry))


def told(deployment: Deployment) -> None:
    """Say everywhere that all is told."""
    deployment.send(Record(seq=1, received_at=END, entry=TickEntry()))


@pytest.fixture
def deployment() -> Deployment:
    """Give a deployment with rules in force."""
    made = Deployment(Random(1))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    return made


def _not_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(dict[int, int]):
        def get(self, _key: int, default: Any = None) -> Any:
            return default

    sound = GroupPartition.__init__

    def forgetful(self: GroupPartition, *given: Any) -> None:
        sound(self, *given)
        self._seen = Forgetful()

    monkeypatch.setattr(GroupPartition, "__init__", forgetful)


def _nobody_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.runtimes.group_partitions.MOST_WAITING", 0)


def _corrections_like_any_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Passage.note

    def note(self: Passage, *given: Any, everywhere: bool) -> None:
        del everywhere
        sound(self, *given, everywhere=False)

    monkeypatch.setattr(Passage, "note", note)


def _stories(deployment: Deployment) -> None:
    """Three leaks of a street, one of them in another partition and late on the way; then a correction moves one to another county."""
    leaks(deployment, 1, 2, 3, 4, 5, 6)
    moved = make_entry(
        id="c-1", corrects="s-2", object=ObjectRef(id="o-2"), occurred_at=T0 + timedelta(hours=3), region="610199", value=1.0
    )
    deployment.send(Record(seq=1, received_at=T0 + timedelta(hours=7), entry=moved))
    gone = make_entry(id="w-1", withdraws="s-0", object=ObjectRef(id="o-0"), occurred_at=T0 + timedelta(hours=8))
    deployment.send(Record(seq=1, received_at=T0 + timedelta(hours=8), entry=gone))
    told(deployment)


@pytest.mark.sources
@pytest.mark.parametrize("plant", [None, _not_known_again, _nobody_waited_for, _corrections_like_any_signal])
def test_planted_defects_are_found(plant: Any, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent again counts twice, nobody is waited for, or a correction is not told to all: the comparison sees each of them."""
    _stories(deployment)
    expected = deployment.expected()
    assert {type(out) for out in expected["region:610113"]} >= {WarningRaised, WarningUpdated, EpisodeEnded}
    if plant is not None:
        plant(monkeypatch)
        deployment.areas.workers = [deployment.areas.made(at) for at in range(SOURCES)]
    for source in (2, 1, 0):  # the last partition first: who does not wait takes its leaks before the others'
        while deployment.sources.take(source):
            pass
    letters = [letter for source in (2, 1, 0) for letter in deployment.sources.letters[source] if letter.to == "groups"]
    for again in (letters, letters):  # all of them are sent twice
        for letter in again:
            deployment.areas.logs[letter.partition].append(letter.body)
    for at in range(SOURCES):
        while deployment.areas.take(at):
            pass
    assert (deployment.found() == expected) is (plant is None)


def _known_at_home_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "of_all", lambda *_: False)


def _without_the_time_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "also", lambda *_: set())


def _members_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Passage, "register", lambda *_: None)


@pytest.mark.sources
@pytest.mark.parametrize(
    ("rules", "plant"),
    [
        ("counted", None),
        ("counted", _known_at_home_alone),
        ("timed", None),
        ("timed", _without_the_time_of_others),
        ("timed", _members_forgotten),
    ],
)
def test_planted_defects_of_groups_are_found(rules: str, plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three objects of one parent in three partitions, of which two have leaks and the third moves the time on: where a partition is told
    of its own objects alone, or not of the time, or forgets who belongs together, the comparison sees it."""  # noqa: D205, D209  # one sentence
    if plant is not None and plant is not _members_forgotten:
        plant(monkeypatch)
    made = Deployment(Random(3), rules)
    one, other, third = (next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == at) for at in range(SOURCES))
    top = next(f"top-{n}" for n in range(100) if partition_of(f"top-{n}", SOURCES) == 2)  # where the third one is
    belongs = (Relation(kind="parent", object_id=top),)
    things = tuple(make_object(id=name, region="", relations=belongs) for name in (one, other, third))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    made.send(Record(seq=1, received_at=T0 + timedelta(seconds=1), entry=ObjectsEntry(version=1, objects=things)))
    made.run(trouble=False)
    for worker in made.sources.workers:
        worker.keep()
    if plant is _members_forgotten:
        plant(monkeypatch)
    made.sources.workers = [made.sources.made(at) for at in range(SOURCES)]  # who belongs together is known from the snapshot
    story = [(1, 1, one, "gas.leak"), (2, 2, other, "gas.leak"), (12.5, 12.5, third, "fire.smoke"), (13, 3, one, "gas.leak")]
    for nth, (at, occurred, about, kind) in enumerate(story):
        entry = make_entry(
            id=f"s-{nth}",
            object=ObjectRef(id=about),
            kind=kind,
            source="iot",
            occurred_at=T0 + timedelta(hours=occurred),
            severity=0,
            region="",
        )
        made.send(Record(seq=1, received_at=T0 + timedelta(hours=at), entry=entry))
    told(made)
    made.run(trouble=False)
    expected = made.expected()
    assert {"counted": "chain", "timed": "timed"}[rules] in {out.rule for out in expected[other] if isinstance(out, RuleHit)}
    assert (made.found() == expected) is (plant is None)


@pytest.mark.parametrize("plant", [None, pytest.param(_known_at_home_alone, marks=pytest.mark.sources)])
def test_an_object_is_held_against_its_peers_of_all_partitions(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three objects of a trade in three partitions; two had four readings by the night, the third none: three are no more than usual, five
    are. A partition that knows its own objects alone takes none for usual, which the comparison sees."""  # noqa: D205, D209  # one sentence
    if plant is not None:
        plant(monkeypatch)
    made = Deployment(Random(5), "peers")
    one, other, third = (next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == at) for at in range(SOURCES))
    things = tuple(make_object(id=name, region="610113", industry="H62") for name in (one, other, third))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    made.send(Record(seq=1, received_at=T0 + timedelta(seconds=1), entry=ObjectsEntry(version=1, objects=things)))
    by_night = [(hour, about) for hour in (12, 13, 14, 15) for about in (other, third)]
    for nth, (hour, about) in enumerate([*by_night, (20, one), (21, one), (22, one), (23, other)]):  # 19:00 is 03:00 in Shanghai
        at = T0 + timedelta(hours=hour, seconds=nth)
        entry = make_entry(id=f"s-{nth}", object=ObjectRef(id=about), kind="gas.leak", occurred_at=at, severity=0)
        made.send(Record(seq=1, received_at=at, entry=entry))
    told(made)
    made.run()
    expected = made.expected()
    odd = {subject for subject, outs in expected.items() if any(isinstance(out, RuleHit) and out.rule.startswith("odd") for out in outs)}
    assert odd == {other, "region:610113"}
    assert (made.found() == expected) is (plant is None)


def test_a_partition_that_stands_still_is_asked_for_its_time(deployment: Deployment) -> None:
    """What waits for a quiet partition names it, once in a while, and is judged at the time that it tells; without anything to wait for
    nobody is asked."""  # noqa: D205, D209  # one sentence reads best
    deployment.run(trouble=False)
    at = partition_of("region:610113", SOURCES)
    group = deployment.areas.workers[at]
    assert group.ticks_due() == []
    leaks(deployment, 1, 2, 3)
    deployment.run(trouble=False)
    assert isinstance(group, GroupPartition)
    assert group.waits > 0
    deployment.areas.clock.advance(timedelta(hours=4))
    behind = group.ticks_due()
    assert behind
    assert group.ticks_due() == []
    tick = Record(seq=1, received_at=T0 + timedelta(hours=4), entry=TickEntry())
    for source, _ in behind:
        deployment.sources.logs[source].append(encode(Frame(received_at=tick.received_at, offers=(Offer(entry=TickEntry()),))))
    deployment.areas.logs[at].append(b"")  # what is no message of ours moves nothing
    deployment.run(trouble=False)
    assert group.waits == 0
    assert deployment.areas.done[at] == len(deployment.areas.logs[at]) - 1


def test_a_foreign_message_is_kept_under_a_number_of_its_own(deployment: Deployment) -> None:
    """In the topic of groups as in that of frames: set aside with its place, and not confused with the same place there."""
    kept: list[Record] = []
    sound = deployment.areas.parts
    group = GroupPartition(
        Grant(topic="t", partition=1, epoch=1, offset_done=-1),
        replace(sound, commit=lambda grant, _upto, records, *_: kept.extend(records) or grant),  # type: ignore[func-returns-value]  # to keep
        threading.Event(),
        SOURCES,
    )
    group.take(0, b"hello", END)
    assert [(record.seq, record.entry.reason) for record in kept] == [(IN_GROUPS + Place(1, 0, 0).seq(), "foreign_message")]  # type: ignore[union-attr]  # a rejection


def test_without_rules_about_areas_only_what_all_must_know_is_passed_on() -> None:
    """The registry and activations go to everybody once, signals nowhere."""
    made = Deployment(Random(1))
    made.send(Record(seq=1, received_at=T0, entry=ObjectsEntry(version=1, objects=(make_object(),))))
    leaks(made, 1, 2)
    made.run(trouble=False)
    found = [decode_passing(body) for log in made.areas.logs for body in log]
    assert len(found) == SOURCES
    assert all(isinstance(each, Passing) and each.source == 0 and len(each.records) == 1 for each in found)


def test_a_partition_tells_its_time_now_and_then(deployment: Deployment) -> None:
    """Two signals within the interval are passed on to whom they concern; the first one after it tells everybody the time."""
    deployment.run(trouble=False)
    before = [len(log) for log in deployment.areas.logs]
    entry = make_entry(object=ObjectRef(id="o-1"), region="610113001")
    home = deployment._home(entry)
    for number, after in enumerate((MARK / 2, MARK * 2)):
        one = make_entry(id=f"n-{number}", object=ObjectRef(id="o-1"), region="610113001")
        deployment.send(Record(seq=1, received_at=T0 + after, entry=one))
    deployment.run(trouble=False)
    at = partition_of("region:610113", SOURCES)
    grown = [len(log) - was for log, was in zip(deployment.areas.logs, before, strict=True)]
    assert grown == [2 if number == at else 1 for number in range(SOURCES)]
    assert len(deployment.sources.logs[home]) == 3


@pytest.mark.parametrize("seed", range(6))
def test_what_a_person_confirms_counts_in_its_area_once(seed: int) -> None:
    """Signals without an object come to one partition and are confirmed to be about objects of others, which lie in the street: each counts
    there once, in whatever order the partitions tell of it; what is said to be no object after all does not."""  # noqa: D205, D209  # one sentence reads best
    made = Deployment(Random(seed))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    entries = [
        make_entry(id=f"u-{nth}", object=ObjectRef(id=""), resolution=Resolution(), occurred_at=T0, region="610113001") for nth in range(4)
    ]
    for nth, entry in enumerate(entries):
        made.send(Record(seq=1, received_at=T0 + timedelta(minutes=nth), entry=entry))
    confirmed = ["o-1", "o-2", "o-3", "o-4", "", "o-3", "o-1", "o-2", "o-5", "o-6", "o-7", "o-8"]
    for nth, about in enumerate(confirmed):
        said = ResolutionEntry(feed="test", signal_id=entries[nth % 4].signal.id, object_id=about, by="a")
        made.send(Record(seq=1, received_at=T0 + timedelta(hours=1 + nth), entry=said))
    told(made)
    made.run()
    expected = made.expected()
    assert any(isinstance(out, WarningRaised) for out in expected["region:610113"])
    assert made.found() == expected


def test_what_is_confirmed_to_be_where_it_counted_is_not_judged_again() -> None:
    """A grave signal that no window of its area holds any more is confirmed to be about the object that it is about: nothing is said."""
    made = Deployment(Random(2))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    leaks(made, 1, severity=3)
    leaks(made, 40, number=1)
    said = ResolutionEntry(feed="test", signal_id="s-0", object_id="o-0", by="a")
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=41), entry=said))
    told(made)
    made.run()
    hits = [out.signal for out in made.found()["region:610113"] if isinstance(out, RuleHit) and out.rule == "grave"]
    assert hits == ["s-0"]
    assert made.found() == made.expected()


def counted(deployment: Deployment, about: str) -> dict[int, Any]:
    """Return the signals about an object in the windows of each partition that has any."""
    found = {at: worker.pipeline.values_at(about).get("p.distinct") for at, worker in enumerate(deployment.sources.workers)}
    return {at: value for at, value in found.items() if value}


@pytest.mark.parametrize("seed", range(4))
def test_a_correction_that_speaks_of_another_object_counts_where_that_is(seed: int) -> None:
    """A signal is corrected to be about an object of another partition, then once more, then back, then withdrawn: it counts in the
    partition of its object and nowhere else, also when somebody dies and letters are sent again."""  # noqa: D205, D209  # one sentence reads best
    made = Deployment(Random(seed))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    names = [next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == at) for at in range(SOURCES)]
    for hour, about in enumerate([names[0], names[1], names[2], names[0], names[1]]):
        more = {"corrects": f"s-{hour - 1}"} if hour else {}
        entry = make_entry(id=f"s-{hour}", object=ObjectRef(id=about), occurred_at=T0, **more)
        made.send(Record(seq=1, received_at=T0 + timedelta(hours=hour), entry=entry))
        made.run(trouble=hour % 2 == 1)
        expected = [{at: 1} if name == about else {} for at, name in enumerate(names)]
        assert [counted(made, name) for name in names] == expected
    gone = make_entry(id="w-1", withdraws="s-4", object=ObjectRef(id=names[1]), occurred_at=T0)
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=9), entry=gone))
    made.run()
    assert [counted(made, name) for name in names] == [{}, {}, {}]


def unplaced(id_: str, **kw: Any) -> SignalEntry:
    """Return a signal whose object nobody knows."""
    return make_entry(id=id_, object=ObjectRef(id=""), resolution=Resolution(), occurred_at=T0, region="610113001", **kw)


@pytest.mark.parametrize("seed", range(6))
def test_what_replaces_a_confirmed_signal_counts_where_that_does(seed: int) -> None:
    """A signal without an object is confirmed to be about one of another partition; what corrects it, what revises that, a second word of a
    person and the withdrawal reach the partition of the object where it counts then, and no other."""  # noqa: D205, D209  # one sentence reads best
    made = Deployment(Random(seed))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    names = [next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == at) for at in range(SOURCES)]
    hour = 0

    def stands(about: str) -> None:
        assert [counted(made, name) for name in names] == [{at: 1} if name == about else {} for at, name in enumerate(names)]

    def tell(entry: AnyEntry, about: str) -> None:
        nonlocal hour
        hour += 1
        made.send(Record(seq=1, received_at=T0 + timedelta(hours=hour), entry=entry))
        made.run(trouble=hour % 2 == 0)
        stands(about)

    def confirmed(id_: str, about: str) -> ResolutionEntry:
        return ResolutionEntry(feed="test", signal_id=id_, object_id=about, by="a")

    tell(unplaced("s-1"), "")
    tell(confirmed("s-1", names[0]), names[0])
    tell(unplaced("s-2", corrects="s-1"), names[0])  # nobody is asked the same twice
    tell(confirmed("s-2", names[1]), names[1])
    tell(confirmed("s-1", names[2]), names[2])  # under its first name, which does not stand any more
    tell(unplaced("s-3", corrects="s-1"), names[2])
    placed = make_entry(id="s-4", object=ObjectRef(id=names[0]), occurred_at=T0, region="610113001", corrects="s-3")
    tell(placed, names[0])  # with an object of its own
    tell(confirmed("s-4", names[1]), names[1])
    tell(unplaced("w-1", withdraws="s-4"), "")


def test_what_waits_is_not_told_while_a_new_owner_reads_again(deployment: Deployment, tmp_path: Path) -> None:
    """What it holds is that of an earlier moment until it is where the partition was committed; then the number is told again."""
    leaks(deployment, 0, 1, 2)
    deployment.run(trouble=False)
    side = deployment.areas
    at = next(number for number in range(SOURCES) if isinstance(one := side.workers[number], GroupPartition) and one.waits)
    telling, slot = Telling(tmp_path / "worker.json", Metrics(), ManualClock(T0), 2 * SOURCES), Slot("t", at)

    def told() -> tuple[bool, int | None]:
        telling.look({slot: side.workers[at]}, {slot: len(side.logs[at])})
        group = json.loads((tmp_path / "worker.json").read_text())["groups"][str(at)]
        return group["rereading"], group["records_waiting"]

    before = told()
    assert before[0] is False
    assert before[1]
    side.workers[at] = side.made(at)
    assert told() == (True, None)
    while side.take(at):
        pass
    assert told() == before
