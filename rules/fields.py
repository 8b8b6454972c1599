"""What the fields of `vocabulary.FIELDS` and `vocabulary.FAMILIES` read; an empty text is not given, so unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from domain.instants import SHANGHAI
from domain.objects import Licence, RegulatedObject
from rules.evaluation import Run
from rules.facts import Facts
from rules.literals import Constant, Regional
from rules.vocabulary import PARENT


def _of_object(read: Callable[[RegulatedObject], Any]) -> Run:
    def run(facts: Facts) -> Any:
        return None if facts.object is None else read(facts.object) or None

    return run


def _members(read: Callable[[RegulatedObject], tuple[str, ...]]) -> Run:
    def run(facts: Facts) -> Any:
        return None if facts.object is None else read(facts.object)

    return run


_OWN: Final[Mapping[str, Run]] = {
    "source": lambda facts: facts.entry.signal.source,
    "kind": lambda facts: facts.entry.signal.kind or None,
    "matter": lambda facts: facts.entry.signal.matter or None,
    "region": lambda facts: facts.entry.signal.region or None,
    "severity": lambda facts: facts.entry.signal.severity,
    "value": lambda facts: facts.entry.signal.value,
    "unit": lambda facts: facts.entry.signal.unit or None,
    "text": lambda facts: facts.entry.signal.text or None,
    "feed": lambda facts: facts.entry.feed or None,
    "occurred_at": lambda facts: facts.entry.signal.occurred_at,
    "object": lambda facts: facts.entry.resolution.object_id or None,
    "object.type": _of_object(lambda thing: thing.type),
    "object.name": _of_object(lambda thing: thing.name),
    "object.code": _of_object(lambda thing: thing.code),
    "object.region": _of_object(lambda thing: thing.region),
    "object.address": _of_object(lambda thing: thing.address),
    "object.industry": _of_object(lambda thing: thing.industry),
    "object.credit": _of_object(lambda thing: thing.credit),
    "object.labels": _members(lambda thing: thing.labels),
    "object.listed_by": _members(lambda thing: thing.listed_by),
    "object.code_valid": lambda facts: None if facts.object is None else facts.object.code_valid,
}


def _parent(facts: Facts) -> RegulatedObject | None:
    """Return the object's parent in the registry; None where it has none, or the registry does not know it."""
    relations = facts.object.relations if facts.object is not None else ()
    return facts.objects.get(next((each.object_id for each in relations if each.kind == "parent"), ""))


def _of_parent(name: str) -> Run:
    members = name in {"labels", "listed_by"}

    def run(facts: Facts) -> Any:
        parent = _parent(facts)
        if parent is None:
            return None
        value = getattr(parent, name)
        return value if members else value or None

    return run


_PARENTS: Final[Mapping[str, Run]] = {
    PARENT + name: _of_parent(name) for name in ("type", "name", "code", "region", "industry", "credit", "labels", "listed_by")
}
READERS: Final[Mapping[str, Run]] = {**_OWN, **_PARENTS}


def member(path: str) -> Run:
    """Return what reads a field of a family: `object.relations.uses`, `object.licence.gas`, `object.licence_left.gas`."""
    _, family, kind = path.split(".")
    reading: dict[str, Callable[[Facts, str], Any]] = {"relations": _related, "licence": _state, "licence_left": _left}
    read = reading[family]
    return lambda facts: read(facts, kind)


def _related(facts: Facts, kind: str) -> tuple[str, ...] | None:
    return None if facts.object is None else tuple(each.object_id for each in facts.object.relations if each.kind == kind)


def _licences(facts: Facts, kind: str) -> list[Licence]:
    """Return the licences of a kind, the one that lasts longest first; one without an end lasts for ever."""
    own = [each for each in facts.object.licences if each.kind == kind] if facts.object is not None else []
    return sorted(own, key=lambda each: (each.expires is not None, -each.expires.toordinal() if each.expires is not None else 0))


def _lasts(licence: Licence, facts: Facts) -> bool:
    return licence.expires is None or facts.entry.signal.occurred_at.astimezone(SHANGHAI).date() <= licence.expires


def _state(facts: Facts, kind: str) -> str | None:
    """Return the state of the licence at the signal's time: valid where one is, else what became of the one that lasts longest."""
    if facts.object is None:
        return None
    own = _licences(facts, kind)
    if any(each.state == "valid" and _lasts(each, facts) for each in own):
        return "valid"
    first = own[0] if own else None
    return "none" if first is None else "expired" if first.state == "valid" else first.state


def _left(facts: Facts, kind: str) -> float | None:
    """Return the seconds from the signal's time to the end of the last valid day; unknown where no licence has an end."""
    ends = [each.expires for each in _licences(facts, kind) if each.state == "valid"]
    if not ends or ends[0] is None:
        return None
    local = facts.entry.signal.occurred_at.astimezone(SHANGHAI)
    day = (ends[0] - local.date()).days + 1
    return day * 86_400.0 - (local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6)


def read(path: str, facts: Facts) -> Any:
    """Return the value of a field of the parent or of a family, as a hit shows it."""
    value = (READERS[path] if path in READERS else member(path))(facts)
    return list(value) if isinstance(value, tuple) else value


def regional(constant: Constant) -> Run:
    """Return what reads a parameter that regions override: the value of the longest region that holds on the day of the signal."""
    values, usual = constant.regional, constant.value

    def run(facts: Facts) -> Any:
        found = in_force(values, facts)
        return usual if found is None else found.value

    return run


def in_force(values: Sequence[Regional], facts: Facts) -> Regional | None:
    """Return which of the values that regions give a parameter, the longest region first, holds for these facts; None: its usual value."""
    region = (facts.object.region if facts.object is not None else "") or facts.entry.signal.region
    if not region:
        return None
    day = facts.entry.signal.occurred_at.astimezone(SHANGHAI).date()
    return next((each for each in values if region.startswith(each.region) and day <= each.until), None)
