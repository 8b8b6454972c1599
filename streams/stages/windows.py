"""Windows in event time (时间窗): where each begins for a clock, and when a signal falls out of it.

All instants in `streams.stages` are whole microseconds since 1970-01-01T00:00Z, so that bucket borders are exact integers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from domain.instants import EPOCH
from rules.ruleset import SESSION_GAPS, Window

MICROSECOND: Final = timedelta(microseconds=1)
BUCKETS: Final = 24
DAY: Final = 86_400_000_000
SHANGHAI_OFFSET: Final = 28_800_000_000  # UTC+8 all year since 1992; calendar windows before that are an hour off in summer
MONDAY: Final = 3  # day 0 of the epoch is a Thursday
EPOCH_ORDINAL: Final = EPOCH.toordinal()
NIGHT: Final = DAY // 8  # 03:00
RAW_DAYS: Final = 100  # a `daily` window keeps single signals of so many days, of the days before them only what they came to
NEVER: Final = 1 << 61  # later than any instant that a datetime can hold, and a small integer to the compiled engine


def to_us(moment: datetime) -> int:
    """Return microseconds since the epoch; exact for any year."""
    since = moment - EPOCH
    whole = since.days * 86_400 + since.seconds
    # The same as whole * 1_000_000, but no factor is more than 2^30, from which on the compiled engine multiplies as with any integers.
    return whole // 1_000 * 1_000_000_000 + whole % 1_000 * 1_000_000 + since.microseconds


def from_us(us: int) -> datetime:
    """Return the UTC instant of `us` microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=us)


def day_of(us: int) -> int:
    """Return the number of the calendar day in Asia/Shanghai, 0 for 1970-01-01."""
    return (us + SHANGHAI_OFFSET) // DAY


def night_after(us: int) -> int:
    """Return the next 03:00 in Asia/Shanghai after `us`, when little else happens."""
    return (us + SHANGHAI_OFFSET - NIGHT) // DAY * DAY + DAY + NIGHT - SHANGHAI_OFFSET


class Frame(ABC):
    """A window's arithmetic; a signal at `t` is inside at `clock` exactly when `start(clock) <= t` (and t <= clock)."""

    @abstractmethod
    def start(self, clock: int) -> int:
        """Return the first instant that is inside at `clock`; it never falls when `clock` grows."""

    @abstractmethod
    def leaves(self, t: int) -> int:
        """Return the first clock at which a signal at `t` is outside."""


class Bucketed(Frame):
    """A sliding window of 24 buckets aligned to the epoch: the bucket of the clock and the 23 before it.

    >>> day = Bucketed(DAY)
    >>> hour = DAY // 24
    >>> day.start(100 * hour + 1) // hour, day.leaves(77 * hour) // hour
    (77, 101)
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._bucket = length // BUCKETS if length % BUCKETS == 0 else 0  # 0: not a whole number of microseconds
        self._before = length - self._bucket

    def start(self, clock: int) -> int:
        """Return the beginning of the oldest bucket, rounded up to a whole microsecond."""
        if self._bucket:  # the usual case, without products that are more than a small integer to the compiled engine
            return clock - clock % self._bucket - self._before
        return -(-(clock * BUCKETS // self._length - BUCKETS + 1) * self._length // BUCKETS)

    def leaves(self, t: int) -> int:
        """Return the beginning of the 24th bucket after that of `t`."""
        if self._bucket:
            return t - t % self._bucket + self._length
        return -(-(t * BUCKETS // self._length + BUCKETS) * self._length // BUCKETS)


class Exact(Frame):
    """A sliding window that keeps the times: (clock - length, clock]."""

    def __init__(self, length: int) -> None:
        self._length = length

    def start(self, clock: int) -> int:
        """Return the microsecond after `clock` - length."""
        return clock - self._length + 1

    def leaves(self, t: int) -> int:
        """Return `t` + length."""
        return t + self._length


class Days(Frame):
    """A calendar day, or a week from Monday, in Asia/Shanghai."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._shift = MONDAY if days == 7 else 0

    def start(self, clock: int) -> int:
        """Return the period's first instant."""
        day = (clock + SHANGHAI_OFFSET) // DAY
        return (day - (day + self._shift) % self._days) * DAY - SHANGHAI_OFFSET

    def leaves(self, t: int) -> int:
        """Return the next period's first instant."""
        return self.start(t) + self._days * DAY


