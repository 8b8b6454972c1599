"""Snapshots of partitions in every database: whole, the newest two, of the version that reads them."""

from __future__ import annotations

import hashlib
import re
import tracemalloc
from collections.abc import Iterable, Iterator

from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from domain.packed import PIECE, PackedState
from storage import partition_snapshots as shelf
from storage.database import Database
from storage.partition_snapshots import Stored
from tests.factories import at

ROWS = shelf.rows


def _state(size: int) -> bytes:
    """Return bytes that do not compress."""
    return b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(size // 32))


def _kept(database: Database, offset: int, state: bytes = b"s", *, partition: int = 1, software: str = "1") -> Stored:
    snapshot = Stored(offset, at(), PackedState.of([state]))
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
    assert b"".join(found.state) == b"again"


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


def test_a_state_larger_than_memory_should_hold_passes_in_pieces(database: Database) -> None:
    """It is compressed as it is made and unpacked as it is taken up: a tenth of it at the most is in memory, there and back."""
    part, parts = b"the state of an object, much as that of the next one; " * 20_000, 100  # a megabyte each

    def made() -> Iterator[bytes]:
        for number in range(parts):
            yield b"%03d" % number + part

    tracemalloc.start()
    try:
        with database.write() as connection:
            shelf.keep(connection, "t", 1, "1", Stored(7, at(), PackedState.of(made())))
        found = _newest(database)
        assert found is not None
        assert len(found.state) == parts * (3 + len(part))
        for _ in range(2):  # it can be read again
            assert sha256_of(found.state) == sha256_of(made())
        assert tracemalloc.get_traced_memory()[1] < len(found.state) / 10
    finally:
        tracemalloc.stop()


def sha256_of(parts: Iterable[bytes]) -> str:
    """Return the digest of bytes that are nowhere together."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
