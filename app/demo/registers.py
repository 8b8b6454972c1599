"""What is imported before the first record comes: the register of objects, the item catalogue and the departments."""

from __future__ import annotations

from app.demo.city import City, CityObject
from app.demo.formats.inspections import ITEM_CODES
from app.demo.formats.tables import column, csv_bytes, xlsx_bytes
from app.demo.offices import OFFICES

OBJECT_HEADERS = ("id", "type", "name", "code", "aliases", "region", "address", "industry", "credit", "labels", "relations", "listed_by")
_UNITS = ("牵头单位", "配合单位", "配合单位", "配合单位")
_BEFORE = ("序号", "监管领域")
_AFTER = ("监管事项", "设定依据", "监管对象", "事项类别", "检查方式", "监管层级", "sector", "kinds", "slug", "code")

# field, sector, slug, title, lead, cooperating, basis, objects, tier, kinds
_ITEMS = (
    (
        "电力、热力、燃气及水生产和供应业", "gas", "gas-supply", "燃气经营安全监督检查", "市住建局", ("市市场监管局", "市消防救援支队",
        "市应急局"),
        "《城镇燃气管理条例》第四十一条", "燃气经营企业、燃气管网", "市级", "",
    ),
    (
        "电力、热力、燃气及水生产和供应业", "gas", "gas-cylinder", "燃气气瓶充装与无证经营检查", "市住建局", ("市市场监管局", "市公安局"),
        "《城镇燃气管理条例》第十八条；《中华人民共和国特种设备安全法》第四十九条", "液化石油气经营者", "市级", "gas.unlicensed_sale",
    ),
    (
        "餐饮业、食品批发和零售业", "food", "food-safety", "食品经营安全监督检查", "市市场监管局", ("市卫健委", "市教育局"),
        "《中华人民共和国食品安全法》第一百一十条", "食品经营者、集中用餐单位食堂", "县级", "",
    ),
    (
        "特种设备使用", "special-equipment", "lift-safety", "电梯使用安全监督检查", "市市场监管局", ("市住建局", "市消防救援支队"),
        "《中华人民共和国特种设备安全法》第五十七条", "电梯及其使用单位", "县级", "",
    ),
    (
        "危险化学品生产经营储存", "hazardous-chemicals", "chemical-storage", "危险化学品储存安全监督检查", "市应急局", ("市生态环境局",
        "市消防救援支队"),
        "《危险化学品安全管理条例》第七条", "危险化学品生产、储存、经营单位", "市级", "",
    ),
    (
        "房屋建筑业", "construction", "site-safety", "建筑施工安全监督检查", "市住建局", ("市应急局", "市生态环境局"),
        "《建设工程安全生产管理条例》第四十三条", "建设工程项目及施工单位", "县级", "",
    ),
    (
        "房屋建筑业", "construction", "wage-payment", "农民工工资支付监督检查", "市人社局", ("市住建局", "市公安局"),
        "《保障农民工工资支付条例》第四十七条", "施工总承包、劳务分包单位", "市级", "wages.*",
    ),
    (
        "居民服务业、体育、教育培训", "prepaid", "prepaid-cards", "单用途预付卡监督检查", "市商务局", ("市市场监管局", "市公安局"),
        "《单用途商业预付卡管理办法》第三十一条", "预付卡发卡经营者", "市级", "",
    ),
    (
        "医药制造与零售业", "drugs", "drug-safety", "药品与医疗器械经营使用监督检查", "市市场监管局", ("市卫健委", "市公安局"),
        "《中华人民共和国药品管理法》第九十九条", "药品、医疗器械经营企业与使用单位", "市级", "",
    ),
    (
        "卫生和社会工作", "care", "care-quality", "医疗机构与养老机构监督检查", "市卫健委", ("市市场监管局", "市公安局"),
        "《医疗机构管理条例》第四十条", "医疗机构、养老机构", "市级", "",
    ),
    (
        "房屋安全", "housing", "house-safety", "经营性自建房安全监督检查", "市住建局", ("市应急局", "市城管执法局"),
        "《中华人民共和国建筑法》第六条", "用作经营的自建房", "县级", "",
    ),
    (
        "成品油流通", "refined-oil", "oil-retail", "成品油零售经营监督检查", "市商务局", ("市市场监管局", "市应急局", "市公安局"),
        "《危险化学品安全管理条例》第六条", "加油站、成品油经营企业", "市级", "",
    ),
    (
        "金融活动", "finance", "illegal-fundraising", "非法集资防范与处置", "市公安局", ("市市场监管局", "市商务局"),
        "《防范和处置非法集资条例》第五条", "以理财、养老、预付等名义吸收资金的单位", "市级", "",
    ),
    (
        "道路运输业", "transport", "road-transport", "道路运输安全监督检查", "市交通局", ("市公安局", "市应急局"),
        "《中华人民共和国道路运输条例》第五十八条", "道路客货运输与危险货物运输企业", "市级", "",
    ),
    (
        "跨部门综合监管", "joint", "joint-supervision", "部门联合监督检查与涉企检查统筹", "市城管执法局", ("市商务局",
        "市生态环境局"),
        "《优化营商环境条例》第五十四条", "多个部门监管或多条线索指向的对象", "市级", "",
    ),
)  # fmt: skip


