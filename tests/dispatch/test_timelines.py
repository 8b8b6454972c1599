"""Whole stories of a warning, told along the clock: its way, its timers, its ladder."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dispatch.escalate import fire
from domain.errors import Conflict
from domain.records import OutcomeEntry
from domain.tasks import Stage
from tests.dispatch.reckoning import china
from tests.dispatch.timeline import HANDLE, MONDAY, SIGNED, VERIFY, Story


def test_a_warning_goes_its_whole_way_to_closed() -> None:
    """Every department does its part in time, the lead's review comes last, and the warning closes with its outcome journalled."""
    story = Story()
    story.warning()
    story.at("5m").delivered("housing", "market", "fire")
    story.at("30m").finish("market").finish("fire").finish("housing")
    story.at("1h").does("housing", "accept", story.task("market"), role="department_lead", actor="住建局长")
    story.desk("accept", "fire")
    story.at("2h").desk("accept", "housing", form=SIGNED)
    case = story.case()
    assert (case.status, case.verdict, case.closed_at) == ("closed", "handled", story.clock.now())
    assert {task.stage for task in story.tasks()} == {Stage.CLOSED}
    assert [passage.stage.value for passage in story.task("housing").passages] == [
        "generated", "pushed", "received", "verified", "handled", "fed_back", "accepted", "closed",
    ]  # fmt: skip
    assert story.store.journal == [
        OutcomeEntry(warning_id="w1", verdict="confirmed", closed=False, at=story.task("housing").passages[3].at),
        OutcomeEntry(warning_id="w1", verdict="confirmed", closed=True, at=story.clock.now()),
    ]
    assert [timer.what for timer in story.store.pending()] == ["revisit"]
    assert not story.rungs()


def test_closing_cancels_every_timer_in_the_same_decision() -> None:
    """A rung that was set before the close never fires; only the revisit is left, and it comes on its day."""
    story = Story()
    story.warning()
    story.delivered("housing", "market", "fire").at("3h")  # nobody signs: the ladders are running
    assert any(timer.what == "rung" for timer in story.store.pending())
    for unit in ("market", "fire", "housing"):
        story.finish(unit)
    for unit in ("market", "fire", "housing"):
        story.desk("accept", unit, form=SIGNED)
    rungs = len(story.store.escalations)
    story.at("40d")
    assert len(story.store.escalations) == rungs
    assert story.events("housing")[-2:] == ["case.closed", "case.revisit"]
    assert not story.store.pending()


def test_three_recipients_stand_on_the_ladder() -> None:
    """A red task that nobody signs climbs from the department to the 专班 to the deputy mayor, each a row with its own deadline."""
    story = Story()
    story.warning(level="red")
    story.delivered("housing").at("5h")
    task = story.task("housing").id
    rows = [row for row in story.store.escalations.values() if row.task_id == task and row.kind == "receive"]
    assert [(row.issued_at - MONDAY, row.act, row.recipient.role, row.recipient.department) for row in rows] == [
        (timedelta(minutes=30), "urge", "department_lead", "housing"),
        (timedelta(hours=1), "supervise", "department_lead", "housing"),
        (timedelta(hours=2, minutes=30), "report", "task_force", "gas-force"),
        (timedelta(hours=4, minutes=30), "report", "deputy_mayor", "mayor-urban"),
    ]
    assert [row.answer_by for row in rows] == [None, MONDAY + timedelta(hours=2), MONDAY + timedelta(hours=4.5), None]
    assert len({row.delivery_id for row in rows}) == 4
    assert {row.delivery_id for row in rows} <= set(story.store.outbox)
    assert story.task("housing").rung == 4


def test_a_rung_that_is_not_answered_in_its_own_time_is_told_above() -> None:
    """The supervision issued at one hour had one hour; at two hours the 专班 hears that there was no answer."""
    story = Story()
    story.warning(level="red")
    story.delivered("housing").at("2h")
    task = story.task("housing").id
    supervision = next(row.id for row in story.store.escalations.values() if row.act == "supervise" and row.task_id == task)
    heard = [(note.at - MONDAY, note.ref) for note in story.told("gas-force", "task.no_answer") if note.task_id == task]
    assert heard == [(timedelta(hours=2), supervision)]


def test_progress_answers_the_rungs() -> None:
    """Signing answers the rungs of the reception, and none of its timers fires afterwards."""
    story = Story()
    story.warning(level="red")
    story.delivered("housing").at("1h10m").does("housing", "receive")
    task = story.task("housing").id
    rows = [row for row in story.store.escalations.values() if row.task_id == task and row.kind == "receive"]
    assert [row.answered_at for row in rows] == [story.clock.now()] * 2
    story.at("6h")
    assert len([row for row in story.store.escalations.values() if row.task_id == task and row.kind == "receive"]) == 2


def test_the_deputy_mayor_is_told_again_at_most_as_often_as_the_policy_says() -> None:
    """A rung with repeat_every and at_most 3 is issued three times."""
    story = Story()
    story.warning(level="red")
    story.delivered("housing").at("10d")
    task = story.task("housing").id
    issued = [row for row in story.store.escalations.values() if row.task_id == task and row.kind == "receive" and row.rung == 3]
    assert [(row.repeat, row.issued_at - MONDAY) for row in issued] == [
        (0, timedelta(hours=4, minutes=30)),
        (1, timedelta(hours=28, minutes=30)),
        (2, timedelta(hours=52, minutes=30)),
    ]


