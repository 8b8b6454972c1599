"""A signal: one fact about one regulated object, as a department told it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from domain.base import Noun

Source = Literal[
    "hotline", "complaint", "penalty", "ruling", "dishonesty", "inspection", "licence", "credit", "iot", "video", "opinion",
    "assigned", "department", "other",
]  # fmt: skip
SOURCES: tuple[str, ...] = Source.__args__  # type: ignore[attr-defined]  # typing has no typed way to list a Literal
Confidentiality = Literal["public", "internal", "restricted"]


class ObjectRef(Noun, frozen=True, kw_only=True):
    """How a sender names a regulated object (监管对象); any part may be missing, none is trusted."""

    id: str = ""  # the registry's own id, where the sender knows it
    code: str = ""  # unified social credit code (统一社会信用代码), device or project number
    name: str = ""
    address: str = ""
    type: str = ""  # a type of `domain.objects.OBJECT_TYPES`, or ""


class Place(Noun, frozen=True, kw_only=True):
    """A point, in degrees, with its datum: Chinese sources mix WGS84, GCJ02 and BD09."""

    lng: float
    lat: float
    datum: Literal["WGS84", "GCJ02", "BD09"] = "WGS84"


class Signal(Noun, frozen=True, kw_only=True):
    """A canonical signal, as sent; the server's own fields are in `domain.records.SignalRecord`.

    `occurred_at` is event time, aware, UTC. `severity` is 0 to 3, 3 worst. `value` is in `unit` (money in "CNY", yuan).
    A correction names the earlier signal of the same feed in `corrects` and replaces it; `withdraws` takes it back.
    """

    id: str
    source: Source
    kind: str  # dotted, lower case: "gas.leak"
    occurred_at: datetime
    object: ObjectRef = ObjectRef()
    matter: str = ""
    region: str = ""  # GB/T 2260 and longer: 6, 9 or 12 digits
    place: Place | None = None
    severity: int = 0
    value: float | None = None
    unit: str = ""
    text: str = ""
    confidential: Confidentiality = "internal"
    attrs: dict[str, Any] = msgspec.field(default_factory=dict)
    corrects: str = ""
    withdraws: str = ""
