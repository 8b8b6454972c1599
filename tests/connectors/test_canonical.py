"""Canonical signals: strict keys, every wrapping that senders use, and a bad one that spoils nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.inbound.canonical import CLOUD_EVENT, CLOUD_EVENTS, read_signals
from connectors.inbound.mapping import Mapped, Rejected
from domain.signals import Signal
from tests.connectors.senders import NOW

GOOD: dict[str, Any] = {"id": "2026-000017", "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T08:00:00+08:00"}
FULL = GOOD | {
    "object": {"code": "91610132MA6U00001H", "name": "某某燃气", "address": "…"}, "matter": "gas", "region": "610113",
    "place": {"lng": 108.9, "lat": 34.2, "datum": "GCJ02"}, "severity": 2, "value": 1.0, "unit": "", "text": "小区燃气异味",
    "confidential": "internal", "attrs": {"channel": "phone"},
}  # fmt: skip


def results(document: Any, content_type: str = "application/json") -> list[Any]:
    """Return what is made of a JSON document."""
    return list(read_signals(json.dumps(document).encode(), content_type, NOW))


def test_the_full_signal_of_the_documentation() -> None:
    """Every documented key is taken as it stands."""
    [result] = results(FULL)
    assert isinstance(result.signal, Signal)
    assert (result.signal.object.name, result.signal.attrs, result.signal.severity) == ("某某燃气", {"channel": "phone"}, 2)


def test_one_list_and_lines() -> None:
    """One object, a list and NDJSON are all taken; positions count from 1."""
    lines = b"".join(json.dumps(GOOD | {"id": str(number)}).encode() + b"\n" for number in range(3))
    assert [result.position for result in results([GOOD, GOOD])] == [1, 2]
    for content_type in ("application/x-ndjson", "application/json; charset=utf-8", ""):
        assert [result.signal.id for result in read_signals(lines, content_type, NOW) if isinstance(result, Mapped)] == ["0", "1", "2"]


def test_object_id_is_short_for_the_code() -> None:
    """A flat object_id is object.code; a contradiction is refused."""
    assert results(GOOD | {"object_id": "C1"})[0].signal.object.code == "C1"
    assert results(GOOD | {"object_id": "C1", "object": {"name": "甲"}})[0].signal.object.name == "甲"
    assert results(GOOD | {"object_id": "C1", "object": {"code": "C2"}})[0].reason == "bad_value"
    assert results(GOOD | {"object_id": 5})[0].reason == "bad_type"


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"ocurred_at": "x"}, "unknown_field", "ocurred_at"),
        ({"feed": "other"}, "unknown_field", "feed"),
        ({"id": ""}, "missing_field", "id"),
        ({"kind": None}, "missing_field", "kind"),
        ({"id": 17}, "bad_type", "id"),
        ({"id": "a\x00b"}, "bad_value", "id"),
        ({"id": "x" * 201}, "bad_value", "id"),
        ({"source": "radio"}, "bad_type", "source"),
        ({"severity": 4}, "bad_value", "severity"),
        ({"severity": 1.5}, "bad_type", "severity"),
        ({"value": "3"}, "bad_type", "value"),
        ({"object": {"cod": "1"}}, "bad_type", ""),
        ({"object": "甲"}, "bad_type", "object"),
        ({"place": {"lng": 200, "lat": 0}}, "bad_value", "place"),
        ({"occurred_at": "2026-03-01 08:00"}, "bad_date", "occurred_at"),
        ({"occurred_at": "2026-02-30T08:00:00Z"}, "bad_date", "occurred_at"),
        ({"occurred_at": 1772323200}, "bad_type", "occurred_at"),
        ({"occurred_at": "2036-03-01T08:00:00Z"}, "future", "occurred_at"),
        ({"attrs": []}, "bad_type", "attrs"),
    ],
)
def test_a_bad_signal_is_rejected_alone(change: dict[str, Any], reason: str, field: str) -> None:
    """What is wrong, where; the good ones on both sides go in."""
    before, bad, after = results([GOOD, GOOD | change, GOOD])
    assert isinstance(before, Mapped)
    assert isinstance(after, Mapped)
    assert (bad.reason, bad.position) == (reason, 2)
    if field:
        assert bad.field == field
    assert bad.message.startswith("第 2 条 ")


def test_an_unknown_key_names_the_nearest() -> None:
    """A key with a typing error is refused with the legal one."""
    [result] = results(GOOD | {"ocurred_at": 1})
    assert "ocurred_at" in result.message
    assert "occurred_at" in result.message.partition("；")[2]


def test_cloudevents_single_and_batch() -> None:
    """The envelope gives id, time and type where the data has none; (source, id) makes the id."""
    data = {key: value for key, value in GOOD.items() if key not in {"id", "occurred_at", "kind"}}
    event = {
        "specversion": "1.0",
        "id": "7",
        "source": "/sensors/a",
        "type": "gas.leak",
        "time": "2026-03-01T00:00:00Z",
        "subject": "C1",
        "data": data,
    }
    [single] = results(event, CLOUD_EVENT)
    assert (single.signal.id, single.signal.kind, single.signal.object.code) == ("/sensors/a#7", "gas.leak", "C1")
    one, two, three = results([event, event | {"specversion": "0.3"}, event | {"data": GOOD}], CLOUD_EVENTS)
    assert (one.signal.id, two.reason, three.signal.id) == ("/sensors/a#7", "bad_value", "2026-000017")
    assert results({key: value for key, value in event.items() if key != "type"}, CLOUD_EVENT)[0].field == "type"
    assert results(event | {"data": "x"}, CLOUD_EVENT)[0].reason == "bad_type"


def test_a_cut_body_keeps_what_is_whole() -> None:
    """Half a list gives its whole signals and one rejection."""
    body = json.dumps([GOOD, GOOD]).encode()[:-5]
    first, second = read_signals(body, "application/json", NOW)
    assert isinstance(first, Mapped)
    assert isinstance(second, Rejected)
    assert second.reason == "bad_structure"


def test_no_json_at_all() -> None:
    """Anything else is one rejection, an empty body holds nothing."""
    assert [result.reason for result in read_signals(b"<a/>", "application/xml", NOW) if isinstance(result, Rejected)] == ["bad_structure"]
    assert list(read_signals(b"", "application/json", NOW)) == []
