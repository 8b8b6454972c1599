"""The door to the journal: no answer before the sync, every decision about a key, and what a full disk or queue does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.catalogue import Catalogue, CatalogueItem
from domain.clock import ManualClock
from domain.digest import digest_of
from domain.errors import StoreUnavailable
from domain.ports import Offer, Receipt
from domain.records import CatalogueEntry, Record, RejectionEntry, SignalEntry, TickEntry
from domain.signals import Signal
from storage.identity import Identity
from storage.intake import Appender
from storage.journal import Journal
from tests.factories import T0, at, make_entry
from tests.storage.disk import StallingSync, no_file_beyond


class Rig:
    """An appender over a journal on disk with a sync that can be stalled and a clock that is moved by hand."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.sync = StallingSync()
        self.clock = ManualClock(T0)
        self.synced: list[Record] = []
        self.duplicates: dict[str, int] = {}
        self.journal = Journal.open(folder / "journal", sync=self.sync)
        self.identity = Identity.open(folder / "identity.db", self.journal)
        self.appender = Appender(
            self.journal, self.identity, self.clock, on_synced=self.synced.extend, on_duplicates=self._count, **options
        )

    def _count(self, counts: Mapping[str, int]) -> None:
        for feed, n in counts.items():
            self.duplicates[feed] = self.duplicates.get(feed, 0) + n

    def send(self, *offers: Offer) -> list[Receipt]:
        """Submit and wait for the answer."""
        return self.appender.submit(offers).result(20)

    def read(self) -> list[Record]:
        """Return the whole journal."""
        return list(self.journal.read(0))

    def close(self) -> None:
        """Stop in order."""
        self.sync.go.set()
        self.appender.close()
        self.journal.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Give a fresh rig."""
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def offer(id_: str = "s-1", *, revisable: bool = False, feed: str = "test", **kw: Any) -> Offer:
    """Return an offered signal with its true digest."""
    entry = make_entry(id=id_, feed=feed, **kw)
    return Offer(entry=msgspec.structs.replace(entry, digest=digest_of(entry.signal)), revisable=revisable)


def statuses(receipts: Sequence[Receipt]) -> list[tuple[str, int]]:
    """Return status and seq of each receipt."""
    return [(receipt.status, receipt.seq) for receipt in receipts]


def assert_waiting(future: Future[list[Receipt]]) -> None:
    """Make sure that nobody is answered while the sync is held."""
    with pytest.raises(StillWaiting):
        future.result(0.05)


def test_no_answer_before_the_sync_returns(rig: Rig) -> None:
    """While the sync is stalled there is no answer, no readable record and no call to the runtime; then there are all three."""
    rig.sync.stall()
    future = rig.appender.submit([offer()])
    assert rig.sync.started.wait(20)
    assert_waiting(future)
    assert (rig.journal.head(), rig.synced, rig.read()) == (0, [], [])
    rig.sync.go.set()
    assert statuses(future.result(20)) == [("accepted", 1)]
    assert [record.seq for record in rig.read()] == [1]


def test_a_duplicate_waits_for_the_sync_of_the_first_content(rig: Rig) -> None:
    """A repeat of a record that is not yet synced is not told that it is there."""
    rig.sync.stall()
    first = rig.appender.submit([offer("s-1")])
    assert rig.sync.started.wait(20)
    second = rig.appender.submit([offer("s-1")])
    assert_waiting(second)
    rig.sync.go.set()
    assert (statuses(first.result(20)), statuses(second.result(20))) == ([("accepted", 1)], [("duplicate", 1)])


A, B, C = {"severity": 1}, {"severity": 2}, {"severity": 3}

KEYS: list[tuple[str, list[tuple[dict[str, Any], bool]], list[tuple[str, int]]]] = [
    ("same content", [(A, False), (A, False)], [("accepted", 1), ("duplicate", 1)]),
    ("same content, revisable", [(A, True), (A, True)], [("accepted", 1), ("duplicate", 1)]),
    ("other content", [(A, False), (B, False)], [("accepted", 1), ("rejected", 2)]),
    ("other content, revisable", [(A, True), (B, True)], [("accepted", 1), ("revision", 2)]),
    ("revised twice", [(A, True), (B, True), (C, True)], [("accepted", 1), ("revision", 2), ("revision", 3)]),
    ("a repeated revision", [(A, True), (B, True), (B, True)], [("accepted", 1), ("revision", 2), ("duplicate", 2)]),
    ("back to the first content", [(A, True), (B, True), (A, True)], [("accepted", 1), ("revision", 2), ("revision", 3)]),
    ("a conflict changes nothing", [(A, False), (B, False), (A, False)], [("accepted", 1), ("rejected", 2), ("duplicate", 1)]),
    ("a conflict, replayed as a revision", [(A, False), (B, False), (B, True)], [("accepted", 1), ("rejected", 2), ("revision", 3)]),
]  # fmt: skip


@pytest.mark.parametrize("how", ["one call", "one group", "one by one", "after a restart"])
@pytest.mark.parametrize(("case", "contents", "expected"), KEYS, ids=[case for case, _, _ in KEYS])
def test_what_becomes_of_a_key(
    how: str, case: str, contents: list[tuple[dict[str, Any], bool]], expected: list[tuple[str, int]], tmp_path: Path
) -> None:
    """The answer to each content is the same in one call, in one group of calls, in calls of their own, and over restarts."""
    del case
    offers = [offer("s-1", revisable=revisable, **content) for content, revisable in contents]
    got: list[tuple[str, int]] = []
    rig = Rig(tmp_path)
    if how == "one call":
        got = statuses(rig.send(*offers))
    elif how == "one group":
        rig.sync.stall()
        blocker = rig.appender.submit([Offer(entry=TickEntry())])
        assert rig.sync.started.wait(20)
        futures = [rig.appender.submit([one]) for one in offers]
        rig.sync.go.set()
        blocker.result(20)
        got = [(status, seq - 1) for future in futures for status, seq in statuses(future.result(20))]
    else:
        for one in offers:
            got += statuses(rig.send(one))
            if how == "after a restart":
                rig.close()
                rig = Rig(tmp_path)
    rig.close()
    assert got == expected


def test_a_revision_carries_its_number(rig: Rig) -> None:
    """Revisions of one key count 1, 2, … in their records; the first content is 0."""
    rig.send(offer(revisable=True, **A), offer(revisable=True, **B), offer(revisable=True, **C))
    assert [record.entry.revision for record in rig.read() if isinstance(record.entry, SignalEntry)] == [0, 1, 2]


def test_the_same_id_of_two_feeds_is_two_records(rig: Rig) -> None:
    """The feed is part of the key."""
    assert statuses(rig.send(offer("s-1", feed="a"), offer("s-1", feed="b", **C))) == [("accepted", 1), ("accepted", 2)]


def test_a_conflict_is_kept_with_its_content(rig: Rig) -> None:
    """The rejection names reason, field and the first record, and its raw bytes are the signal that came."""
    other = offer("s-1", **B)
    _, receipt = rig.send(offer("s-1", **A), other)
    assert (receipt.reason, receipt.field) == ("conflicting_content", "id")
    assert "记录 1" in receipt.message
    entry = rig.read()[1].entry
    assert isinstance(entry, RejectionEntry)
    assert isinstance(other.entry, SignalEntry)
    assert msgspec.json.decode(entry.raw, type=Signal) == other.entry.signal


@pytest.mark.parametrize("field", ["corrects", "withdraws"])
def test_a_correction_needs_its_target(rig: Rig, field: str) -> None:
    """Correcting or withdrawing what the same feed never sent is kept as `unknown_target`; with the target there it is accepted."""
    rig.send(offer("s-0", feed="other"))
    (missing,) = rig.send(offer("s-9", **{field: "s-0"}))
    assert (missing.status, missing.reason, missing.field) == ("rejected", "unknown_target", field)
    assert statuses(rig.send(offer("s-0"), offer("s-9", **{field: "s-0"}))) == [("accepted", 3), ("accepted", 4)]


def test_a_signal_may_correct_its_own_id(rig: Rig) -> None:
    """Other content under the same id that says it corrects that id is a revision, whatever its feed declares."""
    rig.send(offer("s-1"))
    assert statuses(rig.send(offer("s-1", corrects="s-1", **C))) == [("revision", 2)]


def test_a_rejection_of_the_edge_is_answered_as_rejected(rig: Rig) -> None:
    """A record that could not be mapped keeps its reason in the receipt."""
    entry = RejectionEntry(feed="f", batch="", position=1, reason="bad_date", field="date", message="m", raw=b"x")
    assert rig.send(Offer(entry=entry)) == [Receipt(status="rejected", seq=1, reason="bad_date", field="date", message="m")]


DEEP: dict[str, Any] = {}
for _ in range(100_000):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize("bad", [{"attrs": {"n": 10**30}}, {"text": "\ud800"}, {"attrs": DEEP}, {"text": "长" * 12_000_000}])
def test_what_cannot_be_written_is_kept_as_a_rejection_alone(rig: Rig, bad: dict[str, Any]) -> None:
    """A value that JSON allows and the journal cannot hold rejects its own record; the others of its call are accepted."""
    call = [offer("s-1"), Offer(entry=make_entry(id="s-2", digest="d", **bad)), offer("s-3")]
    receipts = rig.send(*call)
    assert statuses(receipts) == [("accepted", 1), ("rejected", 2), ("accepted", 3)]
    assert receipts[1].reason == ("too_large" if len(bad.get("text", "")) > 1 else "bad_value")
    entry = rig.read()[1].entry
    assert isinstance(entry, RejectionEntry)
    assert b"s-2" in entry.raw or receipts[1].reason == "too_large"


def test_a_system_entry_that_cannot_be_written_is_a_defect(rig: Rig) -> None:
    """A caller inside the product hears of it at once, and nothing is queued."""
    broken = CatalogueEntry(catalogue=Catalogue(items=(CatalogueItem(slug="\ud800", title="", sector="", lead=""),)))
    with pytest.raises(ValueError, match="CatalogueEntry"):
        rig.appender.submit([Offer(entry=TickEntry()), Offer(entry=broken)])
    assert rig.appender.pending() == (0, 0)


def test_a_missing_digest_is_made(rig: Rig) -> None:
    """An entry without a digest gets that of its signal."""
    rig.send(Offer(entry=make_entry()))
    assert statuses(rig.send(offer())) == [("duplicate", 1)]


def test_the_runtime_gets_every_record_once_in_order(rig: Rig) -> None:
    """What many threads send is handed on complete, in the order of the journal, each call's entries together."""

    def send(thread: int) -> None:
        for n in range(40):
            rig.send(*[offer(f"{thread}-{n}-{part}") for part in range(3)])

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rig.appender.close()
    assert [record.seq for record in rig.synced] == list(range(1, 8 * 40 * 3 + 1))
    assert rig.synced == rig.read()
    ids = [record.entry.signal.id for record in rig.synced if isinstance(record.entry, SignalEntry)]
    assert all(ids[n + part].rsplit("-", 1) == [ids[n].rsplit("-", 1)[0], str(part)] for n in range(0, len(ids), 3) for part in range(3))


