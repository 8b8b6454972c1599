"""What must hold for every sequence of records."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import Catalogue
from domain.findings import RuleHit
from domain.levels import DEFAULT_LEVELS
from domain.records import Record, ResolutionEntry, TickEntry
from streams.pipeline import Pipeline, PipelineSettings
from tests.streams.kit import values_of
from tests.streams.naive import Naive
from tests.streams.worlds import OBJECTS, rulesets, worlds

RULESETS = rulesets()
thorough = settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def fresh() -> Pipeline:
    """Return a pipeline that has taken in nothing."""
    return Pipeline(DEFAULT_LEVELS, Catalogue(), RULESETS.__getitem__, {}, PipelineSettings())


def one_by_one(records: list[Record]) -> tuple[list[Any], Pipeline]:
    """Return all outcomes of single steps, and the pipeline."""
    pipeline = fresh()
    return [outcome for record in records for outcome in pipeline.step([record])], pipeline


@thorough
@given(worlds())
def test_values_and_hits_are_those_of_the_brute_force_evaluator(records: list[Record]) -> None:
    """After every record each value, and over the sequence each hit, is what working everything out again from the log says."""
    pipeline, naive = fresh(), Naive(RULESETS)
    hits = []
    for record in records:
        unknown = pipeline.counters()["resolutions_of_unknown_signals"]
        hits += [(out.seq, out.rule, out.subject) for out in pipeline.step([record]) if isinstance(out, RuleHit)]
        if pipeline.counters()["resolutions_of_unknown_signals"] > unknown:
            assert isinstance(record.entry, ResolutionEntry)
            assert not naive.counts((record.entry.feed, record.entry.signal_id))
            continue
        naive.take(record)
        expected: dict[str, dict[str, Any]] = {}
        for (key, name), value in naive.all_values().items():
            if value is not None and value != 0:
                expected.setdefault(key, {})[name] = value
        for key in {*OBJECTS, "region:610113", "region:610114", *expected}:
            actual = {name: value for name, value in values_of(pipeline, key).items() if value is not None and value != 0}
            assert expected.get(key, {}) == actual
    assert sorted(naive.hits) == sorted(hits)


@thorough
@given(worlds(), st.randoms(use_true_random=False))
def test_outcomes_do_not_depend_on_how_the_sequence_is_cut(records: list[Record], random: Any) -> None:
    """Any cut into batches gives the same outcomes and the same bytes of state."""
    expected, whole = one_by_one(records)
    pipeline, actual, rest = fresh(), [], list(records)
    while rest:
        size = random.randint(1, 9)
        batch, rest = rest[:size], rest[size:]
        actual += pipeline.step(batch)
        pipeline.next_wake()
    assert expected == actual
    assert whole.snapshot() == pipeline.snapshot()


@thorough
@given(worlds(), st.integers(0, 40))
def test_a_restored_snapshot_goes_on_as_if_there_had_been_no_pause(records: list[Record], place: int) -> None:
    """Stopping anywhere and going on from the snapshot gives the same outcomes, wakes and bytes."""
    expected, whole = one_by_one(records)
    before = fresh()
    actual = before.step(records[:place])
    after = fresh()
    after.restore(before.snapshot())
    assert before.snapshot() == after.snapshot()
    assert before.next_wake() == after.next_wake()
    actual += after.step(records[place:])
    assert expected == actual
    assert whole.snapshot() == after.snapshot()


@thorough
@given(worlds())
def test_ticks_move_nothing_but_time(records: list[Record]) -> None:
    """Ticks at every wake in between give the outcomes that the next record would have brought, at the same instants."""
    last = Record(seq=9_999, received_at=records[-1].received_at, entry=TickEntry())
    expected, _ = one_by_one([*records, last])
    pipeline, actual, seq = fresh(), [], 0
    for record in [*records, last]:
        while (wake := pipeline.next_wake()) is not None and wake <= record.received_at and seq < 9_000:
            actual += pipeline.step([Record(seq=(seq := seq + 1), received_at=wake, entry=TickEntry())])
        seq += 1
        actual += pipeline.step([Record(seq=seq, received_at=record.received_at, entry=record.entry)])
    assert [_without_numbers(out) for out in expected] == [_without_numbers(out) for out in actual]


def _without_numbers(outcome: Any) -> Any:
    """Drop the numbers of records, which the extra ticks shift."""
    if isinstance(outcome, RuleHit):
        return (outcome.rule, outcome.subject, outcome.signal, outcome.at, outcome.message)
    warning = getattr(outcome, "warning", None)
    if warning is None:
        return outcome
    return (warning.id, warning.level, warning.current_level, warning.score, warning.updated_at, [each.id for each in warning.evidence])
