"""What the poison guard of a partition left, for whoever takes the partition over: two columns of the row of its progress.

An assignment counts up how often the partition was taken over (`storage.progress`); who lets go of it in order counts down again. So a
number above one says that somebody died with it, and nothing has to be written while all goes well.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from domain.errors import Fenced
from domain.messages import both
from storage.database import Database
from storage.tables import progress

_place = (progress.c.topic == bindparam("of_topic"), progress.c.partition == bindparam("of_partition"))
_READ = select(progress.c.takeovers, progress.c.mark).where(*_place)
_WRITE = update(progress).where(*_place, progress.c.epoch == bindparam("of_epoch"))


def written_marks(connection: Connection) -> list[bytes]:
    """Return the marks of all partitions that have one, in the order of topics and partitions."""
    rows = connection.scalars(select(progress.c.mark).where(progress.c.mark != "").order_by(progress.c.topic, progress.c.partition))
    return [mark.encode() for mark in rows]


class SqlMarks:
    """`streams.runtimes.partition_guard.Marks` over the table of progress."""

    def __init__(self, database: Database, topic: str, partition: int) -> None:
        """Keep the mark of one partition in `database`."""
        self._database = database
        self._place = {"of_topic": topic, "of_partition": partition}

    def read(self) -> tuple[int, bytes]:
        """Return how often the partition was taken over since somebody let go of it in order, and the mark, b"" for none.

        Raises:
            StoreUnavailable: it cannot be read; ask again.
        """
        with self._database.read() as connection:
            row = connection.execute(_READ, self._place).one()
        return row.takeovers, row.mark.encode()

    def write(self, epoch: int, takeovers: int, mark: bytes) -> None:
        """Put both in the place of what was there.

        Raises:
            Fenced: the partition was assigned again since `epoch`; nothing is written.
            StoreUnavailable: write again.
        """
        with self._database.write() as connection:
            given = {"of_epoch": epoch, "takeovers": takeovers, "mark": mark.decode()}
            if connection.execute(_WRITE, self._place | given).rowcount != 1:
                place = self._place
                raise Fenced(both("partition.fenced", partition=place["of_partition"], topic=place["of_topic"], epoch=epoch))
