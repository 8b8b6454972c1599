"""XLSX to rows: real and text dates, merged cells, several sheets; sizes are checked before anything is opened."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from connectors.inbound.headers import find_header, unique_headers
from connectors.inbound.rows import Broken, Decoded, DecodedRows, Ignored, Limits, Row, Shape, too_many
from connectors.inbound.xlsx_guard import refusal
from domain.messages import text as say


def decode_xlsx(body: bytes, shape: Shape) -> DecodedRows:
    """Yield the rows of every sheet that has a known header; see `connectors.inbound.decode.decode`."""
    refused = refusal(body, shape.limits)
    if refused is not None:
        yield Broken(0, refused[0], refused[1], body[:4096])
        return
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(body))
        sheets = [(name, _grid(book.get_sheet_by_name(name), shape.limits)) for name in book.sheet_names]
    except (CalamineError, OSError, ValueError) as error:
        yield Broken(0, "bad_structure", say("intake.broken_xlsx", error=error), body[:4096])
        return
    yield from _rows(sheets, body, shape)


def read_grids(body: bytes, limits: Limits) -> list[tuple[str, list[list[Any]]]]:
    """Return the sheets of a workbook as name and cells, merged cells filled.

    Raises:
        ValueError: the workbook is broken or too large; the message says which.
    """
    refused = refusal(body, limits)
    if refused is not None:
        raise ValueError(refused[1])
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(body))
        return [(name, _grid(book.get_sheet_by_name(name), limits)) for name in book.sheet_names]
    except (CalamineError, OSError) as error:
        raise ValueError(say("intake.broken_xlsx", error=error)) from error


def cell_text(cell: Any) -> str:
    """Return a cell as its reader sees it: 188006.0 is 188006, a date is ISO.

    >>> cell_text(188006.0), cell_text(datetime(2020, 1, 6, 12, 9, 38)), cell_text(True)
    ('188006', '2020-01-06 12:09:38', 'TRUE')
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    return "" if cell is None else str(cell)


def _rows(sheets: Sequence[tuple[str, list[list[Any]]]], body: bytes, shape: Shape) -> Iterator[Decoded]:
    """Yield the rows of the sheets in order; positions of a later sheet go on after the rows of the earlier ones."""
    offset = 0
    tables: list[tuple[str, int, int, list[str], list[list[Any]]]] = []
    skipped: list[int] = []
    lacking: list[tuple[int, str, str]] = []
    for name, grid in sheets:
        found = find_header([[cell_text(cell) for cell in row] for row in grid[:11]], shape.knows)
        if found is not None:
            start, height, names = found
            lack = shape.lacks(names)
            if lack:
                lacking.append((offset + start + 1, name, lack))
            else:
                tables.append((name, offset, start + height, unique_headers(names), grid))
        elif any(cell_text(cell).strip() for row in grid for cell in row):
            skipped.append(offset + 1)
        offset += len(grid)
    if not tables:
        yield Broken(0, "bad_header", lacking[0][2] if lacking else say("intake.no_header"), body[:4096])
        return
    refused = too_many((cells for _, _, top, _, grid in tables for cells in grid[top:] if _is_filled(cells)), shape.limits)
    if refused is not None:
        yield refused
        return
    first = tables[0]
    for table in tables:
        name, offset, top, headers, grid = table
        for number, cells in enumerate(grid[top:], start=top + 1):
            if _is_filled(cells):
                place = say("intake.row", position=number) if table is first else say("intake.sheet_row", sheet=name, position=number)
                yield _row(offset + number, headers, cells, place, shape.limits)
    for position, name, lack in lacking:  # beside a sheet that is whole, one that is not is refused by itself
        yield Broken(position, "bad_header", f"{name}: {lack}", b"")
    for position in skipped:
        yield Ignored(position, "sheet_without_header")


def _is_filled(cells: Sequence[Any]) -> bool:
    """Say whether a row holds something."""
    return not all(cell is None or cell == "" or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _row(position: int, headers: list[str], cells: list[Any], place: str, limits: Limits) -> Row | Broken:
    """Return one row; its raw form is a CSV of its own with the header, since a cell of a workbook has no bytes."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(headers)
    writer.writerow([cell_text(cell) for cell in cells])
    raw = buffer.getvalue().encode("utf-8", "replace")
    if len(raw) > limits.record:
        return Broken(position, "too_large", f"{place} {say('intake.record_too_large', limit=limits.record)}", raw)
    return Row(position, dict(zip(headers, cells, strict=False)), raw, place)


def _grid(sheet: CalamineSheet, limits: Limits) -> list[list[Any]]:
    """Return a sheet's cells from A1 on; every cell of a merged range holds its value."""
    grid: list[list[Any]] = sheet.to_python(skip_empty_area=False)
    filled = 0  # overlapping ranges may not cost more than the sheet itself
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        if top >= len(grid) or left >= len(grid[top]) or filled > limits.cells:
            continue
        filled += (bottom - top + 1) * (right - left + 1)
        value = grid[top][left]
        for row in grid[top : bottom + 1]:
            for column in range(left, min(right + 1, len(row))):
                row[column] = value
    for row in grid:
        for column, cell in enumerate(row):
            if isinstance(cell, timedelta):
                row[column] = str(cell)
    return grid
