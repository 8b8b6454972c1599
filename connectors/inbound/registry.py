"""Import of regulated objects (监管对象名录) from CSV and XLSX, with Chinese headers or field names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal, cast

from connectors.inbound.tables import Columns, Line, read_lines
from domain.errors import Problem
from domain.identifiers import classify_code, is_region_code
from domain.messages import text as say
from domain.names import normalise_code, normalise_name
from domain.objects import OBJECT_TYPES, Licence, ObjectType, RegulatedObject, Relation
from rules.problems import nearest

COLUMNS: Columns = {
    "id": ("对象编号", "对象ID", "object_id", "编号"),
    "type": ("对象类型", "类型", "主体类型", "监管对象类型"),
    "name": ("名称", "对象名称", "企业名称", "监管对象", "监管对象名称", "单位名称", "主体名称"),
    "code": ("统一社会信用代码", "代码", "社会信用代码", "设备编号", "项目编号", "设备代码", "uscc"),
    "aliases": ("别名", "曾用名", "招牌名称", "简称", "曾用代码"),
    "region": ("行政区划代码", "区划代码", "区划", "行政区划"),
    "address": ("地址", "经营地址", "住所", "注册地址", "所在地"),
    "industry": ("行业代码", "行业", "国民经济行业代码"),
    "credit": ("信用等级", "信用评级", "信用风险等级"),
    "labels": ("标签", "对象标签"),
    "relations": ("关系", "关联对象"),
    "listed_by": ("列管部门", "监管部门", "主管部门"),
    "licences": ("许可", "许可证", "证照"),
}
_STATES: dict[str, Literal["valid", "suspended", "revoked", "cancelled"]] = {
    "valid": "valid", "有效": "valid", "suspended": "suspended", "暂扣": "suspended", "revoked": "revoked", "吊销": "revoked",
    "cancelled": "cancelled", "注销": "cancelled",
}  # fmt: skip
TYPES: dict[str, ObjectType] = {
    "企业": "enterprise", "法人": "enterprise", "公司": "enterprise", "法人及非法人组织": "enterprise", "市场主体": "enterprise",
    "个体工商户": "individual_business", "个体": "individual_business",
    "事业单位": "institution", "机构": "institution", "学校": "institution", "社会组织": "institution",
    "自然人": "person", "个人": "person", "产品": "product", "项目": "project", "工程": "project", "行为": "act",
    "设备": "equipment", "设施设备": "equipment", "特种设备": "equipment",
    "区域": "region", "地理区域": "region", "场所": "site", "场地场所": "site", "网络空间": "cyberspace", "网站": "cyberspace",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ObjectsImport:
    """What a registry file holds: `problems` have row and column; a row with an error gives no object, a warning does."""

    objects: tuple[RegulatedObject, ...]
    problems: tuple[Problem, ...]
    rows: int


def read_objects(body: bytes, file: str) -> ObjectsImport:
    """Return the objects of a table; `file` is its name, which also tells the format.

    An object without an id gets its code as id, or a hash of its name and address. A wrong check digit is flagged, never refused.

    Raises:
        FileProblems: the file cannot be read, or has no column for the name.
    """
    objects: dict[str, RegulatedObject] = {}
    problems: list[Problem] = []
    rows = 0
    for line in read_lines(body, file, COLUMNS, ("name",)):
        rows += 1
        found = _object(line)
        if found is not None and found.id in objects:
            line.problem("id" if "id" in line.columns else "code", "table.repeated_object", value=found.id)
        elif found is not None:
            objects[found.id] = found
        problems += line.problems
    return ObjectsImport(tuple(objects.values()), tuple(problems), rows)


def _object(line: Line) -> RegulatedObject | None:
    """Return the object of one row, None where it cannot be one."""
    name = line.one("name")
    if not name:
        line.problem("name", "table.empty")
        return None
    code = normalise_code(line.one("code"))
    kind, valid = classify_code(line.one("code"))
    if valid is False:
        line.problem("code", "table.check_digit", value=code, severity="warning")
    if kind in {"masked", "placeholder"}:
        line.problem("code", "table.no_code", value=line.one("code"), severity="warning")
        code = ""
    object_type = _type(line, kind)
    if object_type is None:
        return None
    region = normalise_code(line.one("region"))
    if region and not is_region_code(region):
        line.problem("region", "table.region", value=region, severity="warning")
        region = ""
    address = line.one("address")
    return RegulatedObject(
        id=line.one("id") or code or _name_id(name, address),
        type=object_type,
        name=name,
        code=code,
        code_valid=valid,
        aliases=tuple(alias for alias in line.every("aliases") if alias != name),
        region=region,
        address=address,
        industry=line.one("industry"),
        credit=_credit(line),
        labels=tuple(line.every("labels")),
        relations=_relations(line),
        listed_by=tuple(line.every("listed_by")),
        licences=_licences(line),
    )


def _type(line: Line, code_kind: str) -> ObjectType | None:
    """Return the object's type: as written, else what the code's kind says; None after a problem."""
    written = line.one("type")
    if not written:
        return "enterprise" if code_kind in {"uscc", "organisation", "registration", "empty"} else "equipment"
    if written in TYPES:
        return TYPES[written]
    if written.lower() in OBJECT_TYPES:
        return cast("ObjectType", written.lower())
    near = nearest(written, [*TYPES, *OBJECT_TYPES])
    line.problem("type", "table.type", value=written, legal="、".join(TYPES), near=say("intake.near", near=near) if near else "")
    return None


def _credit(line: Line) -> str:
    """Return the grade A to D, "" where none is given."""
    grade = line.one("credit").upper().removesuffix("级").removesuffix("类")
    if grade in {"", "A", "B", "C", "D"}:
        return grade
    line.problem("credit", "table.credit", value=grade, severity="warning")
    return ""


def _relations(line: Line) -> tuple[Relation, ...]:
    """Return the relations, each written `kind:object id`."""
    relations = []
    for part in line.every("relations"):
        kind, mark, object_id = part.partition(":")
        if not mark or not kind.strip() or not object_id.strip():
            line.problem("relations", "table.relation", value=part, severity="warning")
            continue
        relations.append(Relation(kind=kind.strip(), object_id=object_id.strip()))
    return tuple(relations)


def _licences(line: Line) -> tuple[Licence, ...]:
    """Return the licences, each written `kind:number:last day`, with a state after it where it is not valid; the day may be left out."""
    licences = []
    for part in line.every("licences"):
        kind, number, day, state = (*(each.strip() for each in part.split(":")), "", "", "")[:4]
        try:
            expires = date.fromisoformat(day) if day else None
        except ValueError:
            kind, expires = "", None
        if not kind or (state or "valid") not in _STATES or part.count(":") > 3:
            line.problem("licences", "table.licence", value=part, severity="warning")
            continue
        licences.append(Licence(kind=kind, number=number, state=_STATES[state or "valid"], expires=expires))
    return tuple(licences)


def _name_id(name: str, address: str) -> str:
    """Return the id of an object without a code: the same name and address always give the same."""
    text = f"{normalise_name(name)}\x1f{normalise_name(address)}"
    return "o-" + hashlib.sha256(text.encode()).hexdigest()[:12]
