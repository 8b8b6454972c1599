"""Tables that a person keeps: registry, catalogue and departments, with the row and column of every mistake."""

# ruff: noqa: E501  # a row of a table stands on one line

from __future__ import annotations

import io
from datetime import date

import openpyxl
import pytest

from connectors.inbound.catalogue import read_catalogue
from connectors.inbound.departments import read_departments
from connectors.inbound.registry import read_objects
from domain.departments import OfficeHours
from domain.errors import FileProblems
from domain.objects import Licence, Relation
from tests.connectors.senders import as_csv, as_xlsx, saved, uscc

FIRM = uscc(51)


def test_objects_under_chinese_headers() -> None:
    """Type, code, aliases, labels and departments are read; the id is the code where none is given."""
    body = as_csv([
        {"企业名称": "长庆里燃气有限公司", "统一社会信用代码": FIRM.lower(), "类型": "企业", "别名": "长庆燃气、长庆气站", "行政区划代码": "610113", "地址": "长庆路1号",
         "信用等级": "B级", "标签": "重点;瓶装", "列管部门": "市城管局,市住建局", "关系": "operates:lift-1"},
        {"企业名称": "小店", "统一社会信用代码": "", "类型": "个体工商户", "别名": "", "行政区划代码": "", "地址": "小寨路5号", "信用等级": "",
         "标签": "", "列管部门": "", "关系": ""},
    ], "gb18030")  # fmt: skip
    found = read_objects(body, "名录.csv")
    one, two = found.objects
    assert found.problems == ()
    assert (one.id, one.code, one.code_valid, one.aliases, one.credit) == (FIRM, FIRM, True, ("长庆燃气", "长庆气站"), "B")
    assert (one.labels, one.listed_by) == (("重点", "瓶装"), ("市城管局", "市住建局"))
    assert one.relations == (Relation(kind="operates", object_id="lift-1"),)
    assert (two.type, two.id[:2], two.code_valid) == ("individual_business", "o-", None)
    assert read_objects(body, "名录.csv").objects == found.objects


def test_licences_of_an_object_are_read_with_their_last_day_and_state() -> None:
    """Kind, number, last day and state; what cannot be read is named and left out, the object stays."""
    body = as_csv(
        [
            {
                "名称": "某店",
                "统一社会信用代码": FIRM,
                "地址": "某路1号",
                "许可": "gas:XK-1:2027-06-30;food:SP-2::吊销;fire;gas:XK-3:2027-13-01",
            }
        ]
    )
    found = read_objects(body, "名录.csv")
    assert found.objects[0].licences == (
        Licence(kind="gas", number="XK-1", expires=date(2027, 6, 30)),
        Licence(kind="food", number="SP-2", state="revoked"),
        Licence(kind="fire"),
    )
    assert [(problem.line, problem.column, problem.severity) for problem in found.problems] == [(2, 4, "warning")]
    assert "gas:XK-3:2027-13-01" in found.problems[0].message


def test_objects_with_field_names_and_mistakes() -> None:
    """A wrong check digit is kept and flagged; what cannot be an object is named with row and column."""
    wrong = FIRM[:-1] + ("0" if FIRM[-1] != "0" else "1")
    body = as_xlsx([
        {"id": "a", "name": "甲", "type": "enterprise", "code": wrong, "region": "610113"},
        {"id": "b", "name": "", "type": "enterprise", "code": "", "region": ""},
        {"id": "c", "name": "丙", "type": "enterprize", "code": "", "region": "雁塔"},
        {"id": "a", "name": "丁", "type": "equipment", "code": "T-1", "region": ""},
    ])  # fmt: skip
    found = read_objects(body, "objects.xlsx")
    assert [(each.id, each.code_valid) for each in found.objects] == [("a", False)]
    assert [(problem.line, problem.column, problem.severity) for problem in found.problems] == [
        (2, 4, "warning"), (3, 2, "error"), (4, 3, "error"), (5, 1, "error"),
    ]  # fmt: skip
    assert "enterprise" in found.problems[2].message
    assert found.rows == 4


@pytest.mark.parametrize("body", [b"a,b\n1,2\n", "编号,地址\n1,2\n".encode(), b"", b"PK\x03\x04", b"{}", "名称\n甲".encode("utf-16-le")])
def test_a_table_that_is_none_is_answered(body: bytes) -> None:
    """No header, no name column, nothing, no workbook, another format, another encoding: each is one clear answer."""
    with pytest.raises(FileProblems):
        read_objects(body, "objects.csv")


