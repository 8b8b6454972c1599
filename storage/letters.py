"""Messages that follow from what a partition committed, kept in the same transaction until the brokers have them.

Whoever has the partition sends them, in their order, and strikes out what has arrived: so each is sent at least once, and none before
a smaller one of its partition to the same place has arrived, also while two processes both believe that the partition is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from domain.ports import Grant, Letter
from storage.dialects import insert_rows
from storage.tables import letters, progress

_FIRST = select(letters.c.id).where(letters.c.topic == progress.c.topic, letters.c.partition == progress.c.partition).limit(1)
# Whoever writes letters holds a row of `progress`: to ask for each of these costs the same however many letters wait.
_SENDERS = select(progress.c.topic, progress.c.partition).where(_FIRST.scalar_subquery().is_not(None))


class Kept(NamedTuple):
    """A letter with its number, which grows within its partition."""

    id: int
    letter: Letter


def add(connection: Connection, grant: Grant, written: Sequence[Letter]) -> None:
    """Keep letters of a partition, in their order."""
    if written:
        rows = [
            {
                "topic": grant.topic,
                "partition": grant.partition,
                "to": one.to,
                "to_partition": one.partition,
                "key": one.key,
                "body": one.body,
            }
            for one in written
        ]
        insert_rows(connection, letters, rows)


def waiting(connection: Connection, topic: str, partition: int, limit: int) -> list[Kept]:
    """Return the first `limit` letters of a partition that have not been struck out, in their order."""
    mine = (letters.c.topic == topic, letters.c.partition == partition)
    rows = connection.execute(select(letters).where(*mine).order_by(letters.c.id).limit(limit))
    return [Kept(row.id, Letter(to=row.to, partition=row.to_partition, key=bytes(row.key), body=bytes(row.body))) for row in rows]


def senders(connection: Connection) -> list[tuple[str, int]]:
    """Return the partitions (topic, number) that have letters, sorted."""
    return sorted((row.topic, row.partition) for row in connection.execute(_SENDERS))


def strike(connection: Connection, ids: Sequence[int]) -> None:
    """Forget letters that have arrived."""
    connection.execute(delete(letters).where(letters.c.id.in_(ids)))
