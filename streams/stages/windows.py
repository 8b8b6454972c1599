"""Windows in event time (时间窗): where each begins for a clock, and when a signal falls out of it.

All instants in `streams.stages` are whole microseconds since 1970-01-01T00:00Z, so that bucket borders are exact integers.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from domain.instants import EPOCH
from rules.ruleset import Window

MICROSECOND: Final = timedelta(microseconds=1)
BUCKETS: Final = 24
DAY: Final = 86_400_000_000
SHANGHAI_OFFSET: Final = 28_800_000_000  # UTC+8 all year since 1992; calendar windows before that are an hour off in summer
MONDAY: Final = 3  # day 0 of the epoch is a Thursday
EPOCH_ORDINAL: Final = EPOCH.toordinal()
NEVER: Final = 1 << 62  # later than any instant that a datetime can hold


def to_us(moment: datetime) -> int:
    """Return microseconds since the epoch; exact for any year."""
    return (moment - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """Return the UTC instant of `us` microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=us)


class Frame(Protocol):
    """A window's arithmetic; a signal at `t` is inside at `clock` exactly when `start(clock) <= t` (and t <= clock)."""

    def start(self, clock: int) -> int:
        """Return the first instant that is inside at `clock`; it never falls when `clock` grows."""
        ...

    def leaves(self, t: int) -> int:
        """Return the first clock at which a signal at `t` is outside."""
        ...


class Bucketed:
    """A sliding window of 24 buckets aligned to the epoch: the bucket of the clock and the 23 before it.

    >>> day = Bucketed(DAY)
    >>> hour = DAY // 24
    >>> day.start(100 * hour + 1) // hour, day.leaves(77 * hour) // hour
    (77, 101)
    """

    def __init__(self, length: int) -> None:
        self._length = length

    def start(self, clock: int) -> int:
        """Return the beginning of the oldest bucket, rounded up to a whole microsecond."""
        return -(-(clock * BUCKETS // self._length - BUCKETS + 1) * self._length // BUCKETS)

    def leaves(self, t: int) -> int:
        """Return the beginning of the 24th bucket after that of `t`."""
        return -(-(t * BUCKETS // self._length + BUCKETS) * self._length // BUCKETS)


class Exact:
    """A sliding window that keeps the times: (clock - length, clock]."""

    def __init__(self, length: int) -> None:
        self._length = length

    def start(self, clock: int) -> int:
        """Return the microsecond after `clock` - length."""
        return clock - self._length + 1

    def leaves(self, t: int) -> int:
        """Return `t` + length."""
        return t + self._length


class Days:
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
def _month(day: int) -> tuple[int, int]:
    """Return the first day of the month of `day` and of the next, in days since the epoch."""
    here = date.fromordinal(day + EPOCH_ORDINAL).replace(day=1)
    after = here.replace(year=here.year + here.month // 12, month=here.month % 12 + 1)
    return here.toordinal() - EPOCH_ORDINAL, after.toordinal() - EPOCH_ORDINAL


class Months:
    """A calendar month in Asia/Shanghai."""

    def start(self, clock: int) -> int:
        """Return the month's first instant."""
        return _month((clock + SHANGHAI_OFFSET) // DAY)[0] * DAY - SHANGHAI_OFFSET

    def leaves(self, t: int) -> int:
        """Return the next month's first instant."""
        return _month((t + SHANGHAI_OFFSET) // DAY)[1] * DAY - SHANGHAI_OFFSET


class Always:
    """No window: everything since the beginning."""

    def start(self, clock: int) -> int:
        """Return an instant before all others, whatever `clock` says."""
        del clock
        return -NEVER

    def leaves(self, t: int) -> int:
        """Return an instant after all others, whatever `t` is."""
        del t
        return NEVER


def frame(window: Window | None) -> Frame:
    """Return the arithmetic of `window`; None keeps everything.

    Raises:
        ValueError: a sliding window is not longer than nothing.
    """
    if window is None:
        return Always()
    if window.kind == "day":
        return Days(1)
    if window.kind == "week":
        return Days(7)
    if window.kind == "month":
        return Months()
    length = window.length // MICROSECOND
    if length <= 0:
        raise ValueError(f"a sliding window of {window.length} has no length; it must be longer than 0")
    return Exact(length) if window.exact else Bucketed(length)
