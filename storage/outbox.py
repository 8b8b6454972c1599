"""The outbox: what is still to be told, to whom, and every attempt that was made.

A row is written in the transaction that made it necessary and keeps one id over all attempts. A claim is a lease, of one duty loop
at a time: where the process dies between sending and marking, the lease runs out and the row is sent again with the same id (at least
once), by whichever loop comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, or_, select, update

from domain.base import Noun
from domain.errors import Conflict, NotFound
from domain.messages import both
from storage.dialects import parts, upsert
from storage.duty_tables import attempts, endpoints, outbox, owed_entries

PER_ENDPOINT = 4  # attempts under way at a time
_FREE: Mapping[str, Any] = MappingProxyType({"lease_until": None, "lease_owner": ""})


class Delivery(Noun, frozen=True, kw_only=True):
    """One thing to be told to one recipient; `endpoint_id` is "" for the department's inbox in the console.

    `series_from` is the number of attempts that were made before it was last sent again: the schedule counts from there.
    """

    id: str
    warning_id: str
    task_id: str
    recipient: str
    event: str
    endpoint_id: str
    body: bytes
    created_at: datetime
    state: str = "waiting"  # waiting sent dead cancelled
    attempt: int = 0
    series_from: int = 0
    next_at: datetime | None = None
    lease_until: datetime | None = None
    lease_owner: str = ""
    status: int | None = None
    detail: str = ""
    delivered_at: datetime | None = None


_COLUMNS = Delivery.__struct_fields__
_KNOWN = select(outbox.c.id).where(outbox.c.id.in_(bindparam("keys", expanding=True)))
_ADD = upsert(outbox).on_conflict_do_nothing()


class AttemptRow(Noun, frozen=True, kw_only=True):
    """One attempt of a delivery; `n` counts from 1."""

    delivery_id: str
    n: int
    at: datetime
    status: int
    detail: str


def add(connection: Connection, new: Sequence[Delivery]) -> set[str]:
    """Write deliveries that are due at once; return the ids of those that were not there already (the same thing told before)."""
    known = {name for some in parts([one.id for one in new]) for name in connection.scalars(_KNOWN, {"keys": some})}
    rows = [
        {name: getattr(one, name) for name in _COLUMNS} | {"next_at": one.next_at or one.created_at} for one in new if one.id not in known
    ]
    if rows:
        connection.execute(_ADD, rows)
    return {str(row["id"]) for row in rows}


def claim(connection: Connection, now: datetime, lease: timedelta, limit: int, owner: str = "") -> list[Delivery]:
    """Take due deliveries for `lease` and return them, by due time, then id; at most `limit`.

    No endpoint has more than `PER_ENDPOINT` at a time, so that one that does not answer leaves room for the others. Loops that claim at
    the same time get different ones, and none waits for another.
    """
    due = (outbox.c.state == "waiting", outbox.c.next_at <= now, outbox.c.endpoint_id != "")
    held_first = (outbox.c.lease_until.is_(None), outbox.c.next_at, outbox.c.id)
    places = select(outbox.c.id, func.row_number().over(partition_by=outbox.c.endpoint_id, order_by=held_first).label("place")).where(*due)
    ranked = places.subquery()
    free = or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= now)
    query = (
        select(outbox)
        .join(ranked, ranked.c.id == outbox.c.id)
        .where(ranked.c.place <= PER_ENDPOINT, free)
        .order_by(outbox.c.next_at, outbox.c.id)
        .limit(limit)
        .with_for_update(of=outbox, skip_locked=True)
    )
    found = [_delivery(row) for row in connection.execute(query)]
    if found:
        ids = [delivery.id for delivery in found]
        connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(lease_until=now + lease, lease_owner=owner))
    return found


def to_inbox(connection: Connection, endpoint_id: str, now: datetime) -> None:
    """Move what an endpoint was to get, or did not take, into its department's inbox: it is gone, and the department has to be told."""
    left = update(outbox).where(outbox.c.endpoint_id == endpoint_id, outbox.c.state.in_(("waiting", "dead")))
    connection.execute(left.values(endpoint_id="", state="waiting", next_at=now, **_FREE))


def from_inbox(connection: Connection, recipient: str, endpoint_id: str, now: datetime) -> None:
    """Send what nobody has looked at yet to the recipient's new endpoint, with all attempts."""
    unseen = update(outbox).where(outbox.c.endpoint_id == "", outbox.c.recipient == recipient, outbox.c.state == "waiting")
    connection.execute(unseen.values(endpoint_id=endpoint_id, next_at=now, series_from=outbox.c.attempt))


def cancel(connection: Connection, warning_id: str) -> None:
    """Cancel what of a warning was not told yet, dead letters too: it would come after the message that all of it is off."""
    untold = update(outbox).where(outbox.c.warning_id == warning_id, outbox.c.state.in_(("waiting", "dead")))
    connection.execute(untold.values(state="cancelled", next_at=None, **_FREE))


def inbox(connection: Connection, recipients: Sequence[str]) -> list[Delivery]:
    """Return what waits in the console's inboxes of these recipients, oldest first: it is delivered once they look."""
    query = (
        select(outbox)
        .where(outbox.c.state == "waiting", outbox.c.endpoint_id == "", outbox.c.recipient.in_(recipients))
        .order_by(outbox.c.created_at, outbox.c.id)
    )
    return [_delivery(row) for row in connection.execute(query)]


