"""The invented city of 云汀 (Yunting): districts, streets and the local clock."""

from __future__ import annotations

from datetime import timedelta, timezone
from random import Random

import msgspec

CITY = "云汀市"
CITY_CODE = "6101"  # prefix of all its region codes; 610191-610198 are not assigned by GB/T 2260
LOCAL = timezone(timedelta(hours=8), "CST")

DISTRICTS = {
    "610191": "汀南区",
    "610192": "汀北区",
    "610193": "棠栖区",
    "610194": "鹭屿区",
    "610195": "松隐区",
    "610196": "砚池区",
    "610197": "苍岘县",
    "610198": "荻浦县",
}
_FIRST = "望临栖澄沧瑶松梧兰桐枫萍芦柳棠槐"
_SECOND = "溪湖亭桥园岭坪湾庙塔泉渡原圃台坡"
_ROADS = ("建业路", "春和路", "翠柏街", "望汀大道", "集贤巷", "文启路", "丰登街", "育才路", "滨河东路", "会展大道", "工农路", "银杏街")


class Street(msgspec.Struct, frozen=True, kw_only=True):
    """A street or town (街道、镇): `code` has nine digits."""

    code: str
    name: str
    district: str  # six digits


def make_streets(rng: Random) -> tuple[Street, ...]:
    """Return nine streets or towns per district, all with different names, in the order of their codes."""
    names = [first + second for first in _FIRST for second in _SECOND]
    rng.shuffle(names)
    streets = []
    for district, called in DISTRICTS.items():
        for serial in range(1, 10):
            rural = called.endswith("县") and serial > 2
            streets.append(Street(code=f"{district}{serial:03d}", name=names.pop() + ("镇" if rural else "街道"), district=district))
    return tuple(streets)


def address(rng: Random, street: Street) -> str:
    """Return a postal address in `street`."""
    return f"{CITY}{DISTRICTS[street.district]}{street.name}{rng.choice(_ROADS)}{rng.randint(1, 320)}号"


def position(region: str, rng: Random) -> tuple[float, float]:
    """Return a longitude and latitude (GCJ02, degrees) somewhere in the street of nine digits `region`."""
    district, serial = int(region[:6]) - 610190, int(region[6:9])
    return round(108.6 + 0.12 * district + rng.uniform(0, 0.03), 6), round(34.1 + 0.03 * serial + rng.uniform(0, 0.02), 6)
