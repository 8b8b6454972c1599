"""From a tree of marks to the structs of `rules.documents`: every wrong key, type and value is reported, not the first only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from rules.documents import DATE, DURATION, OFFSET, SHAPES
from rules.durations import FIRST_DAY, LAST_DAY, LONGEST, duration
from rules.pauses import pause
from rules.positions import Listing, Scalar, Tree
from rules.positions import Mapping as MapTree
from rules.problems import Mark, Phrase, Problems

_T = TypeVar("_T", bound=msgspec.Struct)
_INTEGER: Final = re.compile(r"[+-]?\d{1,15}")
_FLOAT: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,2})?")


class _Wrong:
    """What stands for a value that was reported."""


_WRONG: Final = _Wrong()


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of file adds to the reading of structs.

    `later` are keys that are known but not part of this version, with what to use instead (Chinese, English). `stand_ins` stand, by key,
    for required values that were reported, where the plain stand-in of their type would make a second problem.
    """

    later: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)


PLAIN: Final = Dialect()


def stand_in(wanted: inspect.Type) -> Any:
    """Return a value of the type `wanted`, as empty as it can be."""
    match _bare(wanted):
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 0
        case inspect.FloatType():
            return 0.0
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.VarTupleType():
            return ()
        case inspect.DictType():
            return {}
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{each.name: stand_in(each.type) for each in fields if each.required})
        case inspect.UnionType(types=types):
            return stand_in(types[0])
    return ""


@cache
def _describe(struct: type[msgspec.Struct]) -> inspect.StructType:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return described


def plain(tree: Tree) -> Any:
    """Return free content (attrs, params) as JSON would have it: true, false, numbers, else text; null is None."""
    if isinstance(tree, MapTree):
        return {key: plain(value) for key, (_, value) in tree.entries.items()}
    if isinstance(tree, Listing):
        return [plain(item) for item in tree.items]
    if tree.quoted:
        return tree.raw
    if tree.raw in {"true", "false"}:
        return tree.raw == "true"
    if tree.raw in {"", "null", "~"}:
        return None
    if _INTEGER.fullmatch(tree.raw):
        return int(tree.raw)
    return float(tree.raw) if _FLOAT.fullmatch(tree.raw) else tree.raw


