"""Delivering webhooks: when to try again, and what an answer means; pure, the sending is done elsewhere."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from domain.base import Noun

# From one attempt to the next, as Standard Webhooks recommends: about three days in all, then the dead letters.
SCHEDULE: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER: Final = 0.1  # of the pause, added
LONGEST_WISH: Final = timedelta(hours=24)  # a receiver may ask for no longer pause
ASKS_FOR_PAUSE: Final = (429, 502, 504)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE: Final = re.compile(r"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")  # RFC 9110 §5.6.7
Failure = Literal["timeout", "connection_refused", "connection_reset", "dns", "tls", "too_large_reply", "broken_reply", "forbidden_address"]


class Attempt(Noun, frozen=True, kw_only=True):
    """What came of one attempt: an HTTP status, or why there is none. `retry_after` is the header as sent."""

    status: int | None = None
    failure: Failure | None = None
    retry_after: str = ""


class Delivered(Noun, frozen=True, kw_only=True, tag="delivered"):
    """The receiver has it."""


class TryAgain(Noun, frozen=True, kw_only=True, tag="again"):
    """Next attempt not before `at`; `slow_down` asks for pausing the whole endpoint until then."""

    at: datetime
    reason: str
    slow_down: bool = False


class Dead(Noun, frozen=True, kw_only=True, tag="dead"):
    """To the dead letters."""

    reason: str


class Gone(Noun, frozen=True, kw_only=True, tag="gone"):
    """Nobody listens there any more: disable the endpoint, and let its department read in the console what it was to get."""

    reason: str


def pause(message_id: str, attempts: int) -> timedelta:
    """Return the pause before attempt number `attempts` (from 0), with a jitter of up to a tenth that depends on the id alone.

    >>> pause("n1", 0), pause("n1", 2) == pause("n1", 2), timedelta(minutes=5) <= pause("n1", 2) <= timedelta(minutes=5.5)
    (datetime.timedelta(0), True, True)
    """
    base = SCHEDULE[attempts]
    share = int.from_bytes(hashlib.sha256(f"{message_id}\x1f{attempts}".encode()).digest()[:4], "big") / 0xFFFFFFFF
    return base + timedelta(milliseconds=round(base.total_seconds() * 1000 * JITTER * share))


def judge(message_id: str, attempts: int, attempt: Attempt, now: datetime) -> Delivered | TryAgain | Dead | Gone:
    """Decide after attempt number `attempts` of a series (counted from 1); a delivery that is sent again begins a new series.

    2xx is delivered. 410 means that the endpoint is gone. 429, 502 and 504 slow the endpoint down, with its own wish where it
    names one. Redirects are not followed and fail like everything else, which is tried again until the schedule ends. A forbidden
    address (SSRF guard) is dead at once: trying again cannot help.
    """
    status = attempt.status
    if status is not None and 200 <= status < 300:
        return Delivered()
    reason = f"HTTP {status}" if status is not None else (attempt.failure or "no answer")
    if status == 410:
        return Gone(reason=reason)
    if attempt.failure == "forbidden_address":
        return Dead(reason=reason)
    if attempts >= len(SCHEDULE):
        return Dead(reason=f"{reason} after {attempts} attempts")
    at = now + pause(message_id, attempts)
    slow = status in ASKS_FOR_PAUSE
    wish = retry_after(attempt.retry_after, now) if slow or status == 503 else None
    return TryAgain(at=max(at, wish) if wish else at, reason=reason, slow_down=slow or wish is not None)


def retry_after(header: str, now: datetime) -> datetime | None:
    """Return the instant a Retry-After header asks for, in seconds or as a date; None where it says nothing usable.

    >>> retry_after("120", datetime(2026, 3, 1, tzinfo=UTC)).isoformat()
    '2026-03-01T00:02:00+00:00'
    """
    if header.strip().isascii() and header.strip().isdigit():
        return now + min(timedelta(seconds=int(header.strip()[:9])), LONGEST_WISH)
    found = _HTTP_DATE.fullmatch(header.strip())
    if found is None or found[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second = found[1], _MONTHS.index(found[2]) + 1, found[3], found[4], found[5], found[6]
    try:
        moment = datetime(int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:  # the thirtieth of February
        return None
    return min(max(moment, now), now + LONGEST_WISH)
