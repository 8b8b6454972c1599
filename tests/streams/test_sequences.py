"""Sequence, absence, N of M, `for`, hysteresis and minimum evidence: what they decide, when, and what takes it back."""
# Long because: every case of the stage that time and silence decide stands in one place.

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Catalogue
from domain.findings import EpisodeEnded, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from domain.levels import DEFAULT_LEVELS
from domain.records import FeedEntry, Record, TickEntry
from domain.signals import ObjectRef
from rules.load import load_rules
from rules.ruleset import RuleSet
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.replay import replay
from tests.factories import T0, at, make_signal
from tests.streams.kit import Story
from tests.streams.worlds import worlds

HEAD = """
pack: p
title: 测试
sector: gas
owner: 市住建局
effective: {from: 2024-01-01}
indicators:
  n: {count: signals, where: kind in gas.*, window: 7d}
  v: {last: value}
rules:
"""
VISIT = "{first: kind == gas.leak and severity >= 2, then_not: source == inspection, within: 48h}"


def rules(*given: str, version: str = "v1") -> RuleSet:
    """Return the rule set of rules written as the inside of a YAML mapping."""
    lines = [f"  - {{status: active, basis: [某条例第一条], plan: p, title: 某某, say: 某某, {rule}}}" for rule in given]
    loaded = load_rules({"p.yaml": HEAD + "\n".join(lines) + "\n"})
    return RuleSet(version=version, rules=loaded.rules, indicators=loaded.indicators, texts=loaded.texts)


def story(*given: str, **kw: Any) -> Story:
    """Return a story in which inspections are heard of, about another object."""
    told = Story(T0, rules(*given), **kw)
    told.signal(-1, "other", received=0, source="inspection", kind="inspection.done", feed="checks", object=ObjectRef(id="o-9"))
    return told


def leak(told: Story, hours: float, id: str = "a", **kw: Any) -> list[Any]:  # noqa: A002  # the signal's own word
    """A severe leak is reported."""
    return told.signal(hours, id, **({"source": "hotline", "kind": "gas.leak", "severity": 2, "feed": "hotline"} | kw))


def check(told: Story, hours: float, id: str = "c", **kw: Any) -> list[Any]:  # noqa: A002  # the signal's own word
    """An inspection is done."""
    return told.signal(hours, id, source="inspection", kind="inspection.done", feed="checks", **kw)


def hits(outcomes: list[Any]) -> list[tuple[str, float]]:
    """Return the rules that hit with the hours after T0."""
    return [(out.rule, (out.at - T0) / timedelta(hours=1)) for out in outcomes if isinstance(out, RuleHit)]


ABSENT = f"id: visit, when: {VISIT}, points: 60"


def test_what_did_not_happen_is_a_hit_at_its_deadline_whatever_comes_next() -> None:
    """A tick long after, or another object's record, brings the hit at the deadline's own instant, about the first signal."""
    for later in (lambda told: told.tick(100), lambda told: leak(told, 100, "b", object=ObjectRef(id="o-2"))):
        told = story(ABSENT)
        assert leak(told, 1) == []
        assert told.pipeline.next_wake() == at(49)
        outcomes = later(told)
        assert hits(outcomes) == [("visit", 49.0)]
        hit, raised = outcomes[0], outcomes[1]
        assert (hit.signal, hit.subject, hit.seq, hit.values) == ("a", "o-1", 3, {"sequence:visit": ["a"]})
        assert isinstance(raised, WarningRaised)
        assert [each.id for each in raised.warning.evidence] == ["a"]


@pytest.mark.parametrize(("hours", "expected"), [(1, []), (30, []), (48.99, []), (49, [("visit", 49.0)])])
def test_an_answer_in_time_means_nothing_is_missing(hours: float, expected: list[Any]) -> None:
    """From the same instant up to the limit, which is itself too late."""
    told = story(ABSENT)
    leak(told, 1)
    check(told, hours)
    told.tick(200)
    assert hits(told.outcomes) == expected


