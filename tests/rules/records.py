"""One real row for each record that a shipped rule names: the form is its sender's, the content is invented.

Citizens' words go through the free text of the ticket, officials' through the columns of their forms, devices' through their codes.
"""

# ruff: noqa: E501  # a record stands on as few lines as its sender's would

from __future__ import annotations

from typing import Any, Final

from rules.ruleset import Trigger
from tests.connectors.senders import as_csv, as_json, uscc

FIRM: Final = uscc(11)
OFFICE: Final = uscc(7, "610100").replace("91", "11", 1)
_WHEN: Final = "2026-03-01 08:05:09"

# What a citizen writes, by kind of signal.
WORDS: Final[dict[str, str]] = {
    "gas.leak": "楼道里燃气味很大，怀疑管道漏气。",
    "gas.pipeline_damage": "路口施工把燃气管挖断了，味道很大。",
    "gas.unlicensed_sale": "这家店无证销售瓶装液化气，夜里送黑气瓶。",
    "food.poisoning": "在这家饭店用餐后一家三口上吐下泻，已就医。",
    "food.hygiene": "饭店后厨脏乱，菜里有蟑螂。",
    "food.expired": "超市货架上的牛奶过期三天还在卖。",
    "food.sample_failed": "这批食品抽检不合格，商家还在卖。",
    "food.unlicensed": "小吃店没有营业执照就开张，无证经营。",
    "equipment.trapped": "小区电梯困人半小时，按铃没人应。",
    "equipment.overdue_inspection": "电梯合格证过期，已经没有年检了。",
    "equipment.unlicensed": "工厂的叉车未登记，开叉车的人没有操作证。",
    "chemical.leak": "化工厂储罐泄漏，白烟往外冒。",
    "chemical.odour": "化工厂夜里排放刺鼻废气，眼睛发辣。",
    "chemical.illegal_storage": "有人在居民楼地下室私自存放油漆稀料。",
    "construction.accident": "工地脚手架坍塌，有人受伤。",
    "wages.unpaid": "工地拖欠农民工工资三个月。",
    "prepaid.refund_refused": "健身卡要求退款，店家拒绝退，已经两个月。",
    "prepaid.shop_closed": "健身房突然关门，会员卡里还有钱。",
    "prepaid.runaway": "充值五千，健身卡老板跑路失联。",
    "drug.counterfeit": "这家药店卖假药，批号查不到。",
    "drug.sample_failed": "市场监管局公布的药品抽检不合格名单里有这家药店的品种。",
    "drug.adverse": "在这里打针之后过敏休克，住院两天。",
    "drug.device": "店里卖的美瞳没有注册证，是三无产品。",
    "drug.prescription": "药房卖抗生素不要处方，谁都能买。",
    "house.collapse": "村里一栋自建房突然倒塌，里面可能有人。",
    "house.crack": "隔壁自建房加盖之后墙体开裂，裂缝能伸进手。",
    "house.let": "这栋楼打隔断群租，一层住了二十人。",
    "oil.unlicensed": "晚上有人开面包车流动加油，是黑加油车。",
    "oil.short": "这个加油站缺斤少两，五十升的油箱加了六十升。",
    "oil.quality": "在加油站加完油车就熄火起火，油里掺水，有人受伤。",
    "finance.fundraising": "这家公司非法集资，天天办讲座拉老人投钱。",
    "finance.promise": "养老公寓推销养老项目投资，说保本高息，年化百分之十二。",
    "finance.default": "投资款到期不还，公司说暂时无法兑付。",
    "finance.lending": "借了三万被砍头息，对方暴力催收，是套路贷。",
    "transport.illegal": "火车站广场黑车揽客，司机没有营运证。",
    "transport.accident": "高速上一辆危化品车侧翻，两人受伤。",
    "care.clinic": "小区楼下的黑诊所给孩子输液，没有行医资格。",
    "care.fund_fraud": "这家医院让老人挂床住院骗保，刷医保卡。",
    "care.abuse": "养老院护工殴打老人，老人受伤不敢说。",
    "care.deposit": "养老院不退押金，床位费拖着三个月不给退。",
    "care.infection": "养老院里十几个老人发烧腹泻，院方不说。",
}

