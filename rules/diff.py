"""What differs between two sets of rule files: as they are written, field by field, not line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from domain.base import Noun
from domain.errors import FileProblems
from rules.documents import PackDoc
from rules.load import parse
from rules.parsed import ParsedPack
from rules.positions import Path, place
from rules.problems import Problems

Kind = Literal["pack", "param", "indicator", "rule", "inference", "file"]
_KEPT_APART = frozenset({"pack", "rules", "indicators", "inferences", "params"})  # what is compared piece by piece
_MISSING = object()


class Difference(Noun, frozen=True, kw_only=True):
    """One thing that was added, removed or changed in one field.

    `id` is a rule's or inference's id, a pack's name, `pack.name` of an indicator or parameter, or the name of another file (a list,
    overrides, tuning), of which the lines are told that the other set has not. `old` and `new` are as written, None
    where there is nothing; tests stand by their names, those that both sets have with the fields that differ. `place` is file:line in the
    set that has it, the new one of both.
    """

    kind: Kind
    id: str
    change: Literal["added", "removed", "changed"]
    field: str = ""
    old: Any = None
    new: Any = None
    place: str = ""


class _Item(msgspec.Struct, frozen=True):
    fields: Mapping[str, Any]
    place: str


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return what differs between two sets of texts (file name → YAML): packs, parameters, indicators, rules, each in order of its id.

    A rule that moved to another file or line is the same rule; one that names `renamed_from` is compared with the rule that it was.

    Raises:
        FileProblems: a file is no pack; all problems of both sets.
    """
    problems = Problems()
    before, after = _items(old, problems), _items(new, problems)
    if problems.errors():
        raise FileProblems(problems.errors())
    for kind, name in [key for key, item in after.items() if key[0] == "rule" and item.fields.get("renamed_from")]:
        earlier = ("rule", after[kind, name].fields["renamed_from"])
        if earlier in before and earlier not in after and (kind, name) not in before:
            before[kind, name] = before.pop(earlier)
    order = {"pack": 0, "param": 1, "indicator": 2, "rule": 3, "inference": 4, "file": 5}
    keys = sorted(before.keys() | after.keys(), key=lambda key: (order[key[0]], key[1]))
    return tuple(found for key in keys for found in _compare(key, before.get(key), after.get(key)))


def _compare(key: tuple[Kind, str], old: _Item | None, new: _Item | None) -> Iterator[Difference]:
    kind, name = key
    if old is None or new is None:
        there = new or old
        assert there is not None
        yield Difference(kind=kind, id=name, change="removed" if new is None else "added", place=there.place)
        return
    for field in dict.fromkeys((*old.fields, *new.fields)):
        one, other = old.fields.get(field, _MISSING), new.fields.get(field, _MISSING)
        if one != other:
            before, after = (None if value is _MISSING else value for value in (one, other))
            if field == "tests":
                before, after = _tests(before, after), _tests(after, before)
            elif field == "lines":
                before, after = _lines(before, after), _lines(after, before)
            yield Difference(kind=kind, id=name, change="changed", field=field, old=before, new=after, place=new.place)


def _tests(own: Any, others: Any) -> list[str]:
    """Return the tests that the other side has not, by their names, and those that it has otherwise, each with its fields that differ."""
    told = {case["name"]: case for case in others or ()}
    return [_otherwise(case, told.get(case["name"])) for case in own or () if told.get(case["name"]) != case]


def _otherwise(case: Mapping[str, Any], other: Mapping[str, Any] | None) -> str:
    if other is None:
        return str(case["name"])
    fields = {field: value for field, value in case.items() if field not in other or other[field] != value}
    return f"{case['name']} {msgspec.json.encode(fields).decode()}" if fields else str(case["name"])


def _lines(own: Any, others: Any) -> list[str]:
    return [line for line in own if line not in others]


def _items(texts: Mapping[str, str], problems: Problems) -> dict[tuple[Kind, str], _Item]:
    found: dict[tuple[Kind, str], _Item] = {}
    for file in sorted(texts):
        if "/" in file:  # below the folder of packs
            found["file", file] = _Item({"lines": texts[file].splitlines()}, f"{file}:1")
            continue
        parsed = parse(file, texts[file], problems)
        if parsed is not None:
            found |= _of_pack(parsed)
    return found


def _of_pack(parsed: ParsedPack) -> dict[tuple[Kind, str], _Item]:
    doc: PackDoc = parsed.doc
    written: dict[str, Any] = msgspec.to_builtins(doc)

    def item(fields: Mapping[str, Any], *path: str | int) -> _Item:
        here: Path = path
        return _Item(fields, f"{parsed.file}:{place(parsed.tree, here).line}")

    found: dict[tuple[Kind, str], _Item] = {
        ("pack", doc.pack): item({name: value for name, value in written.items() if name not in _KEPT_APART})
    }
    for name, value in written["params"].items():
        found["param", f"{doc.pack}.{name}"] = item({"": value}, "params", name)
    for name, fields in written["indicators"].items():
        found["indicator", f"{doc.pack}.{name}"] = item(fields, "indicators", name)
    for index, fields in enumerate(written["rules"]):
        found["rule", fields["id"]] = item(fields, "rules", index)
    for index, fields in enumerate(written.get("inferences", ())):
        found["inference", fields["id"]] = item(fields, "inferences", index)
    return found
