"""The journal on disk: what a crash, a full disk, a failing disk and a flipped bit do to it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import NotFound, StoreCorrupt, StoreUnavailable
from domain.records import Record, RejectionEntry, TickEntry
from storage.journal import SYNC_FAILED, Journal
from storage.segments import HEADER_BYTES, MARK_BYTES, mark
from tests.factories import at, make_record
from tests.storage.disk import no_file_beyond


def tick(seq: int) -> Record:
    """Return a small record."""
    return Record(seq=seq, received_at=at(seq), entry=TickEntry())


def write(journal: Journal, first: int, last: int) -> None:
    """Append and sync one group."""
    journal.append([tick(seq) for seq in range(first, last + 1)])
    journal.sync()


def seqs(journal: Journal) -> list[int]:
    """Return the numbers of all records."""
    return [record.seq for record in journal.read(0)]


def only(folder: Path) -> Path:
    """Return the one segment in `folder`."""
    (path,) = folder.glob("*.seg")
    return path


@pytest.fixture
def groups(tmp_path: Path) -> tuple[Path, list[int]]:
    """Return the bytes of three groups (3, 2 and 2 records), and the end offset of each record."""
    folder = tmp_path / "original"
    ends = []
    with Journal.open(folder) as journal:
        for first, last in ((1, 3), (4, 5), (6, 7)):
            for seq in range(first, last + 1):
                journal.append([tick(seq)])
                ends.append(only(folder).stat().st_size)
            journal.sync()
    return only(folder), ends


def opened_with(data: bytes, folder: Path, name: str) -> Journal:
    """Open a journal whose one segment holds `data`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(data)
    return Journal.open(folder)


def test_records_of_every_kind_survive_a_restart(tmp_path: Path) -> None:
    """What was synced is there after closing and opening, equal in every field."""
    written = [
        make_record(1, text="小区燃气异味", value=1.5, attrs={"channel": "phone", "n": [1, 2]}),
        Record(
            seq=2,
            received_at=at(1),
            entry=RejectionEntry(feed="f", batch="", position=3, reason="bad_date", field="", message="", raw=b"\xff"),
        ),
        tick(3),
    ]
    with Journal.open(tmp_path) as journal:
        journal.append(written)
        journal.sync()
    with Journal.open(tmp_path) as journal:
        assert list(journal.read(0)) == written
        assert (journal.head(), journal.last_received(), journal.report.torn_file) == (3, at(3), "")


def test_a_cut_at_any_byte_leaves_a_prefix(groups: tuple[Path, list[int]], tmp_path: Path) -> None:
    """A tail cut anywhere gives back exactly the records that are whole, says what it dropped, and writes on from there."""
    original, ends = groups
    data = original.read_bytes()
    for size in range(len(data)):
        with opened_with(data[:size], tmp_path / "cut", original.name) as journal:
            whole = sum(end <= size for end in ends)
            assert seqs(journal) == list(range(1, whole + 1)), size
            write(journal, whole + 1, whole + 1)
            assert seqs(journal) == list(range(1, whole + 2)), size
        with Journal.open(tmp_path / "cut") as journal:
            assert (journal.head(), journal.report.torn_bytes) == (whole + 1, 0)


