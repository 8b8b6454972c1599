"""What a message of another system's topic is to the doors: the CloudEvents binding for Kafka, and headers that say too little."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest

from connectors.inbound.canonical import CLOUD_EVENT, read_signals
from connectors.inbound.envelope import Message, record_input, signals_input
from connectors.inbound.mapping import Mapped, Rejected

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSON = "application/json"
EVENT = {"specversion": "1.0", "id": "7", "source": "/iot", "type": "gas.leak", "time": "2026-03-01T08:00:00Z", "subject": "o-1"}
HEADERS = [(f"ce_{name}", value.encode()) for name, value in EVENT.items()]


def test_a_binary_event_is_the_structured_one_of_the_same_attributes() -> None:
    """Attributes come from the headers, numbers stay as they are written; names of headers in any case."""
    data = b'{"source": "iot", "value": 12.50}'
    headers = [("CE_" + name.removeprefix("ce_"), value) for name, value in HEADERS]
    body, kind = signals_input(Message(data, [*headers, ("content-type", JSON.encode())]), JSON)
    assert kind == CLOUD_EVENT
    assert b"12.50" in body
    [binary] = read_signals(body, kind, NOW)
    [structured] = read_signals(json.dumps(EVENT | {"data": json.loads(data)}).encode(), CLOUD_EVENT, NOW)
    assert isinstance(binary, Mapped)
    assert isinstance(structured, Mapped)
    assert binary.signal == structured.signal
    assert (binary.signal.id, binary.signal.object.code) == ("/iot#7", "o-1")


@pytest.mark.parametrize("data", [b"", b"not json", b"\xff\xfe", b"[1]", b"[" * 2000])
def test_binary_data_that_is_no_object_is_a_rejection_with_its_bytes(data: bytes) -> None:
    """Whatever the data is, one rejection has all of the event."""
    body, kind = signals_input(Message(data, HEADERS), JSON)
    [result] = read_signals(body, kind, NOW)
    assert isinstance(result, Rejected)
    assert b"/iot" in result.raw


def test_a_raw_record_in_an_event_is_its_data() -> None:
    """In JSON, as text of another type, in base64; with the header of structured mode or without it."""
    record = b'{"device_id": "d-1", "ts": 1772352000.0}'
    structured = [("content-type", b"application/cloudevents+json")]
    head = json.dumps(EVENT)[:-1].encode()
    assert record_input(Message(head + b', "data": ' + record + b"}", structured), JSON) == (record, JSON)
    assert record_input(Message(head + b', "data": ' + record + b"}"), JSON) == (record, JSON)
    text = json.dumps(EVENT | {"datacontenttype": "text/csv", "data": "a,b\n1,2"}).encode()
    assert record_input(Message(text, structured), JSON) == (b"a,b\n1,2", "text/csv")
    packed = json.dumps(EVENT | {"datacontenttype": "application/xml", "data_base64": base64.b64encode(b"<a/>").decode()}).encode()
    assert record_input(Message(packed, structured), JSON) == (b"<a/>", "application/xml")


def test_what_is_no_event_is_taken_as_it_is() -> None:
    """A header that says what the bytes are goes over the setting; one that says nothing does not."""
    assert record_input(Message(b"<a/>", [("Content-Type", b"text/xml")]), JSON) == (b"<a/>", "text/xml")
    assert record_input(Message(b"{}", [("content-type", b"application/octet-stream")]), JSON) == (b"{}", JSON)
    assert record_input(Message(b'{"specversion": ', [("content-type", b"application/cloudevents+json")]), JSON) == (
        b'{"specversion": ',
        JSON,
    )
    assert record_input(Message(b"a,b"), "text/csv") == (b"a,b", "text/csv")
    assert signals_input(Message(b"{}"), JSON) == (b"{}", JSON)
