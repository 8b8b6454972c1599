"""Letters of partitions: kept with what they follow from, in their order, until they are struck out; in every database."""

from __future__ import annotations

from domain.clock import ManualClock
from domain.ports import Letter
from storage import letters
from storage.database import Database
from storage.progress import SqlProgress
from tests.factories import T0


def _letter(number: int, to: int = 0) -> Letter:
    return Letter(to="groups", partition=to, body=bytes([number]), key=b"\0k")


def test_letters_wait_in_their_order_until_they_are_struck_out(database: Database) -> None:
    """Each partition has its own, in the order in which they were written; the first come first."""
    progress = SqlProgress(database, ManualClock(T0))
    one, other, _silent = (progress.assign("p.frames", number, "w") for number in (1, 2, 3))
    with database.write() as connection:
        letters.add(connection, one, [_letter(3), _letter(1, to=2)])
        letters.add(connection, other, [_letter(7)])
        letters.add(connection, one, [_letter(2)])
        letters.add(connection, one, [])
    with database.read() as connection:
        assert letters.senders(connection) == [("p.frames", 1), ("p.frames", 2)]
        found = letters.waiting(connection, "p.frames", 1, 2)
        assert [kept.letter for kept in found] == [_letter(3), _letter(1, to=2)]
    with database.write() as connection:
        letters.strike(connection, [kept.id for kept in found])
    with database.read() as connection:
        assert [kept.letter for kept in letters.waiting(connection, "p.frames", 1, 2)] == [_letter(2)]
        assert [kept.letter for kept in letters.waiting(connection, "p.frames", 2, 2)] == [_letter(7)]