def form(rows: list[list[str]]) -> bytes:
    """Return annex 1 as it is sent out: a title, a header of two rows with merged cells, and a note below."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["附件1 跨部门综合监管事项清单填报表"])
    sheet.append(
        [
            "序号",
            "监管领域（国民经济行业分类大类）",
            "监管部门",
            None,
            None,
            "监管事项",
            "设定依据（法律法规条文）",
            "监管对象",
            "事项类别",
            "检查方式",
            "监管层级（省/市/县）",
        ]
    )
    sheet.append([None, None, "牵头单位", "配合单位", "配合单位"])
    for row in rows:
        sheet.append(row)
    sheet.append(["注：请于月底前报送"])
    sheet.merge_cells("A1:K1")
    sheet.merge_cells("C2:E2")
    for column in "ABFGHIJK":
        sheet.merge_cells(f"{column}2:{column}3")
    return saved(book)


GAS = [
    "1",
    "燃气生产和供应业",
    "市城管局",
    "市市场监管局",
    "市应急局",
    "瓶装燃气经营综合监管",
    "城镇燃气管理条例第四十一条\n安全生产法",
    "燃气经营企业",
    "重点",
    "联合检查",
    "市、县",
]
FOOD = [
    "2",
    "餐饮业",
    "市市场监管局",
    "市教育局、市卫健委",
    "",
    "校园食堂食品安全综合监管",
    "食品安全法第五十七条",
    "学校食堂",
    "一般",
    "双随机",
    "县",
]


def test_the_form_with_merged_cells() -> None:
    """Lead, every cooperating unit, bases, tier and sector of the form are read; the note below is no item."""
    found = read_catalogue(form([GAS, FOOD]), "清单.xlsx", version=4)
    gas, food = found.catalogue.items
    assert [str(problem) for problem in found.problems] == []
    assert (found.catalogue.version, found.rows) == (4, 2)
    assert (gas.sector, gas.lead, gas.cooperating, gas.tier) == ("gas", "市城管局", ("市市场监管局", "市应急局"), "city")
    assert gas.basis == ("城镇燃气管理条例第四十一条", "安全生产法")
    assert (food.sector, food.cooperating, food.tier) == ("food", ("市教育局", "市卫健委"), "county")
    assert found.catalogue.find("gas", "gas.leak", "610113") == gas


def test_cells_merged_over_rows_of_the_form() -> None:
    """A field and a lead unit merged over two items belong to both."""
    second = ["2", None, None, "市消防支队", None, "燃气场站消防综合监管", "消防法", "燃气场站", "一般", "联合检查", "市"]
    book = openpyxl.load_workbook(filename=io.BytesIO(form([GAS, second])))
    for column in "BC":
        book.active.merge_cells(f"{column}4:{column}5")
    found = read_catalogue(saved(book), "清单.xlsx")
    assert [(item.sector, item.lead) for item in found.catalogue.items] == [("gas", "市城管局")] * 2
    assert len({item.slug for item in found.catalogue.items}) == 2


def test_the_form_as_csv_with_more_columns() -> None:
    """Sector, slug, code, kinds and regions may be given; a slug that nobody gave is the same at every import."""
    row = {"序号": "1", "监管领域": "综合", "牵头单位": "市城管局", "配合单位": "市应急局", "监管事项": "燃气综合监管", "监管层级": "市", "sector": "gas", "slug": "gas-bottles",
           "事项编码": "01310101001000", "kinds": "gas.leak、gas.unlicensed_*", "regions": "610113,610103"}  # fmt: skip
    [item] = read_catalogue(as_csv([row], "gb18030"), "a.csv").catalogue.items
    assert (item.slug, item.code, item.kinds, item.regions) == (
        "gas-bottles",
        "01310101001000",
        ("gas.leak", "gas.unlicensed_*"),
        ("610113", "610103"),
    )
    [one] = read_catalogue(as_csv([row | {"slug": ""}]), "a.csv").catalogue.items
    [two] = read_catalogue(as_csv([row | {"slug": "", "序号": "9"}]), "a.csv").catalogue.items
    assert one.slug == two.slug != item.slug


def test_mistakes_of_the_form_have_row_and_column() -> None:
    """A missing lead is an error, an unknown sector, tier, kind and region are warnings; the good rows go in."""
    base = {"监管领域": "燃气", "牵头单位": "甲局", "监管事项": "一", "监管层级": "市", "kinds": "", "regions": "", "slug": ""}
    found = read_catalogue(as_csv([
        base, base | {"监管事项": "二", "牵头单位": ""}, base | {"监管事项": "三", "监管领域": "文化", "监管层级": "国"},
        base | {"监管事项": "四", "kinds": "gas.leek", "regions": "雁塔区"}, base | {"监管事项": "五", "slug": "Gas Slug!"}, base, base | {"监管事项": "六", "牵头单位": "甲局、乙局"},
    ]), "a.csv")  # fmt: skip
    assert [(problem.line, problem.column, problem.severity) for problem in found.problems] == [
        (3, 2, "error"), (4, 1, "warning"), (4, 4, "warning"), (5, 5, "warning"), (5, 6, "warning"), (6, 7, "error"), (7, 7, "error"), (8, 2, "warning"),
    ]  # fmt: skip
    assert [item.title for item in found.catalogue.items] == ["一", "三", "四", "六"]
    assert found.catalogue.items[-1].cooperating == ("乙局",)


YAML = """departments:
  - {id: housing, name: 市住建局, aliases: [住建部门], region: "610100", tier: city, hours: ["09:00-12:00", "14:00-17:30"]}
  - id: housing-yanta
    name: 雁塔区住建局
    region: "610113"
    tier: 县
    parent: housing
  - {id: desk, name: 市值班室, kind: duty_desk}
  - {id: mayor-1, name: 分管副市长, kind: 副市长, sectors: [gas, construction]}