def test_the_allowed_lateness_of_the_feed_is_waited_for() -> None:
    """An inspection of yesterday that arrives within its feed's lateness counts; nothing is decided before."""
    late = PipelineSettings(lateness={"checks": timedelta(hours=24)})
    told = story(ABSENT, settings=late)
    leak(told, 1)
    assert told.pipeline.next_wake() == at(73)
    check(told, 40, received=72)
    told.tick(200)
    assert hits(told.outcomes) == []
    leak(told, 201, "b")
    told.tick(400)
    assert hits(told.outcomes) == [("visit", 273.0)]


def test_an_answer_that_happened_in_time_and_came_too_late_takes_the_warning_back() -> None:
    """The absence never was: the contribution goes as with any correction, and the episode ends."""
    told = story(ABSENT)
    leak(told, 1)
    told.tick(60)
    outcomes = check(told, 40, received=70)
    assert [(out.reason) for out in outcomes if isinstance(out, EpisodeEnded)] == ["withdrawn"]


def test_a_late_visit_ends_the_truth_and_not_the_warning() -> None:
    """It was missing in time; after the visit a new leak opens a new wait, and its hit is a new one."""
    told = story(ABSENT)
    leak(told, 1)
    told.tick(60)
    assert check(told, 60.5) == []
    leak(told, 61, "b")
    outcomes = told.tick(200)
    assert hits(outcomes) == [("visit", 109.0)]
    assert isinstance(outcomes[-1], WarningUpdated)


def test_a_withdrawn_first_signal_takes_the_wait_and_the_warning_back() -> None:
    """Before the deadline nothing is waited for any more; after it the warning is withdrawn."""
    told = story(ABSENT)
    leak(told, 1)
    told.signal(2, "x", withdraws="a", feed="hotline")
    assert told.pipeline.next_wake() is None
    leak(told, 3, "b")
    told.tick(60)
    (ended,) = told.signal(61, "y", withdraws="b", feed="hotline")
    assert (ended.reason, hits(told.outcomes)) == ("withdrawn", [("visit", 51.0)])


def test_a_withdrawn_answer_is_missing_at_once_where_its_time_is_over() -> None:
    """The decision is taken again on what is left."""
    told = story(ABSENT)
    leak(told, 1)
    check(told, 2, "c")
    told.tick(100)
    assert hits(told.signal(101, "x", withdraws="c", feed="checks")) == [("visit", 101.0)]


def test_a_correction_moves_the_wait() -> None:
    """The leak turns out to be of five hours later."""
    told = story(ABSENT)
    leak(told, 1)
    leak(told, 6, "b", received=7, corrects="a")
    assert hits(told.tick(100)) == [("visit", 54.0)]


def test_where_the_feed_is_silent_the_outcome_is_blind() -> None:
    """Never a hit, never nothing; when the feed is back the wait is for what may still come."""
    told = story(ABSENT, settings=PipelineSettings(lateness={"checks": timedelta(hours=2)}))
    leak(told, 1)
    told.add(10, FeedEntry(feed="checks", mark="silent"))
    (blind,) = told.tick(60)
    assert isinstance(blind, RuleBlind)
    assert (blind.rule, blind.subject, blind.signal, blind.at, blind.sources) == ("visit", "o-1", "a", at(51), ("inspection",))
    assert told.pipeline.blind() == {"visit": 1}
    assert told.pipeline.next_wake() is None
    told.add(70, FeedEntry(feed="checks", mark="back"))
    assert told.pipeline.blind() == {}
    assert hits(told.tick(80)) == [("visit", 72.0)]


def test_a_feed_that_was_never_heard_of_is_blind_until_it_is() -> None:
    """An inspection of any object shows that the feed is there."""
    told = Story(T0, rules(ABSENT))
    leak(told, 1)
    assert [type(out) for out in told.tick(60)] == [RuleBlind]
    check(told, 61, object=ObjectRef(id="o-7"))
    assert [name for name, _ in hits(told.tick(62))] == ["visit"]


