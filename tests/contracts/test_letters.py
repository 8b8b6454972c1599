"""Letters of partitions: kept with what they follow from, in their order, until they are struck out; in every database."""

from __future__ import annotations

from domain.ports import Grant, Letter
from storage import letters
from storage.database import Database

ONE, OTHER = (Grant(topic="p.frames", partition=number, epoch=1, offset_done=0) for number in (1, 2))


def _letter(number: int, to: int = 0) -> Letter:
    return Letter(to="groups", partition=to, body=bytes([number]), key=b"\0k")


def test_letters_wait_in_their_order_until_they_are_struck_out(database: Database) -> None:
    """Each partition has its own, in the order in which they were written; the first come first."""
    with database.write() as connection:
        letters.add(connection, ONE, [_letter(3), _letter(1, to=2)])
        letters.add(connection, OTHER, [_letter(7)])
        letters.add(connection, ONE, [_letter(2)])
        letters.add(connection, ONE, [])
    with database.read() as connection:
        assert letters.senders(connection) == [("p.frames", 1), ("p.frames", 2)]
        found = letters.waiting(connection, "p.frames", 1, 2)
        assert [kept.letter for kept in found] == [_letter(3), _letter(1, to=2)]
    with database.write() as connection:
        letters.strike(connection, [kept.id for kept in found])
    with database.read() as connection:
        assert [kept.letter for kept in letters.waiting(connection, "p.frames", 1, 2)] == [_letter(2)]
        assert [kept.letter for kept in letters.waiting(connection, "p.frames", 2, 2)] == [_letter(7)]
