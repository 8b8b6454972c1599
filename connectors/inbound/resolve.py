"""Which regulated object a signal is about: exact id, then code, then name. Pure; the look-up is a port.

What is not found or not unique stays open: the signal is journalled, waits in the confirm queue with the candidates, and counts
once a person has confirmed it. Nothing is guessed past a contradiction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from domain.base import Noun
from domain.identifiers import classify_code, is_uscc
from domain.names import normalise_code, normalise_name
from domain.objects import RegulatedObject, Resolution
from domain.ports import ObjectLookup
from domain.signals import ObjectRef

BY_NAME = 0.95  # confidence of a name or alias that only one object has
BY_NAME_AND_PLACE = 0.9  # of several with the name, one that fits address or region; or a mistyped code beside the right name
BY_MENTION = 0.8  # the one object whose code or full name stands in the text
_CANDIDATES = 10
_KNOWN = 8_192  # answers that are remembered
_SHORT = 200  # characters of a reference that is worth it
_NEAR = 2  # characters in which a mistyped code of 18 may differ
_CODE_IN_TEXT = re.compile(r"(?<![0-9A-Za-z])[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]{18}(?![0-9A-Za-z])")
_COMPANY_IN_TEXT = re.compile(r"[\w()（）·]{2,40}?(?:股份有限公司|有限责任公司|有限公司)(?:[\w]{2,12}?分公司)?")
_MENTIONS = 3
_SHORTEST_NAME = 4  # normalised characters of a company's name that is looked for in a text


class Resolver:
    """Resolves like `resolve` and remembers: devices and companies come back by the thousand. Forgets with every new registry version.

    Safe to use from several threads.
    """

    def __init__(self, lookup: ObjectLookup) -> None:
        """Ask `lookup`."""
        self._lookup = lookup
        self._known: tuple[int, dict[tuple[ObjectRef, str], Resolution]] = (-1, {})

    def resolve(self, ref: ObjectRef, text: str, region: str = "") -> Resolution:
        """Return what `resolve` returns."""
        if len(ref.id) + len(ref.code) + len(ref.name) + len(ref.address) > _SHORT or (text and not ref.id and not ref.name):
            return resolve(ref, text, self._lookup, region)  # texts do not come back
        current = self._lookup.version()
        version, known = self._known
        if version != current:
            known = {}
            self._known = current, known
        found = known.get((ref, region))
        if found is None:
            found = resolve(ref, "", self._lookup, region)
            if len(known) >= _KNOWN:
                known.clear()
            if found.registry_version == current:  # else the registry changed meanwhile
                known[ref, region] = found
        return found


def resolve(ref: ObjectRef, text: str, lookup: ObjectLookup, region: str = "") -> Resolution:
    """Return which object `ref` (and, where it names nothing, the `text`) is about; `region` is the signal's own region code.

    A code with a wrong check digit is used like any other and flagged by `code_valid`.
    """
    found = _found(ref, text, lookup, region)
    valid = classify_code(ref.code)[1]
    return found if valid is None else msgspec.structs.replace(found, code_valid=valid)


def _found(ref: ObjectRef, text: str, lookup: ObjectLookup, region: str) -> Resolution:
    """Return the resolution without its flag."""
    version = lookup.version()
    if ref.id:
        found = lookup.by_id(ref.id)
        if found is not None:
            return Resolution(object_id=found.id, method="id", confidence=1.0, registry_version=version)
    kind, _ = classify_code(ref.code)
    code = "" if kind in {"empty", "masked", "placeholder"} else normalise_code(ref.code)
    if code:
        coded = lookup.by_code(code)
        if len(coded) == 1:
            return Resolution(object_id=coded[0].id, method="code", confidence=1.0, registry_version=version)
        if coded:
            return _settled(coded, ref, region, version, method="code")
    if ref.name:
        named = lookup.by_name(normalise_name(ref.name))
        if named:
            return _named(named, code, ref, region, version)
    if not code and not ref.name and not ref.id and text:
        return _mentioned(text, lookup, version)
    return Resolution(registry_version=version)


def _named(named: Sequence[RegulatedObject], code: str, ref: ObjectRef, region: str, version: int) -> Resolution:
    """Settle objects of the right name; a code that is not theirs speaks against them, unless it is a typing error of theirs."""
    fitting = [each for each in named if not code or not each.code or _mistyped(code, normalise_code(each.code))]
    if not fitting:
        candidates = tuple(each.id for each in named[:_CANDIDATES])
        return Resolution(method="ambiguous", candidates=candidates, registry_version=version)
    if len(fitting) == 1:
        only = fitting[0]
        confidence = BY_NAME_AND_PLACE if code and only.code else BY_NAME
        plain = normalise_name(ref.name)
        return Resolution(
            object_id=only.id,
            method="name" if normalise_name(only.name) == plain else "alias",
            confidence=confidence,
            registry_version=version,
        )
    return _settled(fitting, ref, region, version, method="name")


def _settled(
    objects: Sequence[RegulatedObject], ref: ObjectRef, region: str, version: int, *, method: Literal["code", "name"]
) -> Resolution:
    """Return the one of several that name, address or region point at, else all of them as candidates."""
    plain_name, plain_address = normalise_name(ref.name), normalise_name(ref.address)
    tests = (
        [each for each in objects if method == "code" and plain_name and normalise_name(each.name) == plain_name],
        [each for each in objects if plain_address and _same_place(plain_address, normalise_name(each.address))],
        [each for each in objects if region and each.region and _nested(region, each.region)],
    )
    for fitting in tests:
        if len(fitting) == 1:
            return Resolution(object_id=fitting[0].id, method=method, confidence=BY_NAME_AND_PLACE, registry_version=version)
    candidates = tuple(each.id for each in objects[:_CANDIDATES])
    return Resolution(method="ambiguous", candidates=candidates, registry_version=version)


Fit = Literal["id", "code", "name", "alias", "mention", "contradicted", "none"]


class Proposal(Noun, frozen=True, kw_only=True):
    """An object that a signal may be about: what speaks for it, and how sure that is in [0, 1], shared among all that fit."""

    thing: RegulatedObject
    fit: Fit
    confidence: float


def propose(ref: ObjectRef, text: str, lookup: ObjectLookup, region: str, candidates: Sequence[str]) -> list[Proposal]:
    """Return what a person may choose from, the surest first: what the registry says now, and the `candidates` of when the signal came.

    So an object that was registered only after its signal came stands on top.
    """
    now = resolve(ref, text, lookup, region)
    ids = dict.fromkeys([*([now.object_id] if now.object_id else []), *now.candidates, *candidates])
    fits = {thing.id: (thing, *_fit(ref, thing)) for thing in map(lookup.by_id, ids) if thing is not None}
    fitting = max(1, sum(alone > 0 for _, _, alone in fits.values()))
    found = [
        Proposal(thing=thing, fit=fit, confidence=now.confidence if thing.id == now.object_id else round(alone / fitting, 2))
        for thing, fit, alone in fits.values()
    ]
    return sorted(found, key=lambda one: (-one.confidence, one.thing.id))


def _fit(ref: ObjectRef, thing: RegulatedObject) -> tuple[Fit, float]:
    """Return what of a reference fits an object, and how sure that would be if nothing else fitted."""
    code, name, theirs = normalise_code(ref.code), normalise_name(ref.name), normalise_code(thing.code)
    if ref.id == thing.id:
        return "id", 1.0
    if code and code == theirs:
        return "code", 1.0
    named = bool(name) and name == normalise_name(thing.name)
    if named or (name and any(name == normalise_name(alias) for alias in thing.aliases)):
        if code and theirs and not _mistyped(code, theirs):
            return "contradicted", 0.0
        return ("name" if named else "alias"), BY_NAME
    return ("none", 0.0) if name or code else ("mention", BY_MENTION)


def _mentioned(text: str, lookup: ObjectLookup, version: int) -> Resolution:
    """Return the one registered object whose code or full company name stands in `text`."""
    found: dict[str, str] = {}
    for code in _CODE_IN_TEXT.findall(text)[:_MENTIONS]:
        if is_uscc(normalise_code(code)):
            found |= {each.id: "code" for each in lookup.by_code(normalise_code(code))}
    for mention in [] if found or "公司" not in text else _COMPANY_IN_TEXT.findall(text)[:_MENTIONS]:
        found |= {each.id: "name" for each in _longest(mention, lookup)}
    if len(found) == 1:
        [(object_id, method)] = found.items()
        return Resolution(
            object_id=object_id, method="code" if method == "code" else "name", confidence=BY_MENTION, registry_version=version
        )
    if found:
        return Resolution(method="ambiguous", candidates=tuple(sorted(found))[:_CANDIDATES], registry_version=version)
    return Resolution(registry_version=version)


def _longest(mention: str, lookup: ObjectLookup) -> Sequence[RegulatedObject]:
    """Return the objects of the longest name that ends the mention: Chinese has no blank between a sentence and the name in it."""
    for start in range(len(mention)):
        name = normalise_name(mention[start:])
        if len(name) < _SHORTEST_NAME:
            break
        found = lookup.by_name(name)
        if found:
            return found
    return ()


def _mistyped(code: str, other: str) -> bool:
    """Say whether two codes may be one: equal, or `code` fails its check digit and differs in at most two places.

    >>> _mistyped("91350100M000100Y44", "91350100M000100Y43"), _mistyped("91350100M000100Y43", "91610132MA6U00001H")
    (True, False)
    """
    if code == other:
        return True
    kind, valid = classify_code(code)
    return kind == "uscc" and valid is False and len(code) == len(other) and sum(a != b for a, b in zip(code, other, strict=True)) <= _NEAR


def _same_place(address: str, other: str) -> bool:
    return bool(other) and (address in other or other in address)


def _nested(region: str, other: str) -> bool:
    return region.startswith(other) or other.startswith(region)