def test_a_restart_between_the_signal_and_the_deadline_forgets_nothing() -> None:
    """The wait is in the snapshot: same wake, same hit, same bytes."""
    told = story(ABSENT)
    leak(told, 1)
    state = told.pipeline.snapshot()
    after = Pipeline(DEFAULT_LEVELS, Catalogue(), told.known.__getitem__, {}, PipelineSettings())
    after.restore(state)
    assert after.next_wake() == told.pipeline.next_wake() == at(49)
    tick = Record(seq=9, received_at=at(60), entry=TickEntry())
    assert after.step([tick]) == told.pipeline.step([tick])
    assert after.snapshot() == told.pipeline.snapshot()


def test_a_replay_decides_at_the_deadline() -> None:
    """Between signals by ticks of its own, and up to `until` after the last."""
    signals = [
        ("f", make_signal(id="c", source="inspection", kind="inspection.done", occurred_at=at(0), object=ObjectRef(id="o-9")), None),
        ("f", make_signal(id="a", source="hotline", kind="gas.leak", severity=2, occurred_at=at(1)), None),
        ("f", make_signal(id="b", source="hotline", kind="gas.leak", severity=2, occurred_at=at(60), object=ObjectRef(id="o-2")), None),
    ]
    found: list[Any] = []
    replay(signals, commit=lambda _records, outcomes: found.extend(outcomes), ruleset=rules(ABSENT), until=at(200))
    assert [(out.signal, out.at) for out in found if isinstance(out, RuleHit)] == [("a", at(49)), ("b", at(108))]


def test_first_and_then_is_a_hit_at_the_signal_that_completes_it() -> None:
    """Also at a first that comes late; not when they lie further apart."""
    then = "id: again, when: {first: source == penalty, then: kind == gas.leak, within: 10h}, points: 60"
    told = story(then)
    told.signal(1, "p", source="penalty", kind="penalty.decided")
    assert hits(leak(told, 10.9, "a")) == [("again", 10.9)]
    told.signal(30, "q", source="iot", kind="gas.pressure")
    assert hits(leak(told, 40, "b")) == []
    late = story(then)
    leak(late, 5, "a")
    assert hits(late.signal(4, "p", received=6, source="penalty", kind="penalty.decided")) == [("again", 6.0)]
    assert late.outcomes[-1].warning.evidence_count == 2


def test_two_of_three_counts_rules_and_expressions_also_at_a_deadline() -> None:
    """A rule that becomes true by time alone completes it at that instant; evidence is that of all it rests on."""
    two = 'id: two, when: {at_least: 2, of: [visit, big, "n >= 3"]}, points: 30'
    told = story(two, ABSENT, "id: big, when: v >= 5, points: 0")
    assert hits(leak(told, 1, value=9.0)) == [("big", 1.0)]
    outcomes = told.tick(60)
    assert hits(outcomes) == [("visit", 49.0), ("two", 49.0)]
    assert outcomes[-1].warning.score == pytest.approx(90, abs=0.1)
    assert [each.name for each in outcomes[-1].warning.contributions] == ["visit", "two"]
    assert outcomes[1].values == {"p.n": 1, "rule:visit": True, "rule:big": True}


def test_two_of_three_falls_with_what_it_rests_on() -> None:
    """A withdrawal that makes one of them untrue makes the whole untrue, and what it contributed goes."""
    two = "id: two, when: {at_least: 2, of: [big, many]}, points: 40"
    told = story(two, "id: big, when: v >= 5, points: 0", "id: many, when: n >= 2, points: 0")
    leak(told, 1, "a", value=9.0)
    assert hits(leak(told, 2, "b", value=9.0)) == [("many", 2.0), ("two", 2.0)]
    (ended,) = told.signal(3, "x", withdraws="a", feed="hotline")
    assert ended.reason == "withdrawn"


