"""What people of the city talk about to authorities, in the words and the classes that the channels use.

A topic is what happened, not how bad it is for anybody. The six-digit class codes of the hotline (大类、中类、小类) are the
invented city's own, as GB/T 39666-2020 leaves it to cities; `class_12315` is the problem class of a report to market regulators.
"""

from __future__ import annotations

import msgspec


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic; texts may use {name}, {street} and {n} (a small number)."""

    slug: str
    code: str
    title: str
    class_12315: str = ""
    urgency: str = "一般"
    caller: str = "投诉"
    texts: tuple[str, ...]


def _topics(*rows: Topic) -> dict[str, Topic]:
    return {row.slug: row for row in rows}


TOPICS: dict[str, Topic] = _topics(
    # gas
    Topic(
        slug="gas-smell", code="030101", title="燃气泄漏异味", class_12315="安全隐患", urgency="紧急", caller="求助",
        texts=(
            "{name}附近闻到很浓的煤气味，已经{n}天了，担心泄漏，请尽快派人检查。",
            "路过{name}门口闻到液化气味道，开窗散了还有，附近住户都害怕。",
            "{street}居民反映{name}一带有刺鼻燃气异味，夜里更重。",
        ),
    ),
    Topic(
        slug="gas-service", code="030102", title="燃气服务质量", class_12315="服务质量", caller="投诉",
        texts=("{name}送气迟到{n}个小时，电话没人接。", "在{name}订的气瓶服务态度差，多收了{n}元上楼费。",
        "{name}换气价格涨了，希望公示。"),
    ),
    Topic(
        slug="gas-outage", code="030103", title="燃气停气咨询", caller="咨询",
        texts=("请问{street}今天停气什么时候恢复？", "小区收到停气通知，想问{street}几点来气。",
        "{street}停气检修，家里有老人，想了解恢复时间。"),
    ),
    Topic(
        slug="gas-cylinder", code="030104", title="非法充装燃气瓶", class_12315="非法经营", urgency="紧急", caller="举报",
        texts=(
            "举报{name}给过期气瓶充气，瓶身锈得看不清钢印。",
            "{name}半夜用小面包车往外送没有检验标识的黑气瓶，一次{n}十来个。",
            "{name}店内违规倒灌液化气，瓶对瓶，太危险了。",
        ),
    ),
    Topic(
        slug="gas-dig", code="030105", title="施工挖断燃气管道", urgency="特急", caller="求助",
        texts=(
            "{street}路口施工挖机把燃气管挖破了，气味很大，能听到嘶嘶声。",
            "{street}这边燃气突然停了，路口有很大的煤气味，有人在疏散。",
            "挖断燃气管了，{street}，请马上派抢修。",
        ),
    ),
    # food
    Topic(
        slug="food-ill", code="050101", title="食物中毒", class_12315="食品安全-疑似食物中毒", urgency="紧急", caller="举报",
        texts=(
            "孩子在{name}吃完午饭后上吐下泻，同班还有{n}个孩子一样。",
            "在{name}就餐后全家{n}人腹泻、发烧，已到医院就诊。",
            "{name}的饭菜吃了以后肚子疼、呕吐，怀疑食物中毒。",
        ),
    ),
    Topic(
        slug="food-expired", code="050102", title="食品过期变质", class_12315="食品安全-过期食品", caller="举报",
        texts=(
            "在{name}买到过期{n}天的酸奶，要求查处。",
            "{name}货架上的面包过了保质期还在卖，有照片。",
            "{name}把过期的肉改了日期重新贴标签卖。",
        ),
    ),
    Topic(
        slug="food-dirty", code="050103", title="餐饮卫生状况差", class_12315="食品安全-环境卫生", caller="投诉",
        texts=("{name}后厨很脏，看到蟑螂。", "{name}的菜里吃出头发。", "{name}餐具没洗干净，服务员也不戴口罩。"),
    ),
    Topic(
        slug="food-service", code="050104", title="餐饮排队与服务态度", class_12315="服务质量",
        texts=("{name}排队{n}个小时还没轮到，叫号乱。", "{name}服务员态度不好，上菜慢。", "{name}门口排队堵了人行道。",
        "{name}不让自带酒水，不开发票。"),
    ),
    # special equipment
    Topic(
        slug="lift-trapped", code="060101", title="电梯困人", class_12315="特种设备安全", urgency="紧急", caller="求助",
        texts=("{name}困人了，里面{n}个人，按铃没人应。", "{name}停在两层之间，老人被困，请救援。", "{name}又关人了，这个月第{n}次。"),
    ),
    Topic(
        slug="lift-fault", code="060102", title="电梯故障频发", class_12315="特种设备安全", caller="投诉",
        texts=("{name}经常急停、抖动，门关不上，物业不修。", "{name}坏了{n}天没人管，老人上不了楼。", "{name}运行时有异响，平层差一大截。"),
    ),
    Topic(
        slug="lift-notice", code="060103", title="电梯广告与刷卡", caller="投诉",
        texts=("{name}里广告声音太大。", "{name}要刷卡收费，不合理。", "{name}轿厢里的灯有一个不亮。"),
    ),
    # hazardous chemicals
    Topic(
        slug="chem-odour", code="070101", title="化工异味", urgency="紧急", caller="投诉",
        texts=("{name}方向飘来刺鼻的化学味，眼睛发辣。", "{street}夜里有强烈的酸臭味，像是{name}那边来的。",
        "{name}排出怪味，孩子咳嗽{n}天了。"),
    ),
    Topic(
        slug="chem-storage", code="070102", title="违规储存危险化学品", urgency="紧急", caller="举报",
        texts=(
            "举报{name}在普通仓库里堆放油漆稀料和桶装酒精，夜里装卸。",
            "{name}仓库超量存放危化品，通道都堵了，没有防爆灯。",
            "{name}把危险化学品和普通货物混放，每天夜里{n}车进出。",
        ),
    ),
    # construction and wages
    Topic(slug="site-noise", code="080101", title="夜间施工噪声", texts=("{name}夜里{n}点还在施工，吵得睡不着。",
        "{name}凌晨浇筑混凝土噪声大。")),
    Topic(slug="site-dust", code="080102", title="施工扬尘", texts=("{name}没有洒水，渣土车带泥上路，灰很大。",
        "{name}裸土没盖，风一吹全是灰，{n}天了。")),
    Topic(
        slug="site-unsafe", code="080103", title="建筑施工安全隐患", urgency="紧急", caller="举报",
        texts=(
            "{name}工人高空作业不系安全带，没戴安全帽。",
            "{name}脚手架歪了，安全网破了{n}处，下面就是人行道。",
            "{name}塔吊吊着钢筋从居民楼上方过。",
        ),
    ),
    Topic(
        slug="site-accident", code="080104", title="建筑施工事故", urgency="特急", caller="求助",
        texts=("{name}工地有人从架子上掉下来，救护车来了。", "{name}模板塌了，有人受伤。"),
    ),
    Topic(
        slug="wages", code="090101", title="拖欠农民工工资", urgency="紧急", caller="投诉",
        texts=(
            "我们{n}个工人在{name}干了三个月没发工资，找包工头互相推。",
            "{name}拖欠农民工工资，说好月底结，一直拖。",
            "在{name}干活，还欠{n}万多元工钱，没有签合同。",
        ),
    ),
    # prepaid cards and fees
    Topic(
        slug="prepaid-refund", code="100101", title="预付卡退费难", class_12315="预付式消费-退费难", caller="投诉",
        texts=("在{name}办的卡要求退费，一直拖着不退。", "{name}承诺{n}个工作日退款，充值的钱到现在没退。",
            "{name}会员卡还有{n}个月，搬家要求退款，店家拒绝退款。"),
    ),
    Topic(
        slug="prepaid-closed", code="100102", title="商家关门跑路", class_12315="预付式消费-关门停业", urgency="紧急", caller="投诉",
        texts=(
            "{name}突然关门，老板联系不上，会员卡里还有{n}千多元。",
            "{name}贴出停业装修通知后人去楼空，预付的钱没人退，会员群解散了。",
            "{name}跑路了，刚充值的{n}千元拿不回来，几十个会员要求处理。",
        ),
    ),
    Topic(
        slug="prepaid-service", code="100103", title="会员服务质量", class_12315="服务质量",
        texts=("{name}人太多，器材要排队。", "{name}空调不开，换教练不通知。", "{name}理发效果不满意。", "{name}推销太多。"),
    ),
    # everything else that a city talks about
    Topic(slug="noise", code="200101", title="社会生活噪声", texts=("{street}广场舞音响太大。", "{street}烧烤摊吵到夜里{n}点。")),
    Topic(slug="parking", code="200201", title="机动车乱停放", texts=("{street}消防通道被私家车占了。", "{street}人行道停满了车。")),
    Topic(slug="road", code="200202", title="道路破损与占道施工", texts=("{street}路面有个大坑。",
        "{street}修路围挡占了整条道，出行不便，已经{n}天。", "{street}挖路灰尘大、噪声大。")),
    Topic(slug="water", code="200301", title="供水问题", caller="求助", texts=("{street}水压低，{n}楼以上没水。", "{street}自来水发黄。")),
    Topic(slug="heating", code="200302", title="供热问题", texts=("家里温度只有{n}度，{street}供热不热。", "{street}暖气漏水。")),
    Topic(slug="rubbish", code="200401", title="垃圾清运", texts=("{street}垃圾几天没清，味道大。", "{street}建筑垃圾乱倒。")),
    Topic(slug="property", code="200501", title="物业服务", texts=("{street}小区物业乱收费。", "小区绿化没人管，{street}。")),
    Topic(slug="light", code="200203", title="路灯不亮", caller="求助", texts=("{street}有{n}盏路灯不亮。",)),
    Topic(slug="consult", code="200901", title="政策咨询", caller="咨询", texts=("咨询社保转移怎么办理。", "咨询{street}附近的学区划分。",
        "请问身份证换领要带什么。")),
    Topic(slug="praise", code="200902", title="表扬", caller="表扬", texts=("表扬{street}社区工作人员热心。",
        "感谢城管清理了{street}的占道。")),
    Topic(slug="goods", code="210101", title="商品质量", class_12315="产品质量", texts=("在{name}买的商品{n}天就坏了，不给退换。",
        "{name}标价和结账不一致。", "{name}不开发票。")),
    Topic(slug="advert", code="210102", title="虚假宣传", class_12315="广告违法", texts=("{name}宣传和实际不符。",
        "{name}网页上写的是最低价，其实不是。")),
)  # fmt: skip

# Everyday talk of the hotline: topic, records a day, kinds of objects it is about ("" for none), share that names an object.
EVERYDAY: tuple[tuple[str, float, tuple[str, ...], float], ...] = (
    ("gas-smell", 2.0, ("lpg_dealer", "gas_station", "compound", "restaurant"), 0.45),
    ("gas-service", 6.0, ("lpg_dealer", "gas_network"), 0.7),
    ("gas-outage", 3.0, (), 0.0),
    ("gas-cylinder", 0.4, ("lpg_dealer", "restaurant"), 0.6),
    ("food-ill", 0.8, ("restaurant", "restaurant_company", "hotel"), 0.8),
    ("food-expired", 2.5, ("supermarket", "shop", "restaurant"), 0.8),
    ("food-dirty", 6.0, ("restaurant", "restaurant_company"), 0.8),
    ("food-service", 14.0, ("restaurant", "restaurant_company"), 0.85),
    ("lift-trapped", 2.0, ("elevator",), 0.7),
    ("lift-fault", 5.0, ("elevator", "property"), 0.7),
    ("lift-notice", 5.0, ("elevator", "property"), 0.6),
    ("chem-odour", 1.0, ("chem_maker", "chem_warehouse", "factory"), 0.4),
    ("chem-storage", 0.2, ("factory", "company", "chem_warehouse"), 0.6),
    ("site-noise", 12.0, ("project",), 0.5),
    ("site-dust", 5.0, ("project",), 0.5),
    ("site-unsafe", 1.2, ("project",), 0.6),
    ("wages", 3.5, ("labour", "builder", "factory", "restaurant_company"), 0.8),
    ("prepaid-refund", 3.0, ("gym", "barber", "training"), 0.85),
    ("prepaid-closed", 0.5, ("gym", "barber", "training", "shop"), 0.8),
    ("prepaid-service", 6.0, ("gym", "barber", "training"), 0.8),
    ("noise", 22.0, (), 0.0),
    ("parking", 34.0, (), 0.0),
    ("road", 14.0, (), 0.0),
    ("water", 10.0, (), 0.0),
    ("heating", 16.0, (), 0.0),
    ("rubbish", 14.0, (), 0.0),
    ("property", 24.0, ("property",), 0.3),
    ("light", 6.0, (), 0.0),
    ("consult", 30.0, (), 0.0),
    ("praise", 4.0, (), 0.0),
)

# Everyday reports to the market regulators (12315), in the same form.
EVERYDAY_12315: tuple[tuple[str, float, tuple[str, ...], float], ...] = (
    ("food-service", 14.0, ("restaurant", "restaurant_company"), 1.0),
    ("food-expired", 6.0, ("supermarket", "shop"), 1.0),
    ("food-dirty", 8.0, ("restaurant", "restaurant_company"), 1.0),
    ("food-ill", 0.6, ("restaurant", "restaurant_company"), 1.0),
    ("gas-service", 2.0, ("lpg_dealer",), 1.0),
    ("lift-fault", 0.8, ("property",), 1.0),
    ("prepaid-refund", 5.0, ("gym", "barber", "training"), 1.0),
    ("prepaid-service", 8.0, ("gym", "barber", "training"), 1.0),
    ("goods", 26.0, ("shop", "supermarket", "pharmacy", "company"), 1.0),
    ("advert", 14.0, ("company", "clinic", "pharmacy", "training", "shop"), 1.0),
)
