"""What holds personal values goes when its feed's retention is over, and only then; a crash leaves nothing that does not go."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app.pipelines import load_mappings
from app.retention import Retention
from connectors.inbound.edge import Edge
from domain.clock import ManualClock
from domain.errors import NotFound, StoreUnavailable
from domain.personal import KeptRaw, PersonalValue
from storage.database import Database
from storage.identity import Identity
from storage.intake import Appender
from storage.memory_journal import MemoryJournal
from storage.raw import RawStore
from storage.registry import MemoryObjectLookup
from storage.sealing import Seal
from storage.tables import personal_values
from storage.vault import Vault
from tests.factories import T0

SEAL = Seal(b"s" * 32)
MONTH = timedelta(days=30)
TOKEN = "p:" + "a" * 24


def test_every_feed_has_a_retention_and_each_its_own(database: Database, tmp_path: Path) -> None:
    """A day's input goes when all of it is older than its feed's mapping says, or the setting where there is no mapping."""
    mappings, clock, seal = load_mappings(None), ManualClock(T0), Seal(b"s" * 32)
    raw = RawStore(tmp_path, seal)
    mapped = mappings["penalties"].retention

    def kept_for(feed: str) -> timedelta:
        return mappings[feed].retention if feed in mappings else timedelta(days=180)

    vault = Vault(database, seal, kept_for)
    retention = Retention(raw, vault, tmp_path / "inbox", kept_for, clock, done=timedelta(days=1))
    first, orphan = raw.put("penalties", clock.now(), b"first"), raw.put("no-mapping", clock.now(), b"orphan")
    clock.advance(timedelta(days=1))
    second = raw.put("penalties", clock.now(), b"second")
    clock.move_to(T0 + timedelta(days=181))
    assert retention.enforce() == 1
    with pytest.raises(NotFound):
        raw.get(orphan)
    clock.move_to(T0 + mapped)
    assert retention.enforce() == 0
    clock.advance(timedelta(days=1))
    assert retention.enforce() == 1
    assert raw.get(second) == b"second"
    with pytest.raises(NotFound):
        raw.get(first)


def test_a_taken_file_lies_in_its_folder_for_a_day_and_its_rejections_for_the_retention(database: Database, tmp_path: Path) -> None:
    """The raw store has the original by its hash; what was set aside, and waits for somebody, stays as long as raw input."""
    for name in ("done/a.csv", "done/a.csv.rejections.csv", "failed/b.csv", "waiting.csv"):
        path = tmp_path / "inbox" / "gas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    moved = datetime.fromtimestamp((tmp_path / "inbox/gas/done/a.csv").stat().st_ctime, UTC)
    clock, seal = ManualClock(moved), Seal(b"s" * 32)
    (tmp_path / "raw").mkdir()
    vault = Vault(database, seal, lambda _: timedelta(days=30))
    retention = Retention(
        RawStore(tmp_path / "raw", seal), vault, tmp_path / "inbox", lambda _: timedelta(days=30), clock, done=timedelta(days=1)
    )
    left = []
    for days in (0.9, 1.1, 29, 31):
        clock.move_to(moved + timedelta(days=days))
        retention.enforce()
        left.append(sorted(path.name for path in (tmp_path / "inbox").rglob("*") if path.is_file()))
    everything = ["a.csv", "a.csv.rejections.csv", "b.csv", "waiting.csv"]
    assert left == [everything, everything[1:], everything[1:], ["waiting.csv"]]


def test_a_value_is_kept_from_the_last_time_that_it_came(database: Database) -> None:
    """Each arrival moves the end of its feed's row; another feed's row ends by itself."""
    vault = Vault(database, SEAL, lambda feed: MONTH if feed == "a" else 2 * MONTH)
    value = [PersonalValue(TOKEN, "phone", "13800138000")]
    vault.keep("a", T0, value, [])
    vault.keep("b", T0, value, [])
    vault.keep("a", T0 + timedelta(days=20), value, [KeptRaw("b" * 64, 1, b"x")])
    left = []
    for days in (30, 49, 51, 61):
        vault.expire(T0 + timedelta(days=days))
        with database.read() as connection:
            left.append({one.feed: one.value is not None for one in vault.held(connection, TOKEN, {"a", "b"})})
    assert left == [{"a": True, "b": True}, {"a": True, "b": True}, {"a": False, "b": True}, {"a": False, "b": False}]


def test_a_crash_before_the_journal_leaves_a_value_that_retention_erases(database: Database) -> None:
    """The value is on the disk before its record is offered: without the record it is an orphan with an end."""
    journal = MemoryJournal()
    vault = Vault(database, SEAL, lambda _: MONTH)

    def keep_and_die(*given: object) -> None:
        vault.keep(*given)  # type: ignore[arg-type]  # the edge gives what the vault takes
        raise StoreUnavailable("the process ends here")

    intake = Appender(journal, Identity.in_memory(journal), ManualClock(T0))
    edge = Edge(intake, MemoryObjectLookup(), b"k" * 32, keep_personal=keep_and_die)
    body = b'{"id": "1", "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T00:00:00Z", "text": "13800138000"}'
    with pytest.raises(StoreUnavailable):
        edge.take_signals("signals", body, "application/json", datetime(2026, 3, 1, 1, tzinfo=UTC))
    intake.close()
    assert journal.head() == 0
    with database.read() as connection:
        [row] = connection.execute(select(personal_values))
        assert [one.value for one in vault.held(connection, row.token, {"signals"})] == ["13800138000"]
    assert vault.expire(row.keep_until) == (1, 0)


class Stuck(RawStore):
    """A raw store one of whose feeds cannot be deleted from."""

    def delete_older_than(self, feed: str, day: date) -> int:
        """Refuse for feed `a`, as a disk does."""
        if feed == "a":
            raise StoreUnavailable("a: read-only file system")
        return super().delete_older_than(feed, day)


def test_what_cannot_be_deleted_keeps_nothing_else(database: Database, tmp_path: Path) -> None:
    """One feed's inputs stay and it is told; values and the other feed's inputs go all the same, around a foreign folder."""
    clock, raw = ManualClock(T0), Stuck(tmp_path, SEAL)
    first, _ = raw.put("a", T0, b"first"), raw.put("b", T0, b"second")
    foreign = next((tmp_path / "b").iterdir()) / "@eaDir"
    foreign.mkdir()
    vault = Vault(database, SEAL, lambda _: MONTH)
    vault.keep("a", T0, [PersonalValue(TOKEN, "phone", "13800138000")], [])
    retention = Retention(raw, vault, tmp_path / "inbox", lambda _: MONTH, clock, done=timedelta(days=1))
    clock.advance(2 * MONTH)
    with pytest.raises(StoreUnavailable, match="read-only"):
        retention.enforce()
    with database.read() as connection:
        assert [one.value for one in vault.held(connection, TOKEN, {"a"})] == [None]
    assert raw.digests() == [first]
    assert foreign.is_dir()
