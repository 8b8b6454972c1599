"""Tables as senders write them: CSV in several encodings, JSON, NDJSON, and a small XLSX of fixed bytes."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

Row = dict[str, Any]


def csv_bytes(rows: Sequence[Mapping[str, Any]], headers: Sequence[str], encoding: str = "utf-8") -> bytes:
    """Return rows under `headers` as CSV with CRLF; `encoding` is a codec, utf-8-sig writes a byte order mark."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(headers), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


def json_bytes(rows: Sequence[Row]) -> bytes:
    """Return rows as a JSON array, Chinese unescaped."""
    return json.dumps(list(rows), ensure_ascii=False, separators=(",", ":")).encode()


def column(number: int) -> str:
    """Return the letters of a 1-based column number.

    >>> column(1), column(27)
    ('A', 'AA')
    """
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def xlsx_bytes(rows: Iterable[Sequence[str | float]], *, title: str = "Sheet1", merges: Sequence[str] = ()) -> bytes:
    """Return a workbook with one sheet of texts and numbers; the same rows give the same bytes.

    Libraries stamp a workbook with the time of writing, which a repeatable demo cannot use. `merges` are ranges such as "A1:C1".
    """
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = []
        for place, value in enumerate(row, start=1):
            where = f"{column(place)}{number}"
            if isinstance(value, str):
                if value:
                    cells.append(f'<c r="{where}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>')
            else:
                cells.append(f'<c r="{where}"><v>{value}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    merged = "".join(f'<mergeCell ref="{area}"/>' for area in merges)
    joined = f'<mergeCells count="{len(merges)}">{merged}</mergeCells>' if merges else ""
    sheet = f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData>{joined}</worksheet>'
    workbook = (
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>'
        f'<sheet name="{escape(title)}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in (*_PARTS, ("xl/workbook.xml", workbook), ("xl/worksheets/sheet1.xml", sheet)):
            archive.writestr(zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0)), text.encode(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_TYPES = (
    f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
    f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SPREADSHEET}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SPREADSHEET}.worksheet+xml"/></Types>'
)


def _link(kind: str, target: str) -> str:
    link = f'<Relationship Id="rId1" Type="{_LINKS}/{kind}" Target="{target}"/>'
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{link}</Relationships>'


_PARTS = (
    ("[Content_Types].xml", _TYPES),
    ("_rels/.rels", _link("officeDocument", "xl/workbook.xml")),
    ("xl/_rels/workbook.xml.rels", _link("worksheet", "worksheets/sheet1.xml")),
)
