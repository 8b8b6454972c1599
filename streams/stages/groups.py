"""What an indicator is kept for (按什么汇总): the names of the groups that a signal belongs to."""

from __future__ import annotations

from collections.abc import Iterable

from domain.objects import RegulatedObject
from domain.records import SignalEntry
from rules.ruleset import By, Part

PARENT = "parent"  # the registry's kind of relation


def area_name(region: str, digits: int) -> str:
    """Return the subject's name of the area of `digits` digits around `region`.

    >>> area_name("610113001", 6)
    'region:610113'
    """
    return f"region:{region[:digits]}"


def _part(part: Part, object_id: str, thing: RegulatedObject | None, region: str, matter: str) -> str:
    """Return the name of one part of a group, "" where it is not told."""
    if isinstance(part, int):
        return area_name(region, part) if len(region) >= part else ""
    if part in {"object", "each"}:
        return f"{part}:{object_id}"
    if part == "parent":
        relations = thing.relations if thing is not None else ()
        return f"parent:{next((each.object_id for each in relations if each.kind == PARENT), object_id)}"
    known = matter if part == "matter" else thing.industry if thing is not None else ""
    return f"{part}:{known}" if known else ""


def group_name(by: By, object_id: str, thing: RegulatedObject | None, region: str, matter: str = "") -> str:
    """Return the name of the group of an object, in a region, at a signal of a matter; "" where a part of it is not told.

    >>> group_name(("matter", 6), "o-1", None, "610113001", "gas")
    'matter:gas|region:610113'
    """
    if by == "object":
        return object_id
    if not isinstance(by, tuple):
        return _part(by, object_id, thing, region, matter)
    if (not matter and "matter" in by) or (thing is None and "industry" in by):
        return ""  # most signals tell no matter
    names = [_part(part, object_id, thing, region, matter) for part in by]
    return "|".join(name.replace("%", "%25").replace("|", "%7C") for name in names) if all(names) else ""


def whose(name: str, groups: Iterable[By]) -> tuple[By, str]:
    """Return what a window of this name is kept for, of objects, areas and `groups`, and the area's name or the one object, "" for many.

    >>> whose("o-1", ()), whose("region:610113", ()), whose("matter:gas|region:610113", [("matter", 6)])
    (('object', 'o-1'), (6, 'region:610113'), (('matter', 6), ''))
    >>> whose("object:a%7Cb|matter:gas", [("object", "matter")])
    (('object', 'matter'), 'a|b')
    """
    for by in groups:
        parts = by if isinstance(by, tuple) else (by,)
        told = name.split("|") if isinstance(by, tuple) else [name]
        if len(told) == len(parts) and all(each.startswith(_label(part)) for part, each in zip(parts, told, strict=True)):
            about = (each for part, each in zip(parts, told, strict=True) if part in {"object", "each"})
            object_id = next(about, "").partition(":")[2]
            return by, object_id.replace("%7C", "|").replace("%25", "%") if isinstance(by, tuple) else object_id
    area = name.removeprefix("region:")
    return ("object" if area == name else len(area)), name


def _label(part: Part) -> str:
    """Return what the name of a part of a group begins with."""
    return "region:" if isinstance(part, int) else f"{part}:"


def group_at(by: By, entry: SignalEntry, thing: RegulatedObject | None, region: str) -> str:
    """Return the name of the group that a signal belongs to, "" for none."""
    return group_name(by, entry.resolution.object_id, thing, region, entry.signal.matter)
