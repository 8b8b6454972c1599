"""Back-fills of a cluster: kept whole under a name, replaced, and cleared; in every database."""

from __future__ import annotations

import tracemalloc

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
        assert list(backfills.load(connection, "v1/0")) == parts
        assert list(backfills.load(connection, "v1/1")) == [b"\0\xff", b"x"]
        assert list(backfills.load(connection, "v1/2")) == []
        assert [backfills.there(connection, name) for name in ("v1/1", "v1/2")] == [True, False]


def test_those_of_other_versions_are_cleared(database: Database) -> None:
    """What belongs to a version that is kept stays, in all partitions."""
    with database.write() as connection:
        for name in ("a/0", "a/10", "ab/0", "b/0"):
            backfills.keep(connection, name, [b"x"])
        backfills.clear(connection, {"a"})
        assert backfills.names(connection) == ["a/0", "a/10"]
        backfills.clear(connection, {"a"})
        assert backfills.names(connection) == ["a/0", "a/10"]


def test_a_large_one_is_read_a_few_parts_at_a_time(database: Database) -> None:
    """Of a hundred parts of half a megabyte no more are in memory than a statement holds, when they are written and when they are read."""
    part, parts = bytes(2**19), 100
    tracemalloc.start()
    try:
        with database.write() as connection:
            backfills.keep(connection, "v1/0", (b"%03d" % number + part for number in range(parts)))
        with database.read() as connection:
            assert [found[:3] for found in backfills.load(connection, "v1/0")] == [b"%03d" % number for number in range(parts)]
        assert tracemalloc.get_traced_memory()[1] < 4 * backfills.ROWS * len(part)
    finally:
        tracemalloc.stop()
