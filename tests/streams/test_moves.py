"""Signals whose object moves to another partition while others know of it, or do not yet: they count where one process has them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from domain.objects import Resolution
from domain.partitions import partition_of
from domain.records import AnyEntry, Record, ResolutionEntry, RulesetEntry, SignalEntry, TickEntry
from domain.signals import ObjectRef
from streams.pipeline import Pipeline
from streams.stages.ledger import Ledger, Live
from streams.stages.passing import Passage
from tests.factories import T0, make_entry
from tests.streams.test_group_partitions import END, SOURCES, Deployment, pipeline
from tests.streams.worlds import OBJECTS

WORLDS = 80


def about(id_: str, object_id: str, **kw: Any) -> SignalEntry:
    """Return a leak about an object, "" for one that nobody knows."""
    return make_entry(
        id=id_,
        kind="gas.leak",
        source="iot",
        value=1.0,
        severity=0,
        region="610113001",
        matter="",
        occurred_at=T0,
        object=ObjectRef(id=object_id),
        resolution=Resolution(object_id=object_id, method="id", confidence=1.0) if object_id else Resolution(),
        **kw,
    )


def confirmed(id_: str, object_id: str) -> ResolutionEntry:
    """Return what a person said."""
    return ResolutionEntry(feed="test", signal_id=id_, object_id=object_id, by="li")


def world(random: Random) -> list[AnyEntry]:
    """Return signals, what revises, corrects and withdraws them, also what is withdrawn already, and people's words about all of them."""
    entries: list[AnyEntry] = []
    ids: list[str] = []
    for number in range(random.randint(3, 16)):
        what = random.choice(["new", "new", "revises", "corrects", "withdraws", "said", "said", "said"]) if ids else "new"
        name, object_id = f"s{number}", random.choice(["", *OBJECTS])
        if what == "said":
            entries.append(confirmed(random.choice(ids), object_id))
            continue
        more: dict[str, Any] = {}
        if what == "revises":
            name, more = random.choice(ids), {"revision": number}
        elif what != "new":
            more = {what: random.choice(ids)}
        if what != "withdraws":
            ids.append(name)
        entries.append(about(name, object_id, **more))
    return entries


def told(entries: list[AnyEntry], random: Random, *, meanwhile: float) -> Deployment:
    """Return a deployment that has taken in entries; with the chance `meanwhile` some work is done between two of them."""
    made = Deployment(random)
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1")))
    for number, entry in enumerate(entries, 1):
        made.send(Record(seq=1, received_at=T0 + timedelta(seconds=number), entry=entry))
        if random.random() < meanwhile:
            some(made, random)
    made.send(Record(seq=1, received_at=END, entry=TickEntry()))
    made.run()
    for source in range(SOURCES):  # the last word is not the last to arrive
        made.linger(source, 1000)
    made.run()
    return made


def some(made: Deployment, random: Random) -> None:
    """Let somebody take a message or send letters, a few times."""
    for _ in range(random.randrange(8)):
        at = random.randrange(SOURCES)
        random.choice([lambda at=at: made.sources.take(at), lambda at=at: made.areas.take(at), lambda at=at: made._post(at)])()


def counting(pipeline: Pipeline) -> set[tuple[str, str]]:
    """Return the objects with the signals that count for each of them."""
    keys = ((name, key) for name, key in pipeline._indicators.keys.items() if name in OBJECTS)
    return {(name, item[3].id) for name, key in keys for cell in key.cells.values() for item in cell.items}


def wrong(made: Deployment) -> str:
    """Return in what a deployment differs from one pipeline that sees everything, "" for nothing."""
    whole = pipeline("whole")
    for *_, record in sorted(made.judged, key=lambda each: each[:3]):
        whole.step([record], growing=False)
    found = [(at, *one) for at, worker in enumerate(made.sources.workers) for one in counting(worker.pipeline)]
    expected = [(partition_of(name, SOURCES), name, id_) for name, id_ in counting(whole)]
    if sorted(found) != sorted(expected):
        return f"counts {sorted(set(found) - set(expected))}, does not {sorted(set(expected) - set(found))}"
    return "" if made.found() == made.expected() else "areas"


def differ(worlds: range, *, meanwhile: float) -> dict[int, str]:
    """Return in what random worlds are wrong, by their number."""
    told_of = ((number, told(world(Random(number)), Random(number), meanwhile=meanwhile)) for number in worlds)
    return {number: said for number, made in told_of if (said := wrong(made))}


