"""Indicators that come later: they count from the past on, exactly, with or without what was worked out before, and raise nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.catalogue import Catalogue
from domain.errors import NotFound
from domain.findings import WarningRaised
from domain.levels import DEFAULT_LEVELS
from domain.objects import Resolution
from domain.partitions import Place, partition_of
from domain.records import AnyEntry, MovedEntry, Prepared, Record, ResolutionEntry, RulesetEntry, SignalEntry, TickEntry
from models.registry import REGISTRY
from rules.load import load_rules
from rules.ruleset import EMPTY, Window
from rules.spread import spread
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.replay import replay
from streams.stages.backfill import Backfill, scope_of
from streams.stages.passing import Passage
from tests.factories import T0, at, make_entry
from tests.streams.kit import DAYS, Story, at_least, indicator, rule, ruleset, source_is, values_of
from tests.streams.worlds import rulesets, worlds

WORLD = rulesets()
FIRST = WORLD["v1"]
FEW = ruleset([rule("burst", at_least("p.count", 3))], [FIRST.indicators["p.count"]], "few")
SETS = {**WORLD, "few": FEW, EMPTY.version: EMPTY}
thorough = settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


class Past:
    """A history over a list of records; `artifacts` by name."""

    def __init__(self, records: list[Record], artifacts: dict[str, list[bytes]] | None = None) -> None:
        self._records = records
        self._artifacts = artifacts or {}
        self.asked: list[int] = []

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield the records between two."""
        self.asked.append(after)
        return (record for record in self._records if after < record.seq < before)

    def artifact(self, name: str) -> Iterator[bytes] | None:
        """Return the frames of a name."""
        found = self._artifacts.get(name)
        return None if found is None else iter(found)


def fresh(past: Past | None) -> Pipeline:
    """Return a pipeline that has taken in nothing."""
    return Pipeline(DEFAULT_LEVELS, Catalogue(), SETS.__getitem__, REGISTRY, PipelineSettings(), history=past)


def with_past(records: list[Record], artifact: str = "") -> list[Record]:
    """Return the records with activations that count from the first record on; the world begins with the small set."""
    prepared = Prepared(first=1, artifact=artifact)
    begun = [replace(records[0], entry=RulesetEntry(version="few")), *records[1:]]
    return [replace(each, entry=replace(each.entry, prepared=prepared)) if isinstance(each.entry, RulesetEntry) else each for each in begun]


def worked_out(records: list[Record], version: str, before: str, until: int) -> list[bytes]:
    """Return the frames of a back-fill over the first `until` records."""
    fill = Backfill(SETS[version], scope_of(SETS[version], SETS[before]), REGISTRY, 100_000)
    for record in records[:until]:
        fill.take(record)
    return list(fill.dump())


@thorough
@given(worlds(), st.integers(0, 40), st.booleans())
def test_an_artifact_changes_nothing_but_the_time_it_takes(records: list[Record], until: int, fitting: bool) -> None:  # drawn
    """Outcomes and state after activations are the same with an artifact of any record before, with one that does not fit, and without."""
    plain = with_past(records)
    named = with_past(records, "stored")
    version = next((each.entry.version for each in plain[1:] if isinstance(each.entry, RulesetEntry)), "v1")
    stored = worked_out(plain, version if fitting else "few", "few" if fitting else EMPTY.version, until)
    without, with_it = fresh(Past(plain)), fresh(Past(plain, {"stored": stored}))
    assert without.step(plain) == with_it.step(named)
    assert without.snapshot() == with_it.snapshot()


@thorough
@given(worlds(), st.sampled_from(["v1", "v2"]))
def test_new_indicators_have_the_values_that_they_would_have_had(records: list[Record], version: str) -> None:
    """After an activation at the end, every value is that of a pipeline that ran the set from the first record on."""
    told = [each for each in records[1:] if not isinstance(each.entry, RulesetEntry | ResolutionEntry)]
    last = Record(
        seq=records[-1].seq + 1, received_at=records[-1].received_at, entry=RulesetEntry(version=version, prepared=Prepared(first=1))
    )
    late = [replace(records[0], entry=RulesetEntry(version="few")), *told, last]
    always = [replace(records[0], entry=RulesetEntry(version=version)), *told]
    one, other = fresh(Past(late)), fresh(None)
    assert one.step(late)[len(fresh(None).step(late[:-1])) :] == [], "an activation raises nothing"
    other.step(always)
    for key in {*one._indicators.keys, *other._indicators.keys}:  # all that there are
        assert values_of(one, key) == values_of(other, key)