def test_a_rule_that_has_to_be_true_for_a_while_hits_when_it_has_been() -> None:
    """At that instant, by time alone; what falls before starts anew."""
    told = story("id: long, when: v >= 5, for: 30m, points: 40")
    assert hits(leak(told, 1, "a", value=9.0)) == []
    leak(told, 1.4, "b", value=1.0)
    leak(told, 1.5, "c", value=9.0)
    assert told.pipeline.next_wake() == at(2)
    assert hits(leak(told, 5, "d", value=1.0)) == [("long", 2.0)]


def test_a_rule_that_has_to_be_true_for_a_while_is_blind_when_its_feeds_are_silent() -> None:
    """Nobody can say that it stayed true; when they are back the time starts anew."""
    told = story("id: long, when: v >= 5 and source == hotline, for: 30m, points: 40")
    leak(told, 1, "a", value=9.0)
    told.add(1.1, FeedEntry(feed="hotline", mark="silent"))
    assert [type(out) for out in told.tick(3)] == [RuleBlind]
    told.add(4, FeedEntry(feed="hotline", mark="back"))
    assert hits(told.tick(6)) == [("long", 4.5)]


def test_a_rule_is_said_to_be_deaf_only_where_nothing_is_heard_that_it_needs() -> None:
    """One of two feeds is enough to count by, and not enough to say that something did not happen."""
    told = story(ABSENT, "id: many, when: n >= 5 and source == hotline, points: 40")
    leak(told, 1)
    leak(told, 1, "b", feed="town")
    told.signal(1, "street", source="inspection", kind="inspection.done", feed="street", object=ObjectRef(id="o-9"))

    def silent(rule: str) -> list[str]:
        return [each.detail for each in told.pipeline.inquire(rule, "o-1").obstacles if each.reason == "silent"]

    told.add(2, FeedEntry(feed="hotline", mark="silent"))
    told.add(2, FeedEntry(feed="street", mark="silent"))
    assert (silent("many"), silent("visit")) == ([], ["inspection"])
    told.add(3, FeedEntry(feed="town", mark="silent"))
    told.add(3, FeedEntry(feed="street", mark="back"))
    assert (silent("many"), silent("visit")) == (["hotline"], [])


def test_a_withdrawal_that_clears_a_rule_ends_it_there_and_then() -> None:
    """Also where it changes only what `clear_when` reads: the last sign that the danger goes on is taken back, nothing else comes."""
    told = story("id: many, when: n >= 2, clear_when: v < 5, points: 40")
    leak(told, 1, "a", value=9.0)
    assert hits(leak(told, 2, "b", value=9.0)) == [("many", 2.0)]
    check(told, 221, "high", value=9.0)
    leak(told, 220, "c", received=222, value=1.0)
    assert told.value("p.n") == 1
    told.signal(223, "x", withdraws="high", feed="checks")
    assert hits(leak(told, 224, "d", value=9.0)) == [("many", 224.0)]


def test_hysteresis_keeps_a_rule_true_until_it_is_cleared() -> None:
    """Between the two limits nothing changes: one hit, and the points stay fresh."""
    told = story("id: hot, when: v >= 80, clear_when: v < 60, points: 40")
    seen = [hits(leak(told, n, f"s{n}", value=value)) for n, value in enumerate([81.0, 70.0, 85.0, 59.0, 70.0, 80.0])]
    assert [bool(each) for each in seen] == [True, False, False, False, False, True]


@pytest.mark.parametrize("gone", [False, True])
def test_a_correction_ends_nothing_that_has_not_been_cleared(gone: bool) -> None:
    """What is true only because it was not cleared yet is neither ended nor withdrawn by a signal that is told again or taken back."""
    told = story("id: many, when: n >= 5, clear_when: n <= 1, points: 40")
    for n, hours in enumerate((40, 41, 60, 61)):
        leak(told, hours, f"a{n}")
    assert hits(leak(told, 62, "b")) == [("many", 62.0)]
    leak(told, 220, "c")
    assert told.value("p.n") == 4
    outcomes = told.signal(221, "x", withdraws="b", feed="hotline") if gone else leak(told, 62, "b", received=221, text="说明", revision=1)
    assert told.value("p.n") == (3 if gone else 4)
    assert EpisodeEnded not in [type(out) for out in outcomes]
    assert hits(leak(told, 222, "d")) == []


