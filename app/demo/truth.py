"""How well a run did: warnings against what truly happened.

An incident is found when a warning in its sector, about its object, an object that shares the blame, or its street, is raised
between its start and two days after its end. A warning of at least a given level that fits no incident is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from app.demo.places import LOCAL
from app.demo.world import Incident, World

GRACE = timedelta(days=2)
_STREET = 9  # digits of a street's region code


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A warning as the scorer sees it; `subject` is an object id or "region:610191003".

    `departments` are those that got a task.
    """

    id: str
    subject: str
    sector: str
    raised_at: datetime
    level: str
    departments: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An incident and the first warning that found it, "" for none; `delay` is from its start."""

    incident: str
    sector: str
    warning: str = ""
    level: str = ""
    delay: timedelta | None = None
    before_peak: bool = False


class FalseAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """A warning that fits no incident; `near_miss` names the near miss that it fell for, "" for none."""

    warning: str
    subject: str
    sector: str
    level: str
    raised_at: datetime
    near_miss: str = ""


class DayCount(msgspec.Struct, frozen=True, kw_only=True):
    """False warnings that one department got on one day (Asia/Shanghai)."""

    department: str
    day: date
    count: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The whole judgement; `incidents` in the order of planting, `false_alarms` in the order of time, `per_day` worst first."""

    incidents: tuple[Found, ...]
    false_alarms: tuple[FalseAlarm, ...]
    per_day: tuple[DayCount, ...]

    @property
    def planted(self) -> int:
        """Return how many incidents there were."""
        return len(self.incidents)

    @property
    def found(self) -> int:
        """Return how many were found."""
        return sum(bool(one.warning) for one in self.incidents)

    @property
    def missed(self) -> int:
        """Return how many were not."""
        return self.planted - self.found

    @property
    def worst_day(self) -> int:
        """Return the most false warnings that a department got on one day."""
        return max((count.count for count in self.per_day), default=0)


def score(warnings: Sequence[Raised], world: World, *, levels: Sequence[str], false_from: str = "yellow") -> Verdict:
    """Judge `warnings` against the incidents of `world`.

    Args:
        warnings: all that the run raised, in any order.
        world: what happened.
        levels: names of the levels, lowest first.
        false_from: a false warning below this level does not count as false.

    Raises:
        ValueError: `false_from` or a warning's level is not in `levels`.
    """
    rank = {name: place for place, name in enumerate(levels)}
    for name in (false_from, *(warning.level for warning in warnings)):
        if name not in rank:
            raise ValueError(f"unknown level {name!r}; legal: {', '.join(levels)}")
    ordered = sorted(warnings, key=lambda warning: (warning.raised_at, warning.id))
    incidents = tuple(_judge(incident, ordered) for incident in world.incidents)
    wrong = [
        warning
        for warning in ordered
        if rank[warning.level] >= rank[false_from] and not any(fits(warning, incident) for incident in world.incidents)
    ]
    false_alarms = tuple(
        FalseAlarm(
            warning=warning.id,
            subject=warning.subject,
            sector=warning.sector,
            level=warning.level,
            raised_at=warning.raised_at,
            near_miss=next((near.id for near in world.near_misses if _about(warning.subject, (near.object_id,), near.region)), ""),
        )
        for warning in wrong
    )
    return Verdict(incidents=incidents, false_alarms=false_alarms, per_day=_per_day(wrong))


def fits(warning: Raised, incident: Incident) -> bool:
    """Say whether a warning is about an incident: its sector, its time, and its object, a blamed one or its street."""
    if warning.sector != incident.sector or not incident.start <= warning.raised_at <= incident.end + GRACE:
        return False
    return _about(warning.subject, (incident.object_id, *incident.also), incident.region)


def _about(subject: str, objects: tuple[str, ...], region: str) -> bool:
    area = subject.removeprefix("region:")
    if area != subject:
        return len(area) >= _STREET and area.startswith(region)
    return bool(subject) and subject in objects


def _judge(incident: Incident, ordered: Sequence[Raised]) -> Found:
    first = next((warning for warning in ordered if fits(warning, incident)), None)
    if first is None:
        return Found(incident=incident.id, sector=incident.sector)
    return Found(
        incident=incident.id,
        sector=incident.sector,
        warning=first.id,
        level=first.level,
        delay=first.raised_at - incident.start,
        before_peak=first.raised_at <= incident.peak,
    )


def _per_day(wrong: Sequence[Raised]) -> tuple[DayCount, ...]:
    counts: dict[tuple[str, date], int] = {}
    for warning in wrong:
        for department in sorted(set(warning.departments)):
            key = (department, warning.raised_at.astimezone(LOCAL).date())
            counts[key] = counts.get(key, 0) + 1
    return tuple(
        DayCount(department=department, day=day, count=count)
        for (department, day), count in sorted(counts.items(), key=lambda item: (-item[1], item[0][1], item[0][0]))
    )