def test_received_at_never_goes_back(tmp_path: Path) -> None:
    """A clock that starts earlier than the journal's last record stands still for new records until it has caught up."""
    rig = Rig(tmp_path)
    rig.clock.advance(timedelta(hours=5))
    rig.send(offer("s-1"))
    rig.close()
    rig = Rig(tmp_path)
    rig.send(offer("s-2"))
    rig.clock.advance(timedelta(hours=6))
    rig.send(offer("s-3"))
    assert [record.received_at for record in rig.read()] == [at(5), at(5), at(6)]
    rig.close()


def test_duplicates_are_counted_by_feed_and_not_journalled(rig: Rig) -> None:
    """A repeated table costs no journal space and is counted."""
    table = [offer(f"s-{n}", feed="table") for n in range(5)]
    rig.send(*table)
    rig.send(*table)
    rig.appender.close()
    assert (rig.duplicates, rig.journal.head()) == ({"table": 5}, 5)


def test_a_full_queue_refuses_at_once(tmp_path: Path) -> None:
    """Offers and bytes are bounded: what does not fit is refused without waiting, and fits again once the queue has moved."""
    rig = Rig(tmp_path, max_offers=3, max_bytes=100_000)
    rig.sync.stall()
    first = rig.appender.submit([offer("s-1")])
    assert rig.sync.started.wait(20)
    second = rig.appender.submit([offer("s-2"), offer("s-3")])
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="3 of 3 records"):
        rig.appender.submit([offer("s-4")])
    assert time.monotonic() - began < 1
    rig.sync.go.set()
    assert (statuses(first.result(20)), statuses(second.result(20))) == ([("accepted", 1)], [("accepted", 2), ("accepted", 3)])
    with pytest.raises(StoreUnavailable, match="bytes"):
        rig.appender.submit([offer("s-5", text="长" * 50_000)])
    deadline = time.monotonic() + 20
    while rig.appender.pending() != (0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert statuses(rig.send(offer("s-4"))) == [("accepted", 4)]
    rig.close()


def test_a_full_disk_refuses_then_recovers(rig: Rig) -> None:
    """Without space the whole call is refused and forgotten; with space the same call is accepted, not taken for a repeat."""
    rig.send(offer("s-1"))
    call = [offer(f"s-{n}") for n in range(2, 40)]
    size = sum(path.stat().st_size for path in (rig.folder / "journal").glob("*.seg"))
    with no_file_beyond(size + 3_000), pytest.raises(StoreUnavailable, match="free space"):
        rig.send(*call)
    assert [record.seq for record in rig.read()] == [1]
    assert statuses(rig.send(*call)) == [("accepted", seq) for seq in range(2, 40)]
    assert rig.synced[0].seq == 1


def test_closing_answers_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    """Everything submitted before the end is answered; afterwards the door is shut."""
    rig = Rig(tmp_path)
    futures = [rig.appender.submit([offer(f"s-{n}")]) for n in range(300)]
    rig.appender.close()
    assert [future.result(0)[0].seq for future in futures] == list(range(1, 301))
    with pytest.raises(StoreUnavailable, match="closed"):
        rig.appender.submit([offer("late")])
    rig.journal.close()


def test_a_call_without_offers_is_answered(rig: Rig) -> None:
    """Nothing to write is done at once."""
    assert rig.send() == []


def test_an_answer_cannot_be_cancelled(rig: Rig) -> None:
    """A sender that goes away does not stop its record from being written, nor the appender."""
    rig.sync.stall()
    future = rig.appender.submit([offer("s-1")])
    assert not future.cancel()
    rig.sync.go.set()
    assert statuses(future.result(20)) == [("accepted", 1)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_the_runtime_stops_the_door_loudly(tmp_path: Path) -> None:
    """When handing on fails, the record stays acknowledged, later callers are refused instead of left waiting, and it shows."""
    with Journal.open(tmp_path / "journal") as journal:

        def broken(_records: Sequence[Record]) -> None:
            raise ZeroDivisionError

        appender = Appender(journal, Identity.in_memory(journal), ManualClock(T0), on_synced=broken)
        assert statuses(appender.submit([offer("s-1")]).result(20)) == [("accepted", 1)]
        appender._thread.join(20)
        assert not appender.alive()
        with pytest.raises(StoreUnavailable):
            appender.submit([offer("s-2")])


def test_system_entries_pass_the_same_door(rig: Rig) -> None:
    """Ticks and the like are numbered with the signals."""
    rig.send(offer("s-1"))
    assert statuses(rig.appender.submit([Offer(entry=TickEntry()), Offer(entry=TickEntry())]).result(20)) == [
        ("accepted", 2),
        ("accepted", 3),
    ]


def refusal(position: int, reason: str = "bad_date", message: str = "") -> Offer:
    """Return an offered rejection of a record of one input."""
    entry = RejectionEntry(feed="test", batch="b", position=position, reason=reason, field="f", message=message, raw=b"r")
    return Offer(entry=entry)


@pytest.mark.parametrize("lost", [False, True], ids=["closed", "index lost"])
def test_a_rejection_is_kept_once_over_restarts(lost: bool, tmp_path: Path) -> None:
    """The same rejection has the number of the first one, also after a restart and where the index had to be made again."""
    rig = Rig(tmp_path)
    sent = [refusal(1), refusal(1), refusal(2), refusal(1, "future", "at 8"), refusal(1, "future", "at 9"), refusal(1, message="other")]
    assert statuses(rig.send(*sent)) == [("rejected", seq) for seq in (1, 1, 2, 3, 3, 4)]
    rig.send(offer("s-1"), offer("s-1", severity=3))
    rig.close()
    if lost:
        (tmp_path / "identity.db").unlink()
    rig = Rig(tmp_path)
    assert statuses(rig.send(*sent)) == [("rejected", seq) for seq in (1, 1, 2, 3, 3, 4)]
    assert statuses(rig.send(offer("s-1", severity=3))) == [("rejected", 6)]
    assert rig.journal.head() == 6
    rig.close()


def test_what_is_not_to_be_kept_is_answered_only(rig: Rig) -> None:
    """A refused offer that its sender keeps already gives its reason and no record; one that is accepted is written as ever."""
    rig.send(offer("s-1"))
    offered = [msgspec.structs.replace(one, keep=False) for one in (offer("s-1", severity=3), offer("s-2"), refusal(1))]
    receipts = rig.send(*offered)
    assert [(one.status, one.seq, one.reason) for one in receipts] == [
        ("rejected", 0, "conflicting_content"), ("accepted", 2, ""), ("rejected", 0, "bad_date"),
    ]  # fmt: skip
    assert rig.journal.head() == 2
