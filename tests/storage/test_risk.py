"""Journal records as rows, and what pages read of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select

from domain.catalogue import Catalogue, CatalogueItem
from domain.errors import Conflict, NotFound
from domain.objects import Resolution
from domain.partitions import Place
from domain.records import (
    AnyEntry,
    CatalogueEntry,
    FeedEntry,
    OutcomeEntry,
    Record,
    RejectionEntry,
    ResolutionEntry,
    RulesetEntry,
    SignalEntry,
    TickEntry,
)
from domain.signals import ObjectRef
from storage import intake_reads, risk
from storage.database import Database
from storage.findings import story
from storage.tables import signals
from tests.factories import T0, at, make_record


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Give the inside of one transaction, over every kind of database."""
    with database.write() as connection:
        yield connection


def record(seq: int, entry: AnyEntry) -> Record:
    """Return a record received `seq` hours after T0."""
    return Record(seq=seq, received_at=at(seq), entry=entry)


def rejection(seq: int, **kw: Any) -> Record:
    """Return a rejection as a record."""
    given: dict[str, Any] = {
        "feed": "f",
        "batch": "b",
        "position": seq,
        "reason": "bad_date",
        "field": "日期",
        "message": "m",
        "raw": b"\xff",
    }
    return record(seq, RejectionEntry(**(given | kw)))


def by_status(connection: Connection) -> list[tuple[int, str]]:
    """Return seq and status of every signal."""
    return [(row[0], row[1]) for row in connection.execute(select(signals.c.seq, signals.c.status).order_by(signals.c.seq))]


def test_a_signal_comes_back_as_journalled(connection: Connection) -> None:
    """Every field of the entry, to the microsecond, and what the row adds."""
    occurred = T0 + timedelta(microseconds=123_457)
    one = make_record(7, received_at=at(1), occurred_at=occurred, value=0.1, text="小区燃气异味", attrs={"n": [1, None]})
    risk.apply_records(connection, [one])
    (stored,) = intake_reads.signals_of_object(connection, "o-1")
    assert stored == intake_reads.StoredSignal(
        seq=7, received_at=at(1), object_id="o-1", method="id", confidence=1.0, status="active", entry=one.entry
    )
    assert connection.scalar(select(signals.c.occurred_at)) == occurred


@pytest.mark.parametrize("cut", [1, 2, 3, 9])
def test_revisions_corrections_and_withdrawals_change_the_earlier_rows(connection: Connection, cut: int) -> None:
    """The status of every row is the same however the records are cut into calls."""
    records = [
        make_record(1, id="a"),
        make_record(2, id="a", revision=1),  # revises 1
        make_record(3, id="b"),
        make_record(4, id="c", corrects="b"),  # corrects 3
        make_record(5, id="d"),
        make_record(6, id="e", withdraws="d"),  # takes 5 back
        make_record(7, id="d", feed="other"),  # another feed's d
        make_record(8, id="a", revision=2),  # revises 2
    ]
    for start in range(0, len(records), cut):
        risk.apply_records(connection, records[start : start + cut])
    assert by_status(connection) == [
        (1, "revised"), (2, "revised"), (3, "revised"), (4, "active"), (5, "withdrawn"), (6, "withdrawn"), (7, "active"), (8, "active"),
    ]  # fmt: skip
    assert [stored.seq for stored in intake_reads.signals_of_key(connection, "test", "a")] == [1, 2, 8]


def test_records_at_or_below_the_applied_position_change_nothing(connection: Connection) -> None:
    """Applying the same records again after the position moved leaves rows and counters as they were."""
    records = [make_record(seq, id=f"s-{seq}") for seq in (1, 2, 3)]
    risk.apply_records(connection, records[:2])
    risk.set_applied(connection, 2)
    risk.apply_records(connection, records)
    risk.set_applied(connection, 3)
    risk.set_applied(connection, 1)
    assert (risk.applied_position(connection), by_status(connection)) == (3, [(1, "active"), (2, "active"), (3, "active")])
    assert intake_reads.feeds_status(connection)[0].accepted == 3


