"""Snapshots of a cluster's partitions in its database: every worker has it, so every worker can take any partition over.

The state is compressed and cut into pieces, since a value of PostgreSQL may not be larger than a gigabyte, and nobody has
the whole of it in memory in any other form (`domain.packed`). A snapshot is written in one
transaction, whole or not at all; the newest two of a partition stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, delete, insert, select

from domain.errors import StoreCorrupt
from domain.messages import both
from domain.packed import PackedState
from storage.snapshots import KEEP
from storage.tables import partition_snapshots as rows

log = structlog.get_logger(__name__)


class Stored(NamedTuple):
    """The state behind the message at `offset`; `received_at` is the greatest one by then."""

    offset: int
    received_at: datetime | None
    state: PackedState


def keep(connection: Connection, topic: str, partition: int, software: str, snapshot: Stored) -> None:
    """Keep a snapshot that version `software` made, in the place of one of the same offset, and delete all but the newest two."""
    mine = (rows.c.topic == topic, rows.c.partition == partition)
    connection.execute(delete(rows).where(*mine, rows.c.offset == snapshot.offset))
    own = {"topic": topic, "partition": partition, "offset": snapshot.offset, "software": software, "received_at": snapshot.received_at}
    for nth, body in enumerate(snapshot.state.pieces):
        connection.execute(insert(rows), own | {"nth": nth, "body": body})
    newest = select(rows.c.offset).where(*mine).distinct().order_by(rows.c.offset.desc()).limit(KEEP)
    oldest = min(connection.scalars(newest))
    connection.execute(delete(rows).where(*mine, rows.c.offset < oldest))


def offsets(connection: Connection, topic: str, partition: int, software: str, upto: datetime | None = None) -> Sequence[int]:
    """Return the offsets of the snapshots of version `software` of a partition, the newest first; `upto` as for `newest`."""
    mine = [rows.c.topic == topic, rows.c.partition == partition, rows.c.software == software]
    if upto is not None:
        mine.append(rows.c.received_at <= upto)
    return connection.scalars(select(rows.c.offset).where(*mine).distinct().order_by(rows.c.offset.desc())).all()


def newest(connection: Connection, topic: str, partition: int, software: str, upto: datetime | None = None) -> Stored | None:
    """Return the newest sound snapshot of version `software` of a partition, None where there is none; damaged ones are logged.

    `upto` leaves those out that took in what was received later, and those that do not say.
    """
    for offset in offsets(connection, topic, partition, software, upto):
        try:
            return _read(connection, topic, partition, offset)
        except StoreCorrupt as error:
            log.warning("partition.snapshot_damaged", topic=topic, partition=partition, error=str(error))
    return None


def _read(connection: Connection, topic: str, partition: int, offset: int) -> Stored:
    mine = (rows.c.topic == topic, rows.c.partition == partition, rows.c.offset == offset)
    found = connection.execute(select(rows.c.received_at, rows.c.body).where(*mine).order_by(rows.c.nth)).all()
    try:
        state = PackedState.stored([bytes(row.body) for row in found])
    except ValueError as error:
        raise _damaged(topic, partition, offset, str(error)) from error
    return Stored(offset, found[0].received_at, state)


def _damaged(topic: str, partition: int, offset: int, how: str) -> StoreCorrupt:
    where = f"topic = '{topic}' AND partition = {partition} AND \"offset\" = {offset}"
    return StoreCorrupt(both("store.partition_snapshot", where=where, how=how))
