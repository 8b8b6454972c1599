"""CSV and TSV to rows: quoted line breaks, titles above the header, and a cut quote that spoils one record only."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from connectors.inbound.charsets import Text, is_damaged, to_bytes
from connectors.inbound.headers import find_header, unique_headers
from connectors.inbound.rows import Broken, DecodedRows, Row, Shape, too_many
from domain.messages import text as say

DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True, slots=True)
class _Record:
    """One logical line: its physical text, its cells, or why it has none."""

    text: str
    cells: list[str]
    problem: str = ""
    reason: str = ""
    ended: bool = True  # with a line break: the last line of a cut file has none


def still_open(line: str, delimiter: str, inside: bool) -> bool:
    """Say whether a quoted cell is open at the end of `line`, when one was open (`inside`) at its start.

    >>> still_open('a,"b', ",", False), still_open('c",d', ",", True), still_open('12" pipe,x', ",", False)
    (True, False, False)
    """
    at = 0
    if not inside and line.startswith('"'):
        inside, at = True, 1
    while True:
        if inside:
            quote = line.find('"', at)
            if quote < 0:
                return True
            if line.startswith('""', quote):
                at = quote + 2
                continue
            inside, at = False, quote + 1
        else:
            opening = line.find(delimiter + '"', at)
            if opening < 0:
                return False
            inside, at = True, opening + 2


def sniff_delimiter(text: str) -> str:
    """Return the delimiter that is most frequent in the first lines; a comma where none is there."""
    head = text[:8192]
    return max(DELIMITERS, key=lambda delimiter: (head.count(delimiter), -DELIMITERS.index(delimiter)))


def decode_delimited(source: Text, delimiter: str, shape: Shape) -> DecodedRows:
    """Yield the rows of a delimited text; see `connectors.inbound.decode.decode`."""
    records = _records(source.text, delimiter, shape)
    head: list[_Record] = []
    for record in records:
        head.append(record)
        if len(head) > 11:
            break
    found = find_header([record.cells for record in head], shape.knows)
    if found is None:
        yield Broken(
            0,
            "bad_header",
            f"{say('intake.no_header')}；{say('intake.read_as', encoding=source.encoding)}",
            to_bytes(source.text[:4096], source.encoding),
        )
        return
    start, height, names = found
    lack = shape.lacks(names)
    if lack:
        yield Broken(0, "bad_header", lack, to_bytes(source.text[:4096], source.encoding))
        return
    table = _Table(source.encoding, unique_headers(names), "".join(record.text for record in head[start : start + height]), shape)
    position = start + height
    if len(source.text.splitlines()) > shape.limits.rows:
        whole = islice(_records(source.text, delimiter, shape), position, None)
        refused = too_many((record for record in whole if _is_filled(record)), shape.limits)
        if refused is not None:
            yield refused
            return
    for record in chain(head[position:], records):
        position += 1
        if _is_filled(record):
            yield table.row(position, record)


def _is_filled(record: _Record) -> bool:
    """Say whether a logical line is a record; a blank one is none."""
    return any(cell.strip() for cell in record.cells) or bool(record.problem)


class _Table:
    """What all rows of one table share."""

    def __init__(self, encoding: str, headers: list[str], head: str, shape: Shape) -> None:
        self.encoding = encoding
        self.headers = headers
        self.head = to_bytes(head if head.endswith(("\n", "\r")) else head + "\n", encoding)
        self.limit = shape.limits.record

    def row(self, position: int, record: _Record) -> Row | Broken:
        """Return the row of `record`, or why it is none."""
        raw = self.head + to_bytes(record.text, self.encoding)
        place = say("intake.row", position=position)
        if record.problem:
            return Broken(position, record.reason, f"{place} {record.problem}", raw)
        if is_damaged(record.text):
            return Broken(position, "bad_encoding", f"{place} {say('intake.bad_bytes', encoding=self.encoding)}", raw)
        width = len(self.headers)
        cells = record.cells
        if len(cells) < width and not record.ended:
            return Broken(position, "bad_structure", f"{place} {say('intake.cut_row', found=len(cells), expected=width)}", raw)
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            return Broken(position, "bad_structure", f"{place} {say('intake.long_row', found=len(cells), expected=width)}", raw)
        return Row(position, dict(zip(self.headers, cells, strict=False)), raw, place)


def _records(text: str, delimiter: str, shape: Shape) -> Iterator[_Record]:
    """Yield the logical lines; a quote that nobody closes spoils its own physical line, reading goes on after it."""
    lines = list(io.StringIO(text, newline=""))
    at = 0
    patience = shape.limits.rows  # lines looked at in vain: a file made of open quotes must not cost the square of its length
    while at < len(lines):
        end = at
        size = len(lines[at])
        inside = still_open(lines[at], delimiter, inside=False)
        while inside and end + 1 < len(lines) and end - at < min(shape.limits.open_quote, patience) and size <= shape.limits.record:
            end += 1
            size += len(lines[end])
            inside = still_open(lines[end], delimiter, inside=True)
        if inside:
            patience -= end - at
            yield _Record(lines[at], [], say("intake.open_quote"), "bad_structure")
            at += 1
            continue
        yield _parsed(lines[at : end + 1], delimiter, shape)
        at = end + 1


def _parsed(lines: list[str], delimiter: str, shape: Shape) -> _Record:
    """Return one logical line with its cells."""
    text = "".join(lines)
    if len(text) > shape.limits.record:
        return _Record(text, [], say("intake.record_too_large", limit=shape.limits.record), "too_large")
    try:
        cells = next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error as error:
        return _Record(text, [], say("intake.csv_error", error=error), "too_large" if "field larger" in str(error) else "bad_structure")
    if len(cells) > shape.limits.columns:
        return _Record(text, [], say("intake.too_many_columns", limit=shape.limits.columns), "too_large")
    return _Record(text, cells, ended=text.endswith(("\n", "\r")))
