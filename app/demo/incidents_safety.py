"""Planted incidents of gas, food, special equipment and hazardous chemicals, told as what happened.

Each function plays one incident on the stage and returns what truly happened. Magnitudes come from how such cases run in the
world: a leaking valve smells for days before somebody acts, a bad lunch shows within a day, a hot drum warms for a day and a half.
"""

from __future__ import annotations

from datetime import timedelta

from app.demo.city import CityObject
from app.demo.world import Incident, Stage


def lpg_leak(stage: Stage) -> Incident:
    """A filling valve of an LPG dealer leaks a little more every night until neighbours and an inspector act."""
    dealer = stage.pick("lpg_dealer", metric="gas_pct_lel", cameras=True)
    first = stage.rng.randint(8, 14)
    start = stage.day(first, 6)
    for day, callers in enumerate((2, 3, 4, 6, 5)):
        for caller in range(callers):
            feed = ("hotline-12345", "hotline-12345", "complaints-12315")[caller % 3]
            stage.say(stage.awake(first + day), feed, "gas-smell", dealer)
    stage.say(stage.awake(first + 2), "netizen-messages", "gas-smell", dealer)
    stage.say(stage.awake(first + 3), "letters-mayor", "gas-smell", dealer)
    sensor = stage.city.devices_of[dealer.id][0]
    stage.disturb(sensor.id, stage.day(first, 18), stage.day(first + 3, 12), "nights", 14.0)
    stage.disturb(sensor.id, stage.day(first + 3, 14), stage.day(first + 4, 1), "climb", 38.0)
    stage.act(
        stage.in_office(first + 3), "inspections", "gas", dealer, result="发现问题，责令限期改正：瓶库报警器失效，阀门微漏", form="专项检查"
    )
    stage.act(
        stage.in_office(first + 5), "penalties", "gas", dealer, amount=30_000,
        offence="储存场所燃气泄漏报警装置失效", basis="《城镇燃气管理条例》第四十八条",
    )  # fmt: skip
    return Incident(
        id="gas-lpg-leak", sector="gas", title="液化气站泄漏逐日加重", object_id=dealer.id, region=dealer.region,
        start=start, peak=stage.day(first + 3, 23), end=stage.day(first + 5, 18),
        story="居民五天内二十余次反映煤气味，瓶库探测器夜间读数逐日升高，第四天检查发现阀门微漏、报警器失效，第六天处罚三万元",
    )  # fmt: skip


def pipe_damage(stage: Stage) -> Incident:
    """An excavator breaks a medium-pressure pipe; the street smells it and the pressure falls within the hour."""
    pipe = stage.pick("pipe", metric="pressure_mpa")
    owner = stage.city.by_id[pipe.related("operated_by")]
    first = stage.rng.randint(9, 24)
    hit = stage.day(first, 10, 15)
    for _ in range(stage.rng.randint(14, 20)):
        stage.say(stage.around(hit, 3), "hotline-12345", "gas-dig", region=pipe.region)
    for _ in range(4):
        stage.say(stage.around(hit, 4), "hotline-12345", "gas-dig", pipe, naming="name")
    for _ in range(3):
        stage.say(stage.around(hit, 6), "hotline-12345", "gas-smell", owner, region=pipe.region, naming="name")
    stage.say(stage.around(hit, 8), "netizen-messages", "gas-dig", region=pipe.region)
    stage.disturb(stage.city.devices_of[pipe.id][0].id, hit, hit + timedelta(hours=19), "step", -0.16, "low_pressure")
    stage.act(
        stage.in_office(first + 1), "inspections", "gas", pipe, result="发现问题，责令停止作业：第三方施工损坏燃气管道", form="专项检查"
    )
    return Incident(
        id="gas-pipe-damage", sector="gas", title="施工挖断中压燃气管道", object_id=pipe.id, region=pipe.region,
        start=hit, peak=hit + timedelta(hours=1), end=hit + timedelta(hours=36), also=(owner.id,),
        story="上午十时一刻挖机破坏管段，三小时内街道居民二十余次来电，管段压力下降约六成，次日凌晨修复",
    )  # fmt: skip


