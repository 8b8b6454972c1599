"""Back-fills of a cluster: kept whole under a name, replaced, and cleared; in every database."""

from __future__ import annotations

from storage import backfills
from storage.database import Database


def test_a_back_fill_comes_back_in_its_order(database: Database) -> None:
    """Parts keep their order and bytes; another one under the same name takes the whole place."""
    parts = [bytes([number]) * number for number in range(1, 40)]
    with database.write() as connection:
        backfills.keep(connection, "v1/0", parts)
        backfills.keep(connection, "v1/1", [b"\0"])
    with database.write() as connection:
        backfills.keep(connection, "v1/1", iter([b"\0\xff", b"x"]))
    with database.read() as connection:
        assert backfills.load(connection, "v1/0") == parts
        assert backfills.load(connection, "v1/1") == [b"\0\xff", b"x"]
        assert backfills.load(connection, "v1/2") is None


def test_those_of_other_versions_are_cleared(database: Database) -> None:
    """What belongs to a version that is kept stays, in all partitions."""
    with database.write() as connection:
        for name in ("a/0", "a/10", "ab/0", "b/0"):
            backfills.keep(connection, name, [b"x"])
        backfills.clear(connection, {"a"})
        assert backfills.names(connection) == ["a/0", "a/10"]
        backfills.clear(connection, {"a"})
        assert backfills.names(connection) == ["a/0", "a/10"]