# What an official form is about, by matter.
SUBJECTS: Final[dict[str, tuple[str, str, str]]] = {
    "gas": ("未按规定进行燃气入户安全检查", "燃气经营许可证", "燃气经营安全检查"),
    "food": ("经营超过保质期的食品", "食品经营许可证", "食品经营监督检查"),
    "special-equipment": ("使用未经检验的电梯", "特种设备使用登记证", "电梯使用单位监督检查"),
    "hazardous-chemicals": ("危险化学品储存不符合安全条件", "危险化学品经营许可证", "危险化学品储存单位检查"),
    "construction": ("施工现场未采取防尘措施", "建筑业企业资质", "建筑施工安全检查"),
    "prepaid": ("单用途预付卡未备案", "体育经营许可", "单用途预付卡检查"),
    "drugs": ("未凭处方销售处方药", "药品经营许可证", "药品经营监督检查"),
    "refined-oil": ("加油机计量作弊", "成品油零售经营批准证书", "成品油经营检查"),
    "care": ("使用非卫生技术人员从事诊疗", "医疗机构执业许可证", "养老机构服务安全检查"),
}
_METRICS: Final[dict[str, tuple[str, float]]] = {
    "gas.concentration": ("gas_pct_lel", 22.0),
    "gas.pressure": ("gas_pressure_kpa", 0.6),
    "chemical.temperature": ("tank_temp_c", 63.0),
    "chemical.gas_concentration": ("nh3_ppm", 80.0),
    "construction.dust": ("pm10_ugm3", 320.0),
    "drug.cold_chain": ("cold_temp_c", 9.5),
    "house.tilt": ("tilt_deg", 1.2),
    "oil.level": ("tank_level_mm", 1470.0),
    "transport.overload_rate": ("overload_pct", 42.0),
}
_ALARMS: Final[dict[str, str]] = {
    "equipment.trapped": "trapped", "equipment.fault": "fault", "transport.overspeed": "vehicle_overspeed", "transport.off_route": "off_route",
}  # fmt: skip
_ALGORITHMS: Final[dict[str, str]] = {
    "construction.fire_passage": "site_fire_passage", "construction.no_helmet": "no_helmet", "food.hygiene": "rat", "smoke.fire": "smoke_fire",
    "transport.fatigue": "fatigue_driving",
}  # fmt: skip
_STATES: Final = {"licence.granted": "有效", "licence.changed": "变更", "licence.revoked": "撤销", "licence.expired": "过期"}


def _ticket(words: str) -> dict[str, Any]:
    return {
        "工单编号": "XA2026030100017",
        "工单标题": "群众反映",
        "主要内容": words,
        "来电时间": _WHEN,
        "被投诉人": "测试对象",
        "承办单位": "市热线办",
    }


def _letter(words: str) -> dict[str, Any]:
    return {"信件编号": "SZXX-2026-0042", "来信时间": _WHEN, "信件标题": "反映问题", "诉求内容": words, "被反映单位": "测试对象"}


def _report(words: str) -> dict[str, Any]:
    return {"登记编号": "161010020260301123", "登记日期": _WHEN, "被举报对象名称": "测试对象", "消费金额(元)": "380", "举报内容": words}


def _penalty(matter: str) -> dict[str, Any]:
    offence = SUBJECTS[matter][0]
    return {
        "行政相对人名称*": "测试对象有限公司", "行政相对人类别": "法人及非法人组织", "行政相对人代码_1（统一社会信用代码）": FIRM,
        "行政处罚决定书文号": "西罚〔2026〕12号", "违法行为类型": offence, "违法事实": offence, "处罚依据": "有关法律", "处罚类别": "罚款",
        "处罚内容": "罚款20000元", "罚款金额（万元）": "2", "处罚决定日期": "2026-02-26", "处罚机关": "西安市某局", "处罚机关统一社会信用代码": OFFICE,
    }  # fmt: skip


