"""Tables that a person keeps (registry, catalogue, departments) → rows by field, with the row and column of every mistake."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.inbound.cells import clean
from connectors.inbound.charsets import decode_text
from connectors.inbound.decode import format_of
from connectors.inbound.decode_table import sniff_delimiter
from connectors.inbound.decode_xlsx import cell_text, read_grids
from connectors.inbound.headers import find_header, header_forms, normalise_header
from connectors.inbound.rows import Limits
from domain.errors import FileProblems, Problem
from domain.messages import text as say

ENCODINGS = ("utf-8", "gb18030")
Columns = Mapping[str, Sequence[str]]  # field → headers, Chinese and field name


@dataclass(slots=True)
class Line:
    """One row of a table: cleaned texts by field; several columns of one field are a list in their order."""

    file: str
    row: int
    cells: dict[str, list[str]]
    columns: dict[str, int]  # 1-based column of a field's first header
    problems: list[Problem] = field(default_factory=list)

    def one(self, name: str) -> str:
        """Return the first cell of `name` that holds something, "" where none does."""
        return next((cell for cell in self.cells.get(name, ()) if cell), "")

    def every(self, name: str) -> list[str]:
        """Return the parts of all cells of `name`: divided by 、 , ; | and line breaks, in order, without repetition."""
        parts = [part.strip() for cell in self.cells.get(name, ()) for part in _divided(cell)]
        return list(dict.fromkeys(part for part in parts if part))

    def problem(self, name: str, key: str, *, severity: str = "error", **values: str) -> None:
        """Add a problem of the cell of `name` in this row."""
        message = say(key, "zh-CN", **values)
        self.problems.append(Problem(file=self.file, line=self.row, column=self.columns.get(name, 0), message=message, severity=severity))


def read_lines(body: bytes, file: str, columns: Columns, required: Sequence[str], limits: Limits | None = None) -> Iterator[Line]:
    """Yield the rows under the header of the first sheet that has one; blank rows are left out.

    Raises:
        FileProblems: the file cannot be read, no header is known, or a required column is missing.
    """
    grid = _grid(body, file, columns, limits or Limits())
    known = {normalise_header(header): name for name, headers in columns.items() for header in (name, *headers)}
    names = [[cell_text(cell) for cell in row] for row in grid[:11]]
    found = find_header(names, lambda header: any(form in known for form in header_forms(header)))
    if found is None:
        raise _unreadable(file, "table.no_header", legal="、".join(headers[0] for headers in columns.values() if headers))
    start, height, headers = found
    fields = [next((known[form] for form in header_forms(header) if form in known), "") for header in headers]
    missing = [name for name in required if name not in fields]
    if missing:
        raise _unreadable(file, "table.no_column", legal="；".join("、".join(columns[name]) for name in missing))
    places = {name: fields.index(name) + 1 for name in dict.fromkeys(fields) if name}
    for number, row in enumerate(grid[start + height :], start=start + height + 1):
        cells: dict[str, list[str]] = {}
        for name, cell in zip(fields, row, strict=False):
            if name:
                cells.setdefault(name, []).append("\n".join(clean(part) for part in cell_text(cell).splitlines()))
        if any(part for parts in cells.values() for part in parts):
            yield Line(file, number, cells, places)


def _grid(body: bytes, file: str, columns: Columns, limits: Limits) -> list[list[Any]]:
    """Return the cells of the sheet that has the most known headers, or of the delimited text."""
    if len(body) > limits.body:
        raise _unreadable(file, "intake.body_too_large", limit=str(limits.body // 1024 // 1024))
    kind = format_of(body, file)
    if kind == "xlsx":
        try:
            sheets = read_grids(body, limits)
        except ValueError as error:
            raise FileProblems([Problem(file=file, line=0, column=0, message=str(error))]) from error
        known = {normalise_header(header) for name, headers in columns.items() for header in (name, *headers)}
        return max((grid for _, grid in sheets), key=lambda grid: _known_cells(grid, known), default=[])
    if kind not in {"csv", "tsv"}:
        raise _unreadable(file, "intake.wrong_format", found=kind, legal="csv, tsv, xlsx")
    source = decode_text(body, ENCODINGS)
    if source is None or source.damaged:
        raise _unreadable(file, "intake.bad_encoding", legal=", ".join(ENCODINGS))
    delimiter = "\t" if kind == "tsv" else sniff_delimiter(source.text)
    try:
        return list(csv.reader(io.StringIO(source.text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise _unreadable(file, "intake.csv_error", error=str(error)) from error


def _known_cells(grid: list[list[Any]], known: set[str]) -> int:
    return sum(1 for row in grid[:11] for cell in row if normalise_header(cell_text(cell)) in known)


def _divided(cell: str) -> list[str]:
    for mark in ("、", "；", ";", "|", ",", "，", "\n"):
        cell = cell.replace(mark, "\x1f")
    return cell.split("\x1f")


def _unreadable(file: str, key: str, **values: str) -> FileProblems:
    return FileProblems([Problem(file=file, line=0, column=0, message=say(key, "zh-CN", **values))])
