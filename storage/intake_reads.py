"""What pages and commands read of the intake: an object's signals, the confirm queue, rejections, feeds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, literal_column, not_, or_, select, tuple_, update

from domain.errors import Conflict, NotFound
from domain.messages import both
from domain.records import SignalEntry
from storage.dialects import json_at
from storage.tables import feeds, rejected_raw, rejections, signals

_entry = msgspec.json.Decoder(SignalEntry)
_REJECTIONS = select(rejections, rejected_raw.c.sealed, rejected_raw.c.deleted_at.label("raw_deleted_at")).outerjoin(
    rejected_raw,
    and_(
        rejected_raw.c.feed == rejections.c.feed,
        rejected_raw.c.batch == rejections.c.batch,
        rejected_raw.c.position == rejections.c.position,
    ),
)
# Written out, not bound: only then does the planner see that the index `signals_unresolved` fits.
# A person who said that a signal is about no registered object has confirmed that: it waits no more.
_waiting = and_(signals.c.object_id == literal_column("''"), signals.c.status == "active", signals.c.method != "confirmed")
# What nobody can be asked about: it has no name, code or id, and nothing in its text was found in the registry.
_named = or_(
    signals.c.method == "ambiguous",
    *(func.coalesce(json_at(signals.c.body, "signal", "object", part), "") != "" for part in ("name", "code", "id")),
)
_surest_first = case((signals.c.method == "ambiguous", 1), else_=0)


class StoredSignal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal as journalled in `entry`, and what became of it since: object (after a confirm), `status` active, revised or withdrawn."""

    seq: int
    received_at: datetime
    object_id: str
    method: str
    confidence: float
    status: str
    entry: SignalEntry

    @property
    def waiting(self) -> bool:
        """Say whether it is in the confirm queue."""
        return not self.object_id and self.status == "active" and self.method != "confirmed"


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A kept rejection; `status` is open, replayed (then `replayed_seq` is the record it became) or dismissed.

    `raw` is what the journal holds: tokenised signals that it refused itself, b"" for a record that was refused before. The bytes of such
    a one are in `sealed`, which `storage.vault` opens, until they are deleted at `raw_deleted_at`.
    """

    seq: int
    feed: str
    batch: str
    position: int
    reason: str
    field: str
    message: str
    raw: bytes
    received_at: datetime
    status: str
    replayed_seq: int | None
    sealed: bytes | None = None
    raw_deleted_at: datetime | None = None


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A feed's counters (`accepted` includes revisions) and times; `silent_since` is None while it speaks.

    `last_received_at` is when it last sent something: a record, a rejected one, or word that it is complete.
    """

    feed: str
    accepted: int
    rejected: int
    duplicates: int
    revisions: int
    last_received_at: datetime | None
    last_occurred_at: datetime | None
    complete_until: datetime | None
    silent_since: datetime | None


def signals_of_object(
    connection: Connection, object_id: str, *, before: tuple[datetime, int] | None = None, limit: int = 50
) -> list[StoredSignal]:
    """Return the signals of an object, newest event first; `before` is (occurred_at, seq) of the last one of the page before."""
    query = select(signals).where(signals.c.object_id == object_id)
    if before is not None:
        at, seq = before
        query = query.where(or_(signals.c.occurred_at < at, and_(signals.c.occurred_at == at, signals.c.seq < seq)))
    rows = connection.execute(query.order_by(signals.c.occurred_at.desc(), signals.c.seq.desc()).limit(limit))
    return [_signal(row) for row in rows]


def signals_of_key(connection: Connection, feed: str, signal_id: str) -> list[StoredSignal]:
    """Return every content that came under this key, oldest first."""
    query = select(signals).where(signals.c.feed == feed, signals.c.id == signal_id).order_by(signals.c.seq)
    return [_signal(row) for row in connection.execute(query)]


def get_signal(connection: Connection, seq: int) -> StoredSignal | None:
    """Return the signal that is record `seq`, None where that is none."""
    row = connection.execute(select(signals).where(signals.c.seq == seq)).one_or_none()
    return None if row is None else _signal(row)


def unresolved_signals(
    connection: Connection, *, named: bool | None = None, feed: str = "", kind: str = "", after: int = 0, limit: int = 50
) -> list[StoredSignal]:
    """Return active signals whose object nobody knows or has decided about, oldest first, behind record `after`: the confirm queue.

    `named` True: only those that name somebody or may be about a registered object; False: the others; None: all. "" means any.
    """
    query = select(signals).where(*_queue(named, feed, kind), signals.c.seq > after).order_by(signals.c.seq).limit(limit)
    return [_signal(row) for row in connection.execute(query)]


def queue_for_people(
    connection: Connection,
    *,
    named: bool = True,
    feed: str = "",
    kind: str = "",
    behind: tuple[int, int] | None = None,
    limit: int = 50,
) -> list[StoredSignal]:
    """Return the confirm queue in the order of a person's work: those with candidates first, then newest first.

    `behind` is `place_in_queue` of the last one of the page before.
    """
    query = select(signals).where(*_queue(named, feed, kind))
    if behind is not None:
        surest, seq = behind
        at = select(signals.c.received_at).where(signals.c.seq == seq).scalar_subquery()
        query = query.where(tuple_(_surest_first, signals.c.received_at, signals.c.seq) < tuple_(surest, at, seq))
    newest = (signals.c.received_at.desc(), signals.c.seq.desc())  # numbers of two partitions tell no order
    rows = connection.execute(query.order_by(_surest_first.desc(), *newest).limit(limit))
    return [_signal(row) for row in rows]