def test_what_a_correction_takes_and_gives_back_stood_all_the_while() -> None:
    """The earlier content of the signal leaves so little that the rule would be cleared, the new content makes it as it was."""
    told = story("id: many, when: n >= 3, clear_when: n <= 1, points: 40")
    for n, hours in enumerate((0, 1, 60)):
        leak(told, hours, f"a{n}")
    leak(told, 200, "c")
    assert told.value("p.n") == 2
    assert EpisodeEnded not in [type(out) for out in leak(told, 200, "c", received=201, text="说明", revision=1)]
    assert hits(leak(told, 202, "d")) == []


def test_a_rule_waits_for_its_minimum_evidence() -> None:
    """A mean of one reading is no mean."""
    told = story("id: few, when: n > 0 and v >= 5, min_evidence: 3, points: 40")
    assert [bool(hits(leak(told, n, f"s{n}", value=9.0))) for n in range(4)] == [False, False, True, False]


def test_a_new_version_of_the_rule_set_keeps_what_is_waited_for() -> None:
    """Other points are no reason to forget; another limit is."""
    told = story(ABSENT)
    leak(told, 1)
    told.activate(2, rules(ABSENT.replace("60", "70"), version="v2"))
    assert told.pipeline.next_wake() == at(49)
    told.activate(3, rules(ABSENT.replace("48h", "24h"), version="v3"))
    assert told.pipeline.next_wake() is None


@pytest.mark.parametrize(
    ("changed", "kept"), [({}, True), ({"points": "70"}, True), ({"bad": "3"}, False), ({"kinds": "gas.leak\ngas.smell\n"}, False)]
)
def test_parameters_and_lists_of_what_is_waited_for_count_for_what_they_stand_for(changed: dict[str, str], kept: bool) -> None:
    """A reload that leaves them as they are forgets nothing; another limit or another list is something else to wait for."""

    def version(name: str, *, points: str = "60", bad: str = "2", kinds: str = "gas.leak\n") -> RuleSet:
        when = "{first: kind in @kinds and severity >= $bad, then_not: source == inspection, within: 48h}"
        rule = f"  - {{id: visit, status: active, basis: [某条例], plan: p, title: 某某, say: 某某, when: {when}, points: {points}}}\n"
        pack = HEAD.replace("indicators:", f"params: {{bad: {bad}}}\nindicators:") + rule
        return replace(load_rules({"p.yaml": pack, "lists/kinds.txt": kinds}), version=name)

    told = Story(T0, version("v1"))
    told.signal(-1, "other", received=0, source="inspection", kind="inspection.done", feed="checks", object=ObjectRef(id="o-9"))
    leak(told, 1)
    told.activate(2, version("v2", **changed))
    assert told.pipeline.next_wake() == (at(49) if kept else None)


def test_a_renamed_rule_keeps_its_state_and_its_warning() -> None:
    """The wait, the truth and the points go on under the new id; nothing hits again."""
    told = story(ABSENT, "id: big, when: v >= 5, points: 40, cooldown: 24h")
    leak(told, 1, value=9.0)
    renamed = [
        f"{ABSENT.replace('id: visit', 'id: no-visit')}, renamed_from: visit",
        "id: large, renamed_from: big, when: v >= 5, points: 40",
    ]
    assert told.activate(2, rules(*renamed, version="v2")) == []
    assert hits(leak(told, 3, "b", value=9.5, severity=0)) == []
    outcomes = told.tick(60)
    assert hits(outcomes) == [("no-visit", 49.0)]
    warning = outcomes[-1].warning
    assert (warning.episode, warning.rules, [each.name for each in warning.contributions]) == (
        1,
        ("large", "no-visit"),
        ["no-visit", "large"],
    )


