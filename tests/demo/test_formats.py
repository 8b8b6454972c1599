"""Every record can be read back with the standard library, and the ledger counts what an independent reader counts."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import openpyxl
import pytest

from app.demo.formats.tables import xlsx_bytes
from app.demo.places import LOCAL
from app.demo.schedule import Plan, Send
from app.demo.world import FEEDS

# Where a feed's records have their key, and their time.
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "hotline-12345": (("工单编号",), ("orderNum",)),
    "letters-mayor": (("信件编号",),),
    "portal-tickets": (("诉求编号",),),
    "netizen-messages": (("留言编号",),),
    "complaints-12315": (("caseid",),),
    "penalties": (("CF_WSH", "CF_XDR_SHXYM"), ("行政处罚决定书文号", "行政相对人代码_1(统一社会信用代码)")),
    "licences": (("XK_WSH",), ("行政许可决定文书号",)),
    "rulings": (("s5",),),
    "dishonest": (("caseCode",),),
    "inspections": (("检查行为编号",),),
    "iot-json": (("device_id", "ts"),),
    "video-aidrive": (("id",),),
    "video-jftech": (("bizData.eventId",),),
    "hikvision": (("macAddress", "dateTime", "eventType"),),
}
TIMES = {
    "hotline-12345": ("来电时间", "callTime"),
    "letters-mayor": ("来信时间",),
    "portal-tickets": ("递交时间",),
    "netizen-messages": ("留言时间",),
    "complaints-12315": ("recorddate",),
    "penalties": ("CF_JDRQ", "处罚决定日期"),
    "licences": ("XK_JDRQ", "许可决定日期"),
    "rulings": ("s31",),
    "dishonest": ("regDate",),
    "inspections": ("检查时间",),
    "iot-json": ("ts",),
    "video-aidrive": ("alert_time",),
    "video-jftech": ("bizData.eventTime",),
    "hikvision": ("dateTime",),
}


def rows_of(send: Send) -> Iterator[dict[str, Any] | None]:
    """Yield the records of a send, None for one that cannot be read."""
    if send.name.endswith(".xlsx"):
        header, *rows = openpyxl.load_workbook(io.BytesIO(send.body)).active.iter_rows(values_only=True)
        yield from (dict(zip(header, row, strict=True)) for row in rows)
    elif send.content_type.startswith("text/csv"):
        text = send.body.decode(send.content_type.rpartition("=")[2], "surrogateescape").removeprefix("\ufeff")
        header, *lines = csv.reader(io.StringIO(text))
        for cells in lines:
            broken = len(cells) < len(header) or any("\udc80" <= char <= "\udcff" for cell in cells for char in cell)
            yield None if broken else dict(zip(header, cells, strict=True))
    elif send.content_type == "application/x-ndjson":
        yield from map(json.loads, send.body.splitlines())
    elif send.content_type == "application/xml":
        root = ET.fromstring(send.body)
        yield {element.tag.rpartition("}")[2]: element.text or "" for element in root}
    else:
        yield from _json_rows(send)


def _json_rows(send: Send) -> Iterator[dict[str, Any] | None]:
    try:
        document = json.loads(send.body)
    except json.JSONDecodeError:
        whole, _, _ = send.body.rpartition(b',{"')
        yield from json.loads(whole + b"]")
        yield None
        return
    yield from document if isinstance(document, list) else [document]


def value(row: dict[str, Any], path: str) -> Any:
    """Return what a dotted path leads to."""
    held: Any = row
    for part in path.split("."):
        held = held.get(part) if isinstance(held, dict) else None
    return held


def moment(cell: Any) -> datetime | None:
    """Return the instant of a cell in one of the styles of these senders, None where there is no such time."""
    if isinstance(cell, (int, float)):
        return datetime.fromtimestamp(cell / 1000 if cell > 1e12 else cell, LOCAL)
    text = str(cell or "")
    if re.fullmatch(r".*T.*\+08:00", text):
        text = text.replace("T", " ").removesuffix("+08:00")
    for style in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日"):
        try:
            return datetime.strptime(text.partition(".")[0], style).replace(tzinfo=LOCAL)
        except ValueError:
            continue
    return None


def outcome(send: Send, row: dict[str, Any] | None, seen: dict[tuple[str, ...], set[str]]) -> str:
    """Return what an honest reader makes of a record that arrives after those in `seen`."""
    if row is None:
        return "rejected"
    if row.get("eventType") == "videoloss" and row.get("eventState") == "inactive":
        return "skipped"
    paths = next(paths for paths in KEYS[send.feed] if paths[0].partition(".")[0] in row)
    parts = tuple(str(value(row, path) or "") for path in paths)
    at = next((moment(value(row, path)) for path in TIMES[send.feed] if path.partition(".")[0] in row), None)
    if not parts[0] or at is None or at > send.at + timedelta(minutes=5):
        return "rejected"
    content = json.dumps(row, sort_keys=True, ensure_ascii=False, default=str)
    if content in seen[parts]:
        return "duplicates"
    first = not seen[parts]
    seen[parts].add(content)
    return "accepted" if first else "revisions"


def test_an_independent_reader_counts_what_the_ledger_says(plan: Plan) -> None:
    """Conservation for each feed: written = accepted + rejected + duplicates + revisions + skipped, each of them as noted."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    seen: dict[str, dict[tuple[str, ...], set[str]]] = defaultdict(lambda: defaultdict(set))
    for send in plan.sends:
        rows = list(rows_of(send))
        assert len(rows) == send.records, send.name
        for row in rows:
            counted[send.feed][outcome(send, row, seen[send.feed])] += 1
    assert set(counted) == set(FEEDS)
    for feed, page in plan.ledger.feeds.items():
        noted = {
            "accepted": page.accepted,
            "rejected": sum(page.rejected.values()),
            "duplicates": page.duplicates,
            "revisions": page.revisions,
            "skipped": page.skipped,
        }
        assert noted == {name: counted[feed][name] for name in noted}, feed
        assert page.written == sum(counted[feed].values())