@pytest.mark.parametrize("meanwhile", [0.0, 0.6])
def test_signals_count_where_one_pipeline_has_them(meanwhile: float) -> None:
    """Random worlds of revisions, corrections, withdrawals and confirmations, letters being late and repeated, and workers dying: in the
    windows of each object, and in the areas, stands what stands in one pipeline."""  # noqa: D205, D209  # one sentence reads best
    assert differ(range(WORLDS), meanwhile=meanwhile) == {}


def _nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Pipeline._resolution

    def silent(self: Pipeline, seq: int, entry: ResolutionEntry, outcomes: list[Any]) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Passage, "move", lambda *_: None)
            sound(self, seq, entry, outcomes)

    monkeypatch.setattr(Pipeline, "_resolution", silent)


def _who_has_it_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def meant_by(self: Ledger, entry: ResolutionEntry, _seq: int) -> Live | None:
        known = self.named(entry.feed, entry.signal_id)
        return known if known is None or known.seq not in self.waiting or not known.entry.resolution.object_id else None

    monkeypatch.setattr(Ledger, "meant_by", meant_by)
    monkeypatch.setattr("streams.pipeline.came_here", lambda *_: True)


def _names_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.stages.passing._by_all_names", lambda _seq, entry, _also: entry)


def _not_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "hear", lambda *_: True)


@pytest.mark.sources
@pytest.mark.parametrize("plant", [_nobody_is_told, _who_has_it_decides, _names_are_forgotten, _not_known_again])
def test_planted_defects_of_moves_are_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody is told what a person said, or the partition decides where a signal counts and not that to which it came, or areas
    do not hear of the names at the end of a chain of corrections, or what is told again is taken again, worlds differ."""  # noqa: D205, D209  # one sentence reads best
    plant(monkeypatch)
    assert differ(range(50, 60), meanwhile=0.0)  # each of them shows in some of these


HERE = ("o-1", "o-3")  # of two partitions


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "entries",
    [
        [about("s", ""), about("c", HERE[0], corrects="s"), confirmed("c", HERE[1])],
        [about("s", HERE[0]), confirmed("s", HERE[1]), about("w", "", withdraws="s"), confirmed("s", HERE[0])],
        [about("s", HERE[0]), about("c", HERE[1], corrects="s"), about("w", "", withdraws="s"), confirmed("c", HERE[0])],
        [about("s", HERE[0]), confirmed("s", HERE[1]), about("w", "", withdraws="s"), confirmed("s", ""), confirmed("s", HERE[1])],
    ],
    ids=["corrected", "withdrawn", "withdrawn under another name", "withdrawn and said to be none"],
)
def test_what_is_confirmed_while_it_moves_counts_where_the_last_word_has_it(entries: list[AnyEntry], seed: int) -> None:
    """A person confirms a signal whose partition has not heard yet that it came, or that it is withdrawn: it counts once, or nowhere."""
    assert partition_of(HERE[0], SOURCES) != partition_of(HERE[1], SOURCES)
    made = told(entries, Random(seed), meanwhile=0.0)
    assert wrong(made) == ""
    standing = [one for worker in made.sources.workers for one in counting(worker.pipeline)]
    assert standing == ([(HERE[1], "c")] if len(entries) == 3 else [])


STAYS = [about("s", HERE[0]), confirmed("s", HERE[1])]
LEAVES = [about("w", "", withdraws="s")]


@pytest.mark.parametrize("taken_over", [None, "from the log", "from a snapshot"])
@pytest.mark.parametrize("again", [(0,), (0, 1)], ids=["the first alone", "both"])
def test_what_is_told_again_after_something_later_counts_at_no_time(again: tuple[int, ...], taken_over: str | None) -> None:
    """[counts at you] and [gone] arrive, and are sent again, since the strike-out failed, or a zombie sends the first one alone: the signal
    counts after none of them, and the partition says nothing."""  # noqa: D205, D209  # one sentence reads best
    made = told([*STAYS, *LEAVES], Random(1), meanwhile=0.0)
    home = partition_of(HERE[1], SOURCES)
    letters = [one for one in made.sources.letters[partition_of(HERE[0], SOURCES)] if (one.to, one.partition) == ("frames", home)]
    assert len(letters) == 2
    if taken_over == "from a snapshot":
        made.sources.workers[home].keep()
    elif taken_over:
        made.sources.shelves[home].kept = None
    if taken_over:
        made.sources.succeed(home)
    said = len(made.sources.outcomes[home])
    for number in again:
        made.sources.logs[home].append(letters[number].body)
        while made.sources.take(home):
            pass
        assert counting(made.sources.workers[home].pipeline) == set()
    assert made.sources.outcomes[home][said:] == []
