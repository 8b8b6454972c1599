"""Sensor readings as two gateways send them: NDJSON with local times, and JSON arrays with milliseconds (formats A7)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.demo.formats.scribe import Row, Scribe, setter
from app.demo.sensors import Reading

IOT_DIRT = 0.0015  # share of readings that a gateway garbles
_FAULTS = (
    ("bad_date", setter("ts", value="2026-02-30T10:00:00+08:00")),
    ("missing_field", setter("device_id", value="")),
    ("missing_field", setter("ts", value=None)),
    ("future", setter("ts", value="2036-03-01T08:00:00+08:00")),
)


def row(reading: Reading, *, milliseconds: bool) -> Row:
    """Return one reading; `milliseconds` chooses the second gateway's way to write times."""
    return {
        "device_id": reading.device_id,
        "ts": int(reading.at.timestamp() * 1000) if milliseconds else reading.at.isoformat(),
        "metrics": {} if reading.value is None else {reading.metric: reading.value},
        "alarm_code": reading.alarm_code,
        "battery": reading.battery,
    }


def spoiled(scribe: Scribe, rows: Sequence[Row]) -> Sequence[Row]:
    """Return rows of which a few are garbled."""
    return [scribe.spoil("iot-json", record, _FAULTS, IOT_DIRT) for record in rows]


def ndjson(rows: Sequence[Row]) -> bytes:
    """Return one reading a line."""
    return b"\n".join(msgspec.json.encode(record) for record in rows) + b"\n"


def array(rows: Sequence[Row]) -> bytes:
    """Return a JSON array."""
    return msgspec.json.encode(rows)
