"""Compiled: RFC 3339 instants as almost everybody writes them; anything else is left to `domain.instants`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import compiled, inlined

UNSURE: Final = -(1 << 62)  # not an instant of the usual form
EARLIEST: Final = -2_208_902_400_000_000  # 1900-01-02, so that no offset leads before 1900
LATEST: Final = 221_845_305_600_000_000  # 8999-12-30
_DASH, _COLON, _DOT, _PLUS, _T, _Z, _ZERO = (np.uint8(ord(sign)) for sign in "-:.+TZ0")


@inlined
def _two(text: NDArray[np.uint8], place: int) -> int:
    """Return the number of two digits, something below -1,000 where they are none."""
    tens, ones = np.int64(text[place]) - 48, np.int64(text[place + 1]) - 48
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -100_000


@inlined
def days_of_month(year: int, month: int) -> int:
    """Return how many days a month has."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def instant(text: NDArray[np.uint8], first: int, end: int) -> int:
    """Return microseconds since the epoch of `2026-03-01T08:00:00[.123[456]](Z|+08:00)`, `UNSURE` for anything else."""
    length = end - first
    if length < 20 or text[first + 4] != _DASH or text[first + 7] != _DASH or text[first + 10] != _T:
        return UNSURE
    if text[first + 13] != _COLON or text[first + 16] != _COLON:
        return UNSURE
    year = 100 * _two(text, first) + _two(text, first + 2)
    month, day = _two(text, first + 5), _two(text, first + 8)
    hour, minute, second = _two(text, first + 11), _two(text, first + 14), _two(text, first + 17)
    if not (1900 <= year <= 8999 and 1 <= month <= 12 and 1 <= day <= days_of_month(year, month)):
        return UNSURE
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return UNSURE
    place, fraction = first + 19, np.int64(0)
    if text[place] == _DOT:
        digits = 6 if end - place > 7 and text[place + 4] >= _ZERO and text[place + 4] <= _ZERO + 9 else 3
        for number in range(1, digits + 1):
            digit = np.int64(text[place + number]) - 48
            if not 0 <= digit <= 9:
                return UNSURE
            fraction = fraction * 10 + digit
        fraction *= 1_000 if digits == 3 else 1
        place += digits + 1
    offset = np.int64(0)
    if text[place] == _Z and place + 1 == end:
        pass
    elif place + 6 == end and text[place + 3] == _COLON and (text[place] == _PLUS or text[place] == _DASH):
        hours, minutes = _two(text, place + 1), _two(text, place + 4)
        if not (0 <= hours <= 23 and 0 <= minutes <= 59):
            return UNSURE
        offset = 60 * hours + minutes if text[place] == _PLUS else -(60 * hours + minutes)
    else:
        return UNSURE
    of_march = year - (1 if month <= 2 else 0)  # years from 1 March: leap days come last
    days = of_march * 365 + of_march // 4 - of_march // 100 + of_march // 400
    days += (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 719_469
    at = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1_000_000 + fraction
    return at if EARLIEST <= at <= LATEST else UNSURE