def place_in_queue(one: StoredSignal) -> tuple[int, int]:
    """Return where a signal stands in `queue_for_people`: 1 with candidates, 0 without, and its record number."""
    return int(one.method == "ambiguous"), one.seq


def count_unresolved(connection: Connection, *, named: bool | None = None, feed: str = "", kind: str = "") -> int:
    """Return the length of the confirm queue; the filters are those of `unresolved_signals`."""
    return connection.scalar(select(func.count()).select_from(signals).where(*_queue(named, feed, kind))) or 0


def waiting_by(connection: Connection, *, named: bool) -> dict[tuple[str, str], int]:
    """Return how many signals wait, by (feed, kind)."""
    query = select(signals.c.feed, signals.c.kind, func.count()).where(*_queue(named)).group_by(signals.c.feed, signals.c.kind)
    return {(row[0], row[1]): row[2] for row in connection.execute(query.order_by(signals.c.feed, signals.c.kind))}


def _queue(named: bool | None, feed: str = "", kind: str = "") -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_waiting]
    if named is not None:
        found.append(_named if named else not_(_named))
    if feed:
        found.append(signals.c.feed == feed)
    if kind:
        found.append(signals.c.kind == kind)
    return found


def _signal(row: Row[Any]) -> StoredSignal:
    return StoredSignal(
        seq=row.seq,
        received_at=row.received_at,
        object_id=row.object_id,
        method=row.method,
        confidence=row.confidence,
        status=row.status,
        entry=_entry.decode(row.body),
    )


def list_rejections(
    connection: Connection, *, feed: str = "", reason: str = "", status: str = "", before: int = 0, limit: int = 50
) -> list[Rejection]:
    """Return rejections, those received last first; "" means any, `before` is the `seq` of the last one of the page before, 0 for none."""
    query = _REJECTIONS
    for column, wanted in ((rejections.c.feed, feed), (rejections.c.reason, reason), (rejections.c.status, status)):
        if wanted:
            query = query.where(column == wanted)
    if before:
        last = rejections.alias()
        at = select(last.c.received_at).where(last.c.seq == before).scalar_subquery()
        query = query.where(tuple_(rejections.c.received_at, rejections.c.seq) < tuple_(at, before))
    newest = (rejections.c.received_at.desc(), rejections.c.seq.desc())  # numbers of two partitions tell no order
    return [Rejection(**row._mapping) for row in connection.execute(query.order_by(*newest).limit(limit))]  # noqa: SLF001  SQLAlchemy's public name


def walk_rejections(connection: Connection, after: int, limit: int) -> list[Rejection]:
    """Return rejections behind record `after` by their numbers: for whoever looks at all of them."""
    query = _REJECTIONS.where(rejections.c.seq > after).order_by(rejections.c.seq).limit(limit)
    return [Rejection(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001  SQLAlchemy's public name


def get_rejection(connection: Connection, seq: int) -> Rejection | None:
    """Return the rejection that is record `seq`, None where that is none."""
    row = connection.execute(_REJECTIONS.where(rejections.c.seq == seq)).one_or_none()
    return None if row is None else Rejection(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name


def count_open_rejections(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many rejections nobody has dealt with, by (feed, reason)."""
    query = select(rejections.c.feed, rejections.c.reason, func.count()).where(rejections.c.status == "open")
    rows = connection.execute(query.group_by(rejections.c.feed, rejections.c.reason).order_by(rejections.c.feed, rejections.c.reason))
    return {(row[0], row[1]): row[2] for row in rows}


def mark_replayed(connection: Connection, seq: int, replayed_seq: int) -> None:
    """Note that rejection `seq` went in as record `replayed_seq`.

    Raises:
        NotFound: record `seq` is no rejection.
        Conflict: somebody has replayed or dismissed it already.
    """
    _settle(connection, seq, {"status": "replayed", "replayed_seq": replayed_seq})


def dismiss_rejection(connection: Connection, seq: int) -> None:
    """Note that rejection `seq` needs nothing more.

    Raises:
        NotFound: record `seq` is no rejection.
        Conflict: somebody has replayed or dismissed it already.
    """
    _settle(connection, seq, {"status": "dismissed"})


def _settle(connection: Connection, seq: int, values: dict[str, object]) -> None:
    still_open = and_(rejections.c.seq == seq, rejections.c.status == "open")
    if connection.execute(update(rejections).where(still_open).values(**values)).rowcount == 1:
        return
    held = get_rejection(connection, seq)
    if held is None:
        raise NotFound(both("rejection.none", seq=seq))
    raise Conflict(both("rejection.settled", seq=seq, status=held.status))


def unseen(feed: str) -> FeedStatus:
    """Return the status of a feed that never sent anything."""
    return FeedStatus(
        feed=feed, accepted=0, rejected=0, duplicates=0, revisions=0,
        last_received_at=None, last_occurred_at=None, complete_until=None, silent_since=None,
    )  # fmt: skip


def feeds_status(connection: Connection) -> list[FeedStatus]:
    """Return every feed that ever said something, by name."""
    return [FeedStatus(**row._mapping) for row in connection.execute(select(feeds).order_by(feeds.c.feed))]  # noqa: SLF001  SQLAlchemy's public name
