"""Scores, levels and the exact time at which a level falls."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.levels import DEFAULT_LEVELS
from streams.stages.fuse import FuseStage, Part, Risk
from streams.stages.ledger import Ledger
from tests.factories import T0, at
from tests.streams.kit import VALUE, Story, at_least, indicator, rule, ruleset, severity_from

HOUR = 3_600_000_000
DAYS_14 = timedelta(days=14)


def story(*rules: Any) -> Story:
    """Return a story over the last value."""
    return Story(T0, ruleset(rules, [indicator("p.v", "last", of=VALUE)]))


def reading(name: str, limit: float, **kw: Any) -> Any:
    """Return a rule that is true from a last value on."""
    return rule(name, at_least("p.v", limit), **kw)


def test_points_of_rules_add_up_to_at_most_a_hundred() -> None:
    """70 and 45 points are a score of 100."""
    (_, _, raised) = story(reading("a", 1, points=70.0), reading("b", 1, points=45.0)).signal(0, "s", value=1.0)
    assert raised.warning.score == 100.0
    assert [part.name for part in raised.warning.contributions] == ["a", "b"]


def test_rules_of_a_family_count_at_most_its_cap() -> None:
    """The smallest cap named holds; other rules add to it."""
    family: dict[str, Any] = {"family": "leak", "cap": 50.0, "points": 40.0}
    told = story(reading("a", 1, **family), reading("b", 1, **family | {"cap": 60.0}), reading("c", 1, points=10.0))
    assert told.signal(0, "s", value=1.0)[-1].warning.score == 60.0


def test_a_contribution_halves_every_half_life_since_its_rule_was_last_true() -> None:
    """Each signal at which the rule is true sets it back to full."""
    told = story(reading("a", 5, points=80.0, half_life=timedelta(hours=24)), rule("sev", severity_from(3), points=5.0))
    told.signal(0, "s", value=9.0)
    told.signal(10, "t", value=9.0)
    told.signal(12, "u", value=1.0)
    updated = told.signal(34, "v", value=1.0, severity=3)[-1].warning
    assert [(part.name, part.points, part.since) for part in updated.contributions] == [("a", 40.0, at(10)), ("sev", 5.0, at(34))]
    assert updated.score == 45.0


def test_a_floor_holds_while_at_least_half_of_the_points_are_left() -> None:
    """40 points are yellow by themselves; with `at_least: orange` the level falls a millisecond after the half-life."""
    told = story(reading("a", 5, points=40.0, at_least="orange", half_life=DAYS_14))
    assert told.signal(0, "s", value=9.0)[-1].warning.level == "orange"
    told.signal(1, "t", value=0.0)
    assert told.pipeline.next_wake() == T0 + DAYS_14 + timedelta(milliseconds=1)
    (fell,) = told.tick(14 * 24 + 1)
    assert (fell.reason, fell.warning.current_level, fell.warning.level) == ("level_fell", "blue", "orange")


def test_a_level_is_left_only_below_its_hysteresis() -> None:
    """Yellow begins at 40 and ends below 35; the wake is the first millisecond below."""
    told = story(reading("a", 5, points=40.0, half_life=DAYS_14))
    told.signal(0, "s", value=9.0)
    told.signal(1, "t", value=0.0)
    expected = timedelta(days=14 * math.log2(40 / 35))
    wake = told.pipeline.next_wake()
    assert wake is not None
    assert timedelta(0) <= wake - (T0 + expected) <= timedelta(milliseconds=1)


parts = st.lists(
    st.tuples(
        st.floats(1, 100), st.integers(0, 400), st.integers(1, 400), st.sampled_from(["", "", "f", "g"]), st.floats(5, 100),
        st.sampled_from(["", "", "yellow", "red"]),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


@settings(max_examples=200, derandomize=True, deadline=None)
@given(parts)
def test_the_next_fall_is_the_first_millisecond_at_which_the_formula_says_so(drawn: list[tuple[float, int, int, str, float, str]]) -> None:
    """Compared with the documented formula, written out again: the level holds one millisecond before, and no longer then."""
    stage = FuseStage(DEFAULT_LEVELS, Ledger(1))
    risk = Risk("o-1", "gas", "gas", shadow=False)
    for number, (full, since, half_life, family, cap, floor) in enumerate(drawn):
        part = risk.parts[str(number)] = Part("rule", str(number), "")
        part.full, part.since, part.half_life = full, since * HOUR, half_life * HOUR
        part.family, part.cap, part.at_least = family, cap, floor
    now = max(since for _, since, *_ in drawn) * HOUR

    def formula(t: int) -> tuple[float, int]:
        points = [full * 0.5 ** (max(t - since * HOUR, 0) / (half_life * HOUR)) for full, since, half_life, *_ in drawn]
        points = [each if each >= 0.01 or t <= since * HOUR else 0.0 for each, (_, since, *_) in zip(points, drawn, strict=True)]
        total = math.fsum(min(each, cap) for each, (*_, family, cap, _) in zip(points, drawn, strict=True) if not family)
        for name in ("f", "g"):
            members = [(each, cap) for each, (*_, family, cap, _) in zip(points, drawn, strict=True) if family == name]
            if members:
                total += min(math.fsum(each for each, _ in members), *(cap for _, cap in members))
        floors = [
            DEFAULT_LEVELS.rank(floor) for _, since, half_life, _, _, floor in drawn if floor and t - since * HOUR <= half_life * HOUR
        ]
        return min(100.0, total), max(floors, default=0)

    assert stage.score(risk, now) == pytest.approx(formula(now)[0], abs=1e-9)
    risk.level = stage.level(risk, now, stage.score(risk, now))
    rank = DEFAULT_LEVELS.rank(risk.level)
    fall = stage.next_fall(risk, now)
    if rank == 0:
        assert fall is None
        return
    assert fall is not None
    threshold = DEFAULT_LEVELS.levels[rank - 1].at - DEFAULT_LEVELS.hysteresis

    def holds(t: int) -> bool:
        score, floor = formula(t)
        return floor >= rank or score >= threshold + (1e-9 if t == fall else -1e-9)

    assert fall % 1000 == 0
    assert not holds(fall)
    assert fall - 1000 <= now or holds(fall - 1000)