def test_an_objects_signals_come_newest_first_in_pages(connection: Connection) -> None:
    """Pages by event time, ties by number, without gaps or repeats; other objects' signals stay away."""
    hours = [5, 3, 3, 3, 9, 1, 7]
    risk.apply_records(connection, [make_record(seq, id=f"s-{seq}", occurred_at=at(hour)) for seq, hour in enumerate(hours, start=1)])
    risk.apply_records(connection, [make_record(8, id="x", object=ObjectRef(id="o-2"))])
    seen: list[int] = []
    before = None
    while page := intake_reads.signals_of_object(connection, "o-1", before=before, limit=2):
        seen += [stored.seq for stored in page]
        before = (page[-1].entry.signal.occurred_at, page[-1].seq)
    assert seen == [5, 7, 1, 4, 3, 2, 6]


def test_the_confirm_queue_empties_by_confirming(connection: Connection) -> None:
    """Signals without an object wait in order; a confirm gives them their object and takes them out; withdrawn ones do not wait."""
    nothing = Resolution(method="none")
    risk.apply_records(connection, [make_record(seq, id=f"s-{seq}", resolution=nothing) for seq in (1, 2, 3, 4)])
    risk.apply_records(connection, [make_record(5, id="w", withdraws="s-4", resolution=nothing)])
    assert [stored.seq for stored in intake_reads.unresolved_signals(connection)] == [1, 2, 3]
    assert [stored.seq for stored in intake_reads.unresolved_signals(connection, after=1, limit=1)] == [2]
    risk.apply_records(connection, [record(6, ResolutionEntry(feed="test", signal_id="s-2", object_id="o-9", by="li"))])
    assert intake_reads.count_unresolved(connection) == 2
    (stored,) = intake_reads.signals_of_object(connection, "o-9")
    assert (stored.seq, stored.method, stored.confidence) == (2, "confirmed", 1.0)
    risk.apply_records(connection, [record(7, ResolutionEntry(feed="test", signal_id="s-1", object_id="", by="li"))])
    assert [stored.seq for stored in intake_reads.unresolved_signals(connection)] == [3], "about no registered object: out of the queue"
    assert not (intake_reads.get_signal(connection, 1) or stored).waiting
    risk.apply_records(
        connection, [make_record(8, id="s-1", revision=1, resolution=nothing), make_record(9, id="s-2", revision=1, resolution=nothing)]
    )
    assert [stored.seq for stored in intake_reads.unresolved_signals(connection)] == [3], "a revision inherits what was said"
    assert [one.seq for one in intake_reads.signals_of_object(connection, "o-9") if one.status == "active"] == [9]


def test_the_confirm_queue_has_its_index(connection: Connection) -> None:
    """The queue is found by its partial index, not by a walk over all signals."""
    explain = "EXPLAIN QUERY PLAN "
    if connection.dialect.name == "postgresql":  # which walks over a table as small as this one, unless told not to
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN "
    plan = connection.exec_driver_sql(
        explain
        + str(select(signals.c.seq).where(intake_reads._waiting).order_by(signals.c.seq).compile(compile_kwargs={"literal_binds": True}))
    ).all()
    assert "signals_unresolved" in str(plan)


def test_rejections_are_listed_by_what_is_asked(connection: Connection) -> None:
    """Newest first, by feed, reason and status, in pages; the raw bytes come back."""
    given = [("f", "bad_date"), ("g", "bad_date"), ("f", "future"), ("f", "bad_date")]
    risk.apply_records(connection, [rejection(seq, feed=feed, reason=reason) for seq, (feed, reason) in enumerate(given, start=1)])
    listed = intake_reads.list_rejections

    def seqs(**kw: Any) -> list[int]:
        return [one.seq for one in listed(connection, **kw)]

    assert (seqs(), seqs(feed="f"), seqs(feed="f", reason="bad_date"), seqs(limit=2), seqs(before=3)) == (
        [4, 3, 2, 1], [4, 3, 1], [4, 1], [4, 3], [2, 1],
    )  # fmt: skip
    assert listed(connection, feed="g")[0].raw == b"\xff"
    assert intake_reads.count_open_rejections(connection) == {("f", "bad_date"): 2, ("f", "future"): 1, ("g", "bad_date"): 1}


