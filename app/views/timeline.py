"""One line of time: signals, what the risk engine made of them, what people and the system did, and what was delivered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from app.views.titles import Titles
from domain.base import Noun
from domain.policies import ACTS


class Moment(Noun, frozen=True, kw_only=True):
    """One entry; `text` is the stored sentence.

    `what` is a code: a signal's kind, a risk event, an action, a rung's act, or the state of a delivery.
    """

    at: datetime
    source: Literal["signal", "risk", "duty", "ladder", "delivery"]
    what: str
    who: str = ""
    text: str = ""
    before: str = ""
    after: str = ""


class _Evidence(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def feed(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def text(self) -> str: ...


class _Entry(Protocol):
    @property
    def at(self) -> datetime: ...
    @property
    def actor(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def detail(self) -> dict[str, Any]: ...


class _Delivery(Protocol):
    @property
    def event(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def recipient_name(self) -> str: ...
    @property
    def delivered_at(self) -> datetime | None: ...
    @property
    def attempts(self) -> Sequence[Any]: ...
    @property
    def message(self) -> str: ...


_ORDER = ("signal", "risk", "duty", "ladder", "delivery")


def timeline(
    evidence: Iterable[_Evidence], events: Iterable[Any], entries: Iterable[_Entry], deliveries: Iterable[_Delivery], titles: Titles
) -> tuple[Moment, ...]:
    """Return everything in the order of time; what has one time stands in the order of its making."""
    found = [Moment(at=one.occurred_at, source="signal", what=one.kind, who=one.feed, text=one.text) for one in evidence]
    found += [_risk(event) for event in events]
    found += [_duty(entry, titles) for entry in entries]
    found += [moment for one in deliveries if (moment := _delivered(one)) is not None]
    return tuple(sorted(found, key=lambda moment: (moment.at, _ORDER.index(moment.source))))


def _risk(event: Any) -> Moment:
    detail = msgspec.json.decode(event.detail)
    score, level = detail.get("score"), detail.get("level")
    parts = [f"{score:.1f}" if isinstance(score, int | float) else "", str(detail.get("reason", ""))]
    return Moment(
        at=event.at, source="risk", what=event.kind, who=event.actor, text=" ".join(part for part in parts if part), after=str(level or "")
    )


def _duty(entry: _Entry, titles: Titles) -> Moment:
    department = str(entry.detail.get("department", ""))
    who = "，".join(part for part in (titles.department(department) if department else "", entry.actor) if part)
    return Moment(
        at=entry.at,
        source="ladder" if entry.actor == "system" and entry.what in ACTS else "duty",
        what=entry.what,
        who=who,
        text=str(entry.detail.get("reason", "")),
        before=str(entry.detail.get("before", "")),
        after=str(entry.detail.get("after", "")),
    )


def _delivered(one: _Delivery) -> Moment | None:
    """A delivery stands on the line once it arrived or was given up; what still waits is in the list of deliveries."""
    if one.state == "sent" and one.delivered_at is not None:
        return Moment(at=one.delivered_at, source="delivery", what="sent", who=one.recipient_name, text=one.message)
    if one.state == "dead" and one.attempts:
        return Moment(at=one.attempts[-1].at, source="delivery", what="dead", who=one.recipient_name, text=one.attempts[-1].detail)
    return None