def test_the_ledger_has_the_dirt_of_real_senders(plan: Plan) -> None:
    """Between half and one per cent of what people write is broken, each way of being broken occurs, and so do repeats and revisions."""
    total = plan.ledger.total()
    assert set(total.rejected) == {"bad_date", "missing_field", "future", "bad_structure", "bad_encoding"}
    people = [page for feed, page in plan.ledger.feeds.items() if feed != "iot-json"]
    share = sum(sum(page.rejected.values()) for page in people) / sum(page.written for page in people)
    assert 0.004 < share < 0.011
    assert total.duplicates > 1000
    assert plan.ledger.feeds["hotline-12345"].revisions > 500
    assert total.skipped > 100
    assert total.sends == len(plan.sends)


def test_sends_leave_after_what_they_tell_and_in_order(plan: Plan) -> None:
    """Nothing is told before it happened, and the plan is sorted by the time of sending."""
    assert [send.at for send in plan.sends] == sorted(send.at for send in plan.sends)
    assert all(plan.world.start <= send.at < plan.world.end + timedelta(days=2) for send in plan.sends)
    assert {send.channel for send in plan.sends} == {"http", "file"}
    assert len({(send.feed, send.name) for send in plan.sends if send.channel == "file"}) == sum(
        send.channel == "file" for send in plan.sends
    )


@pytest.mark.parametrize("naming", ["bad_code", "unknown", "brackets", "sign"])
def test_senders_name_objects_in_all_the_ways_they_do(plan: Plan, naming: str) -> None:
    """Wrong check digits, names of no register, other brackets and shop signs all occur."""
    assert sum(happening.naming == naming for happening in plan.world.happenings) > 10


def test_readings_of_sensors_stay_physical_and_move_where_something_happens(plan: Plan) -> None:
    """No negative pressure; the warehouse that runs away reads over 45 °C, all others stay below 35 °C."""
    values: dict[str, list[float]] = defaultdict(list)
    for send in plan.sends:
        if send.feed == "iot-json" and send.name.startswith("park-") and "again" not in send.name:
            for row in json.loads(send.body):
                for metric, number in row["metrics"].items():
                    values[f"{metric}:{row['device_id']}"].append(number)
    assert min(min(series) for series in values.values()) >= 0
    hot = next(incident for incident in plan.world.incidents if incident.id == "chem-runaway")
    devices = {device.id for device in plan.world.city.devices_of[hot.object_id]}
    for name, series in values.items():
        metric, _, device = name.partition(":")
        if metric == "temp_c":
            assert (max(series) > 45) == (device in devices), device


def test_a_workbook_has_fixed_bytes_texts_numbers_and_merged_cells() -> None:
    """The small writer makes what spreadsheets read, byte for byte the same."""
    rows: list[list[str | float]] = [["标题", ""], ["a & <b>", 1.5], [" 空格 ", 2.0]]
    body = xlsx_bytes(rows, title="表", merges=["A1:B1"])
    assert body == xlsx_bytes(rows, title="表", merges=["A1:B1"])
    sheet = openpyxl.load_workbook(io.BytesIO(body)).active
    assert [list(row) for row in sheet.iter_rows(values_only=True)] == [["标题", None], ["a & <b>", 1.5], [" 空格 ", 2]]
    assert [str(area) for area in sheet.merged_cells.ranges] == ["A1:B1"]
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
