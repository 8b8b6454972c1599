"""An independent calculation of due times: every minute of three years counted in an array, days taken from the libraries directly."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import holidays
import numpy as np
from numpy.typing import NDArray

from domain.instants import SHANGHAI
from domain.policies import Limit

FIRST = datetime(2025, 1, 1, tzinfo=SHANGHAI)
DAYS = 3 * 365
SPANS = ((540, 720), (840, 1080))  # the default office hours, in minutes after midnight
CLOSE = 1080


@functools.cache
def working_days() -> NDArray[np.bool_]:
    """Return for each day from 2025-01-01 whether offices work."""
    later = holidays.country_holidays("CN", years=2027)
    days = [FIRST.date() + timedelta(days=index) for index in range(DAYS)]
    known = [chinese_calendar.is_workday(day) if day.year < 2027 else day.weekday() < 5 and day not in later for day in days]
    return np.array(known, dtype=bool)


@functools.cache
def office_minutes() -> NDArray[np.int64]:
    """Return for each minute how many office minutes lie before its end."""
    day = np.zeros(1440, dtype=bool)
    for opens, closes in SPANS:
        day[opens:closes] = True
    return np.cumsum(np.outer(working_days(), day).reshape(-1))


def minute(moment: datetime) -> int:
    """Return whole minutes since 2025-01-01 in Shanghai."""
    return int((moment - FIRST).total_seconds() // 60)


def instant(index: int) -> datetime:
    """Return the start of a minute, in UTC."""
    return (FIRST + timedelta(minutes=index)).astimezone(UTC)


def due(start: datetime, limit: Limit, *, always: bool = False) -> datetime:
    """Return when a limit ends, for whole minutes and the default office hours, or a 24×7 desk."""
    day = minute(start) // 1440
    if limit.unit in {"nm", "nh"} or (always and limit.unit == "wh"):
        end = start + timedelta(minutes=limit.amount * (1 if limit.unit == "nm" else 60))
    elif always:
        end = instant((day + limit.amount + 1) * 1440)
    elif limit.unit == "wh":
        end = after(start, limit.amount * 60)
    else:
        working = np.flatnonzero(working_days())
        last = working[np.searchsorted(working, day, side="right") + limit.amount - 1] if limit.unit == "wd" else day + limit.amount
        last = working[np.searchsorted(working, last)]
        end = instant(int(last) * 1440 + CLOSE)
    return min(end, due(start, limit.ceiling, always=always)) if limit.ceiling else end


def after(start: datetime, minutes: int) -> datetime:
    """Return when so many office minutes have passed since `start`."""
    done = office_minutes()
    return instant(int(np.searchsorted(done, int(done[minute(start) - 1]) + minutes)) + 1)


def resumed(end: datetime, paused: datetime, back: datetime, limit: Limit) -> datetime:
    """Return the end of a limit that stood still between two instants, for the default office hours."""
    if end <= paused:
        return end
    done = office_minutes()
    left = int(done[minute(end) - 1] - done[minute(paused) - 1])
    return after(back, left) if limit.unit in {"wh", "wd"} and left else back + (end - paused)


def china(day: str, clock: str = "10:00") -> datetime:
    """Return a wall-clock time of China as an instant."""
    return datetime.combine(date.fromisoformat(day), datetime.strptime(clock, "%H:%M").time(), SHANGHAI)  # noqa: DTZ007 - its time only
