"""Messages of other systems' topics as inputs of the doors: what the HTTP side is told by its path and headers, from Kafka's headers.

CloudEvents 1.0, Kafka protocol binding: structured mode has a header `content-type` of `application/cloudevents…` and the whole event
as its body; binary mode has the attributes in headers `ce_…`, its body is the data.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from connectors.inbound.canonical import CLOUD_EVENT
from connectors.inbound.decode import is_known_type

_STRUCTURED = "application/cloudevents"
_PREFIX = "ce_"
_BOM = b"\xef\xbb\xbf"


class Message(NamedTuple):
    """One message of a topic: its value, and its headers in their order."""

    body: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class _Event(msgspec.Struct):
    """What of a structured event holds a raw record."""

    specversion: str
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str = ""
    datacontenttype: str = ""


_event_decoder = msgspec.json.Decoder(_Event)


def signals_input(message: Message, default: str) -> tuple[bytes, str]:
    """Return body and content type of canonical signals or CloudEvents; `default` is the type of what says none."""
    headers = _headers(message)
    written = headers.get("content-type", "")
    if not written.lower().startswith(_STRUCTURED) and _PREFIX + "specversion" in headers:
        attributes = {name.removeprefix(_PREFIX): value for name, value in headers.items() if name.startswith(_PREFIX)}
        return msgspec.json.encode(attributes | _data(message.body)), CLOUD_EVENT
    return message.body, written or default


def record_input(message: Message, default: str) -> tuple[bytes, str]:
    """Return body and content type of raw records: of a CloudEvent its data, of anything else the message itself."""
    written = _headers(message).get("content-type", "")
    if written.lower().startswith(_STRUCTURED) or b'"specversion"' in message.body:
        try:
            body, kind = _unwrapped(_event_decoder.decode(message.body))
        except (msgspec.MsgspecError, RecursionError, UnicodeError, binascii.Error):
            return message.body, default  # no event: the mapping says what is wrong with it
        return body or message.body, _known(kind, default)
    return message.body, _known(written, default)


def _headers(message: Message) -> dict[str, str]:
    """Return the headers as text, names in lower case; of a repeated one the last."""
    return {name.lower(): value.decode("utf-8", "replace").strip() for name, value in message.headers if value is not None}


def _known(written: str, default: str) -> str:
    """Return the content type that was written where it says what the bytes are; `application/octet-stream` and the like do not."""
    return written if is_known_type(written) else default


def _data(body: bytes) -> dict[str, Any]:
    """Return the member of an event in JSON that holds `body` (CloudEvents JSON format, 3.1)."""
    body = body.removeprefix(_BOM)
    if not body.strip():
        return {}
    try:
        msgspec.json.decode(body)
    except RecursionError:
        return {"data": msgspec.Raw(body)}  # whoever reads it says so
    except (msgspec.DecodeError, UnicodeError):
        try:
            return {"data": body.decode()}
        except UnicodeDecodeError:
            return {"data_base64": base64.b64encode(body).decode()}
    return {"data": msgspec.Raw(body)}


def _unwrapped(event: _Event) -> tuple[bytes, str]:
    """Return an event's data and its content type, b"" where it has none."""
    if event.data_base64:
        return base64.b64decode(event.data_base64, validate=True), event.datacontenttype
    held = bytes(event.data)
    if held.startswith(b'"') and event.datacontenttype and "json" not in event.datacontenttype.lower():
        return msgspec.json.decode(held, type=str).encode(), event.datacontenttype
    return held, "application/json"
