"""What every journal owes its readers: on disk, in memory, and seen from another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from domain.ports import JournalReader
from domain.records import Record
from storage.journal import Journal
from storage.journal_folder import JournalFolder
from storage.memory_journal import MemoryJournal
from tests.factories import at, make_record


class Pair(Protocol):
    """A journal under test: where it is written and where it is read."""

    reader: JournalReader
    write: Callable[[list[Record]], None]
    write_unsynced: Callable[[list[Record]], None]


class OnDisk:
    """The journal on disk, read by its own process or through the folder."""

    def __init__(self, folder: Path, *, through_folder: bool) -> None:
        self.journal = Journal.open(folder, segment_bytes=2_000)
        self.reader: JournalReader = JournalFolder(folder) if through_folder else self.journal
        self.write_unsynced = self.journal.append

    def write(self, records: list[Record]) -> None:
        self.journal.append(records)
        self.journal.sync()


class InMemory:
    """The journal in memory."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.reader: JournalReader = self.journal
        self.write_unsynced = self.journal.append

    def write(self, records: list[Record]) -> None:
        self.journal.append(records)
        self.journal.sync()


@pytest.fixture(params=["disk", "folder", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnDisk | InMemory]:
    """Every reader answers alike."""
    if request.param == "memory":
        yield InMemory()
        return
    pair = OnDisk(tmp_path, through_folder=request.param == "folder")
    yield pair
    pair.journal.close()


def records(first: int, last: int) -> list[Record]:
    """Return numbered records, one an hour."""
    return [make_record(seq, received_at=at(seq), id=f"s-{seq}") for seq in range(first, last + 1)]


def test_an_empty_journal_has_head_zero(pair: Pair) -> None:
    """Nothing was written: head 0, nothing to read."""
    assert (pair.reader.head(), list(pair.reader.read(0))) == (0, [])


def test_records_come_back_as_written_and_in_order(pair: Pair) -> None:
    """What was written in several groups over several segments is read back equal, once, in order."""
    for first in range(1, 60, 4):
        pair.write(records(first, first + 3))
    assert list(pair.reader.read(0)) == records(1, 60)
    assert pair.reader.head() == 60


@pytest.mark.parametrize("after", [0, 1, 7, 8, 31, 59, 60, 61])
def test_reading_starts_right_behind_the_position(pair: Pair, after: int) -> None:
    """A reader gets exactly the records behind its position, wherever that lies; at or behind the head there are none."""
    for first in range(1, 60, 4):
        pair.write(records(first, first + 3))
    for _ in range(2):
        assert [record.seq for record in pair.reader.read(after)] == list(range(after + 1, 61))


def test_what_is_not_synced_is_not_read(pair: Pair) -> None:
    """Records that were appended and not synced move no head and are given to nobody."""
    pair.write(records(1, 2))
    pair.write_unsynced(records(3, 4))
    assert (pair.reader.head(), len(list(pair.reader.read(0)))) == (2, 2)


def test_a_read_ends_at_the_head_of_its_call(pair: Pair) -> None:
    """What is written while a reader is under way waits for its next call."""
    pair.write(records(1, 3))
    reading = pair.reader.read(0)
    seen = [next(reading).seq]
    pair.write(records(4, 6))
    seen += [record.seq for record in reading]
    assert seen == [1, 2, 3]
    assert [record.seq for record in pair.reader.read(3)] == [4, 5, 6]
