"""The system's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Wall-clock time that never goes back: an anchor read once, carried on by the monotonic clock.

    The operating system may set the wall clock at any moment; a timer must not fire early because of it. `drift()` says how far
    the two have come apart since the start, for the health page.
    """

    def __init__(self) -> None:
        """Read the anchor."""
        self._wall = datetime.now(UTC)  # noqa: TID251  # the one place that asks the operating system
        self._monotonic = time.monotonic()

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return self._wall + timedelta(seconds=time.monotonic() - self._monotonic)

    def drift(self) -> timedelta:
        """Return wall-clock time minus this clock; more than a few seconds mean that somebody set the wall clock."""
        return datetime.now(UTC) - self.now()  # noqa: TID251  # see the anchor