def test_nothing_ends_by_quiet_that_nobody_was_there_to_hear() -> None:
    """While the only feed that a warning's rule needs is silent, its quiet period begins anew: not enough data is not low."""
    told = story("id: high, when: v >= 5 and source == hotline, points: 40, half_life: 1h")
    leak(told, 1, value=9.0)
    told.add(2, FeedEntry(feed="hotline", mark="silent"))
    assert EpisodeEnded not in [type(out) for out in told.tick(200)]
    told.add(201, FeedEntry(feed="hotline", mark="back"))
    assert [type(out) for out in told.tick(300)] == [EpisodeEnded]


WORLD = {
    version: rules(
        f"id: visit, when: {{first: source == hotline, then_not: source == iot, within: {within}}}, points: 40",
        "id: again, when: {first: kind == gas.leak, then: severity >= 2, within: 30h}, points: 20",
        "id: long, when: v >= 5, for: 90m, points: 30",
        "id: hot, when: v >= 6, clear_when: v < 3, points: 30",
        f'id: two, when: {{at_least: {number}, of: [visit, long, hot, "n >= 3"]}}, points: 30, cooldown: 5h',
        "id: few, when: n >= 1 and severity >= 1, min_evidence: 3, points: 10",
        "id: area, subject: region(6), when: {first: source == hotline, then_not: source == iot, within: 12h}, points: 40",
        version=version,
    )
    for version, within, number in (("v1", "24h", 2), ("v2", "6h", 3))
}
LATE = PipelineSettings(lateness={"test": timedelta(hours=3)})
thorough = settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def fresh() -> Pipeline:
    """Return a pipeline that has taken in nothing."""
    return Pipeline(DEFAULT_LEVELS, Catalogue(), WORLD.__getitem__, {}, LATE)


@thorough
@given(worlds(60), st.randoms(use_true_random=False), st.integers(0, 60))
def test_cuts_and_restarts_change_nothing(records: list[Record], random: Any, place: int) -> None:
    """Any batches, with a restart from a snapshot in between, give the same outcomes and the same bytes of state."""
    last = Record(seq=9_999, received_at=records[-1].received_at + timedelta(days=9), entry=TickEntry())
    whole = fresh()
    expected = [outcome for record in [*records, last] for outcome in whole.step([record])]
    pipeline, actual, rest = fresh(), [], [*records, last]
    while rest:
        size = random.randint(1, 9)
        batch, rest = rest[:size], rest[size:]
        actual += pipeline.step(batch)
        pipeline.next_wake()
        if batch[-1].seq >= place:
            state = pipeline.snapshot()
            pipeline = fresh()
            pipeline.restore(state)
            assert state == pipeline.snapshot()
            place = 99_999
    assert expected == actual
    assert whole.snapshot() == pipeline.snapshot()


@thorough
@given(worlds(60))
def test_ticks_only_bring_what_time_would_have_brought(records: list[Record]) -> None:
    """Ticks at every wake give the same hits and blind outcomes at the same instants as none."""
    last = Record(seq=9_999, received_at=records[-1].received_at + timedelta(days=9), entry=TickEntry())
    whole = fresh()
    expected = [out for record in [*records, last] for out in whole.step([record])]
    pipeline, actual, seq = fresh(), [], 0
    for record in [*records, last]:
        while (wake := pipeline.next_wake()) is not None and wake <= record.received_at and seq < 9_000:
            actual += pipeline.step([Record(seq=(seq := seq + 1), received_at=wake, entry=TickEntry())])
        actual += pipeline.step([Record(seq=(seq := seq + 1), received_at=record.received_at, entry=record.entry)])
    assert [_told(out) for out in expected if _told(out)] == [_told(out) for out in actual if _told(out)]


def _told(out: Any) -> Any:
    if isinstance(out, RuleHit | RuleBlind):
        return (out.rule, out.subject, out.signal, out.at)
    return (out.warning_id, out.at, out.reason) if isinstance(out, EpisodeEnded) else None