def illegal_cylinders(stage: Stage) -> Incident:
    """A dealer fills expired cylinders by night; customers report it for a week, two inspections find it."""
    dealer = stage.pick("lpg_dealer", cameras=True)
    first = stage.rng.randint(6, 18)
    for day, callers in enumerate((1, 2, 2, 3, 3, 2, 2)):
        for caller in range(callers):
            stage.say(stage.awake(first + day), ("complaints-12315", "hotline-12345")[caller % 2], "gas-cylinder", dealer)
    for night in range(2, 6):
        at = stage.around(stage.day(first + night, 23), 1)
        camera = stage.city.cameras_of[dealer.id][0]
        stage.act(at, f"video-{camera.shape}", "cylinder_loading", dealer, naming="name", camera=camera.id, level=2, confidence=0.91)
    stage.act(stage.in_office(first + 4), "inspections", "gas", dealer, result="发现问题，立案查处：充装超期未检气瓶", form="专项检查")
    stage.act(
        stage.in_office(first + 6), "penalties", "gas", dealer, amount=50_000, offence="充装超过检验有效期的气瓶",
        basis="《中华人民共和国特种设备安全法》第八十五条",
    )  # fmt: skip
    return Incident(
        id="gas-cylinders", sector="gas", title="违规充装超期气瓶", object_id=dealer.id, region=dealer.region, start=stage.day(first),
        peak=stage.day(first + 4, 12), end=stage.day(first + 7), story="一周内十余件举报，夜间视频见装车，检查查实充装超期气瓶，处罚五万元",
    )  # fmt: skip


def canteen_poisoning(stage: Stage) -> Incident:
    """A school lunch makes children sick; parents call within hours, hospitals and inspectors follow."""
    canteen = stage.pick("canteen", cameras=True)
    first = stage.rng.randint(9, 24)
    lunch = stage.day(first, 12)
    for _ in range(stage.rng.randint(11, 16)):
        stage.say(stage.around(lunch + timedelta(hours=3), 9), "hotline-12345", "food-ill", canteen)
    for _ in range(stage.rng.randint(5, 8)):
        stage.say(stage.around(lunch + timedelta(hours=4), 24), "complaints-12315", "food-ill", canteen)
    for _ in range(3):
        stage.say(stage.around(lunch + timedelta(hours=8), 24), "netizen-messages", "food-ill", canteen)
    camera = next(found for found in stage.city.cameras_of[canteen.id] if found.shape == "aidrive")
    for day in (2, 1):
        at = stage.around(stage.day(first - day, 10), 1)
        stage.act(at, "video-aidrive", "rodent", canteen, naming="name", camera=camera.id, level=3, confidence=0.88)
    stage.act(
        stage.day(first, 19, 40), "inspections", "food", canteen, result="发现问题，责令暂停供餐：留样不全，生熟混放", form="应急检查"
    )
    stage.act(
        stage.in_office(first + 2), "penalties", "food", canteen, amount=100_000, offence="提供不符合食品安全标准的食品",
        basis="《中华人民共和国食品安全法》第一百二十四条",
    )  # fmt: skip
    return Incident(
        id="food-canteen", sector="food", title="学校食堂疑似食物中毒", object_id=canteen.id, region=canteen.region, start=lunch,
        peak=lunch + timedelta(hours=10), end=stage.day(first + 3), story="午餐后数小时内家长二十余次来电和举报，当晚检查责令暂停供餐",
    )  # fmt: skip


