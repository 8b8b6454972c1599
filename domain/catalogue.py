"""The item catalogue (跨部门综合监管事项清单): it alone decides who leads, who cooperates and on which basis."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from domain.base import Noun

Tier = Literal["province", "city", "county", "township"]


class CatalogueItem(Noun, frozen=True, kw_only=True):
    """One row of the form of 市政办发〔2023〕25号 annex 1, with the columns that routing needs.

    A matter (事项) is the `slug`; `code` is the 14-digit item number where the provincial catalogue gives one. `kinds` are
    patterns over signal kinds (`gas.*`) that choose between items of one sector; empty means every kind. `regions` are
    prefixes of region codes, empty means everywhere. `basis` says who is competent (a rule's basis says why it is a risk).
    """

    slug: str
    title: str
    sector: str
    lead: str  # name of the unit as the form has it: 市住建局, 市场监管部门
    cooperating: tuple[str, ...] = ()
    code: str = ""
    kinds: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    objects: str = ""
    category: str = ""
    method: str = ""
    tier: Tier = "city"


class Catalogue(Noun, frozen=True, kw_only=True):
    """One imported, immutable version of the catalogue; `version` counts from 1, 0 is the empty catalogue."""

    version: int = 0
    items: tuple[CatalogueItem, ...] = ()

    def find(self, sector_or_matter: str, kind: str, region: str) -> CatalogueItem | None:
        """Return the most specific item for a sector (or an item's own slug or code), a signal kind and a region, else None.

        More specific: a named matter, then a longer region prefix, then a named kind, then the earlier row.
        """
        best: CatalogueItem | None = None
        best_rank: tuple[int, int, int] = (-1, -1, -1)
        for item in self.items:
            named = sector_or_matter in (item.slug, item.code) and bool(sector_or_matter)
            if not named and item.sector != sector_or_matter:
                continue
            if item.kinds and not any(fnmatchcase(kind, pattern) for pattern in item.kinds):
                continue
            reach = max((len(prefix) for prefix in item.regions if region.startswith(prefix)), default=0 if not item.regions else -1)
            if reach < 0:
                continue
            rank = (int(named), reach, int(bool(item.kinds)))
            if rank > best_rank:
                best, best_rank = item, rank
        return best
