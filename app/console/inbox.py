"""A department's inbox: its open tasks, and what it is told. Looking at it is how a unit without an endpoint receives."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get
from sqlalchemy import Connection

from app.api.roles import READERS
from app.console.parts import Parts, PartsGiven, PrincipalGiven
from app.console.render import page
from app.duty import delivered
from app.views.titles import Titles
from app.views.warning import live_warnings
from domain.base import Noun
from domain.departments import DUTY_DESK
from domain.principals import Principal
from storage import obligations, outbox

SEEN = 200  # HTTP's word for "it has arrived": an attempt of the outbox needs a status
SHOWN = 60


class Message(Noun, frozen=True, kw_only=True):
    """One thing that the reader was told; `new` the first time it is looked at."""

    warning_id: str
    event: str
    recipient_name: str
    text: str
    level: str
    created_at: datetime
    due_at: str
    new: bool


@get("/inbox", opt={"roles": READERS}, sync_to_thread=True)
def inbox(request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven) -> Response[bytes]:
    """Show the reader's open warnings and messages; messages that waited for him are delivered by that."""
    fresh = _deliver(services, principal)
    if fresh:
        services.nudge()
    with services.database.read() as connection:
        units = _units(connection, principal)
        told = [one for unit in units for one in outbox.listed(connection, recipient=unit, limit=SHOWN)]
        told.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        titles = Titles(connection)
        messages = [_message(one, titles, new=one.id in fresh) for one in told[:SHOWN]]
        rows = live_warnings(connection, principal, services.clock.now(), department=principal.department)
    return page(request, "inbox.html", services.clock, principal, rows=rows, total=len(rows), next="", messages=messages, chosen={})


def _units(connection: Connection, principal: Principal) -> list[str]:
    """Return whose inboxes the reader empties: his department's; the duty desk's, and what nobody else could be told, for those on duty."""
    if principal.role in {"duty", "admin"}:
        desks = {unit.id for unit in obligations.directory(connection).departments if unit.kind == "duty_desk"}
        return sorted(desks | {DUTY_DESK, ""} | ({principal.department} if principal.department else set()))
    return [principal.department] if principal.department and principal.role != "auditor" else []


def _deliver(services: Parts, principal: Principal) -> set[str]:
    """Mark what waits for the reader as delivered and return the ids; an administrator who looks in does not receive for the desk."""
    with services.database.read() as connection:
        units = [] if principal.role == "admin" else _units(connection, principal)
        if not outbox.inbox(connection, units):
            return set()
    now, fresh = services.clock.now(), set[str]()
    with services.database.write() as connection:
        for one in outbox.inbox(connection, units):
            obligations.hold_case(connection, one.warning_id)
            row = outbox.AttemptRow(delivery_id=one.id, n=one.attempt + 1, at=now, status=SEEN, detail=f"inbox:{principal.name}")
            if outbox.record_attempt(connection, row, next_at=None, state="sent"):
                delivered(services.writer, services.desk, connection, one, now)
                fresh.add(one.id)
    return fresh


def _message(one: outbox.Delivery, titles: Titles, *, new: bool) -> Message:
    data = msgspec.json.decode(one.body).get("data", {})
    return Message(
        warning_id=one.warning_id,
        event=one.event,
        recipient_name=titles.department(one.recipient),
        text=str(data.get("message", "")),
        level=str(data.get("warning", {}).get("level", "")),
        created_at=one.created_at,
        due_at=str(data.get("due_at") or ""),
        new=new,
    )
