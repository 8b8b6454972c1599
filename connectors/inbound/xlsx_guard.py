"""What an XLSX may cost, found out before it is opened: bombs are refused by size, never by waiting for the memory to end."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from copy import copy
from dataclasses import dataclass

from connectors.inbound.rows import Limits
from domain.messages import text as say

# Cells that hold something: rows of mere formatting down to the last one are common, and cost nothing when read.
_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]{0,80}?\br="([A-Z]{1,3})([0-9]{1,7})"[^>]{0,80}(?<!/)>')
_ROW = re.compile(rb'<(?:\w+:)?row\s[^>]{0,80}?\br="([0-9]{1,7})"[^>]{0,200}>\s*<(?:\w+:)?c(?![^>]{0,80}\br=)')  # its cells have no place
_SHARED = re.compile(rb't="s"[^>]{0,80}>\s*<(?:\w+:)?v>([0-9]{1,9})<')
_STRING_END = re.compile(rb"</(?:\w+:)?si>")
_PIECE = 1 << 16
_OVERLAP = 256  # bytes kept between pieces, so that no cell's head is cut in two


@dataclass(slots=True)
class _Measured:
    """What reading through a workbook's entries found."""

    size: int = 0
    last_row: int = 0
    last_column: int = 0
    shared_cells: int = 0
    strings: int = 0  # unpacked bytes of the shared strings


def refusal(body: bytes, limits: Limits) -> tuple[str, str] | None:
    """Return (reason, message) for a workbook that must not be opened, None for a harmless one.

    Refused are: no ZIP or a broken one, too many entries or unpacked bytes (the declared sizes may lie), a sheet whose bounding box
    would fill the memory, and one long shared string that very many cells repeat.
    """
    bomb = ("input_too_large", say("intake.zip_bomb", limit=limits.unpacked // 1024 // 1024))
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entries = archive.infolist()
            if len(entries) > limits.entries or sum(entry.file_size for entry in entries) > limits.unpacked:
                return bomb
            total = _Measured()
            for entry in entries:
                sheet = _measure(archive, entry, limits.unpacked - total.size, total)
                if total.size > limits.unpacked:
                    return bomb
                if sheet.last_row * sheet.last_column > limits.cells:
                    rows, columns = sheet.last_row, sheet.last_column
                    return "input_too_large", say("intake.sheet_too_large", rows=rows, columns=columns, limit=limits.cells)
            if total.shared_cells * total.strings > limits.unpacked and _repeated_bytes(archive) > 2 * limits.unpacked:
                return bomb
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, ValueError, EOFError) as error:
        return "bad_structure", say("intake.broken_xlsx", error=error)
    return None


def _measure(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: int, total: _Measured) -> _Measured:
    """Unpack an entry piece by piece, throw it away, add to `total`; return what the entry itself holds. Stops once over `budget`."""
    honest = copy(entry)
    honest.file_size = budget + 4 * _PIECE  # else reading stops at the declared size
    is_sheet = "worksheets/" in entry.filename
    own = _Measured()
    tail = b""
    with archive.open(honest) as stream:
        while (piece := stream.read(_PIECE)) and own.size <= budget:
            own.size += len(piece)
            if is_sheet:
                total.shared_cells += piece.count(b't="s"')
                tail += piece
                for letters, digits in _CELL.findall(tail):
                    own.last_row = max(own.last_row, int(digits))
                    own.last_column = max(own.last_column, _column_number(letters))
                own.last_row = max((own.last_row, *(int(digits) for digits in _ROW.findall(tail))))
                own.last_column = max(own.last_column, 1)
                tail = tail[-_OVERLAP:]
    total.size += own.size
    if entry.filename.lower().endswith("sharedstrings.xml"):
        total.strings = own.size
    return own


def _repeated_bytes(archive: zipfile.ZipFile) -> int:
    """Return the bytes of all cells that refer to a shared string; every entry's size has been checked before."""
    lengths: list[int] = []
    for entry in archive.infolist():
        if entry.filename.lower().endswith("sharedstrings.xml"):
            at = 0
            for end in _STRING_END.finditer(archive.read(entry)):
                lengths.append(end.start() - at)
                at = end.end()
    total = 0
    for entry in archive.infolist():
        if "worksheets/" in entry.filename:
            for digits in _SHARED.findall(archive.read(entry)):
                number = int(digits)
                total += lengths[number] if number < len(lengths) else 0
    return total


def _column_number(letters: bytes) -> int:
    """Return 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