def expired_chain(stage: Stage) -> Incident:
    """A supermarket relabels expired goods; customers report it for ten days and two inspections confirm it."""
    market = stage.pick("supermarket")
    first = stage.rng.randint(5, 17)
    for day, reports in enumerate((1, 2, 1, 3, 2, 3, 4, 3, 3, 2)):
        for report in range(reports):
            feed = ("complaints-12315", "complaints-12315", "hotline-12345")[report % 3]
            stage.say(stage.awake(first + day), feed, "food-expired", market, amount=round(stage.rng.uniform(20, 300), 2))
    for day, fine in ((4, 5_000), (8, 50_000)):
        stage.act(stage.in_office(first + day), "inspections", "food", market, result="发现问题，责令改正：经营过期食品", form="专项检查")
        stage.act(
            stage.in_office(first + day + 1), "penalties", "food", market, amount=fine, offence="经营超过保质期的食品",
            basis="《中华人民共和国食品安全法》第一百二十四条",
        )  # fmt: skip
    return Incident(
        id="food-expired", sector="food", title="超市更改日期销售过期食品", object_id=market.id, region=market.region,
        start=stage.day(first),
        peak=stage.day(first + 6, 18), end=stage.day(first + 10), story="十天内二十余件举报，两次检查查实，两次处罚",
    )  # fmt: skip


def _lift(stage: Stage) -> tuple[CityObject, str]:
    lift = stage.pick("elevator", metric="runs")
    return lift, lift.related("operated_by")


def lift_entrapments(stage: Stage) -> Incident:
    """An elevator past its inspection date locks people in again and again."""
    lift, operator = _lift(stage)
    first = stage.rng.randint(5, 16)
    stage.act(
        stage.in_office(first), "inspections", "special-equipment", lift, result="发现问题，责令改正：电梯超期未检仍在使用", form="日常检查"
    )
    device = stage.city.devices_of[lift.id][0]
    for day in (0, 2, 3, 5, 7, 8):
        at = stage.around(stage.day(first + day, 17), 4)
        stage.disturb(device.id, at, at + timedelta(minutes=40), "step", 0.0, "trapped")
        for _ in range(stage.rng.randint(1, 2)):
            stage.say(stage.around(at, 0.5), "hotline-12345", "lift-trapped", lift)
    stage.say(stage.awake(first + 6), "letters-mayor", "lift-trapped", lift)
    stage.say(stage.awake(first + 7), "complaints-12315", "lift-trapped", lift)
    stage.act(
        stage.in_office(first + 9), "penalties", "special-equipment", stage.city.by_id[operator], amount=30_000,
        offence="使用超过检验有效期的电梯", basis="《中华人民共和国特种设备安全法》第八十四条",
    )  # fmt: skip
    return Incident(
        id="lift-entrapments", sector="special-equipment", title="超期未检电梯多次困人", object_id=lift.id, region=lift.region,
        also=(operator,),
        start=stage.day(first, 8), peak=stage.day(first + 7, 19), end=stage.day(first + 10),
        story="检查发现超期未检，其后九天内六次困人，住户报警，使用单位被罚三万元",
    )  # fmt: skip


