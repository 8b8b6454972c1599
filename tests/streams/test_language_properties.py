"""Every word of the language that counts signals, against the brute-force evaluator, over years and any cut."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.catalogue import Catalogue
from domain.findings import RuleHit
from domain.levels import DEFAULT_LEVELS
from domain.records import Record
from rules.ruleset import AGGREGATES
from rules.vocabulary import CALENDAR_WINDOWS, WINDOWS
from streams.pipeline import Pipeline, PipelineSettings
from tests.streams.kit import values_of
from tests.streams.language import rulesets
from tests.streams.naive import Naive, unseen
from tests.streams.worlds import busy, worlds

RULESETS = rulesets()
# Without shrinking: making a failing world smaller takes minutes and tells little more.
thorough = settings(
    max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)


def fresh() -> Pipeline:
    """Return a pipeline that has taken in nothing."""
    return Pipeline(DEFAULT_LEVELS, Catalogue(), RULESETS.__getitem__, {}, PipelineSettings())


def compare(records: list[Record], every: int = 1) -> None:
    """Compare every value after `every` so many records, and all hits."""
    pipeline, naive = fresh(), Naive(RULESETS)
    hits = []
    for record in records:
        unknown = pipeline.counters()["resolutions_of_unknown_signals"]
        hits += [(out.seq, out.rule, out.subject) for out in pipeline.step([record]) if isinstance(out, RuleHit)]
        if pipeline.counters()["resolutions_of_unknown_signals"] > unknown:
            continue
        naive.take(record)
        if record.seq % every:
            continue
        for subject, fact in naive.last.items():
            if fact is not None and not subject.startswith("region:"):
                keys = naive.keys_of(fact.entry)
                assert pipeline.values_at(subject) == {name: naive.value(name, keys) for name in naive.active.indicators}
        expected = naive.all_values()
        actual = {(key, name): value for key in {key for key, _ in expected} for name, value in values_of(pipeline, key).items()}
        assert actual.keys() <= expected.keys()
        for place, value in expected.items():
            found = actual.get(place, unseen(naive.active.indicators[place[1]]))
            assert (place, value, value is None, value is False) == (place, found, found is None, found is False)
    assert sorted(naive.hits) == sorted(hits)


def test_the_rule_sets_hold_every_aggregate_and_window() -> None:
    """A word added to the language is missing here until it is compared too."""
    indicators = RULESETS["v1"].indicators.values()
    assert {each.aggregate for each in indicators} >= set(AGGREGATES)
    assert {each.window.kind for each in indicators if each.window} == {"sliding", *CALENDAR_WINDOWS, *WINDOWS}


@pytest.mark.parametrize("years", [False, True])
@thorough
@given(data=st.data())
def test_values_and_hits_are_those_of_the_brute_force_evaluator(data: Any, years: bool) -> None:
    """After every record each value, and over the sequence each hit, is what working everything out again from the log says."""
    compare(data.draw(worlds(30, years=years)))


@pytest.mark.parametrize("seed", range(3))
def test_the_same_in_a_busy_place(seed: int) -> None:
    """One object with a history of its own beside another, so that there is something to compare with at every record."""
    compare(busy(Random(seed), 80), every=4)  # no secret


@pytest.mark.parametrize("years", [False, True])
@thorough
@given(data=st.data())
def test_cuts_and_snapshots_cannot_be_seen(data: Any, years: bool) -> None:
    """Random batches with a snapshot and a restore between any two give the outcomes and the bytes of single steps."""
    cut(data.draw(worlds(30, years=years)), data.draw(st.randoms(use_true_random=False)))


@pytest.mark.parametrize("seed", range(3))
def test_cuts_cannot_be_seen_in_a_busy_place(seed: int) -> None:
    """The same where every window and every period before it has something in it."""
    random = Random(seed)  # no secret
    cut(busy(random, 150), random)


def cut(records: list[Record], random: Random) -> None:
    """Compare single steps with random batches and restores."""
    whole, actual = fresh(), []
    expected = [outcome for record in records for outcome in whole.step([record])]
    pipeline, rest = fresh(), list(records)
    while rest:
        size = random.randint(1, 9)
        batch, rest = rest[:size], rest[size:]
        actual += pipeline.step(batch)
        if random.random() < 0.5:
            state = pipeline.snapshot()
            pipeline = fresh()
            pipeline.restore(state)
    assert expected == actual
    assert whole.snapshot() == pipeline.snapshot()
