"""Times as departments write them → UTC instants; a format is declared, a date that does not exist is refused.

A declared format is a pattern of `%Y %m %d %H %M %S` with any text between, or one of the names `iso`, `excel` (serial days),
`epoch_s`, `epoch_ms`. Where separators stand between the numbers, leading zeros may be missing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

NAMED = ("iso", "excel", "epoch_s", "epoch_ms")
_OF_DIGITS = ("excel", "epoch_s", "epoch_ms")
DEFAULT_FORMATS = (
    "iso", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y.%m.%d",
    "%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日%H时%M分%S秒", "%Y年%m月%d日%H时%M分", "%Y年%m月%d日",
    "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d", "epoch_s", "epoch_ms", "excel",
)  # fmt: skip
_EXCEL_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001  # a serial number has the zone of its workbook, which is added below
_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_NAMES = {"Y": "year", "m": "month", "d": "day", "H": "hour", "M": "minute", "S": "second"}
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?", re.IGNORECASE)
_EARLIEST = 1900  # year; what is older is a typing error


class NoSuchDate(ValueError):
    """The text has a declared format, and no such day or time exists."""


class UnknownFormat(ValueError):
    """The text has none of the declared formats."""


@dataclass(frozen=True, slots=True)
class TimeFormats:
    """Declared formats, tried in order, and the zone of texts that name none."""

    formats: tuple[str, ...]
    zone: ZoneInfo

    def read(self, cell: Any) -> datetime:
        """Return the instant of a cell, in UTC; a date alone is its first moment in the zone.

        >>> TimeFormats(DEFAULT_FORMATS, ZoneInfo("Asia/Shanghai")).read("2020/1/6 12:09:38").isoformat()
        '2020-01-06T04:09:38+00:00'

        Raises:
            NoSuchDate: like 2026-02-30.
            UnknownFormat: none of the formats.
        """
        try:
            moment = self._moment(cell)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self.zone)
            moment = moment.astimezone(UTC)
        except OverflowError as error:
            raise NoSuchDate(str(cell)) from error
        if moment.year < _EARLIEST:
            raise NoSuchDate(str(cell))
        return moment

    def _moment(self, cell: Any) -> datetime:
        """Return the instant, naive where the cell names no zone."""
        if isinstance(cell, datetime):
            return cell
        if isinstance(cell, date):
            return datetime.combine(cell, time())
        if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
            raise UnknownFormat(str(cell))
        if isinstance(cell, str):
            text = " ".join((cell if cell.isascii() else unicodedata.normalize("NFKC", cell)).split())
        else:
            text = _number_text(cell)
        missing: NoSuchDate | None = None
        for read in _readers(self.formats, text.isascii() and text.isdigit()):
            try:
                found = read(text)
            except NoSuchDate as error:
                missing = missing or error
                continue
            if found is not None:
                return found
        raise missing or UnknownFormat(text)


def check_format(form: str) -> str:
    """Return what is wrong with a declared format, "" where nothing is.

    >>> check_format("%Y-%m-%d"), check_format("%Y-%q")
    ('', 'unknown directive %q; legal: %Y %m %d %H %M %S')
    """
    if form in NAMED:
        return ""
    used = re.findall(r"%(.)", form)
    for directive in used:
        if directive not in _DIGITS:
            return f"unknown directive %{directive}; legal: {' '.join('%' + name for name in _DIGITS)}"
    if not {"Y", "m", "d"} <= set(used):
        return f"needs %Y, %m and %d, or is one of {', '.join(NAMED)}"
    return "a directive stands twice" if len(set(used)) < len(used) else ""


def _number_text(number: float) -> str:
    """Return a number as it was typed: 20240122081600.0 is 20240122081600."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 1e15:
        number = int(number)
    return repr(number) if abs(number) < 1e20 else ""  # no time is that long


@lru_cache(maxsize=256)
def _readers(formats: tuple[str, ...], only_digits: bool) -> tuple[Callable[[str], datetime | None], ...]:
    """Return the readers of `formats` in order; for digits alone those that can read them: without anything written between numbers."""
    numeric = [form for form in formats if form in _OF_DIGITS or (form not in NAMED and not re.sub(r"%.", "", form))]
    return tuple(_reader(form) for form in (numeric if only_digits else formats))


@lru_cache(maxsize=256)
def _reader(form: str) -> Callable[[str], datetime | None]:
    """Return the reader of one format: None where the text has another."""
    named: dict[str, Callable[[str], datetime | None]] = {"iso": _read_iso, "excel": _read_excel, "epoch_s": _read_s, "epoch_ms": _read_ms}
    return named[form] if form in named else _pattern_reader(form)


def _pattern_reader(form: str) -> Callable[[str], datetime | None]:
    """Return the reader of a pattern of directives."""
    pattern = ""
    parts = re.findall(r"%.|[^%]+", form)
    for place, part in enumerate(parts):
        if part[0] == "%":
            digits = _DIGITS[part[1]]
            packed = any(0 <= near < len(parts) and parts[near][0] == "%" for near in (place - 1, place + 1))
            pattern += rf"(?P<{_NAMES[part[1]]}>\d{{{digits if packed or digits == 4 else f'1,{digits}'}}})"
        else:
            pattern += r"\s*".join(re.escape(piece) for piece in part.split(" ")) if part.strip() else r"[T ]"
    compiled = re.compile(pattern, re.ASCII)

    def read(text: str) -> datetime | None:
        match = compiled.fullmatch(text)
        return _exact(text, **{name: int(digits) for name, digits in match.groupdict().items()}) if match else None

    return read


def _exact(text: str, **parts: int) -> datetime:
    """Return a naive instant; raises NoSuchDate where the calendar has none."""
    try:
        return datetime(**parts)  # type: ignore[arg-type]  # noqa: DTZ001  # the names are datetime's own; the caller adds the zone
    except ValueError as error:
        raise NoSuchDate(text) from error


def _read_iso(text: str) -> datetime | None:
    """Read RFC 3339 and its relaxations: a blank for T, no seconds, no offset."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    micro = int(fraction.ljust(6, "0")[:6]) if fraction else 0
    try:
        moment = datetime(  # noqa: DTZ001  # the caller adds the zone
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro
        )
    except ValueError as error:
        raise NoSuchDate(text) from error
    if not offset:
        return moment
    if offset in "Zz":
        return moment.replace(tzinfo=UTC)
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return (moment - (shift if offset[0] == "+" else -shift)).replace(tzinfo=UTC)


def _number(text: str) -> float | None:
    """Return a plain decimal number."""
    return float(text) if re.fullmatch(r"\d{1,15}(?:\.\d{1,20})?", text, re.ASCII) else None


def _read_excel(text: str) -> datetime | None:
    """Read serial days since 1899-12-30 between 1954 and 2119: smaller and larger numbers are no dates of a signal."""
    number = _number(text)
    return _EXCEL_ZERO + timedelta(seconds=round(number * 86400)) if number is not None and 20_000 <= number < 80_000 else None


def _read_s(text: str) -> datetime | None:
    """Read seconds since 1970, ten digits: 2001 to 2286."""
    number = _number(text)
    return datetime.fromtimestamp(number, UTC) if number is not None and 1e9 <= number < 1e10 else None


def _read_ms(text: str) -> datetime | None:
    """Read milliseconds since 1970, thirteen digits."""
    number = _number(text)
    return datetime.fromtimestamp(number / 1000, UTC) if number is not None and 1e12 <= number < 1e13 else None
