"""Loading the working calendar: known years from the calendar library, files that override a year, statutory days for later ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import chinese_calendar
import holidays
from ruamel.yaml.comments import CommentedSeq

from dispatch.workcalendar import WorkCalendar, Year
from dispatch.yamltext import documents
from domain.errors import FileProblems, Problem

FIELDS = ("name", "date", "isOffDay")
BRIDGE = timedelta(days=10)  # a notice names days of the neighbouring year around New Year


def load_calendar(years: Iterable[int], folder: Path | None = None) -> WorkCalendar:
    """Return the calendar for `years`.

    For each year, first a file `YYYY.yaml`, `YYYY.yml` or `YYYY.json` of `folder` (the form of holiday-cn: a list `days` of
    {name, date, isOffDay}), then the calendar library's announced years, then the statutory days without make-up days, not announced.
    Days of the neighbouring year that a file names (a New Year bridge) count for that year.

    Raises:
        FileProblems: a file is not of that form, or a day is of another year; nothing is used in part.
    """
    found: dict[int, Year] = {}
    problems: list[Problem] = []
    named: list[tuple[date, bool]] = []
    for year in sorted(set(years)):
        file = _file(folder, year)
        if file is None:
            found[year] = announced(year) or statutory(year)
            continue
        try:
            days = parse_days(file.read_text(encoding="utf-8"), year, file.name)
        except UnicodeDecodeError:
            problems.append(Problem(file=file.name, line=0, column=0, message="not UTF-8; save the file in UTF-8"))
        except FileProblems as error:
            problems += error.problems
        else:
            found[year] = _year(Year(), [(day, off) for day, off in days if day.year == year])
            named += [(day, off) for day, off in days if day.year != year]
    if problems:
        raise FileProblems(problems)
    for day, off in named:
        if day.year in found:
            found[day.year] = _year(found[day.year], [(day, off)])
    return WorkCalendar(found)


def announced(year: int) -> Year | None:
    """Return what the State Council announced for `year`, where the library has it, else None."""
    off = frozenset(day for day in chinese_calendar.holidays if day.year == year)
    work = frozenset(day for day in chinese_calendar.workdays if day.year == year)
    return Year(off=off, work=work) if off else None


def statutory(year: int) -> Year:
    """Return the statutory days of a year that is not announced (全国年节及纪念日放假办法); bridges and make-up days are unknown."""
    return Year(off=frozenset(holidays.country_holidays("CN", years=year)), announced=False)


def parse_days(content: str, year: int, file: str) -> list[tuple[date, bool]]:
    """Return the days of a calendar file for `year`, YAML or JSON, each with whether it is a day off.

    Raises:
        FileProblems: everything that is wrong, each at its place.
    """
    document = next(iter(documents(content, file)), None)
    days = document.get("days") if isinstance(document, Mapping) else None
    if not isinstance(days, CommentedSeq) or not days:
        message = "a calendar file has a list `days` of {name, date, isOffDay}"
        raise FileProblems([Problem(file=file, line=1, column=1, message=message)])
    found: dict[date, bool] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(days):
        day, message = _day(entry, year)
        if day is not None and found.get(day, entry["isOffDay"]) != entry["isOffDay"]:
            message = f"{day} is both a day off and a working day"
        if message:
            line, column = days.lc.item(index)
            problems.append(Problem(file=file, line=line + 1, column=column + 1, message=message))
        elif day is not None:
            found[day] = entry["isOffDay"]
    if problems:
        raise FileProblems(problems)
    return sorted(found.items())


def _file(folder: Path | None, year: int) -> Path | None:
    if folder is None:
        return None
    return next((path for ending in ("yaml", "yml", "json") if (path := folder / f"{year}.{ending}").is_file()), None)


def _year(year: Year, days: Iterable[tuple[date, bool]]) -> Year:
    off, work = set(year.off), set(year.work)
    for day, is_off in days:
        (off if is_off else work).add(day)
        (work if is_off else off).discard(day)
    return Year(off=frozenset(off), work=frozenset(work), announced=year.announced)


def _day(entry: Any, year: int) -> tuple[date | None, str]:
    """Return the day of an entry, or what is wrong with it."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("isOffDay"), bool) or "date" not in entry:
        return None, f"a day has {', '.join(FIELDS)}, with isOffDay true or false"
    try:
        day = date.fromisoformat(str(entry["date"]))
    except ValueError:
        return None, f"date is {entry['date']!r}; write it like {year}-02-06"
    if not date(year, 1, 1) - BRIDGE <= day <= date(year, 12, 31) + BRIDGE:
        return None, f"{day} is not a day of {year}"
    return day, ""
