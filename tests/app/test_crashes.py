"""What a crash may leave between two steps, one step at a time; the campaigns kill whole processes, these look at the seams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.wiring import Application
from domain.errors import StoreUnavailable
from domain.findings import Outcome
from domain.records import OutcomeEntry, Record
from domain.tasks import Timer
from storage import obligations
from storage.duty_tables import owed_entries
from storage.tables import metadata
from tests.app.world import LEAD, PARTNER, World, eventually, penalty


def rows(world: World) -> dict[str, list[Any]]:
    """Return the content of every table."""
    with world.app.database.read() as connection:
        return {name: list(connection.execute(select(table))) for name, table in metadata.tables.items()}


def closures(world: World) -> list[OutcomeEntry]:
    """Return the closures that the journal holds."""
    return [record.entry for record in world.app.journal.read(0) if isinstance(record.entry, OutcomeEntry) and record.entry.closed]


def test_a_commit_that_is_repeated_changes_nothing(world: World) -> None:
    """After a crash the engine computes the same outcomes again; at or below the applied position they are dropped."""
    committed: list[tuple[Sequence[Record], Sequence[Outcome]]] = []
    commit = world.app.engine._commit

    def noted(records: Sequence[Record], found: Sequence[Outcome]) -> None:
        committed.append((records, found))
        commit(records, found)

    world.app.engine._commit = noted
    world.post(penalty(1), penalty(2, "0.1"))
    assert any(found for _, found in committed)
    before = rows(world)
    assert before["warnings"]
    for records, found in committed:
        commit(records, found)
    assert rows(world) == before


@pytest.mark.parametrize("snapshot", [True, False], ids=["from-snapshot", "from-journal"])
def test_a_restart_takes_up_what_was_counted_so_far(world: World, snapshot: bool) -> None:
    """Two fines before and three after make the five that the rule asks for; with or without a snapshot."""
    world.post(penalty(1, "2"))
    assert world.warnings() == []
    world.shut()
    kept = list((world.folder / "data" / "snapshots").iterdir())
    assert kept
    if not snapshot:
        for file in kept:
            file.unlink()
    world.open()
    world.post(penalty(2, "3"))
    [warning] = world.warnings()
    assert world.story(warning["id"])["warning"]["evidence_count"] == 2


def test_what_the_database_owes_the_journal_is_paid_after_a_crash_and_counts_once(world: World) -> None:
    """The closing is committed, the process dies before the journal has it: the next start writes it; written twice it ends one episode."""
    first = world.warn(1)
    world.finish(PARTNER, LEAD)
    world.accept(PARTNER)
    task = world.assigned(LEAD).data["task"]["id"]
    accepted = {"action": "accept", "task": task, "form": {"signed_by": "局长甲"}}
    assert world.ask("duty", "POST", f"/v1/warnings/{first}/responses", json=accepted).status_code == 200
    with world.app.database.read() as connection:
        owed = obligations.owed(connection)
    assert len(owed) == 1, "nothing has paid it yet"
    assert closures(world) == []
    world.restart()
    assert [one.warning_id for one in closures(world)] == [first]

    world.at("4d")
    world.post(penalty(2, "0.1", CF_JDRQ="2026-03-05"), penalty(3, "7", CF_JDRQ="2026-03-06"))
    [second] = world.warnings(status="open")
    with world.app.database.write() as connection:  # died after the journal had it, before the database forgot it
        connection.execute(insert(owed_entries).values(entry=owed[0][1]))
    world.app.settle()
    assert len(closures(world)) == 2
    assert [one["id"] for one in world.warnings(status="open")] == [second["id"]], "it names the first warning and ends no other"
    world.post(penalty(4, "0.1", CF_JDRQ="2026-03-06"))
    assert [one["id"] for one in world.warnings(status="open")] == [second["id"]]


def test_one_process_at_a_time_has_the_data_folder(world: World) -> None:
    """A second start on the same folder is refused before it touches anything."""
    with pytest.raises(StoreUnavailable):
        Application(world.app.settings.model_copy(update={"port": 0}))
    world.warn()


def test_not_ready_while_a_part_that_moves_work_is_gone(world: World) -> None:
    """`/readyz` is about progress: without the duty loop or the engine it says 503 and why, to a supervisor without a credential."""
    assert world.http.get("/readyz").status_code == 200
    world.app.duty.stop()
    response = world.http.get("/readyz")
    assert response.status_code == 503
    assert "duty" in response.json()["detail"]
    world.app.engine.stop()
    assert "engine" in world.http.get("/readyz").json()["detail"]


def test_a_timer_that_cannot_fire_holds_up_no_other(world: World) -> None:
    """It is set aside for this life, loudly; the loop goes on and says that nothing else is due."""
    world.warn()
    orphan = Timer(id="m-orphan", warning_id="w-nobody", task_id="", kind="total", what="due", due_at=world.clock.now(), version=1)
    with world.app.database.write() as connection:
        obligations.put_timers(connection, [orphan])
    assert world.app.duty._fire_due() is True
    assert world.app.duty._fire_due() is False, "it is not tried again and again"
    assert 'fengsui_loop_errors_total{loop="timer"} 1.0' in world.app.metrics.exposition().decode()
    assert world.app.duty.idle(), "nobody waits for it"
    ahead = world.app.settle()
    assert ahead is not None
    assert ahead > world.clock.now(), "in lock-step time goes on to what can still happen"
    world.at("20m")
    with world.app.database.write() as connection:
        assert obligations.end_timer(connection, "m-orphan", "cancelled", world.clock.now()), "it is still there for the next life"


def test_repeats_never_stop_intake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database does not take the count of repeats, the count waits and the journal goes on."""
    world.post(penalty(1))

    def refuse(*_: object) -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as patched:
        patched.setattr("app.wiring.risk.add_duplicates", refuse)
        assert world.post(penalty(1))["duplicates"] == 1
        assert world.post(penalty(2))["accepted"] == 1
    assert world.post(penalty(1))["duplicates"] == 1
    eventually(lambda: [one["duplicates"] for one in world.read("/v1/feeds") if one["feed"] == "penalties"] == [2])
