"""What a department would send: the same records as CSV, XLSX, JSON and NDJSON, with companies that do not exist."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import openpyxl

from connectors.inbound.decode import decode
from connectors.inbound.mapping import Mapped, Rejected, Result, Skipped, apply
from connectors.inbound.mapping_load import load_folder
from domain.identifiers import organisation_check_character, uscc_check_character
from domain.signals import Signal

NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)  # noon in Shanghai
KEY = b"a key that only these tests know"
FEEDS = load_folder()
Record = Mapping[str, Any]


def uscc(number: int, region: str = "610132") -> str:
    """Return an invented unified social credit code with right check characters."""
    first8 = f"MA6{number:05d}"
    first17 = "91" + region + first8 + organisation_check_character(first8)
    return first17 + uscc_check_character(first17)


def as_csv(records: Sequence[Record], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """Return records as delimited text under the headers of the first."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(records[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue().encode(encoding)


def as_xlsx(records: Sequence[Record], title: str = "") -> bytes:
    """Return records as a workbook, under a merged title row where one is given."""
    book = openpyxl.Workbook()
    sheet = book.active
    headers = list(records[0])
    if title:
        sheet.append([title])
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(headers))
    sheet.append(headers)
    for record in records:
        sheet.append([record[header] for header in headers])
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """Return a workbook's bytes."""
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def as_json(records: Sequence[Any], *path: str, encoding: str = "utf-8") -> bytes:
    """Return records as a JSON list inside the objects of `path`."""
    document: Any = list(records)
    for key in reversed(path):
        document = {key: document}
    return json.dumps(document, ensure_ascii=False, default=str).encode(encoding)


def as_ndjson(records: Sequence[Any], encoding: str = "utf-8") -> bytes:
    """Return one JSON object a line."""
    return "".join(json.dumps(record, ensure_ascii=False, default=str) + "\n" for record in records).encode(encoding)


def taken(feed: str, body: bytes, hint: str, now: datetime = NOW) -> list[Result]:
    """Return what the shipped mapping of `feed` makes of an input."""
    mapping = FEEDS[feed]
    return list(apply(mapping, decode(body, hint, mapping.shape), now, KEY))


def signals(results: Sequence[Result]) -> list[Signal]:
    """Return the signals, and fail with the message where there is a rejection or skip."""
    for result in results:
        assert not isinstance(result, Rejected), result.message
        assert not isinstance(result, Skipped), result.reason
    return [result.signal for result in results if isinstance(result, Mapped)]


def rejections(results: Sequence[Result]) -> list[Rejected]:
    """Return the rejections only."""
    return [result for result in results if isinstance(result, Rejected)]
