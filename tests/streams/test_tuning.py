"""What a tuning filter keeps back stays kept back: held against a reading of the whole log, over restarts and corrections."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.findings import EpisodeEnded, RuleHit, WarningRaised
from rules.load import load_rules
from rules.ruleset import RuleSet
from streams.pipeline import Pipeline
from tests.factories import T0
from tests.streams.kit import Story

PACK = """
pack: gas
title: 测试
sector: gas
owner: 市住建局
plan: p
effective: {from: 2024-01-01}
indicators:
  n: {count: signals, where: kind == gas.leak, window: 24h, exact: true, as_of: object}
rules:
  - {id: twice, title: 两件, status: active, basis: [某条例第一条], when: n >= 2, points: 60, half_life: 1d, say: "{n} 件"}
"""
TUNING = """
filters:
  - {id: outdoor, rules: [twice], when: value < 65, reason: 露天, owner: 市住建局, until: UNTIL}
"""
HALF_LIFE = timedelta(days=1)


def tuned(until: str = "2099-01-01") -> RuleSet:
    """Return the rule with the filter."""
    return load_rules({"gas.yaml": PACK, "tuning/a.yaml": TUNING.replace("UNTIL", until)})


def leak(told: Story, hours: float, name: str, value: float, **more: Any) -> list[Any]:
    """Take in a leak with a reading: below 65 the filter fits it."""
    return told.signal(hours, name, kind="gas.leak", value=float(value), **more)


def other(told: Story, hours: float, name: str) -> list[Any]:
    """Take in a signal of the same object that has nothing to do with the rule or the filter."""
    return told.signal(hours, name, kind="food.hygiene", source="hotline")


def points(told: Story) -> float:
    """Return what the rule adds to the score now."""
    return told.pipeline.inquire("twice", "o-1").points


def test_a_hit_that_was_kept_back_is_not_said_at_the_next_signal() -> None:
    """A complaint about something else raises nothing; once the rule has become true anew, and not quietly, it speaks."""
    told = Story(T0, tuned())
    leak(told, 0, "a", 62)
    [hit] = leak(told, 1, "b", 62)
    assert (hit.rule, hit.suppressed) == ("twice", "outdoor")
    assert other(told, 2, "c") == []
    assert leak(told, 3, "d", 90) == [], "the rule was true already"
    assert [one.reason for one in told.pipeline.inquire("twice", "o-1").obstacles] == ["suppressed", "standing"]
    assert other(told, 60, "e") == [], "it became untrue"
    leak(told, 61, "f", 90)
    assert [type(out) for out in leak(told, 62, "g", 90)] == [RuleHit, WarningRaised]


def test_a_filter_that_has_ended_keeps_nothing_back() -> None:
    """Neither by its last day nor by a reload without it: the rule is still true, so its next signal says so."""
    told = Story(T0, tuned(str((T0 + timedelta(days=1)).date())))
    leak(told, 23, "a", 62)
    leak(told, 24, "b", 62)
    assert [type(out) for out in other(told, 60, "c")] == []
    again = Story(T0, tuned())
    leak(again, 0, "a", 62)
    leak(again, 1, "b", 62)
    again.activate(2, load_rules({"gas.yaml": PACK}))
    assert [type(out) for out in other(again, 3, "c")] == [WarningRaised]


def test_a_filter_that_comes_later_takes_nothing_back() -> None:
    """What already counted goes on; the filter keeps back the signals that it fits."""
    told = Story(T0, load_rules({"gas.yaml": PACK}))
    leak(told, 0, "a", 62)
    assert [type(out) for out in leak(told, 1, "b", 62)] == [RuleHit, WarningRaised]
    told.activate(2, tuned())
    before = points(told)
    leak(told, 3, "c", 62)
    assert points(told) < before, "that signal did not renew it"
    other(told, 4, "d")
    assert points(told) == 60


@pytest.mark.parametrize("cut", [False, True])
def test_a_corrected_signal_is_judged_by_what_it_says_now(*, cut: bool) -> None:
    """Kept back and corrected to a high value it speaks; loud and corrected to a low one it is taken back, also after a restart."""
    told = Story(T0, tuned())
    leak(told, 0, "a", 62)
    leak(told, 1, "b", 62)
    restart(told, wanted=cut)
    assert WarningRaised in [type(out) for out in leak(told, 1, "b", 90, received=2, revision=1)]
    restart(told, wanted=cut)
    assert EpisodeEnded in [type(out) for out in leak(told, 1, "b", 62, received=3, revision=2)]
    restart(told, wanted=cut)
    assert other(told, 4, "c") == []
    assert points(told) == 0


def restart(told: Story, *, wanted: bool) -> None:
    """Go on from a snapshot."""
    if wanted:
        state = told.pipeline.snapshot()
        told.pipeline = Pipeline.fresh(told.pipeline)
        told.pipeline.restore(state)
        assert told.pipeline.snapshot() == state


def plainly(log: list[tuple[float, bool, float]]) -> float:
    """Return what the rule adds after the last entry of a log of (hour, whether it is a leak, value), read from its beginning."""
    stood, muted, since = False, False, None
    for at, (hour, _, value) in enumerate(log):
        inside = [one for one in log[: at + 1] if one[1] and hour - 24 < one[0] <= hour]
        true, quiet = len(inside) >= 2, value < 65
        if true and not stood:
            muted = quiet
        if true and not muted and not quiet:
            since = hour
        stood = true
    return 0.0 if since is None else 60 * 0.5 ** ((log[-1][0] - since) / 24)


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(1, 20), st.booleans(), st.sampled_from([62.0, 90.0])), min_size=1, max_size=14),
    st.integers(0, 14),
)
def test_what_counts_is_what_a_reading_of_the_whole_log_finds(steps: list[tuple[int, bool, float]], cut: int) -> None:
    """At every signal, with a restart somewhere: the points that stand are those of a plain evaluation."""
    told = Story(T0, tuned())
    log: list[tuple[float, bool, float]] = []
    hour = 0.0
    for number, (gap, counts, value) in enumerate(steps):
        hour += gap
        restart(told, wanted=number == cut)
        told.signal(hour, f"s{number}", kind="gas.leak" if counts else "food.hygiene", value=value)
        log.append((hour, counts, value))
        assert points(told) == pytest.approx(plainly(log), abs=0.011)
