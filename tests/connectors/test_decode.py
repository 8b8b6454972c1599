"""Bytes to rows: encodings, formats, broken records that spoil only themselves, and inputs that would cost too much."""

from __future__ import annotations

import io
import time
import zipfile
from datetime import date, datetime

import openpyxl
import pytest

from connectors.inbound.decode import decode
from connectors.inbound.rows import Broken, Decoded, Ignored, Limits, Row, Shape
from tests.connectors.senders import as_csv, as_json, as_ndjson, as_xlsx, saved

STAMP = datetime.fromisoformat("2026-01-06T12:09:38")  # a workbook's cell has no zone
KNOWN = Shape(knows=lambda header: header.strip() in {"编号", "名称", "日期", "监管部门", "牵头单位", "配合单位"})
XML = Shape(records=("Alarm",))
RECORDS = [{"编号": "1", "名称": "甲"}, {"编号": "2", "名称": "乙"}, {"编号": "3", "名称": "丙"}]


def rows(body: bytes, hint: str, shape: Shape = KNOWN) -> list[Decoded]:
    """Return everything that decoding yields."""
    return list(decode(body, hint, shape))


def outcome(items: list[Decoded]) -> list[tuple[int, str]]:
    """Return position and reason, "" for a row."""
    return [(item.position, "" if isinstance(item, Row) else item.reason) for item in items]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_encodings_are_told_apart(encoding: str) -> None:
    """Declared encodings and byte order marks are recognised."""
    found = rows(as_csv(RECORDS, encoding), "a.csv")
    assert [item.values["名称"] for item in found if isinstance(item, Row)] == ["甲", "乙", "丙"]


def test_undeclared_encoding_is_one_clear_rejection() -> None:
    """Bytes of no declared encoding give bad_encoding with the legal ones."""
    [broken] = rows(("名称," * 40).encode("gb18030"), "a.csv", Shape(encodings=("utf-8",), knows=KNOWN.knows))
    assert isinstance(broken, Broken)
    assert (broken.position, broken.reason) == (0, "bad_encoding")
    assert "utf-8" in broken.message


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_one_bad_byte_spoils_one_record(encoding: str) -> None:
    """A damaged record among sound ones is rejected alone and its bytes are kept as they came."""
    many = [{"编号": str(number), "名称": "燃气公司"} for number in range(40)]
    lines = as_csv(many, encoding).split(b"\r\n")
    lines[5] = lines[5][:-1] + b"\xff\xff"
    found = rows(b"\r\n".join(lines), "a.csv")
    assert [item for item in outcome(found) if item[1]] == [(6, "bad_encoding")]
    assert len(found) == 40
    broken = next(item for item in found if isinstance(item, Broken))
    assert b"\xff\xff" in broken.raw


def test_quoted_line_breaks_and_delimiters() -> None:
    """A quoted cell may hold line breaks, quotes and delimiters; positions are those of a spreadsheet."""
    body = '编号;名称\r\n1;"甲\n""乙"";丙"\r\n2;丁'.encode()
    found = rows(body, "a.csv")
    assert [(item.position, item.values["名称"]) for item in found if isinstance(item, Row)] == [(2, '甲\n"乙";丙'), (3, "丁")]


def test_a_cut_csv_loses_only_its_tail() -> None:
    """Cut inside a quoted cell, only the cut record is rejected; a stray quote in the middle spoils its own line."""
    whole = '编号,名称\n1,甲\n2,"乙\n3,丙\n'.encode()
    assert outcome(rows(whole, "a.csv")) == [(2, ""), (3, "bad_structure"), (4, "")]
    assert outcome(rows("编号,名称\n1,甲\n2".encode(), "a.csv")) == [(2, ""), (3, "bad_structure")]


def test_a_row_longer_than_its_header_is_rejected() -> None:
    """A cell too many is a sign of a missing quote, not something to drop."""
    assert outcome(rows("编号,名称\n1,甲,乙\n2,丙,\n".encode(), "a.csv")) == [(2, "bad_structure"), (3, "")]


def test_a_rejected_row_can_be_decoded_again_by_itself() -> None:
    """What is kept of a CSV record has its header with it."""
    found = rows(as_csv(RECORDS, "gb18030"), "a.csv")
    [again] = rows(found[1].raw, "")  # type: ignore[union-attr]  # rows and broken ones have it
    assert isinstance(again, Row)
    assert again.values == RECORDS[1]


def test_unknown_header_is_one_rejection() -> None:
    """A table of something else gives one bad_header."""
    assert outcome(rows(b"a,b\n1,2\n", "a.csv")) == [(0, "bad_header")]
    assert outcome(rows(as_xlsx([{"a": 1}]), "a.xlsx")) == [(0, "bad_header")]


