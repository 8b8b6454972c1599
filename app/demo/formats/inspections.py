"""Inspections (监管检查行为) as cities report them upwards: JSON with the headings of the regulatory data standard (formats A4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.demo.formats.scribe import Row, Scribe, clock, day, setter
from app.demo.formats.tables import json_bytes
from app.demo.offices import BY_ID, ENFORCER
from app.demo.world import Happening

# The 14-digit numbers of the items in the city's catalogue, by sector.
ITEM_CODES = {
    "gas": "01172030000100",
    "food": "01313010000200",
    "special-equipment": "01313050000300",
    "hazardous-chemicals": "01250020000400",
    "construction": "01172080000500",
    "prepaid": "01213040000600",
    "drugs": "01313020000700",
    "care": "01231030000800",
    "housing": "01172060000900",
    "refined-oil": "01213050001000",
    "finance": "01209010001100",
    "transport": "01218020001200",
    "joint": "01313010001300",
}
_ITEM_TITLES = {
    "gas": "燃气经营监督检查", "food": "食品经营监督检查", "special-equipment": "特种设备使用监督检查",
    "hazardous-chemicals": "危险化学品安全监督检查",
    "construction": "建筑施工安全监督检查", "prepaid": "单用途预付卡监督检查",
}  # fmt: skip
_FAULTS = (
    ("bad_date", setter("检查时间", value="2026-04-31 10:00:00")),
    ("missing_field", setter("检查行为编号", value="")),
    ("missing_field", setter("检查时间", value=None)),
)


def inspections_json(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of inspections as a JSON array."""
    rows: list[Row] = []
    for happening in happenings:
        about = scribe.about(happening)
        assert about is not None, "inspectors know where they are"
        office = BY_ID[ENFORCER[happening.topic]]
        row = {
            "监管事项目录编码": ITEM_CODES[happening.topic],
            "监管事项检查实施清单编码": f"{office.code}1{ITEM_CODES[happening.topic][:6]}",
            "检查行为名称": _ITEM_TITLES[happening.topic],
            "检查行为编号": f"JC{day(happening.at)}{scribe.number('inspection'):06d}",
            "实施机构": office.name,
            "实施机构编码": office.code,
            "监管对象类型": {"equipment": "设施设备", "project": "项目"}.get(about.type, "市场主体"),
            "监管对象": happening.details["spoken"],
            "行政相对人": happening.details["spoken"],
            "行政相对人性质": "法人",
            "行政相对人证件类型": "统一社会信用代码" if len(about.code) == 18 else "其他",
            "行政相对人编码": scribe.code(happening),
            "注册地址": about.address,
            "经营地址": about.address,
            "行政区划代码": happening.region,
            "检查形式": "现场检查",
            "检查类别": happening.details["form"],
            "检查方式": "实地核查",
            "检查结果": happening.details["result"],
            "检查时间": clock(happening.at),
            "检查人员": ["严某", "高某"],
            "执法证号": [f"YT{happening.person % 90_000 + 10_000}", f"YT{happening.person % 80_000 + 10_001}"],
            "报送时间": clock(happening.at + timedelta(hours=3)),
            "报送人员": "严某",
        }
        rows.append(scribe.spoil("inspections", row, _FAULTS))
    return json_bytes(rows)
