"""Import of departments (部门) from YAML, CSV and XLSX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from connectors.inbound.charsets import decode_text
from connectors.inbound.tables import ENCODINGS, Columns, Line, read_lines
from domain.catalogue import Tier
from domain.departments import Department, DepartmentKind, Directory, OfficeHours
from domain.errors import FileProblems, Problem
from domain.identifiers import is_region_code
from domain.messages import text as say
from rules.positions import Listing, Mapping, Scalar, Tree, read_tree
from rules.problems import Problems, nearest

COLUMNS: Columns = {
    "id": ("部门编号", "部门代号", "编号"),
    "name": ("部门名称", "名称", "单位名称", "部门"),
    "aliases": ("别名", "简称", "职能名称"),
    "region": ("行政区划代码", "区划代码", "管辖区域"),
    "tier": ("层级", "监管层级"),
    "parent": ("上级部门", "上级"),
    "kind": ("类型", "部门类型"),
    "sectors": ("分管领域", "领域"),
    "hours": ("办公时间", "工作时间"),
    "endpoints": ("接收端", "推送地址代号"),
    "contacts": ("联系人", "联系方式"),
}
TIERS: dict[str, Tier] = {
    "省": "province", "市": "city", "县": "county", "区": "county", "区县": "county", "乡": "township", "镇": "township",
    "乡镇": "township", "街道": "township", "province": "province", "city": "city", "county": "county", "township": "township",
}  # fmt: skip
KINDS: dict[str, DepartmentKind] = {
    "部门": "department", "值班室": "duty_desk", "值班长": "duty_desk", "专班": "task_force", "工作专班": "task_force",
    "副市长": "deputy_mayor", "分管领导": "deputy_mayor", "分管副市长": "deputy_mayor",
    "department": "department", "duty_desk": "duty_desk", "task_force": "task_force", "deputy_mayor": "deputy_mayor",
}  # fmt: skip
_ALWAYS = ("always", "24小时", "全天", "24h", "7x24", "7×24")
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*(?:-|~|–|—|至)\s*(\d{1,2}):(\d{2})")
_ID = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class DepartmentsImport:
    """What the file holds: `problems` have row and column; a row with an error gives no department, a warning does."""

    directory: Directory
    problems: tuple[Problem, ...]
    rows: int


def read_departments(body: bytes, file: str) -> DepartmentsImport:
    """Return the departments of a table, or of a YAML file with a list under `departments`; `file` is its name.

    Raises:
        FileProblems: the file cannot be read, or lacks the column of id or name.
    """
    lines = _yaml_lines(body, file) if file.lower().endswith((".yaml", ".yml")) else list(read_lines(body, file, COLUMNS, ("id", "name")))
    units: dict[str, Department] = {}
    problems: list[Problem] = []
    for line in lines:
        unit = _department(line)
        if unit is not None and unit.id in units:
            line.problem("id", "table.repeated_unit", value=unit.id)
        elif unit is not None:
            units[unit.id] = unit
    named = {line.one("id") for line in lines}  # one that is wrong itself is told once, not again by those below it
    for line in lines:
        parent = line.one("parent")
        if parent and parent not in named:
            line.problem("parent", "table.parent", value=parent)
            units.pop(line.one("id"), None)
        problems += line.problems
    return DepartmentsImport(Directory(departments=tuple(units.values())), tuple(problems), len(lines))


def _department(line: Line) -> Department | None:
    """Return the department of one row, None after an error."""
    for name in ("id", "name"):
        if not line.one(name):
            line.problem(name, "table.empty")
            return None
    unit_id = line.one("id")
    if not _ID.fullmatch(unit_id):
        line.problem("id", "table.slug", value=unit_id)
        return None
    tier, kind = line.one("tier") or "city", line.one("kind") or "department"
    if tier not in TIERS or kind not in KINDS:
        wrong, legal = ("tier", TIERS) if tier not in TIERS else ("kind", KINDS)
        line.problem(wrong, "table.word", value=tier if wrong == "tier" else kind, legal="、".join(legal))
        return None
    region = line.one("region")
    if region and not is_region_code(region):
        line.problem("region", "table.region", value=region)
        return None
    hours = _hours(line)
    return (
        None
        if hours is None
        else Department(
            id=unit_id,
            name=line.one("name"),
            aliases=tuple(line.every("aliases")),
            region=region,
            tier=TIERS[tier],
            parent=line.one("parent"),
            kind=KINDS[kind],
            sectors=tuple(line.every("sectors")),
            hours=hours,
            endpoints=tuple(line.every("endpoints")),
            contacts=tuple(line.every("contacts")),
        )
    )


def _hours(line: Line) -> OfficeHours | None:
    """Return the office hours: `09:00-12:00, 14:00-18:00`, `always`, or the usual ones where nothing is written; None after an error."""
    written = line.one("hours")
    if not written:
        return OfficeHours(always=line.one("kind") in {"值班室", "duty_desk"})
    if written.lower() in _ALWAYS:
        return OfficeHours(always=True)
    parts = line.every("hours")
    matches = [_SPAN.fullmatch(part) for part in parts]
    spans = [(int(m[1]) * 60 + int(m[2]), int(m[3]) * 60 + int(m[4])) for m in matches if m]
    ascending = all(start < end for start, end in spans) and all(a[1] <= b[0] for a, b in pairwise(spans))
    if len(spans) < len(parts) or not ascending or any(end > 24 * 60 for _, end in spans):
        line.problem("hours", "table.hours", value=written)
        return None
    return OfficeHours(spans=tuple(spans))


def _yaml_lines(body: bytes, file: str) -> list[Line]:
    """Return the list under `departments` as lines; raises FileProblems."""
    source = decode_text(body, ("utf-8",))
    if source is None or source.damaged:
        raise FileProblems([Problem(file=file, line=0, column=0, message=say("intake.bad_encoding", legal=", ".join(ENCODINGS[:1])))])
    problems = Problems()
    tree = read_tree(file, source.text, problems)
    found = tree.entries.get("departments") if tree is not None else None
    if found is None or not isinstance(found[1], Listing):
        raise FileProblems(problems.all() or [Problem(file=file, line=1, column=1, message=say("table.no_list"))])
    return [_yaml_line(item, file) for item in found[1].items]


def _yaml_line(item: Tree, file: str) -> Line:
    line = Line(file, item.mark.line, {}, {})
    for key, (mark, value) in (item.entries if isinstance(item, Mapping) else {}).items():
        line.columns[key] = mark.column
        if key not in COLUMNS:
            near = nearest(key, COLUMNS)
            hint = say("intake.near", near=near) if near else ""
            line.problem(key, "intake.unknown_key", value=key, legal=", ".join(COLUMNS), near=hint)
        elif isinstance(value, Scalar):
            line.cells[key] = [value.raw]
        elif isinstance(value, Listing):
            line.cells[key] = [part.raw for part in value.items if isinstance(part, Scalar)]
    return line
