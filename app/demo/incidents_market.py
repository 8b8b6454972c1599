"""Planted incidents of construction, wages and prepaid money, told as what happened."""

from __future__ import annotations

from app.demo.city import City, CityObject
from app.demo.world import Incident, Stage


def unsafe_site(stage: Stage) -> Incident:
    """A site hurries: no helmets, torn nets, dust; a stop order is ignored and a worker falls."""
    site = stage.pick("project", metric="pm10_ugm3", cameras=True)
    builder = stage.city.by_id[site.related("built_by")]
    first = stage.rng.randint(7, 18)
    camera = next(found for found in stage.city.cameras_of[site.id] if found.shape == "aidrive")
    for day, sightings in enumerate((3, 5, 7, 9, 6)):
        for number in range(sightings):
            seen = ("no_helmet", "no_harness", "no_helmet")[number % 3]
            at = stage.around(stage.day(first + day, 8), 9)
            stage.act(at, "video-aidrive", seen, site, naming="name", camera=camera.id, level=2, confidence=0.92)
        for _ in range(1 + day // 2):
            stage.say(stage.awake(first + day), "hotline-12345", "site-unsafe", site)
        stage.say(stage.awake(first + day), "hotline-12345", "site-dust", site)
    stage.disturb(stage.city.devices_of[site.id][0].id, stage.day(first, 7), stage.day(first + 5, 18), "step", 260.0)
    stage.act(
        stage.in_office(first + 2), "inspections", "construction", site, result="发现问题，责令停工整改：临边防护缺失", form="专项检查"
    )
    for _ in range(4):
        stage.say(stage.around(stage.day(first + 4, 14), 3), "hotline-12345", "site-accident", site)
    stage.act(
        stage.in_office(first + 6), "penalties", "construction", builder, amount=150_000, offence="拒不执行停工整改指令",
        basis="《建设工程安全生产管理条例》第六十四条",
    )  # fmt: skip
    return Incident(
        id="site-unsafe", sector="construction", title="工地抢工致人坠落", object_id=site.id, region=site.region, also=(builder.id,),
        start=stage.day(first), peak=stage.day(first + 4, 15), end=stage.day(first + 7),
        story="视频五天三十次拍到不戴安全帽、不系安全带，扬尘持续偏高，停工令未执行，第五天下午有人坠落",
    )  # fmt: skip


def unpaid_wages(stage: Stage) -> Incident:
    """A labour contractor owes three months of wages: workers call, sue and win, the firm is listed as dishonest."""
    firm = stage.pick("labour")
    first = stage.rng.randint(3, 12)
    for day, callers in enumerate((1, 2, 1, 3, 2, 4, 2, 3, 3, 2, 4, 3)):
        for _ in range(callers):
            stage.say(stage.awake(first + day), "hotline-12345", "wages", firm, amount=stage.rng.randint(8_000, 40_000))
    for day in (4, 9):
        stage.say(stage.awake(first + day), "letters-mayor", "wages", firm)
    for day in (2, 5, 5, 8, 11):
        stage.act(
            stage.in_office(first + day),
            "rulings",
            "追索劳动报酬纠纷",
            firm,
            naming="name",
            amount=stage.rng.randint(20_000, 90_000),
            lost=True,
        )
    stage.act(stage.in_office(first + 12), "dishonest", "有履行能力而拒不履行生效法律文书确定义务", firm, amount=186_000)
    stage.act(
        stage.in_office(first + 10), "penalties", "construction", firm, amount=20_000, offence="无故拖欠农民工工资",
        basis="《保障农民工工资支付条例》第五十三条",
    )  # fmt: skip
    return Incident(
        id="wages", sector="construction", title="劳务公司拖欠农民工工资", object_id=firm.id, region=firm.region, start=stage.day(first),
        peak=stage.day(first + 10), end=stage.day(first + 14), story="两周三十人次投诉，五份判决败诉，行政处罚，后被列为失信被执行人",
    )  # fmt: skip


def twins(city: City) -> tuple[CityObject, CityObject]:
    """Return two gyms with nearly the same name: the one that fails, and the one that callers take for it."""
    by_name = {found.name: found for found in city.by_kind["gym"]}
    for name, found in by_name.items():
        twin = by_name.get(name.replace("服务有限公司", "管理有限公司"))
        if twin is not None and twin is not found:
            return found, twin
    raise LookupError("the city has no two gyms of similar name")


def gym_runaway(stage: Stage) -> Incident:
    """A gym sells cards at half price, stops refunds, does not pay its rent, and one morning the doors are shut."""
    gym, _ = twins(stage.city)
    stage.taken.add(gym.id)
    first = stage.rng.randint(4, 12)
    for day in range(12):
        for number in range(1 + day // 3):
            feed = ("complaints-12315", "hotline-12345")[number % 2]
            stage.say(stage.awake(first + day), feed, "prepaid-refund", gym, amount=stage.rng.randint(800, 6_000))
    for number in range(stage.rng.randint(22, 30)):
        feed = ("hotline-12345", "complaints-12315", "hotline-12345")[number % 3]
        at = stage.around(stage.day(first + 12, 9), 40)
        stage.say(at, feed, "prepaid-closed", gym, amount=stage.rng.randint(800, 9_000))
    for day, cause in ((3, "房屋租赁合同纠纷"), (7, "追索劳动报酬纠纷"), (9, "服务合同纠纷"), (13, "服务合同纠纷")):
        stage.act(stage.in_office(first + day), "rulings", cause, gym, naming="name", amount=stage.rng.randint(10_000, 200_000), lost=True)
    stage.say(stage.awake(first + 12), "netizen-messages", "prepaid-closed", gym)
    stage.act(stage.in_office(first + 13), "inspections", "prepaid", gym, result="发现问题：通过登记的住所无法联系", form="专项检查")
    return Incident(
        id="prepaid-gym", sector="prepaid", title="健身房预付卡跑路", object_id=gym.id, region=gym.region, start=stage.day(first),
        peak=stage.day(first + 12, 12), end=stage.day(first + 15),
        story="十二天内退费投诉逐日增多，房租与劳动诉讼败诉，第十三天闭店，四十小时内二十余人投诉",
    )  # fmt: skip


def training_refunds(stage: Stage) -> Incident:
    """A training school took a year's fees in advance and cancels lessons; parents ask for their money for two weeks."""
    school = stage.pick("training")
    first = stage.rng.randint(5, 13)
    for day, parents in enumerate((1, 1, 2, 2, 3, 2, 4, 3, 5, 4, 4, 5)):
        for parent in range(parents):
            feed = ("complaints-12315", "hotline-12345")[parent % 2]
            stage.say(stage.awake(first + day), feed, "prepaid-refund", school, amount=stage.rng.randint(3_000, 18_000))
    stage.say(stage.awake(first + 6), "letters-mayor", "prepaid-refund", school)
    stage.say(stage.awake(first + 9), "portal-tickets", "prepaid-refund", school)
    for day in (8, 11):
        stage.act(
            stage.in_office(first + day),
            "rulings",
            "教育培训合同纠纷",
            school,
            naming="name",
            amount=stage.rng.randint(8_000, 30_000),
            lost=True,
        )
    stage.act(
        stage.in_office(first + 10), "penalties", "prepaid", school, amount=20_000, offence="一次性收取超过三个月的培训费用",
        basis="《校外培训行政处罚暂行办法》第二十二条",
    )  # fmt: skip
    return Incident(
        id="prepaid-training", sector="prepaid", title="培训学校集中退费", object_id=school.id, region=school.region,
        start=stage.day(first),
        peak=stage.day(first + 9), end=stage.day(first + 13), story="十二天内三十余名家长要求退费，两份判决败诉，因超期收费被罚二万元",
    )  # fmt: skip


def barber_closed(stage: Stage) -> Incident:
    """A hairdresser sells cards until the last evening and is gone the next day."""
    shop = stage.pick("barber")
    first = stage.rng.randint(8, 22)
    for day, customers in enumerate((1, 1, 2, 2)):
        for _ in range(customers):
            stage.say(stage.awake(first + day), "complaints-12315", "prepaid-refund", shop, amount=stage.rng.randint(300, 3_000))
    for number in range(stage.rng.randint(12, 18)):
        at = stage.around(stage.day(first + 4, 9), 30)
        stage.say(at, ("hotline-12345", "complaints-12315")[number % 2], "prepaid-closed", shop, amount=stage.rng.randint(300, 3_000))
    return Incident(
        id="prepaid-barber", sector="prepaid", title="美发店卷款关门", object_id=shop.id, region=shop.region, start=stage.day(first),
        peak=stage.day(first + 4, 12), end=stage.day(first + 6), story="先有零星退费投诉，第五天关门后三十小时内十余名顾客投诉",
    )  # fmt: skip
