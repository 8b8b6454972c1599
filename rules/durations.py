"""Durations as authors write them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from rules.vocabulary import UNITS


def duration(text: str) -> timedelta:
    """Return the length of a text of the shape `documents.DURATION`.

    >>> duration("30m"), duration("1.5h"), duration("30天")
    (datetime.timedelta(seconds=1800), datetime.timedelta(seconds=5400), datetime.timedelta(days=30))
    """
    digits = text.rstrip("".join(UNITS))
    return timedelta(seconds=float(Decimal(digits) * Decimal(UNITS[text[len(digits) :]].scale)))