def test_workbook_dates_numbers_and_merged_headers() -> None:
    """Real dates stay dates, text stays text, merged cells are filled, a two-row header is one, other sheets are counted."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["填报表"], ["编号", "监管部门", None, "日期"], [None, "牵头单位", "配合单位", None],
                [1, "甲局", "乙局", STAMP], [None, "丙局", "丁局", date(2026, 1, 7)], [2.5, "戊", "己", "2026/1/8"]):  # fmt: skip
        sheet.append(row)
    for area in ("A1:D1", "A2:A3", "B2:C2", "D2:D3", "A4:A5"):
        sheet.merge_cells(area)
    book.create_sheet("说明").append(["请勿修改"])
    found = rows(saved(book), "a.xlsx")
    values = [item.values for item in found if isinstance(item, Row)]
    assert values == [
        {"编号": 1.0, "牵头单位": "甲局", "配合单位": "乙局", "日期": STAMP},
        {"编号": 1.0, "牵头单位": "丙局", "配合单位": "丁局", "日期": date(2026, 1, 7)},
        {"编号": 2.5, "牵头单位": "戊", "配合单位": "己", "日期": "2026/1/8"},
    ]
    assert found[-1] == Ignored(7, "sheet_without_header")


def test_json_list_object_and_path() -> None:
    """A top-level list, a list at a declared path and one object are all records."""
    shape = Shape(records=("data.rows",))
    assert outcome(rows(as_json(RECORDS), "a.json", shape)) == [(1, ""), (2, ""), (3, "")]
    assert outcome(rows(as_json(RECORDS, "data", "rows"), "a.json", shape)) == [(1, ""), (2, ""), (3, "")]
    assert outcome(rows(b'{"id": 1}', "a.json", shape)) == [(1, "")]
    assert outcome(rows(b'{"id": 1}\n{"id": 2}\n', "a.json", shape)) == [(1, ""), (2, "")]


@pytest.mark.parametrize("path", [(), ("data", "rows")])
def test_a_cut_json_keeps_what_is_whole(path: tuple[str, ...]) -> None:
    """Half a JSON file gives its whole records and one rejection; a broken record in the middle is alone."""
    body = as_json(RECORDS, *path)
    shape = Shape(records=("data.rows",))
    half = body[: body.index("丙".encode())]
    assert outcome(rows(half, "a.json", shape)) == [(1, ""), (2, ""), (3, "bad_structure")]
    broken = body.replace('"乙"'.encode(), b"")
    assert outcome(rows(broken, "a.json", shape)) == [(1, ""), (2, "bad_structure"), (3, "")]


def test_a_cut_ndjson_line_is_alone() -> None:
    """Lines are records; a cut, an empty and a scalar one spoil nothing."""
    body = as_ndjson(RECORDS[:1]) + b'{"id": \n\n5\n' + as_ndjson(RECORDS[1:2])
    assert outcome(rows(body, "a.ndjson")) == [(1, ""), (2, "bad_structure"), (4, "bad_structure"), (5, "")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": NaN}', "bad_structure"),
        (b'{"a": 1e999}', "bad_structure"),
        (b'{"a": "\\ud800"}', "bad_structure"),
        (b'{"a": ' + b"9" * 6000 + b"}", "bad_structure"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_large"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "too_large"),
        (b'{"a": "' + b"x" * 5_000_000 + b'"}', "too_large"),
    ],
)
def test_hostile_json_is_rejected_alone(text: bytes, reason: str) -> None:
    """Numbers out of range, lone surrogates, deep nesting and huge records are one rejection each, others go on."""
    assert outcome(rows(b'{"a": 1}\n' + text + b'\n{"a": 2}\n', "a.ndjson")) == [(1, ""), (2, reason), (3, "")]


def test_xml_records_attributes_and_repetition() -> None:
    """Elements become objects: attributes and children by name, repeated ones as a list, prefixes away."""
    body = b'<l xmlns:n="u"><n:Alarm id="7"><n:T>a</n:T><n:T>b</n:T></n:Alarm><Alarm/></l>'
    found = rows(body, "a.xml", XML)
    assert [item.values for item in found if isinstance(item, Row)] == [{"id": "7", "T": ["a", "b"]}, {"Alarm": ""}]


def test_a_cut_xml_keeps_what_is_whole() -> None:
    """Half an XML document gives its whole elements and one rejection."""
    body = b"<l><Alarm><a>1</a></Alarm><Alarm><a>2<b></a></Alarm><Alarm><a>3</a></Alarm><Alarm><a>4"
    assert outcome(rows(body, "a.xml", XML)) == [(1, ""), (2, "bad_structure"), (3, ""), (4, "bad_structure")]


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><Alarm>&x;</Alarm>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Alarm/>',
        b'<?xml version="1.0"?><!doctype a><Alarm/>',
    ],
)
def test_xml_entities_are_refused(body: bytes) -> None:
    """A document type is refused whole, whatever is in it."""
    assert outcome(rows(body, "a.xml", XML)) == [(0, "bad_structure")]


def test_deep_xml_is_refused() -> None:
    """Nesting beyond the limit is one rejection."""
    assert outcome(rows(b"<Alarm>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</Alarm>", "a.xml", XML))[0][1] == "too_large"


def test_wrong_format_names_the_legal_ones() -> None:
    """What the bytes plainly are goes over the file name; old workbooks are named."""
    [old] = rows(b"\xd0\xcf\x11\xe0" + b"0" * 100, "a.xlsx")
    assert isinstance(old, Broken)
    assert "xls" in old.message
    assert "csv" in old.message


def _zip(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _bomb_sheet(cells: bytes) -> bytes:
    body = as_xlsx(RECORDS)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    parts["xl/worksheets/sheet1.xml"] = sheet.replace(b"</sheetData>", cells + b"</sheetData>")
    return _zip(parts)


@pytest.mark.parametrize(
    "body",
    [
        _zip({"xl/worksheets/sheet1.xml": b"0" * 200_000_000}),
        _zip({f"x{number}": b"" for number in range(3000)}),
        _bomb_sheet(b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        _bomb_sheet(b'<row r="1048576"><c r="E1"><v>1</v></c></row><row r="1048576"><c><v>1</v></c></row>'),
    ],
)
def test_workbook_bombs_are_refused_quickly(body: bytes) -> None:
    """Too much when unpacked, too many files, a sheet whose box would fill the memory: refused before anything is opened."""
    begin = time.process_time()
    assert [reason for _, reason in outcome(rows(body, "a.xlsx"))] == ["input_too_large"]
    assert time.process_time() - begin < 0.5


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    """The declared size is not believed."""
    body = bytearray(_zip({"xl/worksheets/sheet1.xml": b"0" * 200_000_000}))
    directory = body.rindex(b"PK\x01\x02")
    for at in (22, directory + 24):
        body[at : at + 4] = (1000).to_bytes(4, "little")
    begin = time.process_time()
    assert [reason for _, reason in outcome(rows(bytes(body), "a.xlsx"))] == ["input_too_large"]
    assert time.process_time() - begin < 2.0


def test_a_long_string_in_very_many_cells_is_refused() -> None:
    """A shared string is one in the file and many in the memory."""
    limits = Limits(unpacked=2_000_000)
    text = b"<si><t>" + b"x" * 30_000 + b"</t></si>"
    sheet = b"<worksheet><sheetData>" + b'<row><c t="s"><v>0</v></c></row>' * 5_000 + b"</sheetData></worksheet>"
    body = _zip({"xl/sharedStrings.xml": b"<sst>" + text + b"</sst>", "xl/worksheets/sheet1.xml": sheet})
    assert outcome(rows(body, "a.xlsx", Shape(limits=limits))) == [(0, "input_too_large")]


@pytest.mark.parametrize(
    ("body", "hint"),
    [(as_csv(RECORDS), "a.csv"), (as_xlsx(RECORDS), "a.xlsx"), (as_json(RECORDS), "a.json"), (as_ndjson(RECORDS), "a.ndjson")],
)
def test_more_records_than_allowed(body: bytes, hint: str) -> None:
    """An input with too many records is refused whole with their number, before anything of it is taken; one at the limit is not."""
    number = len(RECORDS)
    [refused] = rows(body, hint, Shape(limits=Limits(rows=number - 1), knows=KNOWN.knows))
    assert isinstance(refused, Broken)
    assert (refused.position, refused.reason) == (0, "input_too_large")
    assert f"{number} 条" in refused.message
    assert f"{number - 1} 条" in refused.message
    assert len(rows(body, hint, Shape(limits=Limits(rows=number), knows=KNOWN.knows))) == number


def test_a_table_in_another_guise_is_told_as_what_it_looks_like() -> None:
    """A table in an encoding that nobody declared is told how it was read; one that is called JSON, that it looks like CSV."""
    [big5] = rows("編號,名稱\n一,二\n".encode("big5"), "a.csv", Shape(knows=KNOWN.knows))
    assert isinstance(big5, Broken)
    assert "gb18030" in big5.message
    assert "Big5" in big5.message
    [table] = rows(as_csv(RECORDS), "application/json")
    assert isinstance(table, Broken)
    assert "CSV" in table.message


def test_a_body_over_the_limit_is_one_rejection() -> None:
    """50 MB and more is answered, not read."""
    assert outcome(rows(b"x" * 1001, "a.csv", Shape(limits=Limits(body=1000)))) == [(0, "input_too_large")]


def test_an_empty_file_holds_nothing() -> None:
    """An empty T+1 file is no error."""
    assert rows(b" \r\n", "a.csv") == []


def test_a_file_of_open_quotes_costs_no_square() -> None:
    """Every line opens a quote that never closes: linear time."""
    body = "编号,名称\n".encode() + b'a",x,"b\n' * 60_000
    begin = time.process_time()
    found = rows(body, "a.csv")
    assert time.process_time() - begin < 5.0
    assert len(found) > 1000
