"""What the doctor finds in stored rows; each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dispatch.soundness import ends, faults, orphaned
from dispatch.workcalendar import WorkCalendar, Year
from domain.departments import OfficeHours
from domain.policies import Limit
from domain.tasks import Clock, Stage, Task, Timer, WarningCase
from tests.dispatch.timeline import VERIFY, Story

Rows = tuple[WarningCase, tuple[Task, ...], tuple[Timer, ...]]


def running() -> Story:
    """Return a warning in the midst of its life."""
    story = Story()
    story.warning()
    story.delivered("housing").at("1h").does("housing", "receive")
    story.does("housing", "verify", form=VERIFY)
    return story


def told(story: Story, plant: Callable[[Rows], Rows]) -> list[str]:
    """Return what is found in a story's rows after planting a fault."""
    case, tasks, timers = plant((story.case(), story.tasks(), tuple(story.store.timers.values())))
    return faults(case, tasks, timers, story.clock.now()) + orphaned(tasks)


def with_clock(rows: Rows, kind: str, **changes: object) -> Rows:
    """Return the rows with a clock of the lead's task changed."""
    case, tasks, timers = rows
    lead = tasks[0]
    clocks: tuple[Clock, ...] = tuple(replace(clock, **changes) if clock.kind == kind else clock for clock in lead.clocks)
    return case, (replace(lead, clocks=clocks), *tasks[1:]), timers


def test_a_sound_case_has_no_fault() -> None:
    """Running, returned, closed: whatever the engine wrote is sound."""
    story = running()
    assert told(story, lambda rows: rows) == []
    story.at("10d")
    assert told(story, lambda rows: rows) == []
    story.desk("withdraw", note="更正")
    assert told(story, lambda rows: rows) == []


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (lambda rows: (rows[0], rows[1][1:], rows[2]), "0 open lead tasks although the warning is open"),
        (lambda rows: (replace(rows[0], clocks=()), rows[1], rows[2]), "no clock of the warning runs"),
        (lambda rows: (replace(rows[0], status="closed"), rows[1], rows[2]), "although its warning is closed"),
        (lambda rows: (rows[0], rows[1], ()), "runs without a timer"),
        (lambda rows: with_clock(rows, "handle", state="stopped"), "is pending for no running clock"),
        (lambda rows: with_clock(rows, "handle", version=99), "is pending for no running clock"),
        (
            lambda rows: with_clock(rows, "handle", due_at=rows[0].generated_at + timedelta(days=2)),
            "end no earlier than 2026-03-05T00:00:00",
        ),
        (lambda rows: with_clock(rows, "handle", due_at=rows[0].generated_at + timedelta(days=30)), "its clock 2026-"),
        (lambda rows: with_clock(rows, "handle", limit=Limit(amount=90, unit="nm")), "and no later than 2026-03-02T"),
        (lambda rows: with_clock(rows, "handle", start_at=rows[0].generated_at + timedelta(days=30)), "starts in the future"),
        (
            lambda rows: (replace(rows[0], holdings=(replace(rows[0].holdings[0], since=rows[0].generated_at + timedelta(1)),)), *rows[1:]),
            "nobody held it from the beginning",
        ),
        (
            lambda rows: (replace(rows[0], holdings=(rows[0].holdings[0], rows[0].holdings[0])), *rows[1:]),
            "held by housing until None",
        ),
        (
            lambda rows: (rows[0], (replace(rows[1][0], stage=Stage.TRANSFERRED), *rows[1][1:]), rows[2]),
            "is transferred without a successor",
        ),
    ],
)
def test_each_planted_fault_is_named(plant: Callable[[Rows], Rows], message: str) -> None:
    """A missing lead, clock, timer or successor, a stale version, a wrong time, a gap: each in one sentence."""
    assert [fault for fault in told(running(), plant) if message in fault], told(running(), plant)


units = st.sampled_from(["nm", "nh", "nd", "wh", "wd"])
limits = st.builds(Limit, amount=st.integers(0, 40), unit=units)
days = st.frozensets(st.dates(date(2026, 2, 1), date(2026, 6, 1)), max_size=40)
offices = st.sampled_from([OfficeHours(), OfficeHours(always=True), OfficeHours(spans=((1, 2),))])


@settings(derandomize=True, deadline=None)
@given(
    start=st.datetimes(datetime(2026, 2, 1), datetime(2026, 5, 1), timezones=st.just(UTC)),  # noqa: DTZ001  hypothesis wants them naive
    limit=limits,
    ceiling=st.none() | limits,
    off=days,
    work=days,
    hours=offices,
)
def test_what_a_calendar_gives_is_sound_under_every_other_one(
    start: datetime, limit: Limit, ceiling: Limit | None, off: frozenset[date], work: frozenset[date], hours: OfficeHours
) -> None:
    """A clock keeps its end when holidays or office hours are edited, so no calendar's end may be called a fault; natural time is exact."""
    calendar = WorkCalendar({2026: Year(off=off - work, work=work)})
    limit = replace(limit, ceiling=ceiling)
    earliest, latest = ends(start, limit)
    due = calendar.due(start, limit, hours).at
    assert earliest <= due <= latest
    assert ceiling is not None or limit.unit not in {"nm", "nh"} or earliest == latest
