"""While the disk does not sync, nobody in the application waits for ever, and what is synced late is there once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain.errors import StoreUnavailable
from domain.records import OutcomeEntry, ResolutionEntry, RulesetEntry
from storage import obligations
from tests.app.offices import problem
from tests.app.test_commit import close_in_sql
from tests.app.world import LEAD, RULES, World, eventually, penalty
from tests.connectors.senders import uscc

SHORT = 0.1  # seconds of patience in these tests


class Stall:
    """Holds up the syncs of a world's journal until it is let go."""

    def __init__(self, world: World, patched: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        sync = world.app.journal.sync

        def late() -> None:
            assert self.free.wait(20), "nobody let the disk go"
            sync()

        patched.setattr(world.app.journal, "sync", late)
        patched.setattr("app.synced.PATIENCE", SHORT)
        patched.setattr("app.duty.SYNC_SECONDS", SHORT)


@pytest.fixture
def stall(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stall]:
    """Stall the journal of a world that has closed a warning which the journal has not heard of."""
    close_in_sql(world, world.warn())
    made = Stall(world, monkeypatch)
    yield made
    made.free.set()


def of(world: World, kind: type[OutcomeEntry | ResolutionEntry | RulesetEntry]) -> list[object]:
    """Return the journal's entries of one kind."""
    return [record.entry for record in world.app.journal.read(0) if isinstance(record.entry, kind)]


def test_what_is_owed_is_waited_for_and_not_offered_twice(world: World, stall: Stall) -> None:
    """Turn after turn ends in time; once the disk goes on, the closing stands in the journal once and nothing is owed."""
    outcomes = len(of(world, OutcomeEntry))
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"0\.1"):
            world.app.duty._pay()
    with world.app.database.read() as connection:
        assert len(obligations.owed(connection)) == 1, "a crash now would lose nothing"
    stall.free.set()
    eventually(world.app.duty._pay)
    world.app.settle()
    assert len(of(world, OutcomeEntry)) == outcomes + 1
    with world.app.database.read() as connection:
        assert obligations.owed(connection) == []


def test_timers_fire_while_the_journal_stands_still(world: World, stall: Stall) -> None:
    """The revisit of the closed warning is told on its day, although its closing is not journalled yet."""
    told = len(world.offices[LEAD].told("case.revisit"))
    world.clock.advance(timedelta(days=60))
    world.app.duty._turn()
    assert 'fengsui_loop_errors_total{loop="duty"} 1.0' in world.app.metrics.exposition().decode()
    with world.app.database.read() as connection:
        assert obligations.due_timers(connection, world.clock.now(), 10) == [], "all that was due has fired"
    stall.free.set()
    world.app.settle()
    assert len(world.offices[LEAD].told("case.revisit")) > told


def test_a_rule_set_that_is_journalled_late_is_activated_once_and_is_the_active_one(world: World, stall: Stall) -> None:
    """Looks that time out wait for the same record, also when the folder has gone back to the old set by then."""
    book, before = world.app.services.rulebook, len(of(world, RulesetEntry))
    old = book.active
    (world.rules / "gas.yaml").write_text(RULES.replace(">= 5万元", ">= 4万元"), encoding="utf-8")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            book.refresh()
    (world.rules / "gas.yaml").write_text(RULES, encoding="utf-8")
    with pytest.raises(StoreUnavailable):
        book.refresh()
    assert book.active == old
    stall.free.set()
    eventually(lambda: len(of(world, RulesetEntry)) > before)
    assert book.refresh() == "activated", "back to what the folder holds, after what the journal holds"
    assert (book.active, len(of(world, RulesetEntry))) == (old, before + 2)


def test_a_word_of_completeness_that_is_not_journalled_in_time_is_503(world: World, stall: Stall) -> None:
    """A feed that says it is complete does not wait for ever either."""
    assert not stall.free.is_set()
    path, body = "/v1/feeds/iot-json/complete", {"until": world.clock.now().isoformat()}
    assert world.ask("admin", "POST", path, json=body).status_code == 503


def test_a_confirmation_that_is_not_journalled_in_time_is_503_and_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever clicks again after the 503 does no harm."""
    world.post(penalty(1, "6", CF_XDR_SHXYM=uscc(77), CF_XDR_MC="长安燃气西关站"))
    [waiting] = world.read("/v1/unresolved", "duty")
    path = f"/v1/unresolved/penalties/{waiting['entry']['signal']['id']}"
    stall = Stall(world, monkeypatch)
    for _ in range(2):
        assert problem(world.ask("duty", "POST", path, json={"object_id": "o-gas"}))["status"] == 503
    stall.free.set()
    eventually(lambda: len(of(world, ResolutionEntry)) == 2)
    world.app.settle()
    [warning] = world.warnings()
    assert world.story(warning["id"])["warning"]["evidence_count"] == 1
