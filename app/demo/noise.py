"""Everyday life: what a city of this size records in a month when nothing special happens."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from app.demo.city import CityObject
from app.demo.topics import EVERYDAY, EVERYDAY_12315
from app.demo.world import Naming, Stage

_WEEK = (1.12, 1.06, 1.0, 1.02, 1.05, 0.86, 0.8)  # Monday to Sunday, calls
_OFFICE_WEEK = (1.1, 1.15, 1.1, 1.1, 0.95, 0.04, 0.02)


class _Crowd:
    """Objects of some kinds, chosen by how often people meet them; serious topics depend less on popularity."""

    def __init__(self, objects: Sequence[CityObject], exponent: float) -> None:
        self.objects = objects
        self.sums = list(accumulate(found.weight**exponent for found in objects))

    def choose(self, rng: Random) -> CityObject:
        return self.objects[min(bisect(self.sums, rng.random() * self.sums[-1]), len(self.objects) - 1)]


_HARMLESS = {"food-service", "gas-service", "prepaid-service", "lift-notice", "goods", "advert", "site-noise", "property"}


def everyday(stage: Stage) -> None:
    """Play everyday life on `stage`: calls, letters, reports, fines, licences, rulings, inspections and cameras."""
    crowds: dict[tuple[tuple[str, ...], float], _Crowd] = {}

    def crowd(kinds: tuple[str, ...], exponent: float) -> _Crowd:
        key = (kinds, exponent)
        if key not in crowds:
            crowds[key] = _Crowd([found for kind in kinds for found in stage.city.by_kind[kind]], exponent)
        return crowds[key]

    for number in range(stage.days):
        weekday = stage.day(number).weekday()
        for feed, table, share in (
            ("hotline-12345", EVERYDAY, 0.94),
            ("complaints-12315", EVERYDAY_12315, 1.0),
            ("letters-mayor", EVERYDAY, 0.06),
            ("portal-tickets", EVERYDAY, 0.05),
            ("netizen-messages", EVERYDAY, 0.06),
        ):
            for topic, daily, kinds, named in table:
                for _ in range(_how_many(stage.rng, daily * share * _WEEK[weekday])):
                    _talk(stage, number, feed, topic, crowd(kinds, 1.0 if topic in _HARMLESS else 0.35) if kinds else None, named)
        _offices(stage, number, _OFFICE_WEEK[weekday])
        _cameras(stage, number)


def _how_many(rng: Random, mean: float) -> int:
    """Return a Poisson number."""
    total, count = rng.expovariate(1.0), 0
    while total < mean:
        total += rng.expovariate(1.0)
        count += 1
    return count


def _talk(stage: Stage, number: int, feed: str, topic: str, crowd: _Crowd | None, named: float) -> None:
    rng = stage.rng
    about = crowd.choose(rng) if crowd else None
    naming: Naming | None = None
    if about is not None and rng.random() > named:
        naming = "none"
    elif about is not None and rng.random() < 0.04:
        naming = "unknown"
    amount = round(rng.lognormvariate(5.5, 1.2), 2) if topic in {"prepaid-refund", "goods", "prepaid-closed", "food-service"} else 0.0
    stage.say(stage.awake(number), feed, topic, about, naming=naming, amount=amount)


_OFFENCES = (
    (
        "food",
        "未按规定实施生产经营过程控制",
        "《中华人民共和国食品安全法》第一百二十六条",
        ("restaurant", "restaurant_company", "supermarket"),
    ),
    ("food", "经营超过保质期的食品", "《中华人民共和国食品安全法》第一百二十四条", ("supermarket", "shop")),
    ("gas", "未按规定进行入户安全检查", "《城镇燃气管理条例》第四十六条", ("lpg_dealer", "gas_network")),
    ("special-equipment", "未按规定进行电梯维护保养", "《中华人民共和国特种设备安全法》第八十八条", ("property",)),
    (
        "hazardous-chemicals",
        "未建立安全生产教育培训档案",
        "《中华人民共和国安全生产法》第九十七条",
        ("chem_maker", "chem_warehouse", "factory"),
    ),
    ("construction", "施工现场未采取防尘措施", "《中华人民共和国大气污染防治法》第一百一十五条", ("builder",)),
    ("prepaid", "未按规定备案单用途预付卡", "《单用途商业预付卡管理办法》第三十六条", ("gym", "barber", "training")),
    ("other", "发布虚假广告", "《中华人民共和国广告法》第五十五条", ("company", "clinic", "pharmacy")),
)
_OFFENCE_SHARES = (30, 14, 3, 4, 4, 6, 4, 20)
_LICENCES = (
    ("食品经营许可证", ("restaurant", "restaurant_company", "supermarket")),
    ("燃气经营许可证", ("lpg_dealer", "gas_station")),
    ("特种设备使用登记证", ("property",)),
    ("危险化学品经营许可证", ("chem_warehouse", "gas_station")),
    ("建筑工程施工许可证", ("builder",)),
    ("公共场所卫生许可证", ("hotel", "barber", "gym")),
)
_LICENCE_SHARES = (60, 3, 8, 4, 10, 15)
_INSPECTIONS = (
    ("food", ("restaurant", "restaurant_company", "supermarket", "canteen", "food_maker"), 46),
    ("gas", ("lpg_dealer", "gas_station"), 10),
    ("special-equipment", ("elevator",), 24),
    ("hazardous-chemicals", ("chem_warehouse", "chem_maker"), 12),
    ("construction", ("project",), 16),
    ("prepaid", ("gym", "barber", "training"), 12),
)
_CAUSES = ("买卖合同纠纷", "服务合同纠纷", "房屋租赁合同纠纷", "劳动争议", "民间借贷纠纷", "追索劳动报酬纠纷", "建设工程施工合同纠纷")
_CAUSE_SHARES = (30, 14, 14, 12, 16, 5, 9)


def _offices(stage: Stage, number: int, busy: float) -> None:
    rng, kinds_of = stage.rng, stage.city.by_kind
    for _ in range(_how_many(rng, 38 * busy)):
        sector, offence, basis, kinds = rng.choices(_OFFENCES, weights=_OFFENCE_SHARES)[0]
        about = rng.choice(kinds_of[rng.choice(kinds)])
        naming: Naming = "bad_code" if rng.random() < 0.02 else "code"
        fine = rng.choice((0, 500, 1000, 2000, 3000, 5000, 5000, 10_000, 20_000))
        stage.act(stage.in_office(number), "penalties", sector, about, naming=naming, amount=fine, offence=offence, basis=basis)
    for _ in range(_how_many(rng, 62 * busy)):
        name, kinds = rng.choices(_LICENCES, weights=_LICENCE_SHARES)[0]
        about = rng.choice(kinds_of[rng.choice(kinds)])
        stage.act(stage.in_office(number), "licences", "licence", about, licence=name, state="1", years=rng.choice((3, 5)))
    for _ in range(_how_many(rng, 17 * busy)):
        about = rng.choice(
            kinds_of[rng.choice(("company", "builder", "labour", "factory", "restaurant_company", "gym", "training", "property"))]
        )
        cause = rng.choices(_CAUSES, weights=_CAUSE_SHARES)[0]
        stage.act(stage.in_office(number), "rulings", cause, about, naming="name", amount=round(rng.lognormvariate(10, 1.3), 2))
    for _ in range(_how_many(rng, 6 * busy)):
        about = rng.choice(kinds_of[rng.choice(("company", "builder", "labour", "factory", "shop"))])
        stage.act(stage.in_office(number), "dishonest", "违反财产报告制度", about, amount=round(rng.lognormvariate(11, 1), 2))
    for _ in range(_how_many(rng, 108 * busy)):
        subject, trades, _ = rng.choices(_INSPECTIONS, weights=[row[2] for row in _INSPECTIONS])[0]
        about = rng.choice(kinds_of[rng.choice(trades)])
        result = rng.choices(("未发现问题", "发现问题，已责令整改", "未按要求公示信息"), weights=(90, 8, 2))[0]
        stage.act(
            stage.in_office(number), "inspections", subject, about, result=result, form="双随机" if rng.random() < 0.7 else "日常检查"
        )


_RECORDER_EVENTS = (*("VMD",) * 5, *("linedetection",) * 3, "fielddetection", "fireEscapeDetection")


def _cameras(stage: Stage, number: int) -> None:
    """Let cameras see what they see on any day: a helmet off for a minute, a truck, a cat at the fence."""
    rng, by_id = stage.rng, stage.city.by_id
    for camera in stage.city.cameras:
        kind = by_id[camera.object_id].kind
        if camera.shape == "hikvision":
            for _ in range(_how_many(rng, 0.12)):
                stage.act(stage.awake(number), "hikvision", rng.choice(_RECORDER_EVENTS), by_id[camera.object_id],
                          naming="name", camera=camera.id, level=1)  # fmt: skip
            continue
        usual = {"project": "no_helmet", "canteen": "no_mask", "chem_warehouse": "vehicle_stay", "lpg_dealer": "person_gathering"}[kind]
        for _ in range(_how_many(rng, 0.2 if kind == "project" else 0.12)):
            confidence = round(rng.uniform(0.35, 0.8), 3)
            stage.act(stage.awake(number), f"video-{camera.shape}", usual, by_id[camera.object_id],
                      naming="name", camera=camera.id, level=1, confidence=confidence)  # fmt: skip
