"""Near misses: what looks like trouble in the records and is none."""

from __future__ import annotations

from datetime import timedelta

from app.demo.incidents_market import twins
from app.demo.world import Incident, NearMiss, Stage


def popular_restaurant(stage: Stage) -> NearMiss:
    """A restaurant that everybody goes to: many complaints about queues and waiters, none about the food."""
    place = max(stage.city.by_kind["restaurant_company"], key=lambda found: (found.weight, found.id))
    stage.taken.add(place.id)
    for number in range(46):
        stage.say(stage.awake(number * stage.days // 46), ("hotline-12345", "complaints-12315")[number % 2], "food-service", place)
    return NearMiss(
        id="popular-restaurant",
        title="网红餐厅排队投诉多",
        object_id=place.id,
        region=place.region,
        reason="四十余件投诉均为排队和态度，与食品安全无关",
    )


def calibration_step(stage: Stage) -> NearMiss:
    """A technician replaces a probe in a warehouse; the new one reads four degrees higher for good."""
    store = stage.pick("chem_warehouse", metric="temp_c")
    day = stage.rng.randint(8, 16)
    device = next(found for found in stage.city.devices_of[store.id] if found.metric == "temp_c")
    stage.disturb(device.id, stage.day(day, 10, 40), stage.day(stage.days), "step", 4.0)
    stage.act(stage.day(day, 11), "inspections", "hazardous-chemicals", store, result="未发现问题", form="日常检查")
    return NearMiss(
        id="calibration-step",
        title="更换探头读数抬升",
        object_id=store.id,
        region=store.region,
        reason="更换并校准探头后读数固定高四度，库温正常",
    )


def angry_caller(stage: Stage) -> NearMiss:
    """One customer who lost an argument with a hairdresser calls fourteen times in five days."""
    shop = stage.pick("barber")
    day = stage.rng.randint(5, 20)
    person = stage.rng.randrange(1, 9_000_000)
    for number in range(14):
        stage.say(stage.awake(day + number % 5), "hotline-12345", "prepaid-service", shop, person=person)
    return NearMiss(
        id="angry-caller", title="同一人反复投诉", object_id=shop.id, region=shop.region, reason="十四件投诉均来自同一号码，同一件小事"
    )


def roadworks(stage: Stage) -> NearMiss:
    """A street is dug up for three weeks: forty calls about dust, noise and detours."""
    street = stage.rng.choice(stage.city.streets)
    first = stage.rng.randint(2, 8)
    for number in range(42):
        stage.say(stage.awake(first + number // 2), "hotline-12345", "road", region=street.code)
    return NearMiss(id="roadworks", title="道路改造沿线投诉", object_id="", region=street.code, reason="正常的道路改造，无安全隐患")


def mistyped_code(stage: Stage) -> NearMiss:
    """An office mistypes the credit code of one firm in five fines for trifles."""
    firm = stage.pick("company")
    for number in range(5):
        stage.act(
            stage.in_office(3 + 5 * number), "penalties", "other", firm, naming="bad_code", amount=200, offence="户外招牌未备案",
            basis="《城市市容和环境卫生管理条例》第三十六条",
        )  # fmt: skip
    return NearMiss(
        id="mistyped-code", title="信用代码录入错误", object_id=firm.id, region=firm.region, reason="代码校验位不符，违法行为轻微"
    )


def similar_name(stage: Stage) -> NearMiss:
    """Some members of the gym that fails complain about another gym with nearly the same name."""
    failing, twin = twins(stage.city)
    stage.taken.add(twin.id)
    for number in range(4):
        stage.say(stage.awake(6 + 6 * number), "hotline-12345", "prepaid-service", twin, naming="name")
    return NearMiss(
        id="similar-name", title="名称相近的健身房", object_id=twin.id, region=twin.region, reason=f"与 {failing.name} 一字之差，经营正常"
    )


def planned_outage(stage: Stage) -> NearMiss:
    """The gas company maintains a main: a whole street asks when the gas comes back."""
    pipe = stage.pick("pipe", metric="pressure_mpa")
    day = stage.rng.randint(6, 25)
    for _ in range(55):
        stage.say(stage.around(stage.day(day, 8), 9), "hotline-12345", "gas-outage", region=pipe.region)
    return NearMiss(
        id="planned-outage", title="计划停气咨询集中", object_id=pipe.id, region=pipe.region, reason="公告过的停气检修，只有咨询，无泄漏"
    )


def new_camera(stage: Stage) -> NearMiss:
    """A camera at a site was set up towards a road: it reports cyclists without helmets until somebody turns it."""
    site = stage.pick("project", cameras=True)
    camera = next(found for found in stage.city.cameras_of[site.id] if found.shape == "aidrive")
    first = stage.day(stage.rng.randint(6, 24), 9)
    for number in range(9):
        at = stage.around(first + timedelta(minutes=40 * number), 0.6)
        stage.act(at, "video-aidrive", "no_helmet", site, naming="name", camera=camera.id, level=1, confidence=0.37)
    return NearMiss(
        id="new-camera",
        title="新装摄像头误报",
        object_id=site.id,
        region=site.region,
        reason="镜头朝向马路，置信度很低，危害等级最低，当天调整",
    )


NEAR_MISSES = (
    popular_restaurant, calibration_step, angry_caller, roadworks, mistyped_code, similar_name, planned_outage, new_camera,
)  # fmt: skip


def outside(near_misses: tuple[NearMiss, ...], incidents: tuple[Incident, ...]) -> bool:
    """Say whether no near miss is about an object of an incident."""
    wrong = {object_id for incident in incidents for object_id in (incident.object_id, *incident.also)}
    return not any(near.object_id in wrong for near in near_misses if near.object_id)