"""


def test_departments_from_yaml_and_tables() -> None:
    """The same departments from YAML, CSV and XLSX; a duty desk is always manned."""
    found = read_departments(YAML.encode(), "departments.yaml")
    assert [str(problem) for problem in found.problems] == []
    housing, yanta, desk, mayor = found.directory.departments
    assert (housing.aliases, housing.hours.spans) == (("住建部门",), ((540, 720), (840, 1050)))
    assert (yanta.tier, yanta.parent) == ("county", "housing")
    assert desk.hours == OfficeHours(always=True)
    assert (mayor.kind, mayor.sectors) == ("deputy_mayor", ("gas", "construction"))
    table = [
        {"部门代号": "housing", "部门名称": "市住建局", "别名": "住建部门", "行政区划代码": "610100", "层级": "市", "上级": "", "类型": "部门", "分管领域": "", "办公时间": "09:00-12:00、14:00-17:30"},
        {"部门代号": "housing-yanta", "部门名称": "雁塔区住建局", "别名": "", "行政区划代码": "610113", "层级": "区", "上级": "housing", "类型": "", "分管领域": "", "办公时间": ""},
        {"部门代号": "desk", "部门名称": "市值班室", "别名": "", "行政区划代码": "", "层级": "", "上级": "", "类型": "值班室", "分管领域": "", "办公时间": ""},
        {"部门代号": "mayor-1", "部门名称": "分管副市长", "别名": "", "行政区划代码": "", "层级": "", "上级": "", "类型": "副市长", "分管领域": "gas、construction", "办公时间": ""},
    ]  # fmt: skip
    assert read_departments(as_csv(table, "gb18030"), "a.csv").directory == found.directory
    assert read_departments(as_xlsx(table), "a.xlsx").directory == found.directory


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("hours:", "houurs:", (2, 80), "hours"),
        ('"14:00-17:30"', '"11:00-17:30"', (2, 80), "09:00-12:00"),
        ("parent: housing", "parent: huosing", (3, 5), "huosing"),
        ("tier: 县", "tier: 国", (3, 5), "county"),
        ("id: desk", "id: housing", (8, 6), "housing"),
        ("kind: duty_desk", "kind: desk", (8, 27), "duty_desk"),
    ],
)
def test_mistakes_of_departments(old: str, new: str, place: tuple[int, int], words: str) -> None:
    """A mistake has its place and what is legal; the other departments are there."""
    found = read_departments(YAML.replace(old, new, 1).encode(), "departments.yaml")
    errors = [problem for problem in found.problems if problem.severity == "error"]
    assert [(problem.line, words in problem.message) for problem in errors] == [(place[0], True)]
    assert len(found.directory.departments) >= 3


def test_departments_yaml_without_a_list() -> None:
    """Another shape is one clear answer."""
    for text in ("a: 1\n", "departments: 5\n", "- a\n", "departments: [\n", ""):
        with pytest.raises(FileProblems):
            read_departments(text.encode(), "departments.yaml")