def _row(found: CityObject) -> dict[str, str]:
    return {
        "id": found.id,
        "type": found.type,
        "name": found.name,
        "code": found.code,
        "aliases": ";".join(found.aliases),
        "region": found.region,
        "address": found.address,
        "industry": found.industry,
        "credit": found.credit,
        "labels": ";".join(found.labels),
        "relations": ";".join(f"{kind}:{other}" for kind, other in found.relations),
        "listed_by": ";".join(found.listed_by),
    }


def objects_csv(city: City) -> bytes:
    """Return all objects as CSV in UTF-8; several values in a cell are separated by ";", a relation is kind:id."""
    return csv_bytes([_row(found) for found in city.objects], OBJECT_HEADERS)


def objects_xlsx(city: City) -> bytes:
    """Return the same as a workbook; codes are texts, so that no spreadsheet rounds them."""
    rows = ([row[name] for name in OBJECT_HEADERS] for row in map(_row, city.objects))
    return xlsx_bytes([OBJECT_HEADERS, *rows], title="监管对象")


def catalogue_xlsx() -> bytes:
    """Return the 跨部门综合监管事项清单填报表 as offices fill it in: a title over all columns and a header of two rows.

    监管部门 stands over the columns of the units, all other headings are merged downwards, and so is a field with several items.
    Beside the form's columns stand the sector, the kinds of signals, the slug and the item's 14-digit number.
    """
    width = len(_BEFORE) + len(_UNITS) + len(_AFTER)
    units = len(_BEFORE) + 1, len(_BEFORE) + len(_UNITS)
    rows: list[list[str | float]] = [
        ["跨部门综合监管事项清单填报表", *[""] * (width - 1)],
        [*_BEFORE, "监管部门", *[""] * (len(_UNITS) - 1), *_AFTER],
        [*[""] * len(_BEFORE), *_UNITS, *[""] * len(_AFTER)],
    ]
    merges = [f"A1:{column(width)}1", f"{column(units[0])}2:{column(units[1])}2"]
    merges += [f"{column(place)}2:{column(place)}3" for place in range(1, width + 1) if not units[0] <= place <= units[1]]
    begun = 0
    for number, (field, sector, slug, title, lead, others, basis, objects, tier, kinds) in enumerate(_ITEMS, start=1):
        again = number > 1 and _ITEMS[number - 2][0] == field
        begun = begun if again else len(rows) + 1
        named = [lead, *others, *[""] * (len(_UNITS) - 1 - len(others))]
        code = "" if again else ITEM_CODES[sector]
        told = [title, basis, objects, "行政检查", "现场检查、非现场检查", tier, sector, kinds, slug, code]
        rows.append([float(number), "" if again else field, *named, *told])
        if number == len(_ITEMS) or _ITEMS[number][0] != field:
            merges += [f"B{begun}:B{len(rows)}"] if len(rows) > begun else []
    return xlsx_bytes(rows, title="附件1", merges=merges)


def departments_yaml() -> bytes:
    """Return the directory of departments, the duty desk (值班室), the 专班 and the deputy mayor as YAML."""
    lines = ["departments:"]
    for office in OFFICES:
        lines += [
            f"  - id: {office.id}",
            f"    name: {office.name}",
            f"    aliases: [{', '.join(office.aliases)}]",
            f'    region: "{office.region}"',
            f"    tier: {office.tier}",
            f"    kind: {office.role}",
        ]
        if office.role != "department":
            lines.append("    hours: always")
    return ("\n".join(lines) + "\n").encode()
