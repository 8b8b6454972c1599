"""How far each partition of a cluster is, and who may write for it: one row per partition, locked by every transaction of effects.

The row is the fence. A transaction holds it from its first statement on, by topic, partition *and epoch*; an assignment bumps the
epoch. So an assignment waits for a transaction that is under way and counts what it did, and one that comes later finds no row: a
process that slept through its own replacement writes nothing, however late it wakes. On PostgreSQL an assignment that waited in vain
ends the transaction in its way: the server loses patience only with a client between two statements, and a process can stand still within
a train of them.

    with database.write() as connection:
        done = progress.hold(connection, grant)             # raises Fenced; the row is this transaction's from here on
        ...                                                 # effects of the messages behind `done`
        grant = progress.move(connection, grant, upto, now)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, select, text, update

from domain.errors import Fenced, StoreUnavailable
from domain.messages import both
from domain.ports import Clock, Grant
from storage.database import Database
from storage.dialects import upsert
from storage.postgres import LOCK_SECONDS
from storage.tables import progress

_of = (progress.c.topic == bindparam("of_topic"), progress.c.partition == bindparam("of_partition"))
_mine = (*_of, progress.c.epoch == bindparam("of_epoch"))
_STANDING = select(progress.c.topic, progress.c.partition, progress.c.epoch, progress.c.offset_done).where(*_of)
_HOLD = select(progress.c.offset_done).where(*_mine).with_for_update()
_MOVE = update(progress).where(*_mine)
_NEW = upsert(progress)
_ASSIGN = _NEW.on_conflict_do_update(
    index_elements=["topic", "partition"],
    set_={
        "epoch": progress.c.epoch + 1,
        "owner": _NEW.excluded.owner,
        "assigned_at": _NEW.excluded.assigned_at,
        "takeovers": progress.c.takeovers + 1,
    },
)
# The newest row names the transaction that holds it (xmax). It is the account's own, and older than an assignment waits.
_END_HOLDER = text(
    "SELECT a.pid, pg_terminate_backend(a.pid) FROM progress AS p JOIN pg_stat_activity AS a ON a.backend_xid = p.xmax "
    "WHERE p.topic = :of_topic AND p.partition = :of_partition AND a.usename = current_user "
    "AND clock_timestamp() - a.xact_start >= make_interval(secs => :seconds)"
)
log = structlog.get_logger(__name__)


class SqlProgress:
    """`domain.ports.Progress` over the table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep in `database`, stamp with `clock`."""
        self._database = database
        self._clock = clock

    def assign(self, topic: str, partition: int, owner: str, still: Callable[[], bool] = lambda: True) -> Grant:
        """Take a partition over and return the grant.

        `still` is asked once the row is held: what was given up while it was waited for fences nobody.

        Raises:
            Fenced: `still` says no; nothing is changed.
            StoreUnavailable: the database does not take it; assign again.
        """
        row = {"topic": topic, "partition": partition, "epoch": 1, "offset_done": -1, "owner": owner, "assigned_at": self._clock.now()}
        row["takeovers"] = 1
        try:
            with self._database.write() as connection:
                connection.execute(_ASSIGN, row)
                if not still():
                    raise Fenced(both("partition.given_up", partition=partition, topic=topic))
                return Grant(**connection.execute(_STANDING, {"of_topic": topic, "of_partition": partition}).mappings().one())
        except StoreUnavailable:
            self._end_holder(topic, partition)
            raise

    def _end_holder(self, topic: str, partition: int) -> None:
        """End the transaction that kept the partition's row for as long as an assignment waits; the next one gets it.

        Its process has the partition no more, or it would not be assigned: what it meant to write is done again by the next owner.
        """
        with suppress(StoreUnavailable), self._database.write() as connection:  # where the server is away there is no holder either
            if connection.dialect.name != "postgresql":
                return
            given = {"of_topic": topic, "of_partition": partition, "seconds": LOCK_SECONDS}
            for pid in connection.execute(_END_HOLDER, given).scalars():
                log.warning("partition.holder_ended", topic=topic, partition=partition, backend=pid)

    def standing(self, topic: str, partition: int) -> Grant | None:
        """Return the newest grant of a partition, None before the first assignment.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        with self._database.read() as connection:
            row = connection.execute(_STANDING, {"of_topic": topic, "of_partition": partition}).mappings().one_or_none()
        return None if row is None else Grant(**row)


def anywhere(connection: Connection) -> bool:
    """Say whether a worker ever took a partition: whether the database is that of a cluster."""
    return connection.scalar(select(progress.c.topic).limit(1)) is not None


class Holding(NamedTuple):
    """One partition, the worker that took it last, and the last message that is done (-1: none)."""

    topic: str
    partition: int
    owner: str
    offset_done: int


def holdings(connection: Connection) -> list[Holding]:
    """Return every partition that a worker ever took, by topic and number; [] where the database is not that of a cluster."""
    rows = select(progress.c.topic, progress.c.partition, progress.c.owner, progress.c.offset_done)
    return [Holding(*row) for row in connection.execute(rows.order_by(progress.c.topic, progress.c.partition))]


def hold(connection: Connection, grant: Grant) -> int:
    """Hold the partition's row for this transaction and return the offset that is done; call it before the first effect.

    Raises:
        Fenced: the partition was assigned again since.
    """
    done: int | None = connection.scalar(_HOLD, _key(grant))
    if done is None:
        raise _fenced(grant)
    return done


def move(connection: Connection, grant: Grant, upto: int, now: datetime) -> Grant:
    """Say in the transaction of the effects that messages up to offset `upto` are done, and return the grant as it is then.

    Raises:
        Fenced: the partition was assigned again since; the transaction must not be committed.
    """
    if connection.execute(_MOVE, _key(grant) | {"offset_done": upto, "moved_at": now}).rowcount != 1:
        raise _fenced(grant)
    return msgspec.structs.replace(grant, offset_done=upto)


def _key(grant: Grant) -> dict[str, object]:
    return {"of_topic": grant.topic, "of_partition": grant.partition, "of_epoch": grant.epoch}


def _fenced(grant: Grant) -> Fenced:
    return Fenced(both("partition.fenced", partition=grant.partition, topic=grant.topic, epoch=grant.epoch))
