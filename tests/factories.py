"""One factory per domain noun: a valid default, any field by keyword."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.findings import EarlyWarning
from domain.objects import RegulatedObject, Resolution
from domain.records import Record, SignalEntry
from domain.signals import ObjectRef, Signal

T0 = datetime(2026, 3, 1, tzinfo=UTC)  # 08:00 in Shanghai, a Sunday


def at(hours: float = 0.0) -> datetime:
    """Return the instant `hours` after T0."""
    return T0 + timedelta(hours=hours)


def make_signal(**kw: Any) -> Signal:
    """Return a gas complaint; any field of `Signal` by keyword."""
    given: dict[str, Any] = {"id": "s-1", "source": "complaint", "kind": "gas.leak", "occurred_at": T0, "object": ObjectRef(id="o-1")}
    return Signal(**(given | kw))


def make_entry(**kw: Any) -> SignalEntry:
    """Return a resolved signal entry; keywords of `SignalEntry`, and of `Signal` for all others."""
    own = {name: kw.pop(name) for name in ("feed", "signal", "resolution", "digest", "revision", "batch", "position") if name in kw}
    signal = own.pop("signal", None) or make_signal(**kw)
    given: dict[str, Any] = {
        "feed": "test",
        "signal": signal,
        "resolution": Resolution(object_id=signal.object.id, method="id" if signal.object.id else "none", confidence=1.0),
        "digest": "",
    }
    return SignalEntry(**(given | own))


def make_record(seq: int = 1, received_at: datetime | None = None, **kw: Any) -> Record:
    """Return a journalled signal, received when it occurred unless said otherwise; other keywords as in `make_entry`."""
    entry = make_entry(**kw)
    return Record(seq=seq, received_at=received_at or entry.signal.occurred_at, entry=entry)


def make_object(**kw: Any) -> RegulatedObject:
    """Return an enterprise of the gas trade in a made-up district."""
    given: dict[str, Any] = {"id": "o-1", "type": "enterprise", "name": "某某燃气有限公司", "region": "610113"}
    return RegulatedObject(**(given | kw))


def make_warning(**kw: Any) -> EarlyWarning:
    """Return an orange gas warning about an enterprise; any field of `EarlyWarning` by keyword."""
    given: dict[str, Any] = {
        "id": "w1",
        "subject": "o-1",
        "object_id": "o-1",
        "matter": "gas",
        "sector": "gas",
        "region": "610113",
        "level": "orange",
        "current_level": "orange",
        "score": 65.0,
        "raised_at": T0,
        "updated_at": T0,
        "episode": 1,
        "ruleset": "r1",
        "kind": "gas.leak",
    }
    return EarlyWarning(**(given | kw))
