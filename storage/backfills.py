"""Back-fills of a cluster, which every worker has to reach: in the database, part by part. They only save time; the log gives them anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import count, islice
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


def there(connection: Connection, name: str) -> bool:
    """Tell whether a back-fill is kept under `name`."""
    return connection.scalar(select(backfills.c.nth).where(backfills.c.name == name).limit(1)) is not None


def load(connection: Connection, name: str) -> Iterator[bytes]:
    """Yield the parts of a back-fill in their order, none where there is none; a few of them are in memory at a time."""
    wanted = select(backfills.c.part).where(backfills.c.name == name).order_by(backfills.c.nth)
    for first in count(0, ROWS):
        some = connection.scalars(wanted.where(backfills.c.nth >= first, backfills.c.nth < first + ROWS)).all()
        yield from map(bytes, some)
        if len(some) < ROWS:
            return


def names(connection: Connection) -> list[str]:
    """Return the names of all, sorted."""
    return sorted(connection.scalars(select(backfills.c.name).distinct()))


def clear(connection: Connection, keeping: Collection[str]) -> None:
    """Delete all whose names do not begin with one of `keeping` and a stroke."""
    gone = [name for name in names(connection) if name.partition("/")[0] not in keeping]
    if gone:
        connection.execute(delete(backfills).where(backfills.c.name.in_(gone)))