class _Reader:
    def __init__(self, file: str, problems: Problems, dialect: Dialect) -> None:
        self._file = file
        self._problems = problems
        self._dialect = dialect

    def _wrong(self, mark: Mark, key: str, **values: object) -> _Wrong:
        self._problems.add(self._file, mark, key, **values)
        return _WRONG

    def read(self, tree: Tree, wanted: inspect.Type, name: str) -> Any:
        """Return the value of `tree` as `wanted`, or _WRONG after reporting; `name` is the field's."""
        while isinstance(wanted, inspect.Metadata):
            wanted = wanted.type
        match wanted:
            case inspect.AnyType():
                return plain(tree)
            case inspect.UnionType():
                return self._union(tree, wanted, name)
            case inspect.StructType():
                return self._struct(tree, wanted.cls, name)
            case inspect.DictType():
                return self._dict(tree, wanted, name)
            case inspect.VarTupleType():
                return self._tuple(tree, wanted, name)
        if not isinstance(tree, Scalar):
            return self._wrong(tree.mark, "rules.want_scalar", field=name)
        if not tree.quoted and tree.raw in {"", "~", "null"}:
            return self._wrong(tree.mark, "rules.empty_value", field=name)
        return self._scalar(tree, wanted, name)

    def _scalar(self, tree: Scalar, wanted: inspect.Type, name: str) -> Any:
        match wanted:
            case inspect.StrType():
                return self._text(tree, wanted, name)
            case inspect.BoolType():
                if tree.raw not in {"true", "false"}:
                    return self._wrong(tree.mark, "rules.not_legal", read=tree.raw, field=name, legal=("true", "false"))
                return tree.raw == "true"
            case inspect.LiteralType():
                legal = tuple(str(value) for value in wanted.values if value != "")
                if tree.raw not in legal:
                    return self._wrong(tree.mark, "rules.not_legal", read=tree.raw, field=name, legal=legal)
                return tree.raw
            case inspect.IntType() | inspect.FloatType():
                return self._number(tree, wanted, name)
        raise AssertionError(f"no reading of {wanted}")

    def _text(self, tree: Scalar, wanted: inspect.StrType, name: str) -> Any:
        if len(tree.raw) < (wanted.min_length or 0):
            return self._wrong(tree.mark, "rules.empty_value", field=name)
        if wanted.max_length is not None and len(tree.raw) > wanted.max_length:
            return self._wrong(tree.mark, "rules.too_long", field=name, limit=wanted.max_length)
        if wanted.pattern is not None and not re.search(wanted.pattern, tree.raw):
            return self._wrong(tree.mark, "rules.not_shaped", read=tree.raw, field=name, shape=_shape(wanted.pattern))
        return self._instant(tree, wanted.pattern, name)

    def _instant(self, tree: Scalar, pattern: str | None, name: str) -> Any:
        """Judge a text that may be a length of time or a day: one may have the shape and still be none, or none to calculate with."""
        if pattern in {DURATION, OFFSET}:
            try:
                duration(tree.raw.removeprefix("+"))
            except ValueError:
                return self._wrong(tree.mark, "rules.out_of_range", field=name, read=tree.raw, low="0s", high=f"{LONGEST.days}d")
        elif pattern == DATE:
            try:
                day = date.fromisoformat(tree.raw)
            except ValueError:
                return self._wrong(tree.mark, "rules.not_shaped", read=tree.raw, field=name, shape=_shape(DATE))
            if not FIRST_DAY <= day <= LAST_DAY:
                return self._wrong(tree.mark, "rules.out_of_range", field=name, read=tree.raw, low=FIRST_DAY, high=LAST_DAY)
        return tree.raw

    def _number(self, tree: Scalar, wanted: inspect.IntType | inspect.FloatType, name: str) -> Any:
        whole = isinstance(wanted, inspect.IntType)
        if not (_INTEGER if whole else _FLOAT).fullmatch(tree.raw):
            return self._wrong(tree.mark, "rules.want_integer" if whole else "rules.want_number", field=name, read=tree.raw)
        value = int(tree.raw) if whole else float(tree.raw)
        low = wanted.ge if wanted.ge is not None else wanted.gt
        if (
            (wanted.ge is not None and value < wanted.ge)
            or (wanted.le is not None and value > wanted.le)
            or (wanted.gt is not None and value <= wanted.gt)
        ):
            high = "" if wanted.le is None else wanted.le
            return self._wrong(tree.mark, "rules.out_of_range", field=name, read=tree.raw, low=low, high=high)
        return value

    def _union(self, tree: Tree, wanted: inspect.UnionType, name: str) -> Any:
        """Choose the member by the shape of what was written: a mapping is the struct, a list the tuple, a scalar the rest."""
        members = [_bare(member) for member in wanted.types if not isinstance(_bare(member), inspect.NoneType)]
        structs = [member for member in members if isinstance(member, inspect.StructType)]
        others = [member for member in members if not isinstance(member, inspect.StructType)]
        if structs and (isinstance(tree, MapTree) or not others):
            return self.read(tree, structs[0], name)
        others.sort(key=lambda member: isinstance(member, inspect.VarTupleType) != isinstance(tree, Listing))
        return self.read(tree, others[0], name)

    def _struct(self, tree: Tree, struct: type[msgspec.Struct], name: str) -> Any:
        if not isinstance(tree, MapTree):
            return self._wrong(tree.mark, "rules.want_mapping", field=name)
        pause()
        fields = {each.encode_name: each for each in _describe(struct).fields}
        values: dict[str, Any] = {}
        for key, (mark, value) in tree.entries.items():
            if key in fields:
                read = self.read(value, fields[key].type, key)
                if read is not _WRONG:
                    values[fields[key].name] = read
            elif key in self._dialect.later:
                self._wrong(mark, "rules.later", read=key, instead=self._dialect.later[key])
            else:
                self._wrong(mark, "rules.unknown_key", read=key, legal=tuple(fields))
        for each in fields.values():
            if each.required and each.name not in values:
                if each.encode_name not in tree.entries:
                    self._wrong(tree.mark, "rules.missing_key", field=each.encode_name)
                own = self._dialect.stand_ins
                values[each.name] = own[each.encode_name] if each.encode_name in own else stand_in(each.type)
        return struct(**values)

    def _dict(self, tree: Tree, wanted: inspect.DictType, name: str) -> Any:
        if not isinstance(tree, MapTree):
            return self._wrong(tree.mark, "rules.want_mapping", field=name)
        read = {key: self.read(value, wanted.value_type, key) for key, (_, value) in tree.entries.items()}
        return {key: value for key, value in read.items() if value is not _WRONG}

    def _tuple(self, tree: Tree, wanted: inspect.VarTupleType, name: str) -> Any:
        if not isinstance(tree, Listing):
            return self._wrong(tree.mark, "rules.want_list", field=name)
        if len(tree.items) < (wanted.min_length or 0):
            return self._wrong(tree.mark, "rules.empty_value", field=name)
        read = tuple(self.read(item, wanted.item_type, name) for item in tree.items)
        return _WRONG if any(value is _WRONG for value in read) else read


def _bare(wanted: inspect.Type) -> inspect.Type:
    while isinstance(wanted, inspect.Metadata):
        wanted = wanted.type
    return wanted


def _shape(pattern: str) -> Phrase | str:
    return Phrase(SHAPES[pattern]) if pattern in SHAPES else pattern


def read_struct(file: str, tree: Tree, struct: type[_T], problems: Problems, dialect: Dialect = PLAIN) -> _T | None:
    """Return `tree` as `struct`, or None where it is no mapping; everything that is wrong with it is reported.

    What is wrong is left at its default or replaced by a stand-in, so that the caller can go on looking for more problems; after an
    error the struct is good for nothing else.
    """
    read = _Reader(file, problems, dialect).read(tree, _describe(struct), "")
    return read if isinstance(read, struct) else None
