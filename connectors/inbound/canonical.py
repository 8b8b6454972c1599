"""Canonical signals as other systems post them: one, a list, NDJSON, and CloudEvents 1.0 in structured mode, single and batch.

Decoding is strict: an unknown top-level key is refused with the nearest legal one, since a key with a typo would be lost in silence.
One bad signal never spoils the others of its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from connectors.inbound.decode import decode
from connectors.inbound.mapping import Mapped, Rejected, Result, Skipped
from connectors.inbound.rows import Broken, Limits, Row, Shape
from domain.errors import SignalRejected
from domain.instants import parse_rfc3339, rfc3339
from domain.messages import text as say
from domain.signals import Signal
from rules.problems import nearest

TOLERANCE = timedelta(minutes=5)  # decision 2: how far ahead of its reception a signal may lie
CLOUD_EVENT = "application/cloudevents+json"
CLOUD_EVENTS = "application/cloudevents-batch+json"
MEDIA_TYPES = ("application/json", "application/x-ndjson", CLOUD_EVENT, CLOUD_EVENTS)
_LEGAL = tuple(field.encode_name for field in msgspec.structs.fields(Signal))
_ENVELOPE = ("specversion", "id", "source", "type")
_ID_LIMIT = 200


def read_signals(
    body: bytes, content_type: str, now: datetime, tolerance: timedelta = TOLERANCE, limits: Limits | None = None
) -> Iterator[Result]:
    """Yield one result per signal of `body`, in order; `now` is the instant of reception, aware.

    `content_type` is one of `MEDIA_TYPES`, with or without parameters; anything else is read as JSON or NDJSON by its look.
    """
    media = content_type.split(";", 1)[0].strip().lower()
    shape = Shape(formats=("json", "ndjson"), encodings=("utf-8",), limits=limits or Limits())
    hint = "application/x-ndjson" if media in {"application/x-ndjson", "application/ndjson", "application/jsonl"} else "application/json"
    for item in decode(body, hint, shape):
        if isinstance(item, Row):
            yield _result(item, now, tolerance, enveloped=media in {CLOUD_EVENT, CLOUD_EVENTS})
        elif isinstance(item, Broken):
            yield Rejected(item.position, item.reason, item.field, item.message, item.raw)
        else:
            yield Skipped(item.position, item.reason)


def read_signal(values: dict[str, Any], now: datetime, tolerance: timedelta = TOLERANCE) -> Signal:
    """Return the canonical signal of one JSON object; a flat `object_id` is short for `object.code`.

    Raises:
        SignalRejected: what is wrong, where, and what is legal.
    """
    given = dict(values)
    for key in given:
        if key not in _LEGAL and key != "object_id":
            near = nearest(key, _LEGAL)
            hint = say("intake.near", near=near) if near else ""
            raise SignalRejected("unknown_field", say("intake.unknown_key", value=key, legal=", ".join(_LEGAL), near=hint), field=key)
    _take_object_id(given)
    for key in ("id", "source", "kind", "occurred_at"):
        if given.get(key) in (None, ""):
            raise SignalRejected("missing_field", say("intake.missing_key", value=key), field=key)
    given["occurred_at"] = _instant(given["occurred_at"])
    try:
        signal = msgspec.convert(given, Signal, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        where = str(error).rpartition("`$.")[2].rstrip("`").partition(".")[0] if "`$." in str(error) else ""
        raise SignalRejected("bad_type", say("intake.bad_shape", error=error), field=where) from error
    _check(signal, now, tolerance)
    return signal


def _result(row: Row, now: datetime, tolerance: timedelta, *, enveloped: bool) -> Result:
    try:
        values = _unwrapped(row.values) if enveloped or "specversion" in row.values else row.values
        return Mapped(read_signal(values, now, tolerance), row.position, row.raw)
    except SignalRejected as error:
        return Rejected(row.position, error.reason, error.field, f"{row.place} {error}", row.raw)


def _unwrapped(event: dict[str, Any]) -> dict[str, Any]:
    """Return the signal in a CloudEvent: its data, with id, time and type of the envelope where the data has none of its own.

    (source, id) identifies an event (CloudEvents 1.0, 3.1.1), so both make the id of a signal that brings none.
    """
    for key in _ENVELOPE:
        if not isinstance(event.get(key), str) or not event[key]:
            raise SignalRejected("missing_field", say("intake.missing_key", value=key), field=key)
    if event["specversion"] != "1.0":
        raise SignalRejected("bad_value", say("intake.cloudevents_version", value=event["specversion"]), field="specversion")
    data = event.get("data")
    if not isinstance(data, dict):
        raise SignalRejected("bad_type", say("intake.cloudevents_data"), field="data")
    values: dict[str, Any] = {"id": f"{event['source']}#{event['id']}", "kind": event["type"]}
    if isinstance(event.get("time"), str):
        values["occurred_at"] = event["time"]
    if isinstance(event.get("subject"), str) and "object" not in data:
        values["object_id"] = event["subject"]
    return values | data


def _take_object_id(given: dict[str, Any]) -> None:
    """Move a flat `object_id` to `object.code`; it may not contradict one that is there."""
    if "object_id" not in given:
        return
    flat = given.pop("object_id")
    held = given.setdefault("object", {})
    if not isinstance(flat, str) or not isinstance(held, dict):
        raise SignalRejected("bad_type", say("intake.object_id"), field="object_id")
    if held.get("code", flat) != flat:
        raise SignalRejected("bad_value", say("intake.object_id"), field="object_id")
    given["object"] = {**held, "code": flat}


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise SignalRejected("bad_type", say("intake.rfc3339", value=str(value)[:60]), field="occurred_at")
    try:
        return parse_rfc3339(value.strip())
    except (ValueError, OverflowError) as error:
        raise SignalRejected("bad_date", say("intake.rfc3339", value=value[:60]), field="occurred_at") from error


def _check(signal: Signal, now: datetime, tolerance: timedelta) -> None:
    """Check what the types cannot say; raises SignalRejected."""
    if not 0 <= signal.severity <= 3:
        raise SignalRejected("bad_value", say("intake.out_of_range", value=signal.severity, low=0, high=3), field="severity")
    if len(signal.id) > _ID_LIMIT or not signal.id.isprintable():
        raise SignalRejected("bad_value", say("intake.bad_id", limit=_ID_LIMIT), field="id")
    if signal.place is not None and not (abs(signal.place.lng) <= 180 and abs(signal.place.lat) <= 90):
        raise SignalRejected("bad_value", say("intake.not_a_point", value=f"{signal.place.lng},{signal.place.lat}"), field="place")
    if signal.occurred_at.year < 1900:
        raise SignalRejected("bad_date", say("intake.rfc3339", value=rfc3339(signal.occurred_at)), field="occurred_at")
    if signal.occurred_at > now + tolerance:
        limit = rfc3339(now + tolerance)
        raise SignalRejected("future", say("intake.future", value=rfc3339(signal.occurred_at), limit=limit), field="occurred_at")
