"""The health of rules: each ailment from the figures that show it, and none from those that do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rules.health import DEAR, FEW, JUDGED, KINDS, LOUD, PATIENCE, Life, ailments, overlaps
from rules.load import load_rules
from rules.ruleset import Rule
from tests.app.world import RULES
from tests.factories import T0

RULE: Rule = replace(load_rules({"gas.yaml": RULES}).rules[0], feeds=("penalty",))


def kinds(rule: Rule = RULE, **life: Any) -> list[str]:
    """Return what is wrong with a rule that hit now and then, or has other figures."""
    given: dict[str, Any] = {"now": T0, "since_long": True, "hits": 5}
    return [each.kind for each in ailments(rule, Life(**(given | life)))]


@pytest.mark.parametrize(
    ("life", "wrong"),
    [
        ({}, []),
        ({"hits": 0}, ["never_fires"]),
        ({"hits": 0, "since_long": False}, []),
        ({"hits_day": LOUD}, []),
        ({"hits_day": LOUD + 1}, ["noisy"]),
        ({"unfounded": JUDGED - 1}, []),
        ({"unfounded": 8, "confirmed": 2}, ["noisy"]),
        ({"unfounded": 7, "confirmed": 3}, []),
        ({"micros": DEAR}, []),
        ({"micros": DEAR + 1}, ["slow"]),
        ({"alike": {"other": 0.95}}, ["overlapping"]),
        ({"silent": ("penalty",)}, ["blind"]),
        ({"unheard": ("penalty",)}, ["starved"]),
        ({"unheard": ("penalty",), "silent": ("penalty",)}, ["blind"]),
        ({"warm_at": T0}, []),
        ({"warm_at": T0 + timedelta(seconds=1)}, ["warming"]),
        ({"warm_at": T0 + timedelta(days=1), "hits": 0}, ["warming"]),
        ({"silent": ("penalty",), "hits": 0}, ["blind"]),
        ({"too_late": 2, "last_too_late": T0 - PATIENCE}, []),
        ({"too_late": 2, "last_too_late": T0 - PATIENCE + timedelta(seconds=1)}, ["late"]),
    ],
)
def test_each_ailment_begins_at_its_limit(life: dict[str, Any], wrong: list[str]) -> None:
    """One step before the limit nothing is wrong; what waits for data is not told that it never fires."""
    assert kinds(**life) == wrong


def test_a_rule_that_does_not_run_has_no_ailments() -> None:
    """A draft never fires because it is a draft; a rule on trial is judged like an active one."""
    assert kinds(replace(RULE, status="draft"), hits=0) == []
    assert kinds(replace(RULE, status="deprecated"), hits=0) == []
    assert kinds(replace(RULE, status="shadow"), hits=0) == ["never_fires"]


def test_a_rule_that_lost_one_of_two_sources_is_not_starved() -> None:
    """What still comes feeds it."""
    both = replace(RULE, feeds=("hotline", "penalty"))
    assert kinds(both, unheard=("penalty",)) == []
    assert kinds(both, unheard=("hotline", "penalty")) == ["starved"]


def test_every_kind_can_be_found() -> None:
    """The table of kinds has no word that no figures lead to."""
    found = kinds(hits_day=999, micros=99.0, alike={"x": 1.0}, silent=("penalty",), warm_at=T0 + timedelta(days=1), last_too_late=T0)
    assert {*found, *kinds(hits=0), *kinds(unheard=("penalty",))} == set(KINDS)


def test_rules_are_alike_by_the_subjects_of_both() -> None:
    """Nine of ten is alike, eight of ten is not; few subjects say nothing; a small rule inside a large one is no overlap."""
    ten = [f"o-{n}" for n in range(10)]
    assert overlaps({"a": frozenset(ten), "b": frozenset([*ten[:9], "o-x"])}) == {}
    twenty = [f"o-{n}" for n in range(20)]
    assert overlaps({"a": frozenset(twenty), "b": frozenset(twenty[:18])}) == {"a": {"b": 0.9}, "b": {"a": 0.9}}
    assert overlaps({"a": frozenset(twenty), "b": frozenset(twenty[:10])}) == {}
    assert overlaps({"a": frozenset(ten[: FEW - 1]), "b": frozenset(ten[: FEW - 1])}) == {}
