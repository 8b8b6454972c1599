"""From bytes to the journal: every record is accounted for, and nothing is acknowledged before it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from connectors.inbound.edge import CHUNK, Edge
from connectors.inbound.mapping_load import load_mapping
from domain.clock import ManualClock
from domain.errors import StoreUnavailable
from domain.ports import Offer, Receipt
from domain.records import ObjectsEntry, RejectionEntry, SignalEntry
from storage.identity import Identity
from storage.intake import Appender
from storage.memory_journal import MemoryJournal
from storage.registry import MemoryObjectLookup
from tests.connectors.senders import FEEDS, KEY, NOW, as_csv, uscc
from tests.factories import make_object

FIRM = uscc(31)
PENALTIES = FEEDS["penalties"]


def penalty(number: int, **change: Any) -> dict[str, Any]:
    """Return a penalty by its codes."""
    return {
        "CF_XDR_MC": "长庆里燃气有限公司", "CF_XDR_SHXYM": FIRM, "CF_WSH": f"{number}号", "CF_SY": "燃气泄漏", "CF_NR_FK": "0.2",
        "CF_JDRQ": "2026-03-01", "CF_CFJG": "市城管局",
    } | change  # fmt: skip


class House:
    """A journal in memory behind the real door."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.journal = MemoryJournal()
        self.intake = Appender(self.journal, Identity.in_memory(self.journal), self.clock)
        self.lookup = MemoryObjectLookup()
        self.lookup.apply(ObjectsEntry(version=1, objects=(make_object(id="gas", name="长庆里燃气有限公司", code=FIRM),)))
        self.raw: list[tuple[str, bytes]] = []
        self.edge = Edge(self.intake, self.lookup, KEY, keep_raw=self._keep)

    def _keep(self, feed: str, _: object, body: bytes) -> str:
        assert self.journal.head() == 0 or self.raw  # the raw input is there before its records
        self.raw.append((feed, body))
        return ""

    def entries(self) -> list[Any]:
        """Return what the journal holds."""
        return [record.entry for record in self.journal.read(0)]


@pytest.fixture
def house() -> Iterator[House]:
    """A house whose door is closed at the end."""
    made = House()
    yield made
    made.intake.close()


def test_every_record_is_accounted_for(house: House) -> None:
    """Accepted, rejected, duplicate and revision are counted, resolved and journalled; the raw input is kept first."""
    body = as_csv([penalty(1), penalty(1), penalty(2, CF_JDRQ="2026-02-30"), penalty(1, CF_NR_FK="0.3"), penalty(3, CF_XDR_SHXYM="-")])
    taken = house.edge.take(PENALTIES, body, "a.csv", NOW)
    assert [result.status for result in taken.results] == ["accepted", "duplicate", "rejected", "revision", "accepted"]
    assert (taken.records, taken.accepted, taken.duplicates, taken.revisions, taken.rejected, taken.skipped) == (5, 2, 1, 1, 1, 0)
    assert taken.reasons() == {"bad_date": 1}
    first, rejected, revision, by_name = house.entries()
    assert isinstance(first, SignalEntry)
    assert (first.resolution.object_id, first.resolution.method, first.position, first.batch) == ("gas", "code", 2, taken.batch)
    assert isinstance(rejected, RejectionEntry)
    assert (rejected.reason, rejected.position, rejected.field) == ("bad_date", 4, "CF_JDRQ")
    assert revision.revision == 1
    assert by_name.resolution.method == "name"
    assert house.raw == [("penalties", body)]


def test_sending_again_repeats_no_signal(house: House) -> None:
    """The second sending of a file is all duplicates, with the numbers of the first."""
    body = as_csv([penalty(number) for number in range(5)])
    first = house.edge.take(PENALTIES, body, "a.csv", NOW)
    second = house.edge.take(PENALTIES, body, "a.csv", NOW)
    assert second.duplicates == 5
    assert [result.seq for result in first.results] == [result.seq for result in second.results]


def test_a_mended_mapping_replays_kept_rejections(house: House) -> None:
    """What a mapping could not read is taken after it was mended; what still fails is not kept twice."""
    text = "feed: test\ntitle: t\nsource: other\nformats: [csv]\nfields:\n  id: [id]\n  at: {from: [at], type: time}\n"
    text += "key: [id]\nsignal: {occurred_at: [at]}\nkind: {default: other.request}\n"
    strict = load_mapping(text + "dates: ['%Y-%m-%d']\n", "t.yaml")
    house.edge.take(strict, b"id,at\n1,2026-03-01\n2,1.3.2026\n3,gestern\n", "a.csv", NOW)
    kept = [entry for entry in house.entries() if isinstance(entry, RejectionEntry)]
    mended = load_mapping(text + "dates: ['%Y-%m-%d', '%d.%m.%Y']\n", "t.yaml")
    taken = house.edge.replay(mended, kept, NOW)
    assert [(result.status, result.position) for result in taken.results] == [("accepted", 3), ("rejected", 4)]
    assert house.journal.head() == 4
    assert house.entries()[-1].batch == kept[0].batch


def test_a_conflict_is_replayed_as_the_signal_it_was(house: House) -> None:
    """Same key, other content, no revision declared: rejected by the journal, and taken once the mapping declares revisions."""
    strict = replace(PENALTIES, revisable=False)
    taken = house.edge.take(strict, as_csv([penalty(1), penalty(1, CF_NR_FK="9")]), "a.csv", NOW)
    assert [(result.status, result.reason) for result in taken.results] == [("accepted", ""), ("rejected", "conflicting_content")]
    again = house.edge.replay(PENALTIES, [entry for entry in house.entries() if isinstance(entry, RejectionEntry)], NOW)
    assert [result.status for result in again.results] == ["revision"]


