"""Which names the rows have, over every kind of database: what an edge and a worker go by."""

from __future__ import annotations

from domain.digest import digest_of
from domain.frames import Frame
from domain.partitions import Place
from domain.ports import Offer
from domain.records import Record, RejectionEntry
from storage import risk
from storage.database import Database
from storage.stored_names import PartitionAdmission, known_names, names_of
from tests.factories import T0, make_entry, make_record


def _write(database: Database, *records: Record) -> None:
    with database.write() as connection:
        risk.apply_records(connection, records, after=0)


def test_names_are_found_as_they_were_before_a_place(database: Database) -> None:
    """The newest content below a number, within a partition or anywhere; unknown names are left out, odd ones found."""
    first, second, other = (Place(*place).seq() for place in ((2, 0, 0), (2, 5, 1), (7, 0, 0)))
    _write(database, make_record(first, id="a"), make_record(second, id="a", revision=1, severity=3), make_record(other, id="nul\0 '\"☃"))
    keys = [("test", "a"), ("test", "nul\0 '\"☃"), ("test", "never"), ("else", "a")]
    found = names_of(database, keys)
    assert {key: known.seq for key, known in found.items()} == {("test", "a"): second, ("test", "nul\0 '\"☃"): other}
    assert (found["test", "a"].revision, found["test", "a"].digest) == (1, digest_of(make_entry(id="a", severity=3).signal))
    with database.read() as connection:
        before = known_names(connection, keys, after=Place(2, 0, 0).seq() - 1, before=second)
    assert {key: known.seq for key, known in before.items()} == {("test", "a"): first}


def test_thousands_of_names_are_asked_at_once(database: Database) -> None:
    """A whole frame's names in one question."""
    _write(database, *(make_record(Place(0, 0, number).seq(), id=f"s-{number}") for number in range(0, 4000, 2)))
    found = names_of(database, [("test", f"s-{number}") for number in range(4000)])
    assert sorted(found) == sorted(("test", f"s-{number}") for number in range(0, 4000, 2))


def test_a_frame_that_is_read_again_gives_the_same_records(database: Database) -> None:
    """With rows of it and of later frames in the tables already: duplicates, revisions and rejections come out as they did at first."""
    rejection = RejectionEntry(feed="test", batch="b", position=1, reason="bad_date", field="f", message="m", raw=b"x")
    one = Frame(received_at=T0, offers=tuple(Offer(entry=entry) for entry in (make_entry(id="a"), make_entry(id="a"), rejection)))
    two = Frame(received_at=T0, offers=(Offer(entry=make_entry(id="a", severity=3), revisable=True), Offer(entry=rejection)))
    fresh = PartitionAdmission(database, 1)
    first = [fresh(0, one, T0), fresh(1, two, T0)]
    assert [[type(record.entry).__name__ for record in records] for records in first] == [
        ["SignalEntry", "RejectionEntry"],
        ["SignalEntry"],
    ]
    assert first[1][0].entry.revision == 1  # type: ignore[union-attr]  # a signal, as just said
    _write(database, *first[0], *first[1])
    again = PartitionAdmission(database, 1)
    assert [again(0, one, T0), again(1, two, T0)] == first
    assert PartitionAdmission(database, 2)(0, one, T0)[0].seq == Place(2, 0, 0).seq()
