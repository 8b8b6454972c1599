"""One cell → one value of its declared type, or the reason why it has none, in words that name the legal values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.inbound.dates import NoSuchDate, TimeFormats, UnknownFormat
from connectors.inbound.decode_xlsx import cell_text
from connectors.inbound.headers import bracket_of
from connectors.inbound.mapping_model import MONEY, Field
from domain.errors import SignalRejected
from domain.identifiers import is_placeholder
from domain.messages import text as say

TEXT_LIMIT = 8_000  # characters of one value that a signal carries; the raw record has the rest
_SHOWN = 60  # characters of a wrong value that a message quotes
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), " ")
_NUMBER = re.compile(r"[¥$]?\s*([-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?)\s*(.*)", re.DOTALL)
_POINT = re.compile(r"[\[(]?\s*(-?\d{1,3}(?:\.\d+)?)\s*[,;\s]\s*(-?\d{1,3}(?:\.\d+)?)\s*[\])]?")
_MOST = Decimal(10) ** 18  # larger amounts and readings are typing errors


def clean(cell: Any) -> str:
    r"""Return a cell as text: NFKC, control characters and runs of blanks as one blank.

    >>> clean("\n\t （西安）　燃气 "), clean(12.0), clean(["a", "b"])
    ('(西安) 燃气', '12', 'a、b')
    """
    if isinstance(cell, str) and cell.isascii() and cell.isprintable():
        return " ".join(cell.split())  # most cells: codes, numbers, dates
    if isinstance(cell, list):
        return "、".join(clean(element) for element in cell if not isinstance(element, (dict, list)))
    if isinstance(cell, int) and abs(cell) >= 10**30:
        return ""  # no identifier and no reading is that long
    text = cell if isinstance(cell, str) else cell_text(cell)
    return " ".join(unicodedata.normalize("NFKC", text).translate(_CONTROL).split())


def read_cell(cell: Any, header: str, field: Field, times: TimeFormats, nulls: AbstractSet[str]) -> Any:
    """Return the value of `cell` under `header`: text, an instant, a `Decimal`, (lng, lat); None where it says "none".

    Raises:
        SignalRejected: it is not of the field's type; reason, header and message say how.
    """
    if isinstance(cell, dict):
        raise _wrong("bad_type", header, "intake.not_a_value")
    if field.type == "time":
        return _time(cell, header, times, nulls)
    text = clean(cell)
    if text.casefold() in nulls:
        return None
    if field.type in {"number", "amount"}:
        return _number(text, header, field)
    if field.type == "point":
        return _point(text, header)
    if field.type == "code":
        if isinstance(cell, float) and abs(cell) >= 1e15:
            raise _wrong("bad_type", header, "intake.lost_digits", value=text)
        text = text.replace(" ", "").upper()
        if is_placeholder(text):
            return None
    return field.codes.get(text.casefold(), text)


def _time(cell: Any, header: str, times: TimeFormats, nulls: AbstractSet[str]) -> datetime | None:
    """Return an instant in UTC."""
    if isinstance(cell, (list, bool)):
        raise _wrong("bad_type", header, "intake.not_a_value")
    if not isinstance(cell, (datetime, date, int, float)) and clean(cell).casefold() in nulls:
        return None
    try:
        return times.read(cell)
    except NoSuchDate:
        raise _wrong("bad_date", header, "intake.no_such_date", value=clean(cell), legal=_shown_formats(times)) from None
    except UnknownFormat:
        raise _wrong("bad_date", header, "intake.unknown_date", value=clean(cell), legal=_shown_formats(times)) from None


def _number(text: str, header: str, field: Field) -> Decimal:
    """Return a number; an amount of money in yuan, whatever unit its cell or header names."""
    match = _NUMBER.fullmatch(text)
    digits, suffix = (match.group(1).replace(",", ""), match.group(2).strip()) if match else ("", "")
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise _wrong("bad_type", header, "intake.not_a_number", value=text) from None
    if not number.is_finite() or abs(number) >= _MOST:
        raise _wrong("bad_value", header, "intake.number_too_large", value=text)
    if field.type == "amount":
        unit = (suffix or _unit_of(header) or field.unit or "元").removeprefix("人民币").rstrip("整正").lower() or "元"
        if unit not in MONEY:
            raise _wrong("unit_mismatch", header, "intake.unknown_unit", value=text, legal="、".join(MONEY))
        number *= MONEY[unit]
    elif suffix and clean(suffix).casefold() != clean(field.unit).casefold():
        raise _wrong("unit_mismatch", header, "intake.unknown_unit", value=text, legal=field.unit or say("intake.no_unit"))
    if (field.low is not None and number < Decimal(str(field.low))) or (field.high is not None and number > Decimal(str(field.high))):
        raise _wrong("bad_value", header, "intake.out_of_range", value=text, low=field.low, high=field.high)
    return number


def _unit_of(header: str) -> str:
    """Return the unit of money that a header names in brackets, "" where it names none."""
    inside = bracket_of(header).removeprefix("单位").lstrip(":：")
    return inside if inside.lower() in MONEY else ""


def _point(text: str, header: str) -> tuple[float, float]:
    """Return longitude and latitude in degrees."""
    match = _POINT.fullmatch(text)
    if match is None:
        raise _wrong("bad_type", header, "intake.not_a_point", value=text)
    lng, lat = float(match.group(1)), float(match.group(2))
    if abs(lng) > 180 or abs(lat) > 90:
        raise _wrong("bad_value", header, "intake.not_a_point", value=text)
    return lng, lat


def _shown_formats(times: TimeFormats) -> str:
    """Return the declared formats as a reader knows them."""
    shown = [form.translate({ord("%"): None}) if "%" in form else form for form in times.formats]
    return "、".join(shown)


def _wrong(reason: str, header: str, key: str, *, value: str = "", **values: object) -> SignalRejected:
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return SignalRejected(reason, say(key, "zh-CN", value=shown, **values), field=header)
