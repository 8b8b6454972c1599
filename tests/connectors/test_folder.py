"""The watched folder: a file goes in once, is moved only after the sync, and a crash anywhere loses and doubles nothing."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.inbound.edge import Edge, Taken
from connectors.inbound.folder import MISPLACED, NOTE, Inbox, SetAside
from connectors.inbound.mapping_model import Mapping
from domain.clock import ManualClock
from domain.errors import StoreUnavailable
from domain.ports import Offer, Receipt
from storage.identity import Identity
from storage.intake import Appender
from storage.memory_journal import MemoryJournal
from storage.registry import MemoryObjectLookup
from tests.connectors.senders import FEEDS, KEY, NOW, as_csv, as_xlsx

RECORDS = [{"留言编号": str(number), "留言主题": "电梯困人", "留言时间": "2026-03-01", "留言详情": "电梯困人"} for number in range(3)]


class Crash(BaseException):
    """Stands for the end of the process."""


class House:
    """An inbox before a real door with a journal in memory."""

    def __init__(self, top: Path, *, settle: float = 0.0) -> None:
        self.clock = ManualClock(NOW)
        self.journal = MemoryJournal()
        self.intake = Appender(self.journal, Identity.in_memory(self.journal), self.clock)
        self.reached: list[str] = []
        self.crash_at = ""
        self.top = top
        self.settle = timedelta(seconds=settle)
        self.edge = Edge(self.intake, MemoryObjectLookup(), KEY)

    def inbox(self, edge: Edge | None = None) -> Inbox:
        """Return a fresh inbox, as after a start."""
        return Inbox(self.top, FEEDS, edge or self.edge, self.clock, settle=self.settle, reach=self._reach)

    def _reach(self, point: str) -> None:
        self.reached.append(f"{point}@{self.journal.head()}")
        if point == self.crash_at:
            raise Crash

    def put(self, name: str, body: bytes, feed: str = "netizen-messages") -> Path:
        """Put a file where a sender would."""
        path = self.top / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house whose door is closed at the end."""
    made = House(tmp_path / "inbox")
    yield made
    made.intake.close()


def test_a_file_goes_in_and_is_moved(house: House) -> None:
    """The records are in the journal before the file is renamed; it lies in done/ under its own name."""
    path = house.put("三月.csv", as_csv(RECORDS, "gb18030"))
    [taken] = house.inbox().scan_once(NOW)
    assert taken.taken.accepted == 3
    assert not path.exists()
    assert taken.file == path.parent / "done" / "三月.csv"
    assert taken.file.exists()
    assert house.reached == ["feedfile.before_rename@3", "feedfile.after_rename@3"]
    assert house.inbox().scan_once(NOW) == []


def test_rejections_are_listed_beside_the_file(house: House) -> None:
    """The list has place, reason and message of each rejection, and no cell that a spreadsheet would run."""
    house.put("a.csv", as_csv([RECORDS[0], RECORDS[1] | {"留言时间": "=1+1"}, RECORDS[2]]))
    [taken] = house.inbox().scan_once(NOW)
    listed = taken.file.with_name("a.csv.rejections.csv").read_text("utf-8-sig")
    header, row = list(csv.reader(listed.splitlines()))
    assert header == ["position", "reason", "title", "field", "message"]
    assert row[:3] == ["3", "bad_date", "日期无法识别"]
    assert not any(cell.startswith(("=", "+", "@")) for cell in row)


@pytest.mark.parametrize("point", ["feedfile.before_rename", "feedfile.after_rename"])
def test_a_crash_doubles_and_loses_nothing(house: House, point: str) -> None:
    """Whatever the point of the crash, after the next start every record is there once and the file is in done/."""
    path = house.put("a.xlsx", as_xlsx(RECORDS))
    house.crash_at = point
    with pytest.raises(Crash):
        house.inbox().scan_once(NOW)
    house.crash_at = ""
    again = house.inbox().scan_once(NOW)
    assert [(each.taken.accepted, each.taken.duplicates) for each in again] == ([(0, 3)] if point == "feedfile.before_rename" else [])
    assert house.journal.head() == 3
    assert (path.parent / "done" / "a.xlsx").exists()