def test_not_signing_stops_nothing() -> None:
    """The verify clock starts by itself at the end of the receive limit, and signing later wins no time."""
    story = Story()
    story.warning()
    story.delivered("housing").at("2h")
    clock = story.task("housing").clock("verify")
    assert clock is not None
    assert (clock.start_at, clock.due_at) == (MONDAY + timedelta(hours=2), MONDAY + timedelta(hours=50))
    story.at("20h").does("housing", "receive")
    assert story.task("housing").clock("verify") == clock


def test_signing_after_the_limit_but_before_its_timer_gives_the_same_clock() -> None:
    """The reception is late by an outage of the timers: verification still counts from the end of the receive limit."""
    story = Story()
    story.warning()
    story.delivered("housing")
    story.clock.move_to(MONDAY + timedelta(hours=5))
    story.does("housing", "receive")
    clock = story.task("housing").clock("verify")
    assert clock is not None
    assert clock.start_at == MONDAY + timedelta(hours=2)
    receive = story.task("housing").clock("receive")
    assert receive is not None
    assert receive.missed


def test_an_early_signature_starts_verification_at_once() -> None:
    """Signing after ten minutes starts the verify clock there, and reminders come at half and four fifths of it."""
    story = Story()
    story.warning()
    story.delivered("housing").at("10m").does("housing", "receive")
    story.at("47h")
    reminders = [note.at - MONDAY for note in story.told("housing", "task.reminder") if "核查" in note.reason]
    assert reminders == [timedelta(hours=24, minutes=10), timedelta(minutes=10) + timedelta(hours=48) * 0.8]


def test_overdue_after_an_outage_fires_in_due_order_and_late() -> None:
    """After ten hours of standing still everything overdue fires once, in due order, marked late."""
    story = Story()
    story.warning(level="red")
    story.delivered("housing", "market", "fire")
    before = [timer.id for timer in story.store.pending()]
    story.outage_until("10h")
    fired = [timer for timer in story.store.timers.values() if timer.state == "fired"]
    assert {timer.id for timer in fired} <= story.store.late
    rows = list(story.store.escalations.values())
    assert all(row.late for row in rows)
    by_clock: dict[tuple[str, str], list[datetime]] = {}
    for row in rows:
        by_clock.setdefault((row.task_id, row.kind), []).append(row.due_at)
    assert all(dues == sorted(dues) for dues in by_clock.values())
    assert before
    assert all(timer.due_at > story.clock.now() for timer in story.store.pending())


def test_no_timer_fires_early_twice_or_stale() -> None:
    """Before its time it is refused; a second time, or for a stopped clock, it does nothing."""
    story = Story()
    story.warning()
    story.delivered("housing")
    reminder, due = (
        next(timer for timer in story.store.pending() if timer.kind == "receive" and timer.what == what) for what in ("reminder", "due")
    )
    with pytest.raises(Conflict, match="才到期"):
        story.fire(due)
    story.at("1h")
    again = fire(story.case(), story.tasks(), story.store.timers[reminder.id], story.context, story.clock.now())
    assert again.effects == ()
    story.does("housing", "receive")
    story.clock.move_to(MONDAY + timedelta(hours=3))
    stale = fire(story.case(), story.tasks(), due, story.context, story.clock.now())  # as it was before the cancelling
    assert [(type(effect).__name__, getattr(effect, "state", "")) for effect in stale.effects] == [("TimerDone", "cancelled")]


def test_a_timer_of_an_earlier_version_of_its_clock_is_stale() -> None:
    """After an extension the old due time passes without an effect, even if its row was read before the cancelling."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    old = next(timer for timer in story.store.pending() if timer.kind == "verify" and timer.what == "due")
    story.does("housing", "request_extension", form={"reason": "等鉴定"})
    story.desk("approve_extension", "housing")
    assert story.store.timers[old.id].state == "cancelled"
    story.clock.move_to(old.due_at)
    stale = fire(story.case(), story.tasks(), old, story.context, story.clock.now())
    assert [(type(effect).__name__, getattr(effect, "state", "")) for effect in stale.effects] == [("TimerDone", "cancelled")]


def test_the_total_counts_from_the_push() -> None:
    """The centre's own delay is not the departments': the total starts anew when the lead has the task."""
    story = Story()
    story.warning()
    story.at("1d").delivered("housing")
    total = story.case().clock("total")
    assert total is not None
    assert (total.start_at, story.case().pushed_at) == (MONDAY + timedelta(days=1), MONDAY + timedelta(days=1))
    assert total.due_at == china("2026-03-12", "18:00")  # seven working days after Tuesday


def test_a_cooperating_unit_has_one_limit_of_its_own() -> None:
    """From its reception to its feedback it has 24 hours, before the lead's verification ends."""
    story = Story()
    story.warning()
    story.delivered("market").at("1h").does("market", "receive")
    clock = story.task("market").clock("feedback")
    assert clock is not None
    assert clock.due_at == MONDAY + timedelta(hours=25)
    story.does("market", "verify", form=VERIFY)
    story.does("market", "handle", form=HANDLE)
    assert story.task("market").clock("feedback") == clock
    assert story.task("market").clock("handle") is None
