"""JSON and NDJSON to rows: a cut or broken record is rejected alone, the others of its batch go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from connectors.inbound.charsets import Text, is_damaged, to_bytes
from connectors.inbound.nesting import at_path, depth_of, strip_images
from connectors.inbound.rows import Broken, DecodedRows, Row, Shape, too_many
from domain.messages import text as say

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|"', re.DOTALL)
_DEEPEST_LIST = 64  # containers around it
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeError)


def decode_ndjson(source: Text, shape: Shape) -> DecodedRows:
    """Yield one row per line; see `connectors.inbound.decode.decode`."""
    lines = source.text.split("\n")
    refused = too_many((line for line in lines if line.strip()), shape.limits)
    if refused is not None:
        yield refused
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _item(line, number, say("intake.row", position=number), source.encoding, shape)


def decode_json(source: Text, shape: Shape) -> DecodedRows:
    """Yield the elements of the list at the declared path, of a top-level list, or the one top-level object."""
    text = source.text
    if not source.damaged:
        whole = _fast(text, shape)
        if whole is not None:
            yield from _items(whole, source.encoding, shape)
            return
    first = text.lstrip().split("\n", 1)
    if not first[0].startswith(("{", "[")) and any(mark in first[0] for mark in ",\t;"):
        yield Broken(0, "bad_structure", say("intake.looks_like_table"), to_bytes(text[:4096], source.encoding))
        return
    if len(first) > 1 and _is_object(first[0]):
        yield from decode_ndjson(source, shape)
        return
    yield from _items(split_elements(text, shape.records), source.encoding, shape)


def split_elements(text: str, paths: tuple[str, ...]) -> Iterator[str]:
    """Yield the texts of a broken document's records: the elements of its top-level list, or of the list at one of `paths`.

    A document that cannot be cut into elements is one broken record. Brackets and quotes are followed, nothing else is checked.

    >>> list(split_elements('[{"a": 1}, {"a": }, {"a": 3', ()))
    ['{"a": 1}', '{"a": }', '{"a": 3']
    >>> list(split_elements('{"n": 2, "data": {"rows": [{"a": 1}, {"a"', ("data.rows",)))
    ['{"a": 1}', '{"a"']
    """
    found = False
    stack: list[str] = []  # key of each open container, "" for elements of lists
    opened: list[str] = []
    key = last_string = ""
    inside = -1  # depth of the list whose elements are the records
    begin = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            opened.append(mark)
            stack.append(key)
            if mark == "[" and inside < 0 and _is_wanted(stack, paths):
                inside, begin, found = len(opened), token.end(), True
            key = ""
        elif mark in "]}":
            if inside == len(opened) and mark == "]":
                if text[begin : token.start()].strip():
                    yield text[begin : token.start()].strip()
                return
            if opened:
                opened.pop()
                key = stack.pop()
        elif mark == "," and inside == len(opened):
            yield text[begin : token.start()].strip()
            begin = token.end()
        elif mark == ":":
            key = last_string
        elif mark == ",":
            key = ""
        elif len(mark) > 1:
            last_string = mark[1:-1]
        else:
            break  # a quote that is never closed: what follows is one broken record
    rest = text[begin:].strip() if found else text.strip()
    if rest:
        yield rest


def _is_wanted(stack: list[str], paths: tuple[str, ...]) -> bool:
    """Say whether the list just opened holds the records; none that is declared lies so deep that joining its path costs anything."""
    if len(stack) == 1:
        return True
    return len(stack) <= _DEEPEST_LIST and ".".join(part for part in stack[1:] if part) in paths


def _fast(text: str, shape: Shape) -> Iterator[str] | None:
    """Return the records of a sound document, None where it is not sound or too deep for the parser."""
    data = text.encode("utf-8", "surrogatepass")
    stripped = text.lstrip()
    try:
        if stripped.startswith("["):
            return (str(raw, "utf-8") for raw in map(bytes, msgspec.json.decode(data, type=list[msgspec.Raw])))
        document = msgspec.json.decode(data)
    except _ERRORS:
        return None
    for path in shape.records:
        held = at_path(document, path)
        if isinstance(held, dict):
            return iter([str(msgspec.json.encode(held), "utf-8")])
        if isinstance(held, list):
            return (str(msgspec.json.encode(element), "utf-8") for element in held)
    return iter([text])


def _items(elements: Iterator[str], encoding: str, shape: Shape) -> DecodedRows:
    """Yield the rows of elements in order."""
    held = list(islice(elements, shape.limits.rows + 1))  # the others are counted, not kept
    refused = too_many(chain(held, elements), shape.limits)
    if refused is not None:
        yield refused
        return
    for position, element in enumerate(held, start=1):
        yield _item(element, position, say("intake.item", position=position), encoding, shape)


def _item(element: str, position: int, place: str, encoding: str, shape: Shape) -> Row | Broken:
    """Return the row of one record's JSON text."""
    raw = to_bytes(element, encoding)
    if len(raw) > shape.limits.record:
        return Broken(position, "too_large", f"{place} {say('intake.record_too_large', limit=shape.limits.record)}", raw)
    if not element.isascii() and is_damaged(element):
        return Broken(position, "bad_encoding", f"{place} {say('intake.bad_bytes', encoding=encoding)}", raw)
    try:
        values: Any = msgspec.json.decode(element.encode())
    except RecursionError:
        return Broken(position, "too_large", f"{place} {say('intake.too_deep', limit=shape.limits.depth)}", raw)
    except (msgspec.DecodeError, UnicodeError) as error:
        return Broken(position, "bad_structure", f"{place} {say('intake.broken_json', error=error)}", raw)
    if not isinstance(values, dict):
        return Broken(position, "bad_structure", f"{place} {say('intake.no_object')}", raw)
    if depth_of(values, shape.limits.depth) > shape.limits.depth:
        return Broken(position, "too_large", f"{place} {say('intake.too_deep', limit=shape.limits.depth)}", raw)
    if shape.images and strip_images(values, shape.images):
        raw = msgspec.json.encode(values)
    return Row(position, values, raw, place)


def _is_object(line: str) -> bool:
    """Say whether a line is a JSON object by itself."""
    try:
        return isinstance(msgspec.json.decode(line.encode("utf-8", "surrogatepass")), dict)
    except _ERRORS:
        return False
