"""The simulated month: its size, its truth, and that it is the same every time and knows nothing of the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from app.demo.chance import chance
from app.demo.codes import credit_check, mistyped, organisation_check
from app.demo.month import build_world
from app.demo.near_misses import outside
from app.demo.schedule import Plan, build, digest

SECTORS = {"gas", "food", "special-equipment", "hazardous-chemicals", "construction", "prepaid"}


def test_the_month_is_as_large_as_promised(plan: Plan) -> None:
    """At least 20,000 objects, 200,000 records, 12 incidents, and a number of sends that a lock-step run can make."""
    assert len(plan.world.city.objects) >= 20_000
    assert sum(send.records for send in plan.sends) >= 200_000
    assert len(plan.world.incidents) >= 12
    assert 2_000 <= len(plan.sends) <= 4_200
    assert len(plan.world.near_misses) >= 6


def test_two_runs_of_one_seed_write_the_same_bytes(plan: Plan) -> None:
    """The seed decides everything."""
    assert digest(build(1)) == digest(plan)


def test_another_seed_writes_another_month(plan: Plan) -> None:
    """A second seed is a second test, not the first one again."""
    other = build(2, days=6)
    assert digest(other) != digest(build(1, days=6))
    assert [one.object_id for one in build_world(2).incidents] != [one.object_id for one in plan.world.incidents]


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_hash_seed_of_the_process_changes_nothing(hash_seed: str) -> None:
    """No set or dictionary order of the interpreter leaks into what is sent."""
    code = "from app.demo.schedule import build, digest; print(digest(build(3, days=5)))"
    found = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": hash_seed}, check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == digest(build(3, days=5))


def test_the_city_knows_nothing_of_rules_and_models() -> None:
    """Whoever writes what happens must not know what is looked for: nothing of the engine is even imported."""
    code = (
        "import sys, app.demo.schedule, app.demo.registers, app.demo.truth, app.demo.behaviour\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}"
        " & {'rules', 'models', 'streams', 'dispatch', 'storage', 'connectors', 'sklearn'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("seed", [1, 2, 3, 5, 8, 13])
def test_every_seed_plants_two_incidents_or_more_in_each_sector(seed: int) -> None:
    """Incidents lie inside the month, begin before they peak, and happen to different objects than the near misses."""
    world = build_world(seed)
    counts = Counter(incident.sector for incident in world.incidents)
    assert set(counts) == SECTORS
    assert min(counts.values()) >= 2
    assert all(world.start <= one.start <= one.peak <= one.end <= world.end for one in world.incidents)
    assert len({one.object_id for one in world.incidents}) == len(world.incidents)
    assert outside(world.near_misses, world.incidents)


def test_each_incident_is_seen_by_somebody(plan: Plan) -> None:
    """An incident that leaves no trace cannot be found: each is told by at least two channels and five records."""
    for incident in plan.world.incidents:
        concerned = {incident.object_id, *incident.also}
        seen = [h for h in plan.world.happenings if h.object_id in concerned and incident.start <= h.at <= incident.end]
        assert len(seen) >= 5, incident.id
        assert len({h.feed for h in seen}) >= 2, incident.id


def test_codes_carry_a_right_check_character_and_are_used_once(plan: Plan) -> None:
    """Credit codes pass GB 32100 and GB 11714; a mistyped one never does."""
    codes = [found.code for found in plan.world.city.objects if len(found.code) == 18]
    assert len(codes) == len(set(codes)) > 15_000
    assert all(code[17] == credit_check(code[:17]) and code[16] == organisation_check(code[8:16]) for code in codes)
    rng = chance(1, "test")
    wrong = [mistyped(rng, code) for code in codes[:2000]]
    assert not any(code[17] == credit_check(code[:17]) for code in wrong)


def test_people_meet_few_objects_often_and_most_seldom(plan: Plan) -> None:
    """Popularity has a heavy tail: the busiest restaurant is met at least twenty times as often as the one in the middle."""
    weights = sorted(found.weight for found in plan.world.city.by_kind["restaurant"])
    assert weights[-1] > 20 * weights[len(weights) // 2]


def test_calls_follow_the_clock_and_the_week(plan: Plan) -> None:
    """The hotline is quiet at four in the morning, and quieter on Sundays than on Mondays."""
    calls = [h.at for h in plan.world.happenings if h.feed == "hotline-12345"]
    hours = Counter(at.hour for at in calls)
    assert hours[10] > 8 * hours[4]
    days = Counter(at.weekday() for at in calls)
    assert days[0] / 5 > days[6] / 5  # March 2026 has five of each
