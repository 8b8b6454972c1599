"""The clock that tests, the demo and replays move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A `Clock` that stands still until it is moved; it never goes back.

    >>> clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(minutes=30)).isoformat()
    '2026-03-01T00:30:00+00:00'
    """

    def __init__(self, now: datetime) -> None:
        """Start at the aware instant `now`."""
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        """Return the instant it stands at, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forward by `by` and return the new instant; raises ValueError when `by` is negative."""
        return self.move_to(self._now + by)

    def move_to(self, moment: datetime) -> datetime:
        """Move forward to `moment` and return it; raises ValueError when it lies in the past."""
        if moment < self._now:
            raise ValueError(f"clock stands at {self._now.isoformat()} and cannot go back to {moment.isoformat()}")
        self._now = moment.astimezone(UTC)
        return self._now