def test_a_file_that_grows_is_left_alone(tmp_path: Path) -> None:
    """A file is taken once it has stood still; one under a temporary name never."""
    house = House(tmp_path / "inbox", settle=2.0)
    path = house.put("a.csv", as_csv(RECORDS[:1]))
    house.put("b.csv.part", as_csv(RECORDS))
    house.put(".hidden.csv", as_csv(RECORDS))
    inbox = house.inbox()
    assert inbox.scan_once(NOW) == []
    path.write_bytes(as_csv(RECORDS))
    assert inbox.scan_once(NOW + timedelta(seconds=3)) == []
    assert inbox.scan_once(NOW + timedelta(seconds=4)) == []
    [taken] = inbox.scan_once(NOW + timedelta(seconds=6))
    assert taken.taken.accepted == 3
    assert sorted(each.name for each in path.parent.iterdir()) == [".hidden.csv", "b.csv.part", "done"]
    house.intake.close()


def test_a_file_written_to_while_it_is_taken_stays(house: House) -> None:
    """What is appended meanwhile is not moved away unread."""
    path = house.put("a.csv", as_csv(RECORDS[:2]))

    class Appending:
        def submit(self, offers: Sequence[Offer]) -> Future[list[Receipt]]:
            if len(path.read_bytes()) == len(as_csv(RECORDS[:2])):
                path.write_bytes(as_csv(RECORDS))
            return house.intake.submit(offers)

    inbox = house.inbox(Edge(Appending(), MemoryObjectLookup(), KEY))
    inbox.scan_once(NOW)
    assert path.exists()
    [taken] = inbox.scan_once(NOW)
    assert (taken.taken.duplicates, taken.taken.accepted) == (2, 1)
    assert not path.exists()


def test_an_unknown_feed_says_so(house: House) -> None:
    """Files of a folder that no feed has stay, with a note naming the legal feeds; the note goes with them."""
    path = house.put("a.csv", as_csv(RECORDS), feed="netizen-mesages")
    assert house.inbox().scan_once(NOW) == []
    note = path.parent / NOTE
    assert "netizen-mesages" in note.read_text("utf-8")
    assert "netizen-messages" in note.read_text("utf-8")
    path.unlink()
    house.inbox().scan_once(NOW)
    assert not note.exists()


def test_a_journal_that_cannot_write_leaves_the_files(house: House) -> None:
    """Nothing is renamed; the next scan takes them."""
    path = house.put("a.csv", as_csv(RECORDS))

    class Full:
        def submit(self, offers: Sequence[Offer]) -> Future[Any]:
            assert offers
            raise StoreUnavailable("disk full")

    assert house.inbox(Edge(Full(), MemoryObjectLookup(), KEY)).scan_once(NOW) == []
    assert path.exists()
    assert [each.taken.accepted for each in house.inbox().scan_once(NOW)] == [3]


def test_links_lead_nowhere(house: House, tmp_path: Path) -> None:
    """A link in the inbox is not followed: it may lead to any file of the machine."""
    secret = tmp_path / "secret.csv"
    secret.write_bytes(as_csv(RECORDS))
    house.put("a.csv", as_csv(RECORDS)).unlink()
    (house.top / "netizen-messages" / "b.csv").symlink_to(secret)
    assert house.inbox().scan_once(NOW) == []
    assert secret.exists()


def test_a_name_that_is_taken_in_done(house: House) -> None:
    """The same name a second time keeps both files."""
    for _ in range(3):
        house.put("a.csv", as_csv(RECORDS))
        house.inbox().scan_once(NOW)
    assert sorted(each.name for each in (house.top / "netizen-messages" / "done").iterdir()) == [
        "a.20260310T040000Z-2.csv", "a.20260310T040000Z.csv", "a.csv",
    ]  # fmt: skip


def test_broken_files_are_answered_too(house: House) -> None:
    """A file that is no table at all is moved with its rejection; others of the folder go on."""
    house.put("a.xlsx", b"PK\x03\x04 no workbook")
    house.put("b.csv", as_csv(RECORDS))
    one, two = house.inbox().scan_once(NOW)
    assert (one.taken.rejected, two.taken.accepted) == (1, 3)


@pytest.mark.parametrize("make", [as_csv, as_xlsx])
def test_a_table_without_a_needed_column_is_one_rejection(house: House, make: Callable[..., bytes]) -> None:
    """Nothing of it is taken; the one message has the columns by their titles, the unknown ones seen, and the nearest."""
    renamed = [{"留言时问" if name == "留言时间" else name: value for name, value in record.items()} for record in RECORDS]
    house.put("a.xlsx" if make is as_xlsx else "a.csv", make(renamed))
    [told] = house.inbox().scan_once(NOW)
    [result] = told.taken.results
    assert (result.position, result.reason) == (0, "bad_header")
    assert "缺少必需的列：留言时间" in result.message
    assert "不认识的列：留言时问" in result.message
    assert '"留言时问" 是否应为 "留言时间"' in result.message