@thorough
@given(worlds(), st.integers(0, 40))
def test_a_back_fill_that_was_written_down_goes_on_as_if_there_had_been_no_pause(records: list[Record], place: int) -> None:
    """Dumping and loading at any record gives the same bytes at the end."""
    scope = scope_of(FIRST, EMPTY)
    whole, before = (Backfill(FIRST, scope, REGISTRY, 100_000) for _ in range(2))
    for record in records:
        whole.take(record)
    for record in records[:place]:
        before.take(record)
    after = Backfill(FIRST, scope, REGISTRY, 100_000)
    assert after.load(before.dump())
    for record in records[place:]:
        after.take(record)
    assert list(whole.dump()) == list(after.dump())


def plain(outcomes: list[Any]) -> Any:
    """Return outcomes as plain data."""
    return msgspec.json.decode(msgspec.json.encode(outcomes))


def numbered_as_given(outcomes: list[Any], numbers: dict[int, int]) -> Any:
    """Return outcomes as plain data with the record numbers of the journal that was replayed."""

    def mended(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: numbers[each] if key == "seq" else mended(each) for key, each in value.items()}
        return [mended(each) for each in value] if isinstance(value, list) else value

    return mended(plain(outcomes))


@thorough
@given(worlds(), st.integers(0, 200))
def test_a_replay_of_an_export_with_activations_that_count_back_gives_the_same(records: list[Record], shift: int) -> None:
    """The input is read again for them; ticks that the replay puts in, and a journal that begins later than with 1, change no outcome."""
    past = with_past(records, "an artifact that an export does not hold")
    prepared = Prepared(first=1 + shift)
    export = [replace(each, seq=each.seq + shift) for each in past]
    export = [
        replace(each, entry=replace(each.entry, prepared=prepared)) if isinstance(each.entry, RulesetEntry) else each for each in export
    ]
    found: list[Any] = []
    numbers: dict[int, int] = {}

    def commit(taken: Sequence[Record], outcomes: Sequence[Any]) -> None:
        for record in taken:
            place = len(numbers)
            if not isinstance(record.entry, TickEntry) or (place < len(past) and isinstance(past[place].entry, TickEntry)):
                numbers[record.seq] = past[place].seq
        found.extend(outcomes)

    replay(export, again=lambda: export, commit=commit, rulesets=SETS, detectors=REGISTRY)
    assert len(numbers) == len(past)
    assert numbered_as_given(found, numbers) == plain(fresh(Past(past)).step(past))


def test_a_replay_counts_back_to_no_record_that_was_not_given() -> None:
    """An export that begins too late is refused with the option that gives the rest, and so is input that cannot be read twice."""
    signals = [Record(seq=number, received_at=at(number), entry=make_entry(id=f"s{number}", occurred_at=at(number))) for number in (4, 5)]
    new = Record(seq=6, received_at=at(6), entry=RulesetEntry(version="new", prepared=Prepared(first=3)))
    options: dict[str, Any] = {"commit": lambda _records, _outcomes: None, "ruleset": OLD, "rulesets": {"new": NEW}}
    with pytest.raises(NotFound, match=r"counts from record 3 on; the input has 4 on: .* --after 2"):
        replay([*signals, new], again=lambda: [*signals, new], **options)
    whole = [*signals, replace(new, entry=RulesetEntry(version="new", prepared=Prepared(first=4)))]
    with pytest.raises(NotFound, match="cannot be read a second time"):
        replay(whole, again=list, **options)
    assert replay(whole, again=lambda: whole, **options).signals == 2


N = indicator("p.n")
BURST = rule("burst", at_least("p.n", 3), points=70.0)
OLD = ruleset([rule("old", at_least("p.old", 99))], [indicator("p.old")], "old")
NEW = ruleset([rule("old", at_least("p.old", 99)), BURST], [indicator("p.old"), N], "new")


def story(*sets: Any, **kw: Any) -> tuple[Story, list[Record]]:
    """Return a story whose activations find all that was told before."""
    told: list[Record] = []
    return Story(T0, *sets, history=Past(told), **kw), told


def tell(told: Story, records: list[Record], hours: float, **kw: Any) -> list[Any]:
    """Tell a signal and remember it."""
    entry = kw.pop("entry", None) or make_entry(occurred_at=at(hours), **kw)
    records.append(Record(seq=told.seq + 1, received_at=at(hours), entry=entry))
    return told.add(hours, entry)


def activate(told: Story, records: list[Record], hours: float, version: str) -> list[Any]:
    """Activate a set that counts from the first record on."""
    return tell(told, records, hours, entry=RulesetEntry(version=version, prepared=Prepared(first=2)))


def test_the_signal_after_an_activation_adds_to_those_before_it() -> None:
    """Two signals before, one after: the new rule that wants three hits at the third, and its evidence is all three."""
    told, records = story(OLD, NEW)
    tell(told, records, 0, id="a")
    tell(told, records, 1, id="b")
    assert activate(told, records, 2, "new") == []
    raised = [each for each in tell(told, records, 3, id="c") if isinstance(each, WarningRaised)]
    assert [each.id for each in raised[0].warning.evidence] == ["a", "b", "c"]


