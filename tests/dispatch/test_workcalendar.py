"""Due times in the four kinds of time."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.workcalendar import WorkCalendar, Year
from domain.departments import OfficeHours, Season
from domain.instants import SHANGHAI
from domain.policies import Limit, Unit
from tests.dispatch import reckoning
from tests.dispatch.reckoning import china
from tests.dispatch.timeline import calendar_2026, default_policies

DEFAULT = OfficeHours()
LEVELS = ("red", "orange", "yellow", "blue")


def limit(amount: int, unit: Unit, ceiling: Limit | None = None) -> Limit:
    """Return a limit in few words."""
    return Limit(amount=amount, unit=unit, ceiling=ceiling)


def ends(start: datetime, wanted: Limit, hours: OfficeHours = DEFAULT) -> str:
    """Return the end as China's clocks show it."""
    return calendar_2026().due(start, wanted, hours).at.astimezone(SHANGHAI).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-02-13", 3, "02-25"),
        ("2026-02-14", 1, "02-24"),
        ("2026-04-30", 1, "05-06"),
        ("2026-05-08", 1, "05-09"),
        ("2026-09-25", 7, "10-12"),
        ("2026-09-30", 5, "10-13"),
        ("2026-10-10", 1, "10-12"),
    ],
)
def test_working_days_follow_the_announced_holidays_and_make_up_days(start: str, days: int, end: str) -> None:
    """The vectors of 2026: the day of the start does not count, the limit ends at the close of the last day."""
    assert ends(china(start), limit(days, "wd")) == f"{end} 18:00"


def test_twenty_four_hours_one_day_and_one_working_day_are_three_limits() -> None:
    """From Friday 16:00 they end on Saturday 16:00, at Monday's close and at Monday's close."""
    friday = china("2026-03-06", "16:00")
    assert [ends(friday, limit(24, "nh")), ends(friday, limit(1, "nd")), ends(friday, limit(1, "wd"))] == [
        "03-07 16:00",
        "03-09 18:00",
        "03-09 18:00",
    ]


def test_a_natural_day_ends_on_its_own_day_where_that_is_a_working_day() -> None:
    """From Monday, three natural days end at Thursday's close."""
    assert ends(china("2026-03-02"), limit(3, "nd")) == "03-05 18:00"


@pytest.mark.parametrize(
    ("clock", "hours", "end"),
    [
        ("10:00", 2, "03-02 12:00"),  # ends at the close of the morning, not at the next opening
        ("10:00", 3, "03-02 15:00"),
        ("12:30", 1, "03-02 15:00"),  # a start in the noon break begins at 14:00
        ("20:00", 1, "03-03 10:00"),
        ("06:00", 1, "03-02 10:00"),
        ("17:00", 8, "03-03 18:00"),
    ],
)
def test_working_hours_count_inside_office_hours_only(clock: str, hours: int, end: str) -> None:
    """A start outside office hours begins at the next opening."""
    assert ends(china("2026-03-02", clock), limit(hours, "wh")) == end


def test_a_natural_ceiling_ends_a_working_limit_earlier() -> None:
    """Three working days before the Spring Festival take twelve days, with a ceiling of 120 hours five."""
    assert ends(china("2026-02-13"), limit(3, "wd", limit(120, "nh"))) == "02-18 10:00"


def test_hour_limits_never_stop() -> None:
    """Two natural hours in a holiday's night are two hours."""
    assert ends(china("2026-02-17", "23:30"), limit(2, "nh")) == "02-18 01:30"


def test_a_desk_that_is_always_manned_has_no_days_off() -> None:
    """For a 24×7 desk a working hour is an hour and a working day ends at midnight."""
    always = OfficeHours(always=True)
    assert [ends(china("2026-02-17", "22:00"), limit(4, "wh"), always), ends(china("2026-02-17"), limit(1, "wd"), always)] == [
        "02-18 02:00",
        "02-19 00:00",
    ]


def test_summer_hours_hold_in_their_season_only() -> None:
    """A department with summer hours closes later in July than in March."""
    summer = OfficeHours(seasons=(Season(start="06-01", end="09-30", spans=((510, 720), (900, 1110))),))
    assert [ends(china("2026-07-06"), limit(1, "wd"), summer), ends(china("2026-03-02"), limit(1, "wd"), summer)] == [
        "07-07 18:30",
        "03-03 18:00",
    ]


