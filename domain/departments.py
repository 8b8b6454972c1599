"""Departments (部门): who can be given a task, who commands, and how a unit named in a catalogue is found."""

from __future__ import annotations

from datetime import date
from typing import Literal

from domain.base import Noun
from domain.catalogue import Tier

DepartmentKind = Literal["department", "duty_desk", "task_force", "deputy_mayor"]
DUTY_DESK = "duty-desk"  # id of the duty desk where the directory names none: somebody always stands there


class Season(Noun, frozen=True, kw_only=True):
    """Other office hours (夏令作息) from `start` to `end`, both "MM-DD" and both included; it may run over the new year."""

    start: str
    end: str
    spans: tuple[tuple[int, int], ...]

    def holds(self, day: date) -> bool:
        """Return whether `day` lies in the season.

        >>> Season(start="12-01", end="02-28", spans=()).holds(date(2026, 1, 5))
        True
        """
        text = day.strftime("%m-%d")
        return self.start <= text <= self.end if self.start <= self.end else text >= self.start or text <= self.end


class OfficeHours(Noun, frozen=True, kw_only=True):
    """Office hours as (start, end) in minutes after midnight, Asia/Shanghai, ascending and not overlapping.

    `always` is a desk that is manned 24×7: every day is a working day and closes at midnight. `days_off` are regional holidays.
    """

    spans: tuple[tuple[int, int], ...] = ((9 * 60, 12 * 60), (14 * 60, 18 * 60))
    seasons: tuple[Season, ...] = ()
    days_off: tuple[date, ...] = ()
    always: bool = False

    def of(self, day: date) -> tuple[tuple[int, int], ...]:
        """Return the spans that hold on `day`, should it be a working day."""
        if self.always:
            return ((0, 24 * 60),)
        return next((season.spans for season in self.seasons if season.holds(day)), self.spans)


class Department(Noun, frozen=True, kw_only=True):
    """One unit. `aliases` are other and functional names (住建部门); `parent` is the superior unit of the same line.

    `region` is where it is competent (GB/T 2260; "610100" covers "610113"; "" covers everything). `endpoints` name what the outbox
    sends to. A `deputy_mayor` or `task_force` (专班) with `sectors` is in charge of these only.
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    region: str = ""
    tier: Tier = "city"
    parent: str = ""
    kind: DepartmentKind = "department"
    sectors: tuple[str, ...] = ()
    hours: OfficeHours = OfficeHours()
    endpoints: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()


def covers(unit_region: str, region: str) -> bool:
    """Return whether a unit of `unit_region` is competent in `region`; trailing pairs of zeros mean "all of it".

    >>> covers("610100", "610113"), covers("610113", "610100"), covers("", "610113"), covers("610102", "610113")
    (True, False, True, False)
    """
    return region.startswith(_prefix(unit_region))


def _prefix(region: str) -> str:
    while len(region) > 6 and region.endswith("000"):  # towns and villages are numbered in threes
        region = region[:-3]
    while 2 < len(region) <= 6 and region.endswith("00"):
        region = region[:-2]
    return region


class Directory(Noun, frozen=True, kw_only=True):
    """One version of all departments; ids are unique."""

    departments: tuple[Department, ...] = ()

    def get(self, department_id: str) -> Department | None:
        """Return the department of this id."""
        return next((unit for unit in self.departments if unit.id == department_id), None)

    def find(self, unit_name: str, tier: Tier, region: str) -> Department | None:
        """Return the unit that a catalogue names for a subject in `region`, else None: never a guess.

        An id is taken as it stands. Of the units of that name or alias that cover the region, those of `tier` are meant; where
        there is none, the only one that covers it. Of several, the one of the narrowest region; several of those are no answer.
        """
        wanted = _plain(unit_name)
        if not wanted:
            return None
        by_id = self.get(unit_name.strip())
        if by_id is not None:
            return by_id
        named = [unit for unit in self.departments if _plain(unit.name) == wanted and covers(unit.region, region)]
        named = named or [unit for unit in self.departments if wanted in map(_plain, unit.aliases) and covers(unit.region, region)]
        meant = [unit for unit in named if unit.tier == tier]
        if not meant:
            return named[0] if len(named) == 1 else None
        narrowest = max(len(_prefix(unit.region)) for unit in meant)
        closest = [unit for unit in meant if len(_prefix(unit.region)) == narrowest]
        return closest[0] if len(closest) == 1 else None

    def officer(self, kind: DepartmentKind, sector: str, region: str) -> str:
        """Return the id of the duty desk, 专班 or deputy mayor for a sector and region; "" where there is none.

        One in charge of the sector comes before one for all, a narrower region before a wider one, then the order of the file.
        A duty desk is always found: `DUTY_DESK` stands in for a missing one.
        """
        best, best_rank = (DUTY_DESK if kind == "duty_desk" else ""), (-1, -1)
        for unit in self.departments:
            if unit.kind != kind or (unit.sectors and sector not in unit.sectors) or not covers(unit.region, region):
                continue
            rank = (int(bool(unit.sectors)), len(_prefix(unit.region)))
            if rank > best_rank:
                best, best_rank = unit.id, rank
        return best

    def same_line(self, department_id: str, unit_id: str) -> bool:
        """Return whether `unit_id` is a lower or sibling unit of `department_id`: what a transfer (转办) may go to."""
        own, other = self.get(department_id), self.get(unit_id)
        if own is None or other is None or own.id == other.id:
            return False
        return other.parent == own.id or (bool(own.parent) and other.parent == own.parent)

    def hours(self, department_id: str) -> OfficeHours:
        """Return a unit's office hours; unknown units have the default ones, the stand-in duty desk is always manned."""
        unit = self.get(department_id)
        if unit is not None:
            return unit.hours
        return OfficeHours(always=True) if department_id == DUTY_DESK else OfficeHours()


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()
