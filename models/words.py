"""How detectors write numbers, odds and times for readers."""

from __future__ import annotations

from datetime import datetime

from domain.instants import SHANGHAI
from domain.messages import text


def number(value: float) -> str:
    """Return `value` with four significant digits, whole numbers in full, thousands separated.

    >>> number(1234567.0), number(0.012345), number(3.0)
    ('1,234,567', '0.01235', '3')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3e}"
    return f"{value:.4g}"


def odds(survival: float) -> str:
    """Return a tail probability in (0, 1] as "one in N", N with two significant digits.

    >>> odds(0.005)
    '每 200 次出现一次'
    """
    return text("model.odds", count=_rounded(1.0 / survival))


def share(survival: float) -> str:
    """Return a share of peers in (0, 1] as "one in N", N with two significant digits.

    >>> share(0.0123)
    '每 81 个对象出现一个'
    """
    return text("model.share", count=_rounded(1.0 / survival))


def _rounded(count: float) -> str:
    return f"{float(f'{count:.2g}'):,.0f}"


def shanghai_minute(moment: datetime) -> str:
    """Return an aware instant as month, day, hour and minute in Asia/Shanghai.

    >>> from datetime import UTC
    >>> shanghai_minute(datetime(2026, 3, 1, tzinfo=UTC))
    '03-01 08:00'
    """
    return f"{moment.astimezone(SHANGHAI):%m-%d %H:%M}"
