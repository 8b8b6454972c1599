"""Which columns of an input fill which fields of a mapping: worked out once per set of headers, and the cells read before remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

from connectors.inbound.cells import read_cell
from connectors.inbound.headers import header_forms, normalise_header
from connectors.inbound.mapping_model import Field, Mapping
from connectors.inbound.nesting import all_at_path

_PLANS = 1024  # sets of headers whose columns are remembered; a feed has few, an attacker many
_SEEN = 4096  # texts that one column remembers
_LONGEST = 48  # characters of a text worth remembering: codes, names, times; sentences do not come back
_PARTIES = re.compile(r"[,，;；、\s]+")
_ORGANISATION = re.compile(r"公司|厂|店|中心|医院|学校|集团|合作社|银行|部$|处$|局$|委员会|事务所|协会|酒店|超市")
_UNSEEN = object()


@dataclass(frozen=True, slots=True)
class Column:
    """One header that may hold a field's value; `seen` is what texts in it were read as (reading is pure)."""

    header: str
    many: bool  # a path through lists
    seen: dict[str, Any] = member(default_factory=dict)

    def read(self, cell: Any, field: Field, mapping: Mapping) -> Any:
        """Return the value of a cell as `read_cell` does; raises SignalRejected as it does."""
        if type(cell) is not str or len(cell) > _LONGEST:  # 1, 1.0 and True are one key and three texts
            return read_cell(cell, self.header, field, mapping.times, mapping.nulls)
        value = self.seen.get(cell, _UNSEEN)
        if value is _UNSEEN:
            value = read_cell(cell, self.header, field, mapping.times, mapping.nulls)
            if len(self.seen) >= _SEEN:
                self.seen.clear()
            self.seen[cell] = value
        return value


@dataclass(frozen=True, slots=True)
class Source:
    """One field and the columns that may fill it, in order of preference.

    `spoils` says whether a wrong value spoils the record; an attribute that nothing else needs is kept as it was written.
    """

    name: str
    field: Field
    columns: tuple[Column, ...]
    spoils: bool

    def value(self, flat: dict[str, Any], values: dict[str, Any], headers: dict[str, str], mapping: Mapping) -> Any:
        """Return what the first column that holds something says, else the field's default; note in `headers` which one was read.

        Raises:
            SignalRejected: the cell is not of the field's type.
        """
        field = self.field
        for column in self.columns:
            cell = flat.get(column.header)
            if column.many:
                cell = _taken(all_at_path(values, column.header), field.take)
            elif field.take != "first" and cell is not None:
                cell = _taken(cell if isinstance(cell, list) else _PARTIES.split(str(cell)), field.take)
            if cell is None or cell == "":
                continue
            headers[self.name] = column.header
            value = column.read(cell, field, mapping)
            if value is not None:
                return value
        return field.default


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of all fields that can have a value, in the mapping's order, and of those that are required."""

    filled: tuple[Source, ...]
    required: tuple[Source, ...]


def sources_of(mapping: Mapping, headers: tuple[str, ...]) -> Sources:
    """Return the source of every field: alias by alias, whole header before its bracketed parts."""
    known: Sources | None = mapping.plans.get(headers)
    if known is not None:
        return known
    whole: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    for header in headers:
        whole.setdefault(normalise_header(header), []).append(header)
        for form in header_forms(header)[1:]:
            parts.setdefault(form, []).append(header)
    every = []
    for field in mapping.fields.values():
        found: list[str] = []
        for alias in field.aliases:
            form = normalise_header(alias)
            found += [alias] if "[]" in alias else whole.get(form) or parts.get(form, [])
        columns = tuple(Column(header, "[]" in header) for header in dict.fromkeys(found))
        every.append(Source(field.name, field, columns, _spoils(field, mapping)))
    if len(mapping.plans) >= _PLANS:
        mapping.plans.clear()
    filled = tuple(source for source in every if source.columns or source.field.default is not None)
    sources = Sources(filled, tuple(source for source in every if source.field.required))
    mapping.plans[headers] = sources
    return sources


def _spoils(field: Field, mapping: Mapping) -> bool:
    used: tuple[Sequence[str], ...] = (mapping.slots.occurred_at, mapping.slots.value, *mapping.key)
    return field.required or any(field.name in names for names in used)


def _taken(found: list[Any], take: str) -> Any:
    """Return what a path with `[]` led to as one value."""
    if not found:
        return None
    if take == "count":
        return len(found)
    if take == "max":
        numbers = [value for value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]
        return max(numbers, default=None)
    if take == "organisation":
        return next((str(name).strip() for name in found if _ORGANISATION.search(str(name))), None)
    return found if take == "join" else found[0]
