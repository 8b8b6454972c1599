"""What decoding yields: rows, and in their places what could not become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.messages import text as say


@dataclass(frozen=True, slots=True)
class Limits:
    """What one input may cost; every bound has a clear rejection of its own."""

    body: int = 50 * 1024 * 1024  # bytes of a whole input
    record: int = 4 * 1024 * 1024  # bytes of one record, images included
    depth: int = 32  # nesting of JSON and XML
    rows: int = 200_000  # records of one input; one with more is refused whole
    columns: int = 512
    cells: int = 4_000_000  # of one worksheet's bounding box: a sparse sheet is opened as a dense one
    unpacked: int = 128 * 1024 * 1024  # bytes of an XLSX after unpacking
    entries: int = 2_000  # files inside an XLSX
    open_quote: int = 1_000  # physical lines that one quoted CSV cell may span


@dataclass(frozen=True, slots=True)
class Explode:
    """A nested list or object whose elements are records of their own: the metrics of a device event, the boxes of a picture.

    `path` is dotted. An element's content takes the place of the list; for an object, and for elements that are no objects, key
    (or 1-based place) and content appear as `name` and `value`. The fields of `also`, where they hold something,
    make one more record each, named after the field.
    """

    path: str
    name: str = "element"
    value: str = "value"
    also: tuple[str, ...] = ()


def _any_header(_: str) -> bool:
    """Take every header: the default where no mapping says what it looks for."""
    return True


def _lacks_nothing(_: Sequence[str]) -> str:
    """Ask for no column: likewise."""
    return ""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one source writes its inputs: the part of a mapping that decoding needs."""

    formats: tuple[str, ...] = ("csv", "tsv", "xlsx", "json", "ndjson", "xml")
    encodings: tuple[str, ...] = ("utf-8", "gb18030")
    records: tuple[str, ...] = ()  # dotted paths to the list in JSON, element names in XML; the first that is there
    explode: Explode | None = None
    images: tuple[str, ...] = ()  # dotted paths (`[]` for every element) of base64 images, replaced by their SHA-256
    knows: Callable[[str], bool] = _any_header  # says whether a table's header is one of this source
    lacks: Callable[[Sequence[str]], str] = _lacks_nothing  # says which columns a table of this source lacks, "" for none
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Row:
    """One record as its sender wrote it.

    `position` is 1-based: the row of a table with its header counted (as a spreadsheet shows it), the line of NDJSON, the place in a
    JSON list or among XML elements. `place` says the same to a reader. `raw` can be decoded again by itself: a table's has its header.
    """

    position: int
    values: dict[str, Any]
    raw: bytes
    place: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be read; `position` 0 is the whole input. `reason` is a code of `domain.rejections`."""

    position: int
    reason: str
    message: str
    raw: bytes
    field: str = ""


def too_many(records: Iterable[object], limits: Limits) -> Broken | None:
    """Return the refusal of an input that has more records than one may have, None where it has not; `records` is used up."""
    found = sum(1 for _ in records)
    if found <= limits.rows:
        return None
    return Broken(0, "input_too_large", say("intake.too_many_rows", found=found, limit=limits.rows), b"")


@dataclass(frozen=True, slots=True)
class Ignored:
    """A part of the input that is no record, counted and shown: `reason` is a key under `skipped.` of the message catalogue."""

    position: int
    reason: str


Decoded = Row | Broken | Ignored
DecodedRows = Iterator[Decoded]
