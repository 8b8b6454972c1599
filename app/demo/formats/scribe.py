"""What all writers of records share: running numbers, people, the dirt of real senders, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from app.demo.chance import chance
from app.demo.city import City, CityObject
from app.demo.codes import mistyped
from app.demo.ledger import Ledger
from app.demo.places import DISTRICTS
from app.demo.world import Happening

Row = dict[str, Any]
DIRT = 0.007  # share of records that a sender writes wrongly, as seen in exchange platforms: between half and one per cent

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"


class Scribe:
    """Gives numbers to records, spoils a few of them, and keeps the ledger."""

    def __init__(self, city: City, ledger: Ledger) -> None:
        """Write for `city`."""
        self.city = city
        self.ledger = ledger
        self.rng = chance(city.seed, "formats")
        self.spoiled = 0  # records spoiled so far
        self._numbers: dict[str, int] = {}

    def number(self, series: str) -> int:
        """Return the next running number of a series, from 1."""
        self._numbers[series] = self._numbers.get(series, 0) + 1
        return self._numbers[series]

    def about(self, happening: Happening) -> CityObject | None:
        """Return the object that a happening is truly about."""
        return self.city.by_id.get(happening.object_id)

    def code(self, happening: Happening) -> str:
        """Return the credit code or number that the record gives, "" where it gives none."""
        about = self.about(happening)
        if about is None or happening.naming not in {"code", "bad_code"}:
            return ""
        if happening.naming == "bad_code" and len(about.code) == 18:
            return mistyped(self.rng, about.code)
        return about.code

    def street(self, happening: Happening) -> str:
        """Return district and street of a happening."""
        return DISTRICTS[happening.region[:6]] + self.city.street_names[happening.region]

    def spoil(self, feed: str, row: Row, faults: Sequence[tuple[str, Callable[[Row], None]]], share: float = DIRT) -> Row:
        """Return `row`, now and then spoiled by one of `faults` (what it is, and how it is done), which the ledger then knows."""
        if self.rng.random() < share:
            reason, spoil = self.rng.choice(faults)
            spoil(row)
            self.spoiled += 1
            self.ledger.reject(feed, reason)
        return row

    def wrote(self, feed: str, records: int) -> None:
        """Note that one send of `feed` with so many records leaves."""
        page = self.ledger.page(feed)
        page.written += records
        page.sends += 1


def setter(*fields: str, value: Any) -> Callable[[Row], None]:
    """Return a fault that puts `value` into `fields` of a record."""

    def spoil(row: Row) -> None:
        for field in fields:
            row[field] = value

    return spoil


def person_name(person: int) -> str:
    """Return how a clerk writes down who called."""
    return f"{_SURNAMES[person % len(_SURNAMES)]}{'先生' if person % 2 else '女士'}"


def phone(person: int) -> str:
    """Return a telephone number of eleven digits; the invented city has all of 1990."""
    return f"1990{person:07d}"


def day(moment: datetime) -> str:
    """Return the date as 20260301."""
    return moment.strftime("%Y%m%d")


def clock(moment: datetime) -> str:
    """Return date and time as 2026-03-01 08:00:00."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def slashed(moment: datetime) -> str:
    """Return date and time as spreadsheets show it: 2026/3/1 8:05:03."""
    return f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment:%M:%S}"


def chinese_date(moment: datetime) -> str:
    """Return the date as 2026年03月01日."""
    return f"{moment.year}年{moment.month:02d}月{moment.day:02d}日"
