"""Whatever bytes come: nothing is raised, and every row that was decoded is mapped, rejected or skipped."""

# ruff: noqa: E501  # strategies read best on one line

from __future__ import annotations

import io
import os
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.inbound.canonical import MEDIA_TYPES, read_signals
from connectors.inbound.decode import decode
from connectors.inbound.mapping import Mapped, Rejected, Skipped, apply
from connectors.inbound.mapping_load import load_mapping
from connectors.inbound.rows import Broken, Ignored, Row
from domain.digest import canonical_json
from domain.errors import FileProblems
from domain.rejections import REASONS
from tests.connectors.senders import FEEDS, KEY, NOW, as_csv, as_json, as_ndjson, as_xlsx
from tests.connectors.test_device_feeds import AIDRIVE, EVENT, JFTECH, hikvision
from tests.connectors.test_shipped_feeds import TABLES

HINTS = ("a.csv", "a.tsv", "a.xlsx", "a.json", "a.ndjson", "a.xml", "", "multipart/mixed; boundary=x", "text/csv; charset=gbk")
EXAMPLES = int(os.environ.get("FENGSUI_FUZZ_EXAMPLES", "120"))  # the long campaigns ask for more
QUICK = settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
GOOD = [
    *((feed, writer([case.chinese, case.chinese]), hint) for feed, case in TABLES.items()
      for writer, hint in ((as_csv, "a.csv"), (as_ndjson, "a.ndjson"), (as_json, "a.json"))),
    ("penalties", as_csv([TABLES["penalties"].chinese] * 3, "gb18030"), "a.csv"),
    ("iot-json", as_json([EVENT, EVENT]), "a.json"), ("video-aidrive", as_json([AIDRIVE]), "a.json"), ("video-jftech", as_ndjson([JFTECH]), "a.ndjson"),
    ("hikvision", hikvision("fireDetection"), "a.xml"),
]  # fmt: skip
WORKBOOK = as_xlsx([TABLES["penalties"].chinese] * 3)


def check(feed: str, body: bytes, hint: str) -> None:
    """Decode and map, and compare the counts; what is mapped can be journalled, what is rejected has a reason and a message."""
    mapping = FEEDS[feed]
    rows = list(decode(body, hint, mapping.shape))
    results = list(apply(mapping, rows, NOW, KEY))
    assert len(rows) == len(results)
    assert [row.position for row in rows] == [result.position for result in results]
    for row, result in zip(rows, results, strict=True):
        if isinstance(row, Broken):
            assert isinstance(result, Rejected)
        elif isinstance(row, Ignored):
            assert isinstance(result, Skipped)
        else:
            assert isinstance(row, Row)
        if isinstance(result, Mapped):
            canonical_json(result.signal)
        elif isinstance(result, Rejected):
            assert result.reason in REASONS
            assert result.message
            result.message.encode()


@QUICK
@given(body=st.binary(max_size=400), hint=st.sampled_from(HINTS), feed=st.sampled_from(sorted(FEEDS)))
def test_any_bytes(body: bytes, hint: str, feed: str) -> None:
    """Random bytes under any name."""
    check(feed, body, hint)


@QUICK
@given(text=st.text(max_size=300), hint=st.sampled_from(HINTS), feed=st.sampled_from(sorted(FEEDS)))
def test_any_text(text: str, hint: str, feed: str) -> None:
    """Random Unicode under any name."""
    check(feed, text.encode("utf-8", "surrogatepass"), hint)


@QUICK
@given(data=st.data())
def test_good_files_cut_and_overwritten(data: st.DataObject) -> None:
    """Every good file, cut anywhere or with bytes overwritten anywhere."""
    feed, body, hint = data.draw(st.sampled_from(GOOD))
    body = body[: data.draw(st.integers(0, len(body)))]
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, max(0, len(body) - 1)))
        body = body[:at] + data.draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]
    check(feed, body, hint)


_CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["2026-02-30", "9" * 400, "1e400", "-0", "２０２６年１月１日", "=1+1", "\x00", "null", "108.9,34.2", "0" * 18, "-1e-400", "∞", "¼", "١٢٣"]),
)  # fmt: skip


@QUICK
@given(data=st.data())
def test_any_cell_under_a_known_header(data: st.DataObject) -> None:
    """Values of every type in every field."""
    feed = data.draw(st.sampled_from(sorted(FEEDS)))
    headers = sorted({alias for field in FEEDS[feed].fields.values() for alias in field.aliases if "[]" not in alias})
    record = data.draw(st.dictionaries(st.sampled_from(headers), _CELLS, max_size=12))
    check(feed, as_ndjson([record]), "a.ndjson")
    check(
        feed,
        as_csv([record], "utf-8") if record and all(isinstance(value, str) and "\r" not in value for value in record.values()) else b"",
        "a.csv",
    )


@settings(max_examples=EXAMPLES // 2, derandomize=True, deadline=None)
@given(data=st.data())
def test_workbooks_with_overwritten_parts(data: st.DataObject) -> None:
    """A sound archive around damaged XML: what the reader of workbooks meets is never raised."""
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(parts)))
    content = parts[name]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content = content[:at] + data.draw(st.binary(max_size=4)) + content[at + data.draw(st.integers(0, 6)) :]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for other, whole in parts.items():
            archive.writestr(other, content if other == name else whole)
    check("penalties", buffer.getvalue(), "a.xlsx")


@QUICK
@given(
    body=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))),
    media=st.sampled_from(MEDIA_TYPES),
)
def test_any_canonical_body(body: bytes, media: str) -> None:
    """Random bytes as canonical signals."""
    assert all(
        isinstance(result, Mapped) or result.reason in REASONS
        for result in read_signals(body, media, NOW)
        if not isinstance(result, Skipped)
    )


@QUICK
@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                "id",
                "source",
                "kind",
                "occurred_at",
                "object",
                "object_id",
                "place",
                "severity",
                "value",
                "attrs",
                "text",
                "specversion",
                "data",
                "x",
            ]
        ),
        _CELLS,
    )
)
def test_any_canonical_object(values: dict[str, object]) -> None:
    """Values of every type under every key."""
    [result] = list(read_signals(as_ndjson([values]).replace(b"NaN", b"0").replace(b"Infinity", b"0"), "application/x-ndjson", NOW))
    assert isinstance(result, (Mapped, Rejected))


@settings(max_examples=EXAMPLES // 2, derandomize=True, deadline=None)
@given(text=st.one_of(st.text(max_size=100), st.text(alphabet="feedtilsource: []{}-\n'\"&*!|>", max_size=60)))
def test_any_mapping_text(text: str) -> None:
    """Random text as a mapping is refused with problems, never raised through."""
    with pytest.raises(FileProblems):
        load_mapping(text, "m.yaml")