def test_rejections_of_two_partitions_are_listed_by_their_time(connection: Connection) -> None:
    """Numbers of a later partition are larger, whenever they came: pages go by the time, each rejection once."""
    numbers = [Place(partition, offset, 0).seq() for partition in (0, 1) for offset in range(3)]
    hours = dict(zip(numbers, (0, 2, 4, 1, 2, 5), strict=True))
    for seq, hour in hours.items():
        risk.apply_records(connection, [Record(seq=seq, received_at=at(hour), entry=rejection(1).entry)], after=0)
    pages: list[list[int]] = []
    while page := intake_reads.list_rejections(connection, before=pages[-1][-1] if pages else 0, limit=2):
        pages.append([one.seq for one in page])
    assert [hours[seq] for page in pages for seq in page] == [5, 4, 2, 2, 1, 0]
    assert sorted(seq for page in pages for seq in page) == numbers
    assert [one.seq for one in intake_reads.walk_rejections(connection, numbers[1], 3)] == numbers[2:5]


def test_a_rejection_is_settled_once(connection: Connection) -> None:
    """Replayed or dismissed once; a second time is a conflict, an unknown one is not found."""
    risk.apply_records(connection, [rejection(1), rejection(2)])
    intake_reads.mark_replayed(connection, 1, 9)
    intake_reads.dismiss_rejection(connection, 2)
    states = [(one.status, one.replayed_seq) for one in intake_reads.list_rejections(connection)]
    assert states == [("dismissed", None), ("replayed", 9)]
    with pytest.raises(Conflict, match="replayed already"):
        intake_reads.dismiss_rejection(connection, 1)
    with pytest.raises(NotFound, match="record 3"):
        intake_reads.mark_replayed(connection, 3, 9)
    assert intake_reads.list_rejections(connection, status="open") == []


def test_a_feed_counts_and_remembers_its_times(connection: Connection) -> None:
    """Counters add up over calls, the newest event time never falls, silence and completeness come from marks."""
    risk.apply_records(
        connection, [make_record(1, received_at=at(1), occurred_at=at(1)), make_record(2, received_at=at(2), occurred_at=at(-5))]
    )
    risk.apply_records(connection, [make_record(3, revision=1, received_at=at(3), occurred_at=at(0)), rejection(4, feed="test")])
    risk.add_duplicates(connection, {"test": 5, "new": 1})
    risk.apply_records(
        connection,
        [
            record(5, FeedEntry(feed="test", mark="complete", until=at(2))),
            record(6, FeedEntry(feed="test", mark="silent")),
            record(7, FeedEntry(feed="quiet", mark="silent")),
        ],
    )
    new, quiet, test = intake_reads.feeds_status(connection)
    assert test == intake_reads.FeedStatus(
        feed="test", accepted=3, rejected=1, duplicates=5, revisions=1, last_received_at=at(5), last_occurred_at=at(1),
        complete_until=at(2), silent_since=at(6),
    )  # fmt: skip
    assert (new.duplicates, new.last_received_at, quiet.accepted, quiet.silent_since) == (1, None, 0, at(7))
    risk.apply_records(connection, [record(8, FeedEntry(feed="test", mark="back"))])
    assert intake_reads.feeds_status(connection)[2].silent_since is None
    marks = [FeedEntry(feed="test", mark="complete", until=until) for until in (at(5), at(4))]
    risk.apply_records(connection, [record(9, marks[0]), record(10, marks[1])])
    told = intake_reads.feeds_status(connection)[2]
    assert (told.complete_until, told.last_received_at) == (at(5), at(10)), "what was complete once stays so"


def test_the_newest_catalogue_is_current(connection: Connection) -> None:
    """The empty catalogue until one is imported, then the highest version."""
    assert risk.current_catalogue(connection) == Catalogue()
    item = CatalogueItem(slug="gas-use", title="燃气", sector="gas", lead="市住建局")
    for seq, version in ((1, 1), (2, 2)):
        risk.apply_records(connection, [record(seq, CatalogueEntry(catalogue=Catalogue(version=version, items=(item,) * version)))])
    assert risk.current_catalogue(connection) == Catalogue(version=2, items=(item, item))


