"""Scoring a run against what truly happened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.demo.schedule import Plan
from app.demo.truth import Raised, score

LEVELS = ("blue", "yellow", "orange", "red")


def raised(plan: Plan, number: int = 0, **changes: object) -> Raised:
    """Return a warning that finds incident `number` an hour after its start."""
    incident = plan.world.incidents[number]
    given = {
        "id": f"w{number}",
        "subject": incident.object_id,
        "sector": incident.sector,
        "raised_at": incident.start + timedelta(hours=1),
        "level": "yellow",
        "departments": ("zhujian", "xiaofang"),
    }
    return Raised(**(given | changes))  # type: ignore[arg-type]  # fields by keyword


def test_an_incident_is_found_by_its_object_a_blamed_one_or_its_street(plan: Plan) -> None:
    """Three ways to be right about one incident; the first warning counts."""
    number = next(place for place, one in enumerate(plan.world.incidents) if one.also)
    incident = plan.world.incidents[number]
    for subject in (incident.object_id, incident.also[0], f"region:{incident.region}"):
        verdict = score([raised(plan, number, subject=subject)], plan.world, levels=LEVELS)
        assert verdict.found == 1
        assert verdict.incidents[number].delay == timedelta(hours=1)
        assert not verdict.false_alarms
    assert score([], plan.world, levels=LEVELS).missed == len(plan.world.incidents)


@pytest.mark.parametrize("wrong", ["sector", "object", "district", "early", "late"])
def test_a_warning_beside_the_truth_is_false(plan: Plan, wrong: str) -> None:
    """Another sector, object, a whole district, before the start or three days after the end: not found, and false."""
    incident = plan.world.incidents[0]
    changes = {
        "sector": {"sector": "food"},
        "object": {"subject": "obj-000001"},
        "district": {"subject": f"region:{incident.region[:6]}"},
        "early": {"raised_at": incident.start - timedelta(minutes=1)},
        "late": {"raised_at": incident.end + timedelta(days=3)},
    }[wrong]
    verdict = score([raised(plan, **changes)], plan.world, levels=LEVELS)
    assert verdict.found == 0
    assert len(verdict.false_alarms) == 1
    assert verdict.worst_day == 1


def test_false_warnings_count_per_department_and_day_from_a_level_on(plan: Plan) -> None:
    """Two on one day for a shared department; a blue one does not count unless it is asked for; a near miss is named."""
    near = plan.world.near_misses[0]
    at = plan.world.start + timedelta(days=1, hours=23)
    found = [
        raised(plan, id="a", subject="obj-000001", raised_at=at, departments=("zhujian",)),
        raised(plan, id="b", subject=near.object_id, raised_at=at + timedelta(minutes=30)),
        raised(plan, id="c", subject="obj-000003", raised_at=at + timedelta(hours=2)),
        raised(plan, id="d", subject="obj-000004", raised_at=at, level="blue"),
    ]
    verdict = score(found, plan.world, levels=LEVELS)
    assert [(count.department, count.count) for count in verdict.per_day] == [
        ("zhujian", 2),
        ("xiaofang", 1),
        ("xiaofang", 1),
        ("zhujian", 1),
    ]
    assert verdict.worst_day == 2
    assert [alarm.near_miss for alarm in verdict.false_alarms] == ["", near.id, ""]
    assert len(score(found, plan.world, levels=LEVELS, false_from="blue").false_alarms) == 4


def test_an_unknown_level_is_refused(plan: Plan) -> None:
    """A level that nobody ordered cannot be compared."""
    with pytest.raises(ValueError, match="legal: blue"):
        score([raised(plan, level="purple")], plan.world, levels=LEVELS)
