"""What the poison guard of a partition of another system's topic left, for whichever edge is given it next (`storage.marks`)."""

from __future__ import annotations

from typing import Self

from sqlalchemy import bindparam, select, update

from domain.errors import Fenced
from storage.database import Database
from storage.dialects import upsert
from storage.tables import source_marks

_place = (source_marks.c.source == bindparam("of_source"), source_marks.c.partition == bindparam("of_partition"))
_READ = select(source_marks.c.epoch, source_marks.c.takeovers, source_marks.c.mark).where(*_place)
_WRITE = update(source_marks).where(*_place, source_marks.c.epoch == bindparam("of_epoch"))
_TAKE = upsert(source_marks).on_conflict_do_update(
    index_elements=["source", "partition"],
    set_={"epoch": source_marks.c.epoch + 1, "takeovers": source_marks.c.takeovers + 1},
)


class SourceMarks:
    """`streams.runtimes.partition_guard.Marks` of one partition, from the time on at which an edge was given it."""

    def __init__(self, database: Database, source: str, partition: int, epoch: int) -> None:
        """Use `taken`."""
        self._database = database
        self._place = {"of_source": source, "of_partition": partition}
        self.epoch = epoch

    @classmethod
    def taken(cls, database: Database, source: str, partition: int) -> Self:
        """Take the partition over from whoever had it; `source` names topic, brokers and consumer group.

        Raises:
            StoreUnavailable: the database does not take it; take it again.
        """
        place = {"of_source": source, "of_partition": partition}
        with database.write() as connection:
            connection.execute(_TAKE, {"source": source, "partition": partition, "epoch": 1, "takeovers": 1, "mark": ""})
            return cls(database, source, partition, connection.execute(_READ, place).one().epoch)

    def read(self) -> tuple[int, bytes]:
        """Return how often it was taken over since somebody let go of it in order, and the mark, b"" for none; raises StoreUnavailable."""
        with self._database.read() as connection:
            row = connection.execute(_READ, self._place).one()
        return row.takeovers, row.mark.encode()

    def write(self, epoch: int, takeovers: int, mark: bytes) -> None:
        """Put both in the place of what was there.

        Raises:
            Fenced: another edge has it since `epoch`; nothing is written.
            StoreUnavailable: write again.
        """
        with self._database.write() as connection:
            given = {"of_epoch": epoch, "takeovers": takeovers, "mark": mark.decode()}
            if connection.execute(_WRITE, self._place | given).rowcount != 1:
                raise Fenced("partition {of_partition} of {of_source} was given to another edge".format(**self._place))