def test_a_regional_holiday_is_no_working_day_of_that_department() -> None:
    """The day off of one region moves its own limits."""
    regional = OfficeHours(days_off=(date(2026, 3, 3),))
    assert ends(china("2026-03-02"), limit(1, "wd"), regional) == "03-04 18:00"


def test_a_due_time_that_leans_on_a_year_not_announced_is_provisional() -> None:
    """Working limits that reach into 2027 are provisional, natural hours are not, nor is a 24×7 desk."""
    calendar, start = calendar_2026(), china("2026-12-31")
    assert [
        calendar.due(start, limit(1, "wd"), DEFAULT).provisional,
        calendar.due(start, limit(48, "nh"), DEFAULT).provisional,
        calendar.due(start, limit(3, "wd"), OfficeHours(always=True)).provisional,
        calendar.due(china("2026-12-01"), limit(3, "wd"), DEFAULT).provisional,
        WorkCalendar().due(china("2026-12-01"), limit(1, "wd"), DEFAULT).provisional,
    ] == [True, False, False, False, True]


def test_a_pause_keeps_what_was_left() -> None:
    """Two working hours that were left at the pause are two working hours after it."""
    calendar, wanted = calendar_2026(), limit(1, "wd")
    due = calendar.due(china("2026-03-02"), wanted, DEFAULT).at
    resumed = calendar.resumed(due, china("2026-03-03", "16:00"), china("2026-03-09", "17:00"), wanted, DEFAULT)
    assert resumed == china("2026-03-10", "10:00")


def test_fractions_of_a_working_limit_fall_into_office_hours() -> None:
    """Half of the working time between Monday noon and Tuesday's close is on Tuesday morning."""
    half = calendar_2026().fraction(china("2026-03-02", "14:00"), china("2026-03-03", "18:00"), 0.5, limit(1, "wd"), DEFAULT)
    assert half == china("2026-03-03", "10:30")


LIMITS = st.builds(
    Limit,
    amount=st.integers(1, 15),
    unit=st.sampled_from(["nm", "nh", "nd", "wh", "wd"]),
    ceiling=st.none() | st.builds(Limit, amount=st.integers(1, 20), unit=st.sampled_from(["nh", "nd"])),
)
STARTS = st.integers(24 * 60, 700 * 24 * 60).map(lambda minutes: china("2025-01-01", "00:00") + timedelta(minutes=minutes))


@given(start=STARTS, wanted=LIMITS)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_every_due_time_agrees_with_an_independent_calculation(start: datetime, wanted: Limit) -> None:
    """Counting every minute of three years in an array gives the same end."""
    assert calendar_2026().due(start, wanted, DEFAULT).at == reckoning.due(start, wanted)


@given(start=STARTS, wanted=LIMITS, earlier=st.integers(0, 3000))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_an_earlier_start_never_ends_later(start: datetime, wanted: Limit, earlier: int) -> None:
    """Due times are monotone in the start, and none lies before its start."""
    calendar = calendar_2026()
    due = calendar.due(start, wanted, DEFAULT).at
    assert start <= due
    assert calendar.due(start - timedelta(minutes=earlier), wanted, DEFAULT).at <= due


def test_years_are_data() -> None:
    """A make-up day works, a day off does not, whatever the week says."""
    calendar = WorkCalendar({2030: Year(off=frozenset({date(2030, 3, 4)}), work=frozenset({date(2030, 3, 2)}))})
    assert [calendar.is_working(date(2030, 3, day), DEFAULT) for day in (1, 2, 3, 4, 5)] == [True, True, False, False, True]


@pytest.mark.parametrize("level", LEVELS)
def test_the_worst_chain_of_stages_never_passes_the_total_cap(level: str) -> None:
    """For every hour of 2026 in which a task is pushed, receive + verify + handle + feedback end before the total does."""
    chosen = default_policies().choose(level=level)
    assert chosen is not None
    limits = chosen.policy.limits
    assert limits.total is not None
    for hour in range(365 * 24):
        pushed = china("2026-01-01", "00:00") + timedelta(hours=hour)
        moment = pushed
        for stage in (limits.receive, limits.verify, limits.handle, limits.feedback):
            assert stage is not None
            moment = reckoning.due(moment, stage)
        assert moment <= reckoning.due(pushed, limits.total), pushed
