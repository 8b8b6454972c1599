"""Regulated objects (监管对象): the registry's nouns and how a signal finds its object."""

from __future__ import annotations

from datetime import date
from typing import Literal

from domain.base import Noun

# Kinds of object that the notices name (capability D23).
ObjectType = Literal[
    "enterprise", "individual_business", "institution", "person", "product", "project", "act", "equipment", "region", "site", "cyberspace"
]
OBJECT_TYPES: tuple[str, ...] = ObjectType.__args__  # type: ignore[attr-defined]  # typing has no typed way to list a Literal


class Relation(Noun, frozen=True, kw_only=True):
    """A directed relation to another object: `kind` is e.g. operates, parent, located_in, uses."""

    kind: str
    object_id: str


class Licence(Noun, frozen=True, kw_only=True):
    """A licence (许可) that an object holds.

    `kind` is a matter or sector (gas), `expires` its last day in Asia/Shanghai, None for no end.
    """

    kind: str
    number: str = ""
    state: Literal["valid", "suspended", "revoked", "cancelled"] = "valid"
    expires: date | None = None


class RegulatedObject(Noun, frozen=True, kw_only=True):
    """One entry of the registry.

    `code_valid` is None where the code is of no kind that carries a check digit; a wrong one is kept and flagged, never dropped.
    `listed_by` are the departments that list the object as theirs (capability D25).
    """

    id: str
    type: ObjectType
    name: str
    code: str = ""
    code_valid: bool | None = None
    aliases: tuple[str, ...] = ()  # other names, shop signs, former codes
    region: str = ""
    address: str = ""
    industry: str = ""  # GB/T 4754
    credit: str = ""  # grade, A to D, or ""
    labels: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    listed_by: tuple[str, ...] = ()
    licences: tuple[Licence, ...] = ()


class Resolution(Noun, frozen=True, kw_only=True):
    """Which object a signal is about and how that was found.

    `object_id` is "" where nothing or more than one candidate matched: the signal is journalled, waits in the confirm queue and
    counts once it is confirmed. `confidence` is in [0, 1]; 1 only for an exact identifier. `code_valid` is as in `RegulatedObject`,
    for the code that the sender gave.
    """

    object_id: str = ""
    method: Literal["id", "code", "alias", "name", "confirmed", "none", "ambiguous"] = "none"
    confidence: float = 0.0
    candidates: tuple[str, ...] = ()
    registry_version: int = 0
    code_valid: bool | None = None
