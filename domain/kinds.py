"""Signal kinds (信号类型) and sectors (监管领域) that the shipped mappings, rules and simulator share.

Both are open: a deployment may use its own, dotted and lower case. `rules check` warns of a kind that is not listed here,
since a kind with a typo selects nothing and looks like safety.
"""

from __future__ import annotations

from typing import Final

SECTORS: Final[dict[str, tuple[str, str]]] = {
    "gas": ("燃气", "gas"),
    "food": ("食品", "food"),
    "special-equipment": ("特种设备", "special equipment"),
    "hazardous-chemicals": ("危险化学品", "hazardous chemicals"),
    "construction": ("建设工程", "construction"),
    "prepaid": ("预付卡", "prepaid cards"),
}

KINDS: Final[dict[str, tuple[str, str]]] = {
    "gas.leak": ("燃气泄漏", "gas leak"),
    "gas.unlicensed_sale": ("无证经营燃气", "unlicensed sale of gas"),
    "gas.pipeline_damage": ("燃气管道破坏", "gas pipeline damaged"),
    "gas.pressure": ("燃气压力", "gas pressure reading"),
    "gas.pressure_alarm": ("燃气压力告警", "gas pressure alarm of a device"),
    "gas.concentration": ("可燃气体浓度", "combustible gas reading, %LEL"),
    "food.poisoning": ("疑似食物中毒", "suspected food poisoning"),
    "food.expired": ("过期食品", "expired food"),
    "food.hygiene": ("食品卫生", "food hygiene"),
    "food.unlicensed": ("无证经营食品", "unlicensed food business"),
    "food.sample_failed": ("食品抽检不合格", "food sample failed"),
    "equipment.trapped": ("电梯困人", "passengers trapped in a lift"),
    "equipment.fault": ("特种设备故障", "equipment fault"),
    "equipment.overdue_inspection": ("特种设备超期未检", "statutory inspection overdue"),
    "equipment.unlicensed": ("特种设备无证使用或作业", "equipment used or operated without a licence"),
    "chemical.leak": ("危险化学品泄漏", "chemical leak"),
    "chemical.odour": ("化工异味", "chemical odour"),
    "chemical.illegal_storage": ("非法储存危险化学品", "illegal storage of chemicals"),
    "chemical.temperature": ("储罐温度", "tank temperature reading"),
    "chemical.temperature_alarm": ("超温告警", "over-temperature alarm of a device"),
    "chemical.gas_alarm": ("气体超限告警", "gas alarm of a device"),
    "chemical.gas_concentration": ("有毒可燃气体浓度", "toxic or combustible gas reading"),
    "construction.accident": ("施工事故", "construction accident"),
    "construction.unsafe": ("施工安全隐患", "unsafe construction"),
    "construction.dust": ("施工扬尘", "construction dust"),
    "construction.no_helmet": ("未戴安全帽", "no helmet"),
    "construction.fire_passage": ("工地消防通道堵塞", "site fire passage blocked"),
    "wages.unpaid": ("拖欠工资", "unpaid wages"),
    "wages.ruling": ("欠薪裁决", "ruling about wages"),
    "prepaid.refund_refused": ("预付卡拒不退款", "prepaid refund refused"),
    "prepaid.shop_closed": ("预付卡商户停业", "shop with prepaid cards closed"),
    "prepaid.runaway": ("预付卡商户失联跑路", "prepaid merchant gone"),
    "fire.alarm": ("火灾报警", "fire alarm"),
    "fire.passage_blocked": ("消防通道堵塞", "fire passage blocked"),
    "smoke.fire": ("烟火识别", "smoke or fire seen"),
    "penalty.decided": ("行政处罚决定", "administrative penalty decided"),
    "licence.granted": ("行政许可", "licence granted"),
    "licence.changed": ("许可变更", "licence changed"),
    "licence.revoked": ("许可撤销吊销", "licence revoked"),
    "licence.expired": ("许可到期", "licence expired"),
    "court.ruling": ("裁判文书", "court ruling"),
    "court.dishonest": ("失信被执行人", "dishonest judgment debtor"),
    "inspection.done": ("检查完成", "inspection done"),
    "inspection.failed": ("检查发现问题", "inspection failed"),
    "other.request": ("其他诉求", "other request"),
}
