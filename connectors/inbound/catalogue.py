"""Import of the item catalogue (跨部门综合监管事项清单): the form of 市政办发〔2023〕25号 annex 1, XLSX with merged cells or CSV.

Columns of the form: 序号, 监管领域, 监管部门 (牵头单位, 配合单位 as often as wanted), 监管事项, 设定依据, 监管对象, 事项类别, 检查方式,
监管层级. Optional further ones: sector, slug, code, kinds, regions.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from connectors.inbound.mapping_load import SHIPPED, load_vocabulary
from connectors.inbound.tables import Columns, Line, read_lines
from domain.catalogue import Catalogue, CatalogueItem, Tier
from domain.errors import Problem
from domain.identifiers import is_region_code
from domain.kinds import KINDS, SECTORS
from domain.messages import text as say
from rules.problems import nearest

COLUMNS: Columns = {
    "number": ("序号",),
    "field": ("监管领域", "监管领域（国民经济行业分类大类）", "领域"),
    "lead": ("牵头单位", "牵头部门", "主管部门"),
    "cooperating": ("配合单位", "配合部门", "协同部门"),
    "title": ("监管事项", "事项名称", "综合监管事项"),
    "basis": ("设定依据", "设定依据（法律法规条文）", "法律依据"),
    "objects": ("监管对象",),
    "category": ("事项类别",),
    "method": ("检查方式",),
    "tier": ("监管层级", "监管层级（省/市/县）"),
    "sector": ("领域代号", "监管领域代号"),
    "slug": ("事项代号",),
    "code": ("事项编码", "监管事项目录编码", "事项目录编码"),
    "kinds": ("信号类型", "适用信号"),
    "regions": ("适用区划", "行政区划代码", "区划代码"),
}
_TIERS: tuple[tuple[str, Tier], ...] = (
    ("市", "city"),
    ("省", "province"),
    ("县", "county"),
    ("区", "county"),
    ("乡", "township"),
    ("镇", "township"),
    ("街道", "township"),
)
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_KIND = re.compile(r"[a-z0-9_*]+(?:\.[a-z0-9_*]+)*")


@dataclass(frozen=True, slots=True)
class CatalogueImport:
    """What the form holds: `problems` have row and column; a row with an error gives no item, a warning does."""

    catalogue: Catalogue
    problems: tuple[Problem, ...]
    rows: int


def read_catalogue(body: bytes, file: str, version: int = 1) -> CatalogueImport:
    """Return the catalogue of a form; `file` is its name, which also tells the format, `version` the version that it will have.

    An item without a slug gets one from its sector and a hash of field, title and lead unit: the same row always gets the same.

    Raises:
        FileProblems: the file cannot be read, or lacks the column of the title or of the lead unit.
    """
    sectors = load_vocabulary((SHIPPED / "vocabulary" / "sectors.yaml").read_text("utf-8"), "sectors.yaml")[1]
    items: dict[str, CatalogueItem] = {}
    problems: list[Problem] = []
    rows = 0
    for line in read_lines(body, file, COLUMNS, ("title", "lead")):
        if not line.one("title") and not line.one("lead"):
            continue  # a note under the form
        rows += 1
        words = f"{line.one('field')} {line.one('title')} {line.one('objects')}".casefold()
        guessed = next((rule.give for rule in sectors if rule.fits(words)), "")
        item = _item(line, guessed)
        if item is not None and item.slug in items:
            line.problem("slug", "table.repeated_item", value=item.title)
        elif item is not None:
            items[item.slug] = item
        problems += line.problems
    return CatalogueImport(Catalogue(version=version, items=tuple(items.values())), tuple(problems), rows)


def _item(line: Line, guessed: str) -> CatalogueItem | None:
    """Return the item of one row, None after an error."""
    title, lead = line.one("title"), line.every("lead")
    for name in ("title", "lead"):
        if not line.one(name):
            line.problem(name, "table.empty")
            return None
    sector = line.one("sector") or guessed
    if sector not in SECTORS:
        near = nearest(sector, SECTORS) if sector else ""
        shown = say("intake.near", near=near) if near else ""
        line.problem(
            "sector" if line.one("sector") else "field",
            "table.sector",
            severity="warning",
            value=sector or line.one("field"),
            legal=", ".join(SECTORS),
            near=shown,
        )
    if len(lead) > 1:
        line.problem("lead", "table.several_leads", severity="warning", value="、".join(lead))
    slug = line.one("slug").lower()
    if slug and not _SLUG.fullmatch(slug):
        line.problem("slug", "table.slug", value=slug)
        return None
    return CatalogueItem(
        slug=slug or _slug(sector, line.one("field"), title, lead[0]),
        title=title,
        sector=sector,
        lead=lead[0],
        cooperating=tuple(unit for unit in [*lead[1:], *line.every("cooperating")] if unit != lead[0]),
        code=line.one("code"),
        kinds=_kinds(line),
        regions=_regions(line),
        basis=_basis(line),
        objects=line.one("objects"),
        category=line.one("category"),
        method=line.one("method"),
        tier=_tier(line),
    )


def _tier(line: Line) -> Tier:
    """Return the tier; of several, the city's if it is among them, since that is where this system stands."""
    written = line.one("tier")
    found = [tier for word, tier in _TIERS if word in written]
    if not written or not found:
        line.problem("tier", "table.tier", severity="warning", value=written)
        return "city"
    return found[0]


def _kinds(line: Line) -> tuple[str, ...]:
    kinds = []
    for kind in line.every("kinds"):
        if not _KIND.fullmatch(kind):
            line.problem("kinds", "table.kind", severity="warning", value=kind)
            continue
        if "*" not in kind and kind not in KINDS:
            line.problem("kinds", "table.kind", severity="warning", value=kind)
        kinds.append(kind)
    return tuple(kinds)


def _regions(line: Line) -> tuple[str, ...]:
    regions = []
    for region in line.every("regions"):
        if is_region_code(region):
            regions.append(region)
        else:
            line.problem("regions", "table.region", severity="warning", value=region)
    return tuple(regions)


def _basis(line: Line) -> tuple[str, ...]:
    """Return the legal bases: divided by line breaks and semicolons only, since a law's title may hold any other mark."""
    cells = (part.strip() for cell in line.cells.get("basis", ()) for part in re.split(r"[\n;]+", cell))
    return tuple(dict.fromkeys(part for part in cells if part))


def _slug(sector: str, field: str, title: str, lead: str) -> str:
    digest = hashlib.sha256(f"{field}\x1f{title}\x1f{lead}".encode()).hexdigest()[:8]
    return f"{sector or 'item'}-{digest}"
