"""The offices of the invented city: who writes records, who is warned, and to whom an escalation goes."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.demo.chance import chance
from app.demo.codes import credit_code
from app.demo.places import CITY, CITY_CODE

OfficeRole = Literal["department", "duty_desk", "task_force", "deputy_mayor"]


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """An office; `aliases` are other ways in which forms and catalogues write its name."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    role: OfficeRole = "department"
    code: str = ""
    region: str = CITY_CODE
    tier: str = "city"


def _office(office_id: str, short: str, name: str, general: str, role: OfficeRole = "department") -> Office:
    code = credit_code(chance("office", office_id), "11", "610190", ())
    aliases = tuple(alias for alias in (short, f"{CITY}{short.removeprefix('市')}", general) if alias and alias != name)
    return Office(id=office_id, name=name, aliases=aliases, role=role, code=code)


OFFICES: tuple[Office, ...] = (
    _office("zhujian", "市住建局", "云汀市住房和城乡建设局", "住房城乡建设部门"),
    _office("shichang-jianguan", "市市场监管局", "云汀市市场监督管理局", "市场监管部门"),
    _office("yingji", "市应急局", "云汀市应急管理局", "应急管理部门"),
    _office("shengtai", "市生态环境局", "云汀市生态环境局", "生态环境部门"),
    _office("gongan", "市公安局", "云汀市公安局", "公安机关"),
    _office("xiaofang", "市消防救援支队", "云汀市消防救援支队", "消防救援机构"),
    _office("renshe", "市人社局", "云汀市人力资源和社会保障局", "人力资源社会保障部门"),
    _office("shangwu", "市商务局", "云汀市商务局", "商务部门"),
    _office("jiaoyu", "市教育局", "云汀市教育局", "教育部门"),
    _office("chengguan", "市城管执法局", "云汀市城市管理和综合执法局", "城市管理执法部门"),
    _office("weijian", "市卫健委", "云汀市卫生健康委员会", "卫生健康部门"),
    _office("jiaotong", "市交通局", "云汀市交通运输局", "交通运输部门"),
    _office("zhiban", "市值班室", "云汀市人民政府总值班室", "", "duty_desk"),
    _office("zhuanban", "市专班", "云汀市跨部门综合监管工作专班", "", "task_force"),
    _office("fushizhang", "分管副市长", "云汀市分管副市长办公室", "", "deputy_mayor"),
)
BY_ID = {office.id: office for office in OFFICES}

# The office that inspects and fines in each sector.
ENFORCER = {
    "gas": "zhujian",
    "food": "shichang-jianguan",
    "special-equipment": "shichang-jianguan",
    "hazardous-chemicals": "yingji",
    "construction": "zhujian",
    "prepaid": "shangwu",
    "other": "chengguan",
}
