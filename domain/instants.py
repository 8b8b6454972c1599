"""Instants: aware, stored in UTC, shown in Asia/Shanghai.

The zone of Chinese records that name none is Asia/Shanghai (UTC+8 all year since 1992).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def parse_rfc3339(text: str) -> datetime:
    """Return the instant of an RFC 3339 text, in UTC.

    >>> parse_rfc3339("2026-03-01T08:00:00+08:00").isoformat()
    '2026-03-01T00:00:00+00:00'

    Raises:
        ValueError: the text is no date and time, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset; write it like 2026-03-01T08:00:00+08:00")
    return moment.astimezone(UTC)


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970-01-01T00:00Z, rounded down; exact for any year."""
    return (moment - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """Return the UTC instant of `ms` milliseconds since the epoch."""
    return EPOCH + timedelta(milliseconds=ms)


def spoken(moment: datetime) -> str:
    """Return an instant as a sentence for people names it: to the minute, in Asia/Shanghai.

    >>> spoken(datetime(2026, 3, 2, 3, 5, tzinfo=UTC))
    '2026-03-02 11:05'
    """
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


def rfc3339(moment: datetime, zone: timezone | ZoneInfo = SHANGHAI) -> str:
    """Return `moment` as RFC 3339 with the offset of `zone`, whole seconds unless it has a fraction.

    >>> rfc3339(parse_rfc3339("2026-03-01T00:00:00+00:00"))
    '2026-03-01T08:00:00+08:00'
    """
    return moment.astimezone(zone).isoformat()