def test_what_was_true_already_is_no_news() -> None:
    """A new rule that the past made true neither raises at the activation nor hits at the next signal: nothing became true at it."""
    told, records = story(OLD, NEW)
    for number in range(3):
        tell(told, records, number, id=f"s{number}")
    assert activate(told, records, 4, "new") == []
    assert not any(type(each).__name__ == "RuleHit" for each in tell(told, records, 5, id="x"))


def test_a_signal_from_before_can_be_taken_back_after_it() -> None:
    """The withdrawal of a signal that came before the indicator takes it out of the indicator's window."""
    told, records = story(OLD, NEW)
    tell(told, records, 0, id="a")
    tell(told, records, 1, id="b")
    activate(told, records, 2, "new")
    assert values_of(told.pipeline, "o-1")["p.n"] == 2
    tell(told, records, 3, id="w", withdraws="a")
    assert values_of(told.pipeline, "o-1")["p.n"] == 1


def test_areas_that_nobody_asked_about_before_are_remembered() -> None:
    """A new rule about a district that was true there already does not hit at the district's next signal; its count goes on."""
    by_area = indicator("p.area", by=6)
    area = ruleset([rule("area", at_least("p.area", 2), by=6, points=70.0)], [indicator("p.old"), by_area], "area")
    told, records = story(OLD, area)
    for number in range(2):
        tell(told, records, number, id=f"s{number}", region="610113001")
    activate(told, records, 4, "area")
    assert values_of(told.pipeline, "region:610113") == {"p.area": 2}
    assert not any(type(each).__name__ == "RuleHit" for each in tell(told, records, 5, id="x", region="610113002"))


def test_detectors_learn_from_the_past() -> None:
    """An anomaly indicator that comes later scores as one that was there always."""
    odd = [indicator("p.n"), indicator("p.odd", "anomaly", window=None, input="p.n", detector="fast")]
    sets = [ruleset([], odd, "always"), OLD, ruleset([], [indicator("p.old"), *odd], "later")]
    told, records = story(*sets[1:], detectors=REGISTRY)
    always = Story(T0, sets[0], detectors=REGISTRY)
    for number in range(40):
        tell(told, records, number * 7, id=f"s{number}")
        always.signal(number * 7, f"s{number}")
    activate(told, records, 290, "later")
    tell(told, records, 291, id="x")
    always.signal(291, "x")
    assert values_of(told.pipeline, "o-1")["p.odd"] == values_of(always.pipeline, "o-1")["p.odd"]


def test_a_changed_parameter_of_no_concern_keeps_the_window() -> None:
    """Only what the indicator's own condition reads makes it another one; nothing has to be counted back then."""
    text = """
pack: p
title: 包
sector: gas
owner: 某局
params: {mine: 2, other: 5}
indicators:
  n: {title: 件数, count: signals, where: severity >= $mine, window: 7d}
rules:
  - {id: r, title: 规则, status: draft, when: n >= $other, points: 1, say: "{n}"}
"""
    one, other = load_rules({"p.yaml": text}), load_rules({"p.yaml": text.replace("other: 5", "other: 6")})
    third = load_rules({"p.yaml": text.replace("mine: 2", "mine: 3")})
    assert scope_of(other, one).names == ()
    assert scope_of(third, one).names == ("p.n",)


def test_an_old_window_is_kept_beside_a_new_one() -> None:
    """What did not change keeps its state at an activation that counts back: both windows say what they should."""
    told, records = story(OLD, NEW)
    tell(told, records, 0, id="a", source="hotline")
    activate(told, records, 1, "new")
    assert values_of(told.pipeline, "o-1") == {"p.old": 1, "p.n": 1}


def test_without_the_records_nothing_is_made_up() -> None:
    """A pipeline that cannot read the past refuses such an activation instead of beginning at nothing."""
    told = Story(T0, OLD, NEW)
    with pytest.raises(NotFound, match="count from record 1 on"):
        told.add(1, RulesetEntry(version="new", prepared=Prepared(first=1)))


def test_the_date_from_which_a_window_is_complete_is_told() -> None:
    """An indicator that counts from a record on is complete once its window has passed since."""
    told, records = story(OLD, NEW)
    tell(told, records, 5, id="a")
    activate(told, records, 6, "new")
    assert told.pipeline.complete_from()["burst"] == at(5) + 7 * DAYS
    assert told.pipeline.warming_since()["p.n"] == at(5)
    hotline = ruleset([], [indicator("p.old", where=source_is("hotline"), window=Window(kind="month"))], "month")
    assert scope_of(hotline, NEW).names == ("p.old",)