def test_files_that_lie_where_nobody_looks_are_told(house: House) -> None:
    """In the inbox itself, and at any depth below a feed's folder, a note says where they belong; it goes away with them."""
    lost = [house.put(name, as_csv(RECORDS), feed=feed) for name, feed in (("a.csv", "."), ("b.csv", "netizen-messages/2026/03"))]
    inbox = house.inbox()
    house.put("c.csv", as_csv(RECORDS))
    assert [one.file.name for one in inbox.scan_once(NOW)] == ["c.csv"]
    for path in lost:
        assert path.exists()
        assert "inbox/<数据源>/" in path.with_name(MISPLACED).read_text("utf-8")
        path.unlink()
    assert sorted(path.name for path in house.top.rglob(MISPLACED)) == [MISPLACED] * 2
    inbox.scan_once(NOW)
    assert list(house.top.rglob(MISPLACED)) == []


def test_a_file_over_a_limit_goes_to_failed_whole(house: House) -> None:
    """Nothing of it is taken but one rejection; it lies in failed/ with its number of records, the limit, and what to do."""
    feed = FEEDS["netizen-messages"]
    strict = replace(feed, shape=replace(feed.shape, limits=replace(feed.shape.limits, rows=2)))
    path = house.put("big.csv", as_csv(RECORDS))
    house.put("small.csv", as_csv(RECORDS[:2]))
    inbox = Inbox(house.top, {feed.feed: strict}, house.edge, house.clock, settle=timedelta(0))
    big, small = inbox.scan_once(NOW)
    assert (big.taken.accepted, big.taken.reasons(), small.taken.accepted) == (0, {"input_too_large": 1}, 2)
    assert big.file == path.parent / "failed" / "big.csv"
    note = big.file.with_name("big.csv.error.txt").read_text("utf-8")
    assert "3 条" in note
    assert "2 条" in note
    assert "拆分" in note
    assert not (path.parent / "done" / "big.csv").exists()


class Dying(Edge):
    """An edge with a defect that shows at one file."""

    def take(self, mapping: Mapping, body: bytes, hint: str, now: datetime) -> Taken:
        if hint == "b.csv":
            raise ZeroDivisionError("a defect")
        return super().take(mapping, body, hint, now)


def test_a_file_that_no_reader_survives_is_set_aside(house: House) -> None:
    """It is moved to failed/ with the reason beside it and told; what comes before and after it goes in, and it is not tried again."""
    paths = {name: house.put(name, as_csv([record])) for name, record in zip(("a.csv", "b.csv", "c.csv"), RECORDS, strict=True)}
    other = house.put("z.csv", as_csv(RECORDS), feed="portal-tickets")
    told: list[SetAside] = []
    edge = Dying(house.intake, MemoryObjectLookup(), KEY)
    inbox = Inbox(house.top, FEEDS, edge, house.clock, settle=timedelta(0), on_set_aside=told.append)
    assert [one.file.name for one in inbox.scan_once(NOW)] == ["a.csv", "c.csv", "z.csv"]
    assert not any(path.exists() for path in (*paths.values(), other))
    [aside] = inbox.set_aside()
    assert (aside.feed, aside.file, aside.why) == (
        "netizen-messages",
        paths["b.csv"].parent / "failed" / "b.csv",
        "ZeroDivisionError: a defect",
    )
    assert [(one.feed, one.file, one.why) for one in told] == [(aside.feed, aside.file, aside.why)]
    assert inbox.scan_once(NOW) == []
    aside.file.rename(paths["b.csv"])
    [taken] = house.inbox().scan_once(NOW)
    assert (taken.taken.accepted, inbox.set_aside()) == (1, [])


def test_a_file_that_cannot_even_be_set_aside_is_left_until_it_changes(house: House) -> None:
    """It holds up nothing and is told once; written anew it is tried again."""
    path = house.put("b.csv", as_csv(RECORDS[:1]))
    house.put("c.csv", as_csv(RECORDS[1:]))
    (path.parent / "failed").write_bytes(b"a file where the folder should be")
    told: list[SetAside] = []
    inbox = Inbox(
        house.top, FEEDS, Dying(house.intake, MemoryObjectLookup(), KEY), house.clock, settle=timedelta(0), on_set_aside=told.append
    )
    names = [[one.file.name for one in inbox.scan_once(NOW)] for _ in range(2)]
    assert "c.csv" in names[0]
    assert names[1] == []
    assert [one.file for one in told] == [path]
    os.utime(path, ns=(1, 1))
    inbox.scan_once(NOW)
    assert len(told) == 2
