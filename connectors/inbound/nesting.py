"""Nested values: paths, depth, images taken out, and nested lists made into records of their own."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Any

from connectors.inbound.rows import Explode, Row

HASHED = "sha256:"  # what an image's content is replaced by, followed by the digest in hex


def at_path(value: Any, path: str) -> Any:
    """Return what a dotted path leads to, None where it leads nowhere.

    >>> at_path({"data": {"records": [1]}}, "data.records")
    [1]
    """
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def all_at_path(value: Any, path: str) -> list[Any]:
    """Return everything that a path leads to; `[]` after a key goes through every element of its list.

    >>> all_at_path({"boxes": [{"label": "a"}, {"label": "b"}, 3]}, "boxes[].label")
    ['a', 'b']
    """
    reached = [value]
    for part in path.split("."):
        key, every = part.removesuffix("[]"), part.endswith("[]")
        following = [holder[key] for holder in reached if isinstance(holder, dict) and key in holder]
        reached = [element for held in following for element in (held if isinstance(held, list) else [held])] if every else following
    return reached


def depth_of(value: Any, limit: int) -> int:
    """Return the nesting depth of lists and objects, counting no further than `limit` + 1."""
    level = [value] if isinstance(value, (dict, list)) else []
    depth = 0 if level else 1
    while level and depth <= limit:
        below: list[Any] = []
        for outer in level:
            for inner in outer.values() if isinstance(outer, dict) else outer:
                if isinstance(inner, (dict, list)):
                    below.append(inner)  # noqa: PERF401  # this runs for every record; most have one object inside
        level = below
        depth += 1
    return depth


def hash_image(text: str) -> str:
    """Return `sha256:` and the digest of a base64 image's bytes (of the text itself where it is no base64).

    >>> hash_image("aGVsbG8=") == hash_image("data:image/png;base64,aGVsbG8=") != hash_image("not base64!")
    True
    """
    if text.startswith(HASHED):
        return text  # decoded once before: a replayed rejection
    content = text.split("base64,", 1)[-1]
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        data = text.encode("utf-8", "surrogatepass")
    return HASHED + hashlib.sha256(data).hexdigest()


def strip_images(values: dict[str, Any], paths: tuple[str, ...]) -> bool:
    """Replace the images at `paths` by their hashes, in place; say whether there were any. Links are no images and stay."""
    changed = False
    for path in paths:
        parent, _, last = path.rpartition(".")
        for holder in all_at_path(values, parent) if parent else [values]:
            held = holder.get(last) if isinstance(holder, dict) else None
            if isinstance(held, str) and held and not held.startswith(("http://", "https://", HASHED)):
                holder[last] = hash_image(held)
                changed = True
    return changed


def exploded(row: Row, explode: Explode) -> Iterator[Row]:
    """Yield a row for every element of the nested list or object that `explode` names; the row itself where there is none."""
    held = at_path(row.values, explode.path)
    parts: list[dict[str, Any]] = []
    if isinstance(held, dict):
        parts = [{explode.name: key, explode.value: value} for key, value in held.items()]
    elif isinstance(held, list):
        for place, element in enumerate(held, start=1):
            parts.append(
                {explode.name: str(place), explode.path: element}
                if isinstance(element, dict)
                else {explode.name: str(place), explode.value: element}
            )
    parts = [part | dict.fromkeys(explode.also) for part in parts]
    for path in explode.also:
        extra = row.values.get(path)
        if extra not in (None, "", 0, False, "0"):
            parts.append({explode.name: path} | dict.fromkeys(explode.also) | {path: extra})
    if not parts:
        yield row
        return
    bare = _with(row.values, explode.path, None)
    for part in parts:
        element = part.pop(explode.path, None)
        values = bare if element is None else _with(row.values, explode.path, element)
        yield Row(row.position, values | part, row.raw, row.place)


def _with(values: dict[str, Any], path: str, element: Any) -> dict[str, Any]:
    """Return `values` with `element` in the place of what `path` leads to (taken away where it is None); nothing is changed in place."""
    key, _, rest = path.partition(".")
    held = values.get(key)
    inner = (_with(held, rest, element) if isinstance(held, dict) else held) if rest else element
    return {name: inner if name == key else value for name, value in values.items() if name != key or inner is not None}
