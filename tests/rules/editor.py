"""What an editor does with a pack: YAML 1.2 as its language server reads it, and the schema, without a line of the loader's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

_SAYS_NOTHING = frozenset({"title", "description", "default", "$schema", "$defs", "examples"})
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
}


class _Core(yaml.SafeLoader):
    """YAML 1.2's core schema: no dates, and `no` is a text."""


_Core.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read(text: str) -> Any:
    """Return a document as an editor sees it.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return yaml.load(text, _Core)  # a safe loader with other scalars


def complaints(given: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Iterator[str]:
    """Yield what a validator of JSON Schema 2020-12 refuses; raises KeyError for a keyword that it does not know, never passing it over."""
    rest = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING}
    if "$ref" in rest:
        yield from complaints(given, root["$defs"][rest.pop("$ref").rpartition("/")[2]], root, at)
    for key, value in rest.items():
        yield from _KEYWORDS[key](given, value, schema, root, at)


def _is(given: Any, name: str) -> bool:
    return isinstance(given, _TYPES[name]) and not (isinstance(given, bool) and name != "boolean")


def _type(given: Any, names: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    if not any(_is(given, name) for name in ([names] if isinstance(names, str) else names)):
        yield f"{at}: not a {names}"


def _properties(given: Any, known: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    for key in given if isinstance(given, dict) else ():
        if key in known:
            yield from complaints(given[key], known[key], root, f"{at}/{key}")


def _additional(given: Any, wanted: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    for key in given if isinstance(given, dict) else ():
        if key in schema.get("properties", ()):
            continue
        if wanted is False:
            yield f"{at}/{key}: unknown"
        elif isinstance(wanted, dict):
            yield from complaints(given[key], wanted, root, f"{at}/{key}")


def _required(given: Any, names: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    yield from (f"{at}/{name}: missing" for name in names if isinstance(given, dict) and name not in given)


def _items(given: Any, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    for number, each in enumerate(given if isinstance(given, list) else ()):
        yield from complaints(each, wanted, root, f"{at}/{number}")


def _any_of(given: Any, choices: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    refused = [list(complaints(given, choice, root, at)) for choice in choices]
    if all(refused):
        yield from min(refused, key=len)


def _names(given: Any, wanted: Any, _schema: Any, root: Any, at: str) -> Iterator[str]:
    for key in given if isinstance(given, dict) else ():
        yield from complaints(key, wanted, root, f"{at}/{key}")


def _enum(given: Any, words: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    if given not in words:
        yield f"{at}: not one of {words}"


def _pattern(given: Any, pattern: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
    if isinstance(given, str) and not re.search(pattern, given):
        yield f"{at}: not like {pattern}"


def _limit(fits: Any, kind: type | tuple[type, ...], measure: Any) -> Any:
    def limit(given: Any, bound: Any, _schema: Any, _root: Any, at: str) -> Iterator[str]:
        if isinstance(given, kind) and not isinstance(given, bool) and not fits(measure(given), bound):
            yield f"{at}: beyond {bound}"

    return limit


_NUMBER = (int, float)
_KEYWORDS = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "propertyNames": _names,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _limit(lambda value, bound: value >= bound, _NUMBER, lambda value: value),
    "maximum": _limit(lambda value, bound: value <= bound, _NUMBER, lambda value: value),
    "exclusiveMinimum": _limit(lambda value, bound: value > bound, _NUMBER, lambda value: value),
    "exclusiveMaximum": _limit(lambda value, bound: value < bound, _NUMBER, lambda value: value),
    "minLength": _limit(lambda value, bound: value >= bound, str, len),
    "maxLength": _limit(lambda value, bound: value <= bound, str, len),
    "minItems": _limit(lambda value, bound: value >= bound, list, len),
    "maxItems": _limit(lambda value, bound: value <= bound, list, len),
    "minProperties": _limit(lambda value, bound: value >= bound, dict, len),
}