def test_the_last_activated_rule_set_is_active(connection: Connection) -> None:
    """Stored sets are not active; the newest activation decides, and an older set may come back; texts survive."""
    assert (risk.active_ruleset(connection), risk.ruleset_texts(connection, "r1")) == ("", None)
    for version in ("r1", "r2"):
        risk.store_ruleset(connection, version, {"gas.yaml": f"# {version}"}, "li")
    assert risk.active_ruleset(connection) == ""
    for seq, version in enumerate(("r1", "r2", "r1"), start=1):
        risk.apply_records(connection, [record(seq, RulesetEntry(version=version))])
        assert risk.active_ruleset(connection) == version
    assert risk.ruleset_texts(connection, "r2") == {"gas.yaml": "# r2"}
    risk.apply_records(connection, [record(4, RulesetEntry(version="elsewhere"))])
    assert risk.ruleset_texts(connection, "elsewhere") is None
    risk.store_ruleset(connection, "elsewhere", {"a": "b"}, "li")
    assert (risk.active_ruleset(connection), risk.ruleset_texts(connection, "elsewhere")) == ("elsewhere", {"a": "b"})


def test_what_departments_found_is_part_of_the_story(connection: Connection) -> None:
    """An outcome record is a step in its warning's story; a tick leaves nothing."""
    risk.apply_records(connection, [record(1, OutcomeEntry(warning_id="w1", verdict="confirmed", closed=True)), record(2, TickEntry())])
    (event,) = story(connection, "w1")
    assert (event.at, event.kind, event.detail) == (at(1), "outcome", {"verdict": "confirmed", "closed": True})


def test_a_file_database_answers_alike(tmp_path: Path) -> None:
    """The rows are the same in a file, and a reader sees them after the commit."""
    records = [make_record(1, id="a"), make_record(2, id="b", corrects="a"), rejection(3)]
    with Database.open(tmp_path / "x.db") as database:
        with database.write() as connection:
            risk.apply_records(connection, records)
            risk.set_applied(connection, 3)
        with database.read() as connection:
            assert (by_status(connection), risk.applied_position(connection)) == ([(1, "revised"), (2, "active")], 3)
            entry = intake_reads.signals_of_object(connection, "o-1", limit=1)[0].entry
            assert msgspec.structs.asdict(entry) == msgspec.structs.asdict(records[1].entry)


MARKS = ("plain", "tab\there", "two\nlines\r", "\\N", "\\", "end\\", "没有\\t标记", "")


def test_signals_come_back_as_they_came(connection: Connection) -> None:
    """Marks of the database's own, beside rows without any."""
    plain = [make_record(seq, id=f"p{seq}", value=None if seq % 2 else 0.1, text="无") for seq in range(1, 4)]
    marked = [make_record(10 + seq, id=f"m{seq}{said}", text=said, kind=said) for seq, said in enumerate(MARKS)]
    for some in (plain, [*plain, *marked]):  # as a block that needs no marks, and as one that does
        risk.apply_records(connection, [msgspec.structs.replace(one, seq=one.seq + 100 * len(some)) for one in some], after=0)
        rows = connection.execute(select(signals).order_by(signals.c.seq).where(signals.c.seq >= 100 * len(some))).all()
        told = [(row.id, row.kind, msgspec.json.decode(row.body, type=SignalEntry)) for row in rows]
        sent = [(one.entry.signal, one.entry) for one in some if isinstance(one.entry, SignalEntry)]
        assert told == [(said.id, said.kind, entry) for said, entry in sent]


def test_a_nul_in_a_signal_is_kept_where_it_can_be(connection: Connection) -> None:
    """The column has its picture where the database cannot hold it, the noun what was sent."""
    risk.apply_records(connection, [make_record(1, kind="a\0b"), make_record(2, id="s-2", kind="c")], after=0)
    one, other = connection.execute(select(signals).order_by(signals.c.seq)).all()
    assert one.kind == ("a\u2400b" if connection.dialect.name == "postgresql" else "a\0b")
    assert msgspec.json.decode(one.body, type=SignalEntry).signal.kind == "a\0b"
    assert other.kind == "c"
