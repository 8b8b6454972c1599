"""Overrides and tuning: what a region or an office changes in the rules of others, each with its reason and its last day.

`overrides/610113.yaml` gives parameters other values for the objects of a region. `tuning/NAME.yaml` keeps rules from speaking where
something is known better; what it keeps back is counted and written down, never just gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from domain.identifiers import is_region_code
from rules.documents import REGION, OverrideDoc, TuningDoc
from rules.durations import midnight
from rules.expressions import Scope, compile_expression
from rules.literals import Constant, Regional, literal
from rules.positions import Mapping as MapTree
from rules.positions import Scalar, find, place, read_tree
from rules.problems import WHOLE_FILE, Phrase, Problems
from rules.reading import read_struct
from rules.ruleset import Suppression
from rules.vocabulary import NUMERIC

OVERRIDES: Final = "overrides/"
TUNING: Final = "tuning/"


@dataclass(frozen=True, slots=True)
class Override:
    """The parameters of a region, by pack and name, until `until` (the last day in Asia/Shanghai)."""

    file: str
    tree: MapTree
    region: str
    until: date
    reason: str
    params: Mapping[str, Mapping[str, Any]]


def _expired(file: str, tree: MapTree, path: tuple[str | int, ...], until: date, today: date | None, problems: Problems) -> None:
    if today is not None and until < today:
        problems.warn(file, place(tree, path), "rules.expired", read=until.isoformat())


def read_override(file: str, text: str, problems: Problems, today: date | None) -> Override | None:
    """Return what a file of `overrides/` says, None after reporting; its name is the region's code."""
    region = file.removeprefix(OVERRIDES).removesuffix(".yaml")
    if not re.search(REGION, region):
        problems.add(file, WHOLE_FILE, "rules.not_shaped", read=region, field="overrides", shape=Phrase("rules.shape.region"))
        return None
    if not is_region_code(region):
        problems.warn(file, WHOLE_FILE, "rules.no_such_region", read=region)
    tree = read_tree(file, text, problems)
    doc = read_struct(file, tree, OverrideDoc, problems) if tree is not None else None
    if tree is None or doc is None or not doc.until:
        return None
    until = date.fromisoformat(doc.until)
    _expired(file, tree, ("until",), until, today, problems)
    return Override(file, tree, region, until, doc.reason, doc.params)


def overridden(pack: str, params: Mapping[str, Constant], overrides: Iterable[Override], problems: Problems) -> dict[str, Constant]:
    """Return the parameters of a pack with the values that regions give them, the longest region first."""
    changed = dict(params)
    for override in overrides:
        for name, raw in override.params.get(pack, {}).items():
            path = ("params", pack, name)
            known = params.get(name)
            scalar = find(override.tree, path)
            if known is None:
                legal = tuple(each for each in params if not each.startswith("@"))
                problems.add(override.file, place(override.tree, path), "rules.unknown_param", read=name, legal=legal)
                continue
            value = literal(scalar.raw) if isinstance(scalar, Scalar) and not scalar.quoted else None
            if known.type not in NUMERIC or value is None or value.type != known.type:
                other = Phrase(f"rules.type.{known.type}")
                problems.add(override.file, place(override.tree, path), "rules.other_than_param", read=raw, name=name, type=other)
                continue
            regional = (*changed[name].regional, Regional(override.region, override.until, value.value))
            changed[name] = Constant(known.type, known.value, tuple(sorted(regional, key=lambda each: (-len(each.region), each.region))))
    return changed


def check_packs(overrides: Iterable[Override], packs: Iterable[str], problems: Problems) -> None:
    """Report packs that overrides name and that there are not."""
    known = tuple(packs)
    for override in overrides:
        for pack in override.params:
            if pack not in known:
                problems.add(override.file, place(override.tree, ("params", pack)), "rules.unknown_pack", read=pack, legal=known)


def read_tuning(
    file: str, text: str, problems: Problems, rules: Iterable[str] | None, lists: Mapping[str, Constant], today: date | None
) -> list[tuple[tuple[str, ...], Suppression]]:
    """Return the filters of a file of `tuning/`, each with the ids of the rules that it is for; what is wrong is reported.

    `rules` is None where not all packs can be read: then nobody knows which there are.
    """
    known = tuple(rules or ())
    tree = read_tree(file, text, problems)
    doc = read_struct(file, tree, TuningDoc, problems) if tree is not None else None
    if tree is None or doc is None:
        return []
    found: list[tuple[tuple[str, ...], Suppression]] = []
    for index, each in enumerate(doc.filters):
        path = ("filters", index)
        scalar = find(tree, (*path, "when"))

        def told(offset: int, key: str, values: Mapping[str, object], scalar: object = scalar) -> None:
            mark = scalar.within(offset) if isinstance(scalar, Scalar) else place(tree, ())
            problems.add(file, mark, key, **dict(values))

        when = compile_expression(each.when, Scope(told, lists, in_filter=True), condition=True) if each.when else None
        named: dict[str, None] = {}
        for number, pattern in enumerate(each.rules):
            hit = [name for name in known if fnmatchcase(name, pattern)]
            if not hit and rules is not None:
                problems.add(file, place(tree, (*path, "rules", number)), "rules.no_such_rules", read=pattern, legal=known[:50])
            named |= dict.fromkeys(hit)
        if not each.until or when is None:
            continue
        until = date.fromisoformat(each.until)
        _expired(file, tree, (*path, "until"), until, today, problems)
        ends = midnight(each.until) + timedelta(days=1)
        found.append((tuple(named), Suppression(each.id, each.reason, each.owner, ends, when[0], file, place(tree, path).line)))
    return found
