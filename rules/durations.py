"""Durations and days as authors write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from domain.instants import SHANGHAI
from rules.vocabulary import UNITS

LONGEST: Final = timedelta(days=36_500)  # that can be written: any instant of this century plus it is one that can be told
FIRST_DAY: Final = date(1900, 1, 1)
LAST_DAY: Final = date(9998, 12, 31)  # the last one with a day after it in every zone


def duration(text: str) -> timedelta:
    """Return the length of a text of the shape `documents.DURATION`.

    Raises:
        ValueError: it is more than `LONGEST`.

    >>> duration("30m"), duration("1.5h"), duration("30天")
    (datetime.timedelta(seconds=1800), datetime.timedelta(seconds=5400), datetime.timedelta(days=30))
    """
    digits = text.rstrip("".join(UNITS))
    seconds = Decimal(digits) * Decimal(UNITS[text[len(digits) :]].scale)
    if seconds > Decimal(LONGEST.total_seconds()):
        raise ValueError(f"{text}: {LONGEST.days}d at most")
    return timedelta(seconds=float(seconds))


def midnight(day: str) -> datetime:
    """Return the instant, in UTC, at which a day begins in Asia/Shanghai; `day` is one that the reader took for `documents.DATE`.

    >>> midnight("2026-03-02").isoformat()
    '2026-03-01T16:00:00+00:00'
    """
    return datetime.combine(date.fromisoformat(day), time(), tzinfo=SHANGHAI).astimezone(UTC)
