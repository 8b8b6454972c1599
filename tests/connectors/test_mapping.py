"""What a mapping does with a record's fields: dates, amounts, nothing, personal data, the future, and what it says when it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.inbound.dates import DEFAULT_FORMATS, NoSuchDate, TimeFormats, UnknownFormat
from connectors.inbound.decode import decode
from connectors.inbound.mapping import Mapped, Result, apply
from connectors.inbound.mapping_load import load_mapping
from connectors.inbound.personal import Tokens
from tests.connectors.senders import KEY, NOW, as_csv, as_ndjson, rejections, signals, taken

TEXT = """
feed: test
title: 试验
source: complaint
formats: [csv, json, ndjson]
fields:
  id: {from: [编号], required: true}
  at: {from: [时间, "items[].at"], type: time}
  due: {from: [期限], type: time}
  amount: {from: [金额], type: amount, unit: 万元, low: 0}
  level: {from: [浓度], type: number, unit: "%LEL"}
  code: {from: [代码], type: code}
  state: {from: [状态], codes: {"1": 有效, 开: 有效}}
  point: {from: [坐标], type: point}
  name: [姓名]
  body: [内容]
personal: [name]
key: [id]
signal: {occurred_at: [at], object: {code: [code]}, value: [amount], text: [body], place: {point: [point], datum: GCJ02}}
kind: {read: [body], rules: [{give: gas.leak, all: [[燃气, 煤气], [漏]], not: [演练]}], default: other.request}
severity: {codes: {state: {有效: "2"}}, default: "0"}
"""
MAPPING = load_mapping(TEXT, "test.yaml")
GOOD: dict[str, Any] = {"编号": "1", "时间": "2026-03-01 08:00:00"}


def mapped(*records: dict[str, Any]) -> list[Result]:
    """Return what the mapping makes of records."""
    return list(apply(MAPPING, decode(as_ndjson(records), "a.ndjson", MAPPING.shape), NOW, KEY))


SHANGHAI = TimeFormats(DEFAULT_FORMATS, ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize(
    "written",
    [
        "2026/1/6 12:09:38",
        "2026-01-06T12:09:38",
        "2026-01-06T04:09:38Z",
        "2026-01-06T12:09:38+0800",
        "20260106120938",
        20260106120938.0,
        "2026年1月6日 12:09:38",
        "２０２６-０１-０６　１２：０９：３８",
        1767672578,
        "1767672578000",
        46028.506689814815,
        datetime.fromisoformat("2026-01-06T12:09:38"),
    ],
)
def test_one_instant_in_many_styles(written: object) -> None:
    """Every declared style of one instant is the same instant; without a zone it is Asia/Shanghai."""
    assert SHANGHAI.read(written) == datetime(2026, 1, 6, 4, 9, 38, tzinfo=UTC)


@pytest.mark.parametrize("written", ["2026-02-30", "2026/13/1", "20260230", "2026-01-01 24:00:00", "0001-01-01", "2026年2月30日"])
def test_dates_that_do_not_exist(written: str) -> None:
    """A date of a known format that no calendar has is told from an unknown format."""
    with pytest.raises(NoSuchDate):
        SHANGHAI.read(written)


@pytest.mark.parametrize("written", ["昨天", "", None, True, "12:00", 5, 1e300, float("nan"), float("inf"), [1], "2026-1", "1" * 400])
def test_what_is_no_date_at_all(written: object) -> None:
    """Anything else is an unknown format, whatever its type."""
    with pytest.raises(UnknownFormat):
        SHANGHAI.read(written)


def test_a_refused_date_says_what_where_and_what_is_legal() -> None:
    """The message has row, column, the value and the accepted formats."""
    [rejected] = rejections(
        taken(
            "penalties",
            as_csv([{"CF_XDR_MC": "甲公司", "CF_WSH": "1", "CF_XDR_SHXYM": "X1", "CF_CFJG": "局", "CF_JDRQ": "2026-02-30"}]),
            "a.csv",
        )
    )
    assert (rejected.reason, rejected.field, rejected.position) == ("bad_date", "CF_JDRQ", 2)
    assert rejected.message.startswith('第 2 行 CF_JDRQ: "2026-02-30" 不是存在的日期；接受的格式：')
    assert "Y年m月d日" in rejected.message


def test_all_problems_of_a_record_are_told_at_once() -> None:
    """A record with three mistakes says all three."""
    [rejected] = rejections(mapped({"编号": "", "时间": "昨天", "金额": "很多"}))
    assert all(word in rejected.message for word in ("编号", "昨天", "很多"))


def test_a_required_column_that_is_not_there_is_a_header_problem() -> None:
    """A missing column and an empty cell have different reasons."""
    assert [each.reason for each in rejections(mapped({"时间": "2026-03-01"}, {"编号": "无", "时间": "2026-03-01"}))] == [
        "bad_header",
        "missing_field",
    ]


@pytest.mark.parametrize(
    ("written", "yuan"),
    [
        ("0.2", 2000.0),
        ("0.2万元", 2000.0),
        ("2000元", 2000.0),
        ("1,234.50元", 1234.5),
        ("￥２０００元整", 2000.0),
        ("1.1亿元", 1.1e8),
        (0.07, 700.0),
        ("人民币3万元", None),
    ],
)
def test_amounts_are_exact(written: object, yuan: float | None) -> None:
    """Amounts are converted as decimals: 0.07 万元 is 700 yuan, not 700.0000000001."""
    results = mapped(GOOD | {"金额": written})
    if yuan is None:
        assert [each.reason for each in rejections(results)] == ["bad_type"]
    else:
        assert [(each.value, each.unit) for each in signals(results)] == [(yuan, "CNY")]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("-1", "bad_value"),
        ("2000美元", "unit_mismatch"),
        ("abc", "bad_type"),
        ("9" * 30, "bad_value"),
        ("1e999", "bad_value"),
        ({"a": 1}, "bad_type"),
        ("NaN", ""),
    ],
)
def test_wrong_amounts(written: object, reason: str) -> None:
    """Each kind of wrong amount has its own reason; a word for nothing is nothing."""
    assert [each.reason for each in rejections(mapped(GOOD | {"金额": written}))] == ([reason] if reason else [])


def test_a_wrong_attribute_does_not_spoil_the_record() -> None:
    """What no part of the signal needs is kept as it was written, and named."""
    [signal] = signals(mapped(GOOD | {"期限": "尽快", "浓度": "12 %LEL"}))
    assert (signal.attrs["due"], signal.attrs["unparsed"], signal.attrs["level"]) == ("尽快", ["due"], 12.0)


def test_codes_placeholders_and_tables() -> None:
    """Codes are upper case without blanks, placeholders are nothing, values outside a code list stay."""
    one, two = signals(
        mapped(GOOD | {"代码": " ９1610132ma6u00001h ", "状态": "开"}, GOOD | {"编号": "2", "代码": "00000000000000000X", "状态": "暂停"})
    )
    assert (one.object.code, one.attrs["state"], one.severity) == ("91610132MA6U00001H", "有效", 2)
    assert (two.object.code, two.attrs["state"], two.severity) == ("", "暂停", 0)


def test_a_code_that_a_spreadsheet_rounded_is_refused() -> None:
    """A number of eighteen digits in a cell has lost its last ones: it is not taken as a code."""
    [signal] = signals(mapped(GOOD | {"代码": 9.161013212345678e17}))
    assert signal.object.code == ""
    assert signal.attrs["unparsed"] == ["code"]


def test_the_future_is_quarantined() -> None:
    """Later than the reception and the tolerance is a rejection of its own; within it is taken."""
    late = (NOW + timedelta(minutes=4)).isoformat()
    later = (NOW + timedelta(days=3650)).isoformat()
    results = mapped(GOOD | {"时间": late}, GOOD | {"时间": later})
    assert isinstance(results[0], Mapped)
    assert [each.reason for each in rejections(results)] == ["future"]
    assert rejections(results)[0].message.startswith("第 2 行 时间: ")


def test_personal_values_leave_no_trace() -> None:
    """A personal field is a token everywhere, also where it stands in another field's text; other numbers in the text too."""
    body = "我是张三丰，电话 138-0013-8000，身份证11010519491231002X，燃气漏了"
    [signal] = signals(mapped(GOOD | {"姓名": "张三丰", "内容": body}))
    token = Tokens(KEY).token("张三丰")
    assert signal.attrs["name"] == token
    assert token in signal.text
    assert Tokens(KEY).token("13800138000") in signal.text
    assert [value for value in ("张三丰", "8000", "1949") if value in str(signal)] == []
    [other] = list(apply(MAPPING, decode(as_ndjson([GOOD | {"姓名": "张三丰"}]), "", MAPPING.shape), NOW, b"another key of 16"))
    assert isinstance(other, Mapped)
    assert other.signal.attrs["name"] != token


