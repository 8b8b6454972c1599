"""Loading the working calendar."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import chinese_calendar
import pytest

from domain.departments import OfficeHours
from domain.errors import FileProblems
from storage.calendars import load_calendar, parse_days

HOURS = OfficeHours()
HOLIDAY_CN = """{
  "$schema": "https://example.org/schema.json", "year": 2027, "papers": [],
  "days": [
    {"name": "元旦", "date": "2026-12-31", "isOffDay": true},
    {"name": "元旦", "date": "2027-01-01", "isOffDay": true},
    {"name": "春节", "date": "2027-02-20", "isOffDay": false},
    {"name": "春节", "date": "2027-02-08", "isOffDay": true}
  ]
}"""


def test_announced_years_agree_with_the_library_on_every_day() -> None:
    """2025 and 2026 come from the library, make-up days included, and are announced."""
    calendar = load_calendar([2025, 2026])
    for year in (2025, 2026):
        assert calendar.years[year].announced
        for ordinal in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()):
            day = date.fromordinal(ordinal)
            assert calendar.is_working(day, HOURS) == chinese_calendar.is_workday(day), day


def test_a_year_without_notice_has_statutory_days_and_is_not_announced() -> None:
    """The National Day of 2027 is off, its make-up days are unknown, and due times in it are provisional."""
    calendar = load_calendar([2027])
    assert not calendar.years[2027].announced
    assert not calendar.years[2027].work
    assert [calendar.is_working(date(2027, 10, day), HOURS) for day in (1, 8)] == [False, True]


@pytest.mark.parametrize("name", ["2027.json", "2027.yaml"])
def test_a_file_announces_a_year(tmp_path: Path, name: str) -> None:
    """The form of holiday-cn is taken as JSON and as YAML, and its bridge days count for the neighbouring year."""
    (tmp_path / name).write_text(HOLIDAY_CN, encoding="utf-8")
    calendar = load_calendar([2026, 2027], tmp_path)
    assert calendar.years[2027].announced
    assert [calendar.is_working(day, HOURS) for day in (date(2027, 2, 20), date(2027, 2, 8), date(2026, 12, 31), date(2027, 10, 1))] == [
        True,
        False,
        False,
        True,  # what the file does not name is an ordinary Friday: a file is the whole year
    ]


def test_a_file_written_by_hand_may_have_plain_dates(tmp_path: Path) -> None:
    """YAML dates without quotes are dates."""
    (tmp_path / "2027.yaml").write_text("days:\n- {name: 元旦, date: 2027-01-01, isOffDay: true}\n", encoding="utf-8")
    assert load_calendar([2027], tmp_path).years[2027].off == {date(2027, 1, 1)}


def test_every_wrong_day_is_named_with_its_line() -> None:
    """All problems of a file are told at once, each with line and column."""
    text = """days:
- {name: a, date: 2027-02-30, isOffDay: true}
- {name: b, date: 2027-05-01}
- {name: c, date: 2025-05-01, isOffDay: true}
- {name: d, date: 2027-05-03, isOffDay: true}
- {name: d, date: 2027-05-03, isOffDay: false}
"""
    with pytest.raises(FileProblems) as caught:
        parse_days(text, 2027, "2027.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "2027.yaml:2:3 date is '2027-02-30'; write it like 2027-02-06",
        "2027.yaml:3:3 a day has name, date, isOffDay, with isOffDay true or false",
        "2027.yaml:4:3 2025-05-01 is not a day of 2027",
        "2027.yaml:6:3 2027-05-03 is both a day off and a working day",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"days: [", "2027.yaml:1:8 not valid YAML: expected the node content"),
        (b"days: []", "2027.yaml:1:1 a calendar file has a list `days` of {name, date, isOffDay}"),
        ("名: 春节".encode("gb18030"), "2027.yaml:0:0 not UTF-8; save the file in UTF-8"),
    ],
)
def test_a_broken_file_stops_the_load(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that cannot be read is never passed over for the library's days."""
    (tmp_path / "2027.yaml").write_bytes(content)
    with pytest.raises(FileProblems, match=message.replace("{", r"\{").replace("}", r"\}")):
        load_calendar([2027], tmp_path)