def _licence(matter: str, kind: str) -> dict[str, Any]:
    return {
        "XK_XDR_MC": "测试对象有限公司", "XK_XDR_SHXYM": FIRM, "XK_XKWS": SUBJECTS[matter][1] if matter else "营业许可", "XK_WSH": "许〔2026〕3号",
        "XK_XKLB": "01", "XK_JDRQ": "2026-02-20", "XK_XKJG": "西安市某局", "XK_ZT": _STATES[kind],
    }  # fmt: skip


def _inspection(matter: str, kind: str) -> dict[str, Any]:
    result = "未发现问题" if kind == "inspection.done" else "发现问题，已责令整改"
    return {
        "检查行为编号": "JC-2026-77", "检查行为名称": SUBJECTS[matter][2], "行政相对人": "测试对象有限公司", "行政相对人编码": FIRM,
        "检查结果": result, "检查时间": "2026-02-26", "实施机构": "西安市某局",
    }  # fmt: skip


def _ruling(kind: str, matter: str) -> dict[str, Any]:
    cause = {"wages.ruling": "追索劳动报酬纠纷", "finance": "民间借贷纠纷", "construction": "建设工程施工合同纠纷"}
    said = cause["wages.ruling" if kind == "wages.ruling" else matter]
    return {"s1": f"甲与测试对象有限公司{said}", "s7": "（2026）陕0113民初12号", "s11": [said], "s17": ["测试对象有限公司"], "s31": "2026-02-20",
            "s27": "被告支付原告三万元"}  # fmt: skip


def row(record: Trigger) -> tuple[bytes, str]:
    """Return an input in the format of the record's feed, and its file name; KeyError where there is none for it yet."""
    feed, kind, matter = record.feed, record.kind, record.matter
    if feed == "hotline-12345":
        return as_csv([_ticket(WORDS[kind])]), "tickets.csv"
    if feed == "letters-mayor":
        return as_csv([_letter(WORDS[kind])]), "letters.csv"
    if feed == "complaints-12315":
        return as_csv([_report(WORDS[kind])]), "reports.csv"
    if feed == "penalties":
        return as_csv([_penalty(matter)]), "penalties.csv"
    if feed == "licences":
        return as_csv([_licence(matter, kind)]), "licences.csv"
    if feed == "inspections":
        return as_csv([_inspection(matter, kind)]), "inspections.csv"
    if feed == "rulings":
        return as_json([_ruling(kind, matter)], "result", "queryResult", "resultList"), "rulings.json"
    if feed == "dishonest":
        listed = {"iname": "测试对象有限公司", "partyTypeName": "1", "cardNum": FIRM, "caseCode": "（2026）陕0113执9号", "courtName": "雁塔区人民法院", "regDate": "20260120",
                  "publishDate": "2026年02月20日", "duty": "支付三万元", "performance": "全部未履行", "disruptTypeName": "违反财产报告制度"}  # fmt: skip
        return as_json([listed]), "dishonest.json"
    if feed == "video-aidrive":
        alert = {
            "id": "a1",
            "alert_time": 1772323509.5,
            "device": {"id": "box-1"},
            "source": {"id": "cam-1"},
            "alg": {"name": _ALGORITHMS[kind]},
        }
        return as_json([alert], "alerts"), "alerts.json"
    if feed == "iot-json":
        told = {"metrics": dict([_METRICS[kind]])} if kind in _METRICS else {"alarm_code": _ALARMS[kind]}
        return as_json([{"device_id": "d-1", "ts": 1772323509, **told}], "events"), "events.json"
    raise KeyError(feed)
