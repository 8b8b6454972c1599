"""XML to rows: no entities, no document types; a cut document gives the elements that are whole and one rejection for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types only; parsing is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.inbound.charsets import Text, is_damaged, to_bytes
from connectors.inbound.rows import Broken, DecodedRows, Row, Shape, too_many
from domain.messages import text as say

_PROLOG = re.compile(r"\s*<\?xml[^>]*\?>")
_PREFIX = re.compile(r"[<\s/]([A-Za-z_][\w.-]*):[A-Za-z_]")
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding=["']([A-Za-z0-9_.-]+)["']""")


def declared_encoding(body: bytes) -> str:
    """Return the encoding of an XML declaration, "" where there is none.

    >>> declared_encoding(b'<?xml version="1.0" encoding="GB2312"?><a/>')
    'GB2312'
    """
    found = _DECLARED.search(body[:256])
    return found.group(1).decode() if found else ""


def decode_xml(source: Text, shape: Shape) -> DecodedRows:
    """Yield the elements named in `shape.records`, or the root; see `connectors.inbound.decode.decode`."""
    text = _PROLOG.sub("", source.text, count=1)
    if "<!DOCTYPE" in text[:65536].upper() or "<!ENTITY" in text.upper():
        yield Broken(0, "bad_structure", say("intake.xml_entities"), to_bytes(text[:4096], source.encoding))
        return
    elements = _elements(text, shape)
    held = list(islice(elements, shape.limits.rows + 1))  # the others are counted, not kept
    refused = too_many(chain(held, elements), shape.limits)
    if refused is not None:
        yield refused
        return
    for position, element in enumerate(held, start=1):
        yield _item(element, position, source.encoding, shape)


def _elements(text: str, shape: Shape) -> Iterator[str]:
    """Yield the texts of the record elements in order, then what is left of a cut document."""
    names = "|".join(re.escape(name) for name in shape.records)
    opening = re.compile(rf"<((?:[\w.-]+:)?(?:{names}))(?=[\s/>])[^>]*?(/?)>") if names else None
    at = 0
    found = False
    while opening is not None and (match := opening.search(text, at)):
        found = True
        end = match.end()
        if not match.group(2):
            close = re.compile(rf"</{re.escape(match.group(1))}\s*>").search(text, match.end())
            if close is None:
                yield text[match.start() :]
                return
            end = close.end()
        yield text[match.start() : end]
        at = end
    if not found and text.strip():
        yield text.strip()


def _item(element: str, position: int, encoding: str, shape: Shape) -> Row | Broken:
    """Return the row of one record element."""
    raw = to_bytes(element, encoding)
    place = say("intake.item", position=position)
    if len(raw) > shape.limits.record:
        return Broken(position, "too_large", f"{place} {say('intake.record_too_large', limit=shape.limits.record)}", raw)
    if is_damaged(element):
        return Broken(position, "bad_encoding", f"{place} {say('intake.bad_bytes', encoding=encoding)}", raw)
    try:
        root = fromstring(_with_prefixes(element), forbid_dtd=True)[0]
    except (ParseError, DefusedXmlException, ValueError, IndexError) as error:
        return Broken(position, "bad_structure", f"{place} {say('intake.broken_xml', error=error)}", raw)
    try:
        values = _value(root, shape.limits.depth)
    except RecursionError:
        return Broken(position, "too_large", f"{place} {say('intake.too_deep', limit=shape.limits.depth)}", raw)
    return Row(position, values if isinstance(values, dict) else {_local(root.tag): values}, raw, place)


def _with_prefixes(element: str) -> str:
    """Return an element in a root that declares its prefixes: their declarations stayed in the root it was cut from."""
    prefixes = sorted(set(_PREFIX.findall(element)) - {"xml", "xmlns"})
    declarations = "".join(f' xmlns:{prefix}="urn:{prefix}"' for prefix in prefixes)
    return f"<cut{declarations}>{element}</cut>"


def _value(element: Element, depth: int) -> Any:
    """Return an element as text or as an object of its attributes and children; repeated children become a list.

    Raises:
        RecursionError: it is nested deeper than `depth`.
    """
    if depth <= 0:
        raise RecursionError
    if not len(element) and not element.attrib:
        return element.text or ""
    values: dict[str, Any] = {}
    for name, text in element.attrib.items():
        values[_local(name)] = text
    for child in element:
        name = _local(child.tag)
        value = _value(child, depth - 1)
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    if element.text and element.text.strip():
        values.setdefault("text", element.text.strip())
    return values


def _local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rsplit("}", 1)[-1]