def release_leases(connection: Connection, owner: str) -> None:
    """Give the leases of `owner` back: the process that held them is gone, since this one has its name."""
    connection.execute(update(outbox).where(outbox.c.lease_owner == owner, outbox.c.lease_until.is_not(None)).values(_FREE))
    connection.execute(update(owed_entries).where(owed_entries.c.lease_owner == owner).values(_FREE))


def record_attempt(connection: Connection, attempt: AttemptRow, *, next_at: datetime | None, state: str, owner: str = "") -> bool:
    """Write what came of an attempt of `owner`; return False where the delivery was not waiting for it any more.

    `state` is sent, dead, or waiting with the next attempt at `next_at`. What was moved to the inbox while the attempt was under way
    goes on waiting there, and what was cancelled meanwhile and yet arrived has been told. Where the lease ran out and another loop took
    the delivery over, a success counts all the same; a failure is the other loop's to tell.
    """
    told = state == "sent"
    mine = (outbox.c.state == "waiting", outbox.c.lease_owner.in_((owner, "")))
    open_to = (outbox.c.state.in_(("waiting", "cancelled")),) if told else mine
    connection.execute(
        upsert(attempts)
        .values(delivery_id=attempt.delivery_id, n=attempt.n, at=attempt.at, status=attempt.status, detail=attempt.detail)
        .on_conflict_do_nothing()
    )
    statement = (
        update(outbox)
        .where(outbox.c.id == attempt.delivery_id, *open_to)
        .values(
            state=state if told else case((outbox.c.endpoint_id == "", "waiting"), else_=state),
            attempt=attempt.n,
            next_at=next_at,
            **_FREE,
            status=attempt.status,
            detail=attempt.detail,
            delivered_at=attempt.at if told else None,
        )
    )
    return connection.execute(statement).rowcount == 1


def slow_down(connection: Connection, endpoint_id: str, until: datetime) -> None:
    """Let an endpoint that asked for a pause have it: nothing is sent to it before `until`."""
    waiting = update(outbox).where(outbox.c.endpoint_id == endpoint_id, outbox.c.state == "waiting", outbox.c.next_at < until)
    connection.execute(waiting.values(next_at=until))


def resend(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """Put a delivery back in front, with its id and all attempts of the schedule; the receiver drops it if it had it.

    It goes to where the department receives now: its endpoint, or its inbox.

    Raises:
        NotFound: no delivery has this id.
        Conflict: it was cancelled; its warning is withdrawn.
    """
    known = get(connection, delivery_id)
    if known.state == "cancelled":
        raise Conflict(both("delivery.cancelled", id=delivery_id, warning=known.warning_id))
    active = select(endpoints.c.id).where(endpoints.c.department == known.recipient, endpoints.c.state == "active").order_by(endpoints.c.id)
    listening = list(connection.execute(active).scalars())
    where = known.endpoint_id if known.endpoint_id in listening else next(iter(listening), "")
    again = {"state": "waiting", "endpoint_id": where, "next_at": now, "series_from": known.attempt, **_FREE}
    connection.execute(update(outbox).where(outbox.c.id == delivery_id).values(**again))
    return get(connection, delivery_id)


def get(connection: Connection, delivery_id: str) -> Delivery:
    """Return a delivery.

    Raises:
        NotFound: no delivery has this id.
    """
    row = connection.execute(select(outbox).where(outbox.c.id == delivery_id)).one_or_none()
    if row is None:
        raise NotFound(both("delivery.not_found", id=delivery_id))
    return _delivery(row)


def listed(connection: Connection, *, state: str = "", warning_id: str = "", recipient: str = "", limit: int = 200) -> list[Delivery]:
    """Return deliveries, newest first, filtered by what is not empty."""
    wanted: list[ColumnElement[bool]] = []
    if state:
        wanted.append(outbox.c.state == state)
    if warning_id:
        wanted.append(outbox.c.warning_id == warning_id)
    if recipient:
        wanted.append(outbox.c.recipient == recipient)
    query = select(outbox).where(*wanted).order_by(outbox.c.created_at.desc(), outbox.c.id).limit(limit)
    return [_delivery(row) for row in connection.execute(query)]


def attempts_of(connection: Connection, delivery_ids: Sequence[str]) -> list[AttemptRow]:
    """Return the attempts of deliveries, by delivery and number."""
    query = select(attempts).where(attempts.c.delivery_id.in_(delivery_ids)).order_by(attempts.c.delivery_id, attempts.c.n)
    return [AttemptRow(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001  # SQLAlchemy's public name


def next_attempt_at(connection: Connection) -> datetime | None:
    """Return when the next delivery to an endpoint is due."""
    moment: datetime | None = connection.scalar(_NEXT)
    return moment


_NEXT = select(func.min(outbox.c.next_at, type_=outbox.c.next_at.type)).where(outbox.c.state == "waiting", outbox.c.endpoint_id != "")


def counts(connection: Connection) -> dict[str, int]:
    """Return the number of deliveries by state."""
    query = select(outbox.c.state, func.count()).group_by(outbox.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _delivery(row: object) -> Delivery:
    return Delivery(**row._mapping)  # type: ignore[attr-defined]  # noqa: SLF001  # a SQLAlchemy row
