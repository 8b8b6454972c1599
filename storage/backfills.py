"""Back-fills of a cluster, which every worker has to reach: in the database, part by part. They only save time; the log gives them anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from storage.tables import backfills

ROWS: Final = 16  # of one statement; a part may have a megabyte


def keep(connection: Connection, name: str, parts: Iterable[bytes]) -> None:
    """Keep a back-fill under `name`, in the place of what stood there."""
    connection.execute(delete(backfills).where(backfills.c.name == name))
    rows = ({"name": name, "nth": nth, "part": part} for nth, part in enumerate(parts))
    while some := list(islice(rows, ROWS)):
        connection.execute(insert(backfills), some)


def load(connection: Connection, name: str) -> list[bytes] | None:
    """Return the parts of a back-fill in their order, None where there is none."""
    rows = connection.scalars(select(backfills.c.part).where(backfills.c.name == name).order_by(backfills.c.nth))
    return [bytes(part) for part in rows] or None


def names(connection: Connection) -> list[str]:
    """Return the names of all, sorted."""
    return sorted(connection.scalars(select(backfills.c.name).distinct()))


def clear(connection: Connection, keeping: Collection[str]) -> None:
    """Delete all whose names do not begin with one of `keeping` and a stroke."""
    gone = [name for name in names(connection) if name.partition("/")[0] not in keeping]
    if gone:
        connection.execute(delete(backfills).where(backfills.c.name.in_(gone)))