def test_the_report_names_what_was_cut(groups: tuple[Path, list[int]], tmp_path: Path) -> None:
    """The report gives file, offset and size of the torn tail."""
    original, ends = groups
    with opened_with(original.read_bytes()[: ends[3] + 5], tmp_path / "cut", original.name) as journal:
        report = journal.report
    assert (report.head, report.torn_file, report.torn_at, report.torn_bytes) == (4, original.name, ends[3], 5)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_before_the_last_mark_is_found(place: float, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any flipped bit in what was synced stops the start with file and offset; in the last mark itself it costs no record."""
    folder = tmp_path_factory.getbasetemp() / "flip"
    shutil.rmtree(folder, ignore_errors=True)
    with Journal.open(folder) as journal:
        for first in (1, 4, 7):
            write(journal, first, first + 2)
    path = only(folder)
    data = bytearray(path.read_bytes())
    offset = int(place * len(data))
    data[offset] ^= 1 << bit
    if offset >= len(data) - MARK_BYTES:
        with opened_with(bytes(data), folder, path.name) as journal:
            assert seqs(journal) == list(range(1, 10))
    else:
        with pytest.raises(StoreCorrupt, match=rf"{path.name} at \d+"):
            opened_with(bytes(data), folder, path.name)


def test_a_group_torn_in_its_middle_is_cut_not_refused(tmp_path: Path) -> None:
    """A power cut may keep late pages of an unsynced group and lose early ones: nothing of it was acknowledged, all of it goes."""
    with Journal.open(tmp_path) as journal:
        write(journal, 1, 3)
        synced = only(tmp_path).stat().st_size
        journal.append([tick(seq) for seq in range(4, 9)])
    data = bytearray(only(tmp_path).read_bytes())
    data[synced + 3 : synced + 30] = bytes(27)
    only(tmp_path).write_bytes(data)
    with Journal.open(tmp_path) as journal:
        assert (seqs(journal), journal.report.torn_at) == ([1, 2, 3], synced)


@pytest.mark.parametrize("tail", [bytes(1), bytes(8), bytes(4096), b"\xff" * 100, mark(12345)])
def test_rubbish_at_the_end_is_cut(tmp_path: Path, tail: bytes) -> None:
    """Zeros of a preallocated block, rubbish, and a mark that speaks of another place vouch for nothing."""
    with Journal.open(tmp_path) as journal:
        write(journal, 1, 3)
        journal.append([tick(4)])
    data = only(tmp_path).read_bytes()
    with opened_with(data[:-1] + b"\x00" + tail, tmp_path / "x", only(tmp_path).name) as journal:
        assert seqs(journal) == [1, 2, 3]


def test_damage_in_an_older_segment_stops_the_reader(tmp_path: Path) -> None:
    """A bad byte in a complete segment is met when it is read, with file and offset, after the records before it."""
    with Journal.open(tmp_path, segment_bytes=300) as journal:
        for seq in range(1, 40):
            write(journal, seq, seq)
        paths = sorted(tmp_path.glob("*.seg"))
        data = bytearray(paths[1].read_bytes())
        data[HEADER_BYTES + 9] ^= 1
        paths[1].write_bytes(data)
        read: list[int] = []
        with pytest.raises(StoreCorrupt, match=f"{paths[1].name} at {HEADER_BYTES}"):
            read.extend(record.seq for record in journal.read(0))
        assert [record.seq for record in journal.read(int(paths[2].stem) - 1)] == list(range(int(paths[2].stem), 40))


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    """A hole between segments is never skipped."""
    with Journal.open(tmp_path, segment_bytes=300) as journal:
        for seq in range(1, 40):
            write(journal, seq, seq)
        sorted(tmp_path.glob("*.seg"))[1].unlink()
        with pytest.raises(StoreCorrupt, match="ends before record"):
            seqs(journal)


def test_a_segment_that_was_just_begun_is_begun_again(tmp_path: Path) -> None:
    """A crash between the creation of a segment and its first record loses nothing and numbers go on."""
    with Journal.open(tmp_path) as journal:
        write(journal, 1, 3)
    for size in range(HEADER_BYTES):
        (tmp_path / f"{4:020d}.seg").write_bytes(bytes(size))
        with Journal.open(tmp_path, segment_bytes=1) as journal:
            assert (journal.head(), journal.last_received()) == (3, at(3))
    with Journal.open(tmp_path, segment_bytes=1) as journal:
        write(journal, 4, 4)
    with Journal.open(tmp_path, segment_bytes=1) as journal:
        assert (seqs(journal), len(list(tmp_path.glob("*.seg")))) == ([1, 2, 3, 4], 2)


def test_a_failed_sync_ends_the_process_and_is_never_tried_again(tmp_path: Path) -> None:
    """EIO from the sync: status 70 is asked for at once, the records stay unreadable, and the journal takes nothing more."""
    broken = False
    calls: list[int] = []

    def sync(descriptor: int) -> None:
        calls.append(descriptor)
        if broken:
            raise OSError(errno.EIO, "Input/output error")

    deaths: list[int] = []
    with Journal.open(tmp_path, sync=sync, die=deaths.append) as journal:
        write(journal, 1, 2)
        broken = True
        journal.append([tick(3)])
        before = len(calls)
        with pytest.raises(StoreUnavailable):
            journal.sync()
        broken = False
        with pytest.raises(StoreUnavailable, match="restart"):
            journal.append([tick(4)])
        assert (deaths, len(calls) - before, journal.head()) == ([SYNC_FAILED], 1, 2)


@pytest.mark.parametrize("room", [0, 1, 7, 8, 40, 200])
def test_a_full_disk_refuses_and_leaves_no_trace(tmp_path: Path, room: int) -> None:
    """A write that ends short is taken back; the same records go in once there is space, and a restart finds only them."""
    with Journal.open(tmp_path) as journal:
        write(journal, 1, 3)
        group = [tick(seq) for seq in range(4, 20)]
        size = only(tmp_path).stat().st_size
        with no_file_beyond(size + room), pytest.raises(StoreUnavailable, match="free space"):
            journal.append(group)
        assert only(tmp_path).stat().st_size == size
        journal.append(group)
        journal.sync()
        assert seqs(journal) == list(range(1, 20))
    with Journal.open(tmp_path) as journal:
        assert (seqs(journal), journal.report.torn_bytes) == (list(range(1, 20)), 0)


def test_a_mark_that_finds_no_space_costs_nothing(tmp_path: Path) -> None:
    """When only the mark after a sync does not fit, the records are acknowledged all the same and survive."""
    with Journal.open(tmp_path) as journal:
        journal.append([tick(1)])
        with no_file_beyond(only(tmp_path).stat().st_size + 3):
            journal.sync()
        assert seqs(journal) == [1]
    with Journal.open(tmp_path) as journal:
        assert seqs(journal) == [1]


def test_a_full_disk_at_the_start_of_a_segment_passes(tmp_path: Path) -> None:
    """When the next segment cannot be made, the group is refused; later it is made and used."""
    with Journal.open(tmp_path, segment_bytes=1) as journal:
        write(journal, 1, 1)
        with no_file_beyond(5), pytest.raises(StoreUnavailable):
            journal.append([tick(2)])
        write(journal, 2, 2)
        assert seqs(journal) == [1, 2]


def test_numbers_have_no_gaps(tmp_path: Path) -> None:
    """A record that does not follow the last one is a defect of the caller."""
    with Journal.open(tmp_path) as journal, pytest.raises(ValueError, match="does not follow"):
        journal.append([tick(2)])


def test_retention_deletes_whole_segments(tmp_path: Path) -> None:
    """Segments that hold only older records go; asking for what is gone says so."""
    with Journal.open(tmp_path, segment_bytes=300) as journal:
        for seq in range(1, 40):
            write(journal, seq, seq)
        assert journal.forget_before(20) >= 1
        first = journal.first()
        assert 1 < first <= 20
        assert [record.seq for record in journal.read(first - 1)] == list(range(first, 40))
        with pytest.raises(NotFound, match="retention"):
            seqs(journal)
    with Journal.open(tmp_path) as journal:
        assert (journal.first(), journal.head()) == (first, 39)
        assert journal.forget_before(1_000) >= 1
        write(journal, 40, 40)
        assert [record.seq for record in journal.read(journal.first() - 1)][-1] == 40