def lift_faults(stage: Stage) -> Incident:
    """An elevator's door drive wears out: faults every day, complaints every other, nobody repairs it."""
    lift, operator = _lift(stage)
    first = stage.rng.randint(4, 15)
    device = stage.city.devices_of[lift.id][0]
    for day in range(10):
        for _ in range(1 + day // 3):
            at = stage.awake(first + day)
            stage.disturb(device.id, at, at + timedelta(minutes=31), "step", 0.0, "door_fault")
        for _ in range(day % 2 + day // 4):
            stage.say(stage.awake(first + day), "hotline-12345", "lift-fault", lift)
    for day in (3, 5, 8):
        stage.say(stage.awake(first + day), "complaints-12315", "lift-fault", lift)
    stage.say(stage.awake(first + 9), "hotline-12345", "lift-trapped", lift)
    stage.act(
        stage.in_office(first + 8), "inspections", "special-equipment", lift, result="发现问题，责令停止使用：门机严重磨损", form="专项检查"
    )
    return Incident(
        id="lift-faults", sector="special-equipment", title="电梯门机故障频发", object_id=lift.id, region=lift.region, also=(operator,),
        start=stage.day(first), peak=stage.day(first + 8, 12), end=stage.day(first + 10),
        story="十天内终端每天报门故障，投诉逐日增多，检查责令停用",
    )  # fmt: skip


def warehouse_runaway(stage: Stage) -> Incident:
    """A drum of peroxide warms itself in a warehouse: the temperature climbs for a day and a half, then the smell comes."""
    store = stage.pick("chem_warehouse", metric="temp_c", cameras=True)
    first = stage.rng.randint(10, 24)
    start, peak = stage.day(first, 4), stage.day(first + 1, 15)
    for device in stage.city.devices_of[store.id]:
        stage.disturb(device.id, start, peak, "climb", 34.0 if device.metric == "temp_c" else 60.0, "")
        if device.metric == "temp_c":
            stage.disturb(device.id, peak, peak + timedelta(hours=9), "step", 30.0, "over_temp")
    for _ in range(stage.rng.randint(8, 12)):
        stage.say(stage.around(stage.day(first + 1, 8), 10), "hotline-12345", "chem-odour", store)
    for _ in range(4):
        stage.say(stage.around(stage.day(first + 1, 10), 9), "hotline-12345", "chem-odour", region=store.region)
    stage.say(stage.around(stage.day(first + 1, 12), 9), "netizen-messages", "chem-odour", store)
    camera = stage.city.cameras_of[store.id][0]
    stage.act(
        stage.day(first + 1, 13, 20), f"video-{camera.shape}", "smoke", store, naming="name", camera=camera.id, level=3, confidence=0.93
    )
    stage.act(
        stage.day(first + 1, 16),
        "inspections",
        "hazardous-chemicals",
        store,
        result="发现问题，责令停产停业：库温异常，禁忌物混存",
        form="应急检查",
    )
    return Incident(
        id="chem-runaway", sector="hazardous-chemicals", title="危化品库温度失控", object_id=store.id, region=store.region, start=start,
        peak=peak, end=stage.day(first + 2, 12),
        story="库温三十五小时内由十几度升至近五十度，周边居民反映刺鼻异味，视频见烟，应急检查责令停业",
    )  # fmt: skip


def illegal_storage(stage: Stage) -> Incident:
    """A warehouse takes in twice what it may; lorries come by night, neighbours report it, an inspector counts the drums."""
    store = stage.pick("chem_warehouse", cameras=True)
    first = stage.rng.randint(5, 17)
    for day, reports in enumerate((1, 1, 2, 2, 1, 3, 2)):
        for report in range(reports):
            feed = ("hotline-12345", "hotline-12345", "complaints-12315")[report % 3]
            stage.say(stage.awake(first + day), feed, "chem-storage", store)
    stage.say(stage.awake(first + 3), "letters-mayor", "chem-storage", store)
    camera = stage.city.cameras_of[store.id][0]
    for night in range(6):
        for _ in range(2):
            at = stage.around(stage.day(first + night, 22), 3)
            stage.act(at, f"video-{camera.shape}", "fire_passage", store, naming="name", camera=camera.id, level=2, confidence=0.9)
    for day in (4, 6):
        stage.act(
            stage.in_office(first + day),
            "inspections",
            "hazardous-chemicals",
            store,
            result="发现问题，责令改正：超量储存，疏散通道堵塞",
            form="专项检查",
        )
    stage.act(
        stage.in_office(first + 7), "penalties", "hazardous-chemicals", store, amount=80_000, offence="超量储存危险化学品",
        basis="《危险化学品安全管理条例》第八十条",
    )  # fmt: skip
    return Incident(
        id="chem-storage", sector="hazardous-chemicals", title="超量违规储存危险化学品", object_id=store.id, region=store.region,
        start=stage.day(first), peak=stage.day(first + 5, 12), end=stage.day(first + 8),
        story="一周内十余件举报，夜间视频见通道堵塞，两次检查查实，处罚八万元",
    )  # fmt: skip