@lru_cache(maxsize=4096)
def _months(day: int, months: int) -> tuple[int, int]:
    """Return the first day of the period of `months` (a divisor of 12) of `day` and of the next, in days since the epoch."""
    here = date.fromordinal(day + EPOCH_ORDINAL)
    here = here.replace(month=(here.month - 1) // months * months + 1, day=1)
    later = here.month - 1 + months
    after = here.replace(year=here.year + later // 12, month=later % 12 + 1)
    return here.toordinal() - EPOCH_ORDINAL, after.toordinal() - EPOCH_ORDINAL


class Months(Frame):
    """A calendar month, quarter or year in Asia/Shanghai."""

    def __init__(self, months: int) -> None:
        self._months = months

    def start(self, clock: int) -> int:
        """Return the period's first instant."""
        return _months((clock + SHANGHAI_OFFSET) // DAY, self._months)[0] * DAY - SHANGHAI_OFFSET

    def leaves(self, t: int) -> int:
        """Return the next period's first instant."""
        return _months((t + SHANGHAI_OFFSET) // DAY, self._months)[1] * DAY - SHANGHAI_OFFSET


class Tumbling(Frame):
    """Periods of one length, end to end, counted from 1970-01-01 00:00 in Asia/Shanghai: six hours begin at 0, 6, 12 and 18 o'clock."""

    def __init__(self, length: int) -> None:
        self._length = length

    def start(self, clock: int) -> int:
        """Return the period's first instant."""
        return (clock + SHANGHAI_OFFSET) // self._length * self._length - SHANGHAI_OFFSET

    def leaves(self, t: int) -> int:
        """Return the next period's first instant."""
        return self.start(t) + self._length


class Daily(Frame):
    """The calendar day of the clock in Asia/Shanghai and the `days` - 1 before it."""

    def __init__(self, days: int) -> None:
        self._days = days

    def start(self, clock: int) -> int:
        """Return the first instant of the first day."""
        return (day_of(clock) - self._days + 1) * DAY - SHANGHAI_OFFSET

    def leaves(self, t: int) -> int:
        """Return the first instant of the day that is `days` after that of `t`."""
        return (day_of(t) + self._days) * DAY - SHANGHAI_OFFSET


class Stretched(Frame):
    """A window with the `periods` before it: the one that ends just before it begins, and so on."""

    def __init__(self, inner: Frame, periods: int) -> None:
        self.inner = inner
        self.periods = periods

    def start(self, clock: int) -> int:
        """Return the first instant of the oldest period."""
        start = self.inner.start(clock)
        for _ in range(self.periods):
            start = self.inner.start(start - 1)
        return start

    def borders(self, clock: int) -> list[int]:
        """Return where each period begins, the present one first."""
        found = [self.inner.start(clock)]
        for _ in range(self.periods):
            found.append(self.inner.start(found[-1] - 1))
        return found

    def leaves(self, t: int) -> int:
        """Return the first clock at which a signal at `t` is in none of the periods."""
        for _ in range(self.periods + 1):
            t = self.inner.leaves(t)
        return t


class Always(Frame):
    """No window: everything since the beginning, of which a cell keeps so many signals (`cells.KEPT`)."""

    def start(self, clock: int) -> int:
        """Return an instant before all others, whatever `clock` says."""
        del clock
        return -NEVER

    def leaves(self, t: int) -> int:
        """Return an instant after all others, whatever `t` is."""
        del t
        return NEVER


_CALENDAR: Final[dict[str, Frame]] = {"day": Days(1), "week": Days(7), "month": Months(1), "quarter": Months(3), "year": Months(12)}


def frame(window: Window | None) -> Frame:
    """Return the arithmetic of `window`; None keeps everything. For a session it is how far one may reach back.

    Raises:
        ValueError: a window with a length is not longer than nothing.
    """
    if window is None:
        return Always()
    calendar = _CALENDAR.get(window.kind)
    if calendar is not None:
        return calendar
    length = window.length // MICROSECOND
    if length <= 0:
        raise ValueError(f"a {window.kind} window of {window.length} has no length; it must be longer than 0")
    if window.kind == "tumbling":
        return Tumbling(length)
    if window.kind == "session":
        return Exact(length * SESSION_GAPS)
    if window.kind == "daily":
        return Daily(length // DAY)
    return Exact(length) if window.exact else Bucketed(length)
