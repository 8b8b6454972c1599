"""Working time: when a limit ends, by statutory holidays, make-up days (调休) and office hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType

from domain.departments import OfficeHours
from domain.instants import SHANGHAI
from domain.policies import Limit

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Year:
    """The days of one year that differ from the week: `off` are holidays, `work` make-up days (调休上班).

    `announced` is False where only the statutory days are known and the State Council's notice is not out yet.
    """

    off: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()
    announced: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """When a limit ends (UTC); `provisional` where it leans on a year that is not announced."""

    at: datetime
    provisional: bool = False


@dataclass(frozen=True)
class WorkCalendar:
    """Days by year; a year that is missing has its weekends only and is not announced."""

    years: Mapping[int, Year] = field(default_factory=lambda: MappingProxyType({}))

    def is_working(self, day: date, hours: OfficeHours) -> bool:
        """Return whether `day` is a working day of a unit with these hours."""
        if hours.always:
            return True
        if day in hours.days_off:
            return False
        year = self.years.get(day.year, Year())
        return day in year.work or (day not in year.off and day.weekday() < 5)

    def due(self, start: datetime, limit: Limit, hours: OfficeHours) -> Due:
        """Return when `limit` that starts at the aware instant `start` ends, for a unit with these office hours.

        The rules per unit are those of `domain.policies.Limit`. A zero limit ends at its start.
        """
        end = self._end(start, limit, hours)
        if limit.ceiling is not None:
            end = min(end, self._end(start, limit.ceiling, hours))
        return Due(end, provisional=limit.unit not in {"nm", "nh"} and self._leans_on_unannounced(start, end, hours))

    def _end(self, start: datetime, limit: Limit, hours: OfficeHours) -> datetime:
        if limit.amount == 0:
            return start.astimezone(UTC)
        if limit.unit == "nm":
            return start.astimezone(UTC) + limit.amount * MINUTE
        if limit.unit == "nh":
            return start.astimezone(UTC) + timedelta(hours=limit.amount)
        if limit.unit == "wh":
            return self.add(start, timedelta(hours=limit.amount), hours)
        day = start.astimezone(SHANGHAI).date()
        if limit.unit == "nd":
            day += limit.amount * DAY
        else:
            for _ in range(limit.amount):
                day = self._next_working(day + DAY, hours)
        return self._close(self._next_working(day, hours), hours)

    def spans(self, start: datetime, hours: OfficeHours) -> Iterator[tuple[datetime, datetime]]:
        """Yield the stretches of office time from `start` on, without end."""
        day = start.astimezone(SHANGHAI).date()
        while True:
            if self.is_working(day, hours):
                for opens, closes in hours.of(day):
                    if (end := _instant(day, closes)) > start:
                        yield max(start, _instant(day, opens)), end
            day += DAY

    def add(self, start: datetime, working: timedelta, hours: OfficeHours) -> datetime:
        """Return when `working` time of the office has passed since `start`; it ends at a close rather than the next opening."""
        left = working
        for opens, closes in self.spans(start, hours):
            if left <= closes - opens:
                return (opens + left).astimezone(UTC)
            left -= closes - opens
        raise AssertionError("spans never end")

    def between(self, start: datetime, end: datetime, hours: OfficeHours) -> timedelta:
        """Return how much office time lies between two instants."""
        total = NO_TIME
        for opens, closes in self.spans(start, hours):
            if opens >= end:
                break
            total += min(closes, end) - opens
        return total

    def fraction(self, start: datetime, end: datetime, share: float, limit: Limit, hours: OfficeHours) -> datetime:
        """Return the instant at which `share` (0 to 1) of a running limit has passed, in the limit's own kind of time.

        A working limit cut short by a natural ceiling into a time without office hours is divided as natural time.
        """
        if limit.unit in {"wh", "wd"} and (working := self.between(start, end, hours)) > NO_TIME:
            return min(self.add(start, _whole_seconds(working * share), hours), end)
        return start.astimezone(UTC) + _whole_seconds((end - start) * share)

    def resumed(self, due: datetime, paused: datetime, resumed: datetime, limit: Limit, hours: OfficeHours) -> datetime:
        """Return the new end of a limit that stood still from `paused` to `resumed`: what was left then is left now."""
        if due <= paused:
            return due
        if limit.unit in {"wh", "wd"} and (left := self.between(paused, due, hours)) > NO_TIME:
            return self.add(resumed, left, hours)
        return resumed.astimezone(UTC) + (due - paused)

    def _next_working(self, day: date, hours: OfficeHours) -> date:
        while not self.is_working(day, hours):
            day += DAY
        return day

    def _close(self, day: date, hours: OfficeHours) -> datetime:
        return _instant(day, hours.of(day)[-1][1]).astimezone(UTC)

    def _leans_on_unannounced(self, start: datetime, end: datetime, hours: OfficeHours) -> bool:
        if hours.always:
            return False
        first, last = start.astimezone(SHANGHAI).year, end.astimezone(SHANGHAI).year
        return any(year not in self.years or not self.years[year].announced for year in range(first, last + 1))


def _instant(day: date, minutes: int) -> datetime:
    return datetime.combine(day, time(0), SHANGHAI) + timedelta(minutes=minutes)


def _whole_seconds(span: timedelta) -> timedelta:
    return timedelta(seconds=round(span.total_seconds()))
