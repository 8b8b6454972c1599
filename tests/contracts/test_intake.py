"""What every door to the journal owes those who send: on disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.clock import ManualClock
from domain.ports import Intake, JournalReader, Offer
from domain.records import RejectionEntry, SignalEntry, TickEntry
from storage.identity import Identity
from storage.intake import Appender
from storage.journal import Journal
from storage.memory_journal import MemoryJournal
from tests.factories import T0, make_entry

Door = tuple[Intake, JournalReader]


@pytest.fixture(params=["disk", "memory"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    """Give the door and the journal behind it."""
    clock = ManualClock(T0)
    if request.param == "memory":
        memory = MemoryJournal()
        with Appender(memory, Identity.in_memory(memory), clock) as appender:
            yield appender, memory
        return
    with (
        Journal.open(tmp_path / "journal") as journal,
        Appender(journal, Identity.open(tmp_path / "identity.db", journal), clock) as appender,
    ):
        yield appender, journal


def offers(*ids: str, revisable: bool = False, **kw: object) -> list[Offer]:
    """Return offered signals."""
    return [Offer(entry=make_entry(id=id_, **kw), revisable=revisable) for id_ in ids]


def test_what_is_answered_can_be_read(door: Door) -> None:
    """As soon as the answer is there, the journal gives the records, numbered and stamped as the receipts say."""
    intake, journal = door
    receipts = intake.submit(offers("a", "b", "c")).result(20)
    records = list(journal.read(0))
    assert [(receipt.status, receipt.seq) for receipt in receipts] == [("accepted", record.seq) for record in records]
    assert [record.entry.signal.id for record in records if isinstance(record.entry, SignalEntry)] == ["a", "b", "c"]
    assert {record.received_at for record in records} == {T0}


def test_receipts_stand_in_the_order_of_the_offers(door: Door) -> None:
    """Accepted, duplicate, revised and rejected ones in one call each get their own receipt in their own place."""
    intake, journal = door
    rejection = RejectionEntry(feed="test", batch="", position=9, reason="bad_date", field="f", message="m", raw=b"")
    mixed = [
        *offers("a", "a"),
        *offers("a", severity=3),
        *offers("a", revisable=True, severity=3),
        *offers("b", corrects="nowhere"),
        Offer(entry=rejection),
        Offer(entry=TickEntry()),
    ]
    receipts = intake.submit(mixed).result(20)
    assert [(receipt.status, receipt.seq, receipt.reason) for receipt in receipts] == [
        ("accepted", 1, ""),
        ("duplicate", 1, ""),
        ("rejected", 2, "conflicting_content"),
        ("revision", 3, ""),
        ("rejected", 4, "unknown_target"),
        ("rejected", 5, "bad_date"),
        ("accepted", 6, ""),
    ]
    assert journal.head() == 6


def test_calls_are_numbered_in_their_order(door: Door) -> None:
    """Calls of one sender that do not wait for each other are numbered as they were made, none interleaved."""
    intake, journal = door
    futures = [intake.submit(offers(f"{n}-a", f"{n}-b")) for n in range(50)]
    assert [[receipt.seq for receipt in future.result(20)] for future in futures] == [[2 * n + 1, 2 * n + 2] for n in range(50)]
    assert journal.head() == 100


def test_nothing_offered_is_nothing_written(door: Door) -> None:
    """An empty call is answered with no receipts."""
    intake, journal = door
    assert (intake.submit([]).result(20), journal.head()) == ([], 0)