def test_a_short_key_for_tokens_is_refused() -> None:
    """A guessable key would undo the tokens."""
    with pytest.raises(ValueError, match="16"):
        Tokens(b"short")


def test_keywords_belong_to_one_sentence() -> None:
    """Words of one rule count together only within a sentence; a forbidden word of that sentence counts against it."""
    texts = ["燃气公司服务好。楼上水管漏了。", "煤气漏了！", "周五举行燃气泄漏演练，并无漏气。"]
    kinds = [each.kind for each in signals(mapped(*(GOOD | {"编号": str(n), "内容": text} for n, text in enumerate(texts))))]
    assert kinds == ["other.request", "gas.leak", "other.request"]


def test_points_and_places() -> None:
    """A point is longitude first; a wrong one is kept as text, a zero one is none."""
    one, two, three = signals(
        mapped(*(GOOD | {"编号": str(n), "坐标": text} for n, text in enumerate(["108.9, 34.2", "34.2,108.9", "0,0"])))
    )
    assert one.place is not None
    assert (one.place.lng, one.place.lat, one.place.datum) == (108.9, 34.2, "GCJ02")
    assert (two.place, two.attrs["unparsed"], two.attrs["point"]) == (None, ["point"], "34.2,108.9")
    assert three.place is None


def test_a_long_key_is_hashed_and_a_long_text_is_cut() -> None:
    """Ids stay short and texts bounded; a cut text says so."""
    [signal] = signals(mapped(GOOD | {"编号": "长" * 300, "内容": "字" * 9000}))
    assert signal.id.startswith("sha256:")
    assert (len(signal.text), signal.attrs["text_cut"]) == (8000, True)


def test_headers_match_without_width_case_and_brackets() -> None:
    """The same column under six spellings."""
    for header in ("CF_WSH", "cfWsh", "ＣＦ＿ＷＳＨ", "行政处罚决定书文号（必填）", "*行政处罚决定书文号", "行政处罚决定书文号(CF_WSH)"):
        record = {"CF_XDR_MC": "甲公司", header: "7号", "CF_XDR_SHXYM": "X1", "CF_CFJG": "局", "CF_JDRQ": "2026-02-03"}
        assert [each.id for each in signals(taken("penalties", as_csv([record]), "a.csv"))] == ["局/7号/X1"], header