def test_a_file_with_a_bad_record_sent_twice_keeps_one_rejection(house: House) -> None:
    """The second answer is the first one: same reason, same number; nothing more is journalled."""
    strict = replace(PENALTIES, revisable=False)
    body = as_csv([penalty(1), penalty(2, CF_JDRQ="2026-02-30"), penalty(1, CF_NR_FK="9"), penalty(3, CF_JDRQ="2026-12-30")])
    first = house.edge.take(strict, body, "a.csv", NOW)
    assert first.reasons() == {"bad_date": 1, "conflicting_content": 1, "future": 1}
    again = house.edge.take(strict, body, "a.csv", NOW + timedelta(hours=1))
    assert [(one.status, one.seq) for one in again.results] == [("duplicate", 1), ("rejected", 2), ("rejected", 3), ("rejected", 4)]
    assert house.journal.head() == 4
    other = house.edge.take(strict, body + b"\n", "a.csv", NOW)
    assert (other.rejected, house.journal.head()) == (3, 7), "another input is another rejection"


def test_a_replay_that_is_refused_again_writes_nothing(house: House) -> None:
    """Neither a conflict nor a correction without its signal is kept a second time, and each says why; a mapping's rejection neither."""
    strict = replace(PENALTIES, revisable=False)
    house.edge.take(strict, as_csv([penalty(1), penalty(1, CF_NR_FK="9"), penalty(2, CF_JDRQ="2026-02-30")]), "a.csv", NOW)
    lost = b'{"id": "2", "corrects": "1", "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T08:00:00+08:00"}'
    house.edge.take_signals("partner", lost, "application/json", NOW)
    before = house.journal.head()
    kept = [entry for entry in house.entries() if isinstance(entry, RejectionEntry)]
    assert [entry.reason for entry in kept] == ["conflicting_content", "bad_date", "unknown_target"]
    by_mapping = house.edge.replay(strict, kept[:2], NOW)
    corrections = house.edge.replay_signals("partner", kept[2:], NOW)
    answers = [*by_mapping.results, *corrections.results]
    assert [(one.status, one.reason) for one in answers] == [("rejected", entry.reason) for entry in kept]
    assert all(one.message for one in answers)
    assert house.journal.head() == before


def test_a_replay_refused_for_another_reason_writes_nothing(house: House) -> None:
    """Its mapping was mended, and now the journal refuses it: answered with the new reason, kept under the old one."""
    strict = replace(PENALTIES, revisable=False)
    house.edge.take(strict, as_csv([penalty(1), penalty(1, CF_NR_FK="9")]), "a.csv", NOW)
    [conflict] = [entry for entry in house.entries() if isinstance(entry, RejectionEntry)]
    [result] = house.edge.replay(strict, [msgspec.structs.replace(conflict, batch="another")], NOW).results
    assert (result.status, result.reason, result.seq) == ("rejected", "conflicting_content", 0)
    assert house.journal.head() == 2


def test_a_replayed_record_of_several_signals_has_one_result(house: House) -> None:
    """An event whose one metric was rejected is replayed whole: its other signals are duplicates, the answer is one."""
    iot = FEEDS["iot-json"]
    body = b'[{"device_id": "G1", "ts": 1773100800, "metrics": {"gas_pct_lel": "x", "pressure_kpa": 2, "co_ppm": "y"}}]'
    assert house.edge.take(iot, body, "a.json", NOW).rejected == 2
    kept = [entry for entry in house.entries() if isinstance(entry, RejectionEntry)]
    taken = house.edge.replay(iot, kept, NOW)
    assert [result.status for result in taken.results] == ["rejected", "rejected"]
    assert house.journal.head() == 3


def test_canonical_signals_take_the_same_path(house: House) -> None:
    """The feed is the server's; a batch with a bad one is taken but for it."""
    good = (
        b'{"id": "1", "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T08:00:00+08:00", "object_id": "'
        + FIRM.encode()
        + b'"}'
    )
    taken = house.edge.take_signals("partner", good + b'\n{"id": 5}\n' + good, "application/x-ndjson", NOW)
    assert [result.status for result in taken.results] == ["accepted", "rejected", "duplicate"]
    assert [entry.feed for entry in house.entries()] == ["partner", "partner"]
    assert house.entries()[0].resolution.object_id == "gas"


def test_large_inputs_go_in_chunks(house: House) -> None:
    """No call offers more than a thousand records, and the order of the file is kept."""
    sizes: list[int] = []

    class Counting:
        def submit(self, offers: Sequence[Offer]) -> Future[list[Receipt]]:
            sizes.append(len(offers))
            return house.intake.submit(offers)

    edge = Edge(Counting(), house.lookup, KEY)
    taken = edge.take(PENALTIES, as_csv([penalty(number) for number in range(2 * CHUNK + 500)]), "a.csv", NOW)
    assert sizes == [CHUNK, CHUNK, 500]
    assert [result.seq for result in taken.results] == list(range(1, 2 * CHUNK + 501))


def test_no_answer_before_the_sync() -> None:
    """A journal that does not sync in time is no acknowledgement."""

    class Stalled:
        def submit(self, offers: Sequence[Offer]) -> Future[list[Receipt]]:
            assert offers
            return Future()

    edge = Edge(Stalled(), MemoryObjectLookup(), KEY, timeout=timedelta(milliseconds=20))
    with pytest.raises(StoreUnavailable, match="send again"):
        edge.take(PENALTIES, as_csv([penalty(1)]), "a.csv", NOW)
