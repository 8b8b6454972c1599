"""Snapshots of partitions in every database: whole, the newest two, of the version that reads them."""

from __future__ import annotations

import hashlib
import re

from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from storage import partition_snapshots as shelf
from storage.database import Database
from storage.partition_snapshots import PIECE, Stored
from tests.factories import at

ROWS = shelf.rows


def _state(size: int) -> bytes:
    """Return bytes that do not compress."""
    return b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(size // 32))


def _kept(database: Database, offset: int, state: bytes = b"s", *, partition: int = 1, software: str = "1") -> Stored:
    snapshot = Stored(offset, at(), state)
    with database.write() as connection:
        shelf.keep(connection, "t", partition, software, snapshot)
    return snapshot


def _newest(database: Database, *, software: str = "1", partition: int = 1) -> Stored | None:
    with database.read() as connection:
        return shelf.newest(connection, "t", partition, software)


def test_the_newest_is_found(database: Database) -> None:
    """Two of a partition stay; one of another version or another partition is passed over."""
    assert _newest(database) is None
    made = [_kept(database, offset, str(offset).encode()) for offset in (3, 5, 9)]
    _kept(database, 50, partition=2)
    assert _newest(database) == made[2]
    with database.read() as connection:
        assert sorted(connection.scalars(select(ROWS.c.offset).where(ROWS.c.partition == 1))) == [5, 9]
    assert _newest(database, software="2") is None
    _kept(database, 9, b"again")
    found = _newest(database)
    assert found is not None
    assert found.state == b"again"


def test_a_large_state_is_kept_in_pieces(database: Database) -> None:
    """What does not fit into one row is put together again, byte for byte."""
    made = _kept(database, 7, _state(2 * PIECE + 4096))
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(ROWS)) == 3
    assert _newest(database) == made


def test_a_damaged_snapshot_is_passed_over_and_named(database: Database) -> None:
    """Bytes that were changed or cut are never taken for a state: the one before them is, and the log says which rows to delete."""
    before = _kept(database, 5, _state(4096))
    _kept(database, 7, _state(4096))
    for body in (b"not compressed", b"\x78\x01"):
        with database.write() as connection:
            connection.execute(update(ROWS).where(ROWS.c.offset == 7).values(body=body))
        with capture_logs() as said:
            assert _newest(database) == before
        assert re.search(r'"offset" = 7: .*delete these rows', said[0]["error"])
    with database.write() as connection:
        connection.execute(update(ROWS).values(body=b"\x78\x01"))
    assert _newest(database) is None, "the log is read from its beginning"