def in_partition(past: Past | None) -> Pipeline:
    """Return a pipeline of partition 1 of two."""
    pipeline = fresh(past)
    pipeline.passage = Passage(lambda _version: spread(EMPTY), lambda about: partition_of(about, 2), 1)
    return pipeline


def placed(offset: int, entry: AnyEntry) -> Record:
    """Return a record of partition 1."""
    return Record(seq=Place(1, offset, 0).seq(), received_at=at(offset), entry=entry)


def test_what_partitions_tell_each_other_is_counted_back_too() -> None:
    """Moved here and moved away, and told once more that it came, confirmed here after it came elsewhere, confirmed elsewhere after it came
    here, corrected towards another partition: the values are those of a pipeline that had the indicators all along."""  # noqa: D205, D209  # one sentence
    names = [f"o{number}" for number in range(20)]
    here, there = next(one for one in names if partition_of(one, 2) == 1), next(one for one in names if partition_of(one, 2) == 0)

    def about(id_: str, object_id: str, **kw: Any) -> SignalEntry:
        about = Resolution(object_id=object_id, method="id", confidence=1.0)
        return make_entry(id=id_, value=1.0, resolution=about, occurred_at=at(1), **kw)

    def confirmed(id_: str, object_id: str) -> ResolutionEntry:
        return ResolutionEntry(feed="test", signal_id=id_, object_id=object_id, by="p", partition=partition_of(object_id, 2))

    foreign = Place(0, 7, 0).seq()
    back = MovedEntry(feed=about("m", here).feed, gone=(), content=about("back", here), content_seq=foreign + 3, number=foreign + 3)
    entries = [
        about("own", here),
        MovedEntry(feed=about("m", here).feed, gone=(), content=about("moved", here), content_seq=foreign),
        MovedEntry(feed=about("m", here).feed, gone=(), content=about("gone", here), content_seq=foreign + 1),
        MovedEntry(feed=about("m", here).feed, gone=("gone",)),
        confirmed("came-elsewhere", here),
        MovedEntry(feed=about("m", here).feed, gone=(), content=about("came-elsewhere", here), content_seq=foreign + 2),
        back,
        replace(back, gone=("back",), content=None, number=foreign + 4),
        back,
        about("came-here", ""),
        confirmed("came-here", there),
        about("stays-here", ""),
        confirmed("stays-here", here),
        about("first", here),
        about("second", there, corrects="first"),
        about("last", here),
    ]
    records = [placed(number, entry) for number, entry in enumerate(entries, 1)]
    prepared = Prepared(first=Place(1, 0, 0).seq())
    late = [placed(0, RulesetEntry(version="few")), *records, placed(20, RulesetEntry(version="v1", prepared=prepared))]
    always = [placed(0, RulesetEntry(version="v1")), *records]
    one, other = in_partition(Past(late)), in_partition(None)
    one.step(late)
    other.step(always)
    assert {name for key in one._indicators.keys.values() for name in key.cells} > {"p.count"}
    for key in {*one._indicators.keys, *other._indicators.keys}:  # all that there are
        assert values_of(one, key) == values_of(other, key)


@pytest.mark.parametrize("cut", range(4))
def test_what_was_told_is_known_again_after_a_pause(cut: int) -> None:
    """A signal moves here, leaves, and is said to come again, as before; whatever was written down in between, it does not count."""
    entry = make_entry(id="s", resolution=Resolution(object_id="o-1", method="id", confidence=1.0), occurred_at=at(1))
    number = Place(0, 7, 0).seq()
    comes = MovedEntry(feed=entry.feed, gone=(), content=entry, content_seq=number, number=number)
    leaves = replace(comes, gone=("s",), content=None, content_seq=0, number=number + 1)
    other = replace(comes, content=None, number=Place(2, 0, 0).seq())  # of another source, which is counted apart
    records = [placed(offset, told) for offset, told in enumerate([comes, other, leaves, comes], 1)]
    scope = scope_of(FIRST, EMPTY)
    fills = [Backfill(FIRST, scope, REGISTRY, 100_000) for _ in range(2)]
    pipelines = [in_partition(None) for _ in range(2)]
    pipelines[0].step([placed(0, RulesetEntry(version="v1"))])
    for pipeline, fill, part in zip(pipelines, fills, (records[:cut], records[cut:]), strict=True):
        if pipeline is pipelines[1]:
            pipeline.restore(pipelines[0].snapshot())
            assert fill.load(fills[0].dump())
        for record in part:
            pipeline.step([record])
            fill.take(record)
            counts = record.seq == records[0].seq or record.seq == records[1].seq
            assert len(fill.ledger) == len(list(pipeline.names())) == int(counts)
