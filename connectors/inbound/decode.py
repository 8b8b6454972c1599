"""Bytes to rows, whatever the format: the first step of every feed.

Nothing is raised for bad input: what cannot be read is yielded in its place with the reason, and the rest of the batch goes on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePath

from connectors.inbound.charsets import ENCODINGS, canonical_encoding, decode_text
from connectors.inbound.decode_json import decode_json, decode_ndjson
from connectors.inbound.decode_table import decode_delimited, sniff_delimiter
from connectors.inbound.decode_xlsx import decode_xlsx
from connectors.inbound.decode_xml import declared_encoding, decode_xml
from connectors.inbound.nesting import HASHED, exploded
from connectors.inbound.rows import Broken, DecodedRows, Row, Shape
from domain.messages import text as say

FORMATS = ("csv", "tsv", "xlsx", "json", "ndjson", "xml")
_BY_SUFFIX = {
    ".csv": "csv", ".txt": "csv", ".tsv": "tsv", ".tab": "tsv", ".xlsx": "xlsx", ".xlsm": "xlsx", ".json": "json", ".geojson": "json",
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".xml": "xml",
}  # fmt: skip
_BY_TYPE = {
    "text/csv": "csv", "text/tab-separated-values": "tsv", "application/json": "json", "text/json": "json",
    "application/x-ndjson": "ndjson", "application/ndjson": "ndjson", "application/jsonl": "ndjson", "application/json-seq": "ndjson",
    "application/xml": "xml", "text/xml": "xml",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}  # fmt: skip
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)


def format_of(body: bytes, hint: str) -> str:
    """Return the format of `body`; `hint` is a file name or a content type, and what the bytes plainly are goes over it.

    >>> format_of(b"a,b", "tickets.csv"), format_of(b"PK..", "text/csv; charset=gbk"), format_of(b' [{"a": 1}]', "")
    ('csv', 'csv', 'json')
    """
    if body.startswith(_ZIP):
        return "xlsx"
    if body.startswith(_OLD_OFFICE):
        return "xls"
    found = _by_type(hint) or _BY_SUFFIX.get(PurePath(hint).suffix.lower(), "")
    if found:
        return found
    head = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] in {b"{", b"["}:
        return "json"
    return "xml" if head[:1] == b"<" else "csv"


def _by_type(written: str) -> str:
    """Return the format of a content type, "" for one that says none."""
    media = written.split(";", 1)[0].strip().lower()
    if media.startswith("multipart/"):
        return "multipart"
    return _BY_TYPE.get(media) or ("json" if media.endswith("+json") else "xml" if media.endswith("+xml") else "")


def is_known_type(written: str) -> bool:
    """Say whether a content type tells the format of what it is written on.

    >>> is_known_type("application/json; charset=utf-8"), is_known_type("application/octet-stream")
    (True, False)
    """
    return bool(_by_type(written))


def decode(body: bytes, hint: str, shape: Shape) -> DecodedRows:
    """Yield the records of `body` in their order, and in their places those that cannot be read.

    `hint` is a file name or content type. A nested list that the shape explodes gives a row per element.
    """
    for item in _decode(body, hint, shape):
        if isinstance(item, Row) and shape.explode is not None:
            yield from exploded(item, shape.explode)
        else:
            yield item


def _decode(body: bytes, hint: str, shape: Shape) -> DecodedRows:
    """Choose the format and decode."""
    if len(body) > shape.limits.body:
        yield Broken(0, "input_too_large", say("intake.body_too_large", limit=shape.limits.body // 1024 // 1024), body[:4096])
        return
    if not body.strip():
        return  # an empty T+1 file says that there was nothing
    kind = format_of(body, hint)
    if kind == "multipart":
        yield from _multipart(body, hint, shape)
    elif kind not in shape.formats:
        legal = ", ".join(shape.formats)
        yield Broken(0, "bad_structure", say("intake.wrong_format", found=kind, legal=legal), body[:4096])
    elif kind == "xlsx":
        yield from decode_xlsx(body, shape)
    else:
        yield from _decode_text(body, kind, shape)


def _decode_text(body: bytes, kind: str, shape: Shape) -> DecodedRows:
    """Decode one of the text formats."""
    encodings = shape.encodings
    declared = canonical_encoding(declared_encoding(body)) if kind == "xml" else ""
    if declared in ENCODINGS:
        encodings = (declared, *encodings)
    source = decode_text(body, encodings)
    if source is None:
        yield Broken(0, "bad_encoding", say("intake.bad_encoding", legal=", ".join(shape.encodings)), body[:4096])
    elif kind == "json":
        yield from decode_json(source, shape)
    elif kind == "ndjson":
        yield from decode_ndjson(source, shape)
    elif kind == "xml":
        yield from decode_xml(source, shape)
    else:
        yield from decode_delimited(source, "\t" if kind == "tsv" else sniff_delimiter(source.text), shape)


def _multipart(body: bytes, hint: str, shape: Shape) -> DecodedRows:
    """Decode the text parts of a camera's multipart body; a picture's hash goes to the record before it as `image_sha256`."""
    boundary = _BOUNDARY.search(hint)
    if boundary is None:
        yield Broken(0, "bad_structure", say("intake.no_boundary"), body[:4096])
        return
    held: list[Row] = []
    position = 0
    for head, content in _parts(body, boundary.group(1).encode("latin-1", "replace")):
        if b"image/" in head.lower():
            for row in held:
                row.values.setdefault("image_sha256", HASHED + hashlib.sha256(content).hexdigest())
            continue
        yield from held
        held = []
        media = re.search(rb"content-type:\s*([^\r\n]+)", head, re.IGNORECASE)
        for item in _decode(content, media.group(1).decode("latin-1") if media else "", shape):
            if isinstance(item, Row):
                position += 1
                place = say("intake.item", position=position)
                held.append(Row(position, item.values, item.raw, place))
            else:
                yield item
    yield from held


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield head and content of the parts of a multipart body."""
    for piece in body.split(b"--" + boundary)[1:]:
        if piece.startswith(b"--"):
            return
        head, blank, content = piece.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            head, blank, content = piece.lstrip(b"\r\n").partition(b"\n\n")
        if blank:
            yield head, content.removesuffix(b"\r\n")
