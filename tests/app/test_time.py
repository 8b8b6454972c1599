"""Nobody answers: reminders, overdue notices, the ladder; a restart loses no timer, and a clock that jumps repeats none."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from storage import obligations
from tests.app.offices import Message
from tests.app.world import DESK, FORCE, LEAD, MAYOR, PARTNER, World, by_event, penalty


def rungs(world: World, warning: str) -> list[tuple[str, str, str]]:
    """Return the issued rungs above the lead's receive clock: (act, to whom, where it stands)."""
    task = world.assigned(LEAD, warning).data["task"]["id"]
    found = [rung for rung in world.story(warning)["rungs"] if (rung["kind"], rung["task_id"]) == ("receive", task) and rung["issued_at"]]
    assert all(rung["delivered_at"] for rung in found), "each has a delivery of its own"
    return [(rung["act"], rung["recipient"], rung["state"]) for rung in found]


def distinct(messages: list[Message]) -> int:
    """Return how many different things were told."""
    return len({one.id for one in messages})


def test_an_unsigned_task_is_reminded_of_then_climbs_to_the_deputy_mayor_rung_by_rung(world: World) -> None:
    """Half of the limit, four fifths, overdue, 催办, 督办, 专班, 副市长: each told to its own recipient by a delivery of its own."""
    warning = world.warn()
    lead = world.offices[LEAD]
    world.at("59m")
    assert by_event(lead.told()) == ["task.assigned"]
    world.at("61m")
    assert by_event(lead.told()) == ["task.assigned", "task.reminder"], "half of the two hours"
    world.at("1h40m")
    assert by_event(lead.told()).count("task.reminder") == 2, "and four fifths"
    assert "task.urge" not in by_event(lead.told())

    world.at("2h1m")
    assert by_event(lead.told())[-1] == "task.urge"
    assert world.warnings()[0]["overdue"]
    assert by_event(world.offices[FORCE].told()) == []
    world.at("6h1m")
    assert by_event(lead.told())[-1] == "task.supervise"
    world.at("26h1m")
    assert "task.report" in by_event(world.offices[FORCE].told())
    assert by_event(world.offices[MAYOR].told()) == []
    world.at("50h1m")
    assert "task.report" in by_event(world.offices[MAYOR].told())
    climbed = rungs(world, warning)
    assert [rung[:2] for rung in climbed] == [("urge", LEAD), ("supervise", LEAD), ("report", FORCE), ("report", MAYOR)]
    assert [rung[2] for rung in climbed] == ["delivered", "unanswered", "delivered", "delivered"], "the 督办 had a deadline of its own"
    assert all(not office.complaints for office in world.offices)


def test_an_answer_stops_the_clock_and_marks_the_rungs_as_answered(world: World) -> None:
    """Receiving late ends the ladder of the receive clock; nothing more of it is told."""
    warning = world.warn()
    world.at("7h")
    assert world.answer(LEAD, "receive").status_code == 200
    assert world.answer(PARTNER, "receive").status_code == 200
    told = distinct(world.offices[LEAD].told())
    assert [rung[2] for rung in rungs(world, warning)] == ["answered", "answered"]
    world.at("25h")
    assert world.offices[FORCE].told() == []
    fresh = by_event(world.offices[LEAD].told())[told:]
    assert set(fresh) <= {"task.reminder"}, "only the verify clock, which began by itself, speaks"


@pytest.mark.parametrize("down", ["5m", "10h"])
def test_a_restart_loses_no_timer(world: World, down: str) -> None:
    """What is told after a stop of five minutes or ten hours is what is told without one, each thing once."""
    warning = world.warn()
    world.at("30m")
    world.restart(after=down)
    world.at("50h1m")
    assert [rung[:2] for rung in rungs(world, warning)] == [("urge", LEAD), ("supervise", LEAD), ("report", FORCE), ("report", MAYOR)]
    lead = [one for one in world.offices[LEAD].told() if one.data["message"]]
    assert len(lead) == distinct(lead)
    attempts = world.offices[LEAD].attempts
    assert len(attempts) == distinct(attempts), "nothing was sent twice either"


def test_after_a_jump_of_three_days_everything_overdue_fires_once_and_in_due_order(world: World) -> None:
    """A suspended machine wakes up: one pass over what is overdue, in due order, marked as late."""
    warning = world.warn()
    world.jump("72h")
    climbed = rungs(world, warning)
    assert [rung[1] for rung in climbed[:4]] == [LEAD, LEAD, FORCE, MAYOR]
    with world.app.database.read() as connection:
        issued = obligations.rungs_of(connection, warning)
        timers = obligations.timers_of(connection, warning)
    due = [rung.due_at for rung in issued if rung.kind == "receive" and rung.recipient.department == LEAD]
    assert due == sorted(due)
    assert {rung.late for rung in issued} == {True}
    assert [timer for timer in timers if timer.state == "pending" and timer.due_at <= world.clock.now()] == []
    told = [one.id for one in world.offices[LEAD].attempts]
    assert len(told) == len(set(told))
    before = distinct(world.offices[LEAD].attempts)
    world.app.settle()
    assert distinct(world.offices[LEAD].attempts) == before, "a second look finds nothing to do"


def test_a_warning_without_a_competent_unit_is_the_duty_desks_with_a_clock_of_its_own(world: World) -> None:
    """Nobody in the catalogue: `unrouted`, told to the desk, counted; a ruling makes it a task, never a guess."""
    catalogue = "监管事项,牵头单位,配合单位,设定依据,监管层级,sector,slug\n餐饮,市市场监管局,,法,市级,food,food\n"
    world.call("POST", "/v1/import/catalogue?name=c.csv", content=catalogue.encode())
    world.post(penalty(1))
    [found] = world.warnings()
    warning = found["id"]
    assert found["status"] == "unrouted"
    assert by_event(world.offices[DESK].told()) == ["case.unrouted"]
    assert "fengsui_warnings_unrouted 1.0" in world.call("GET", "/metrics", "monitor").text
    world.at("2h")
    assert "report" in [rung["act"] for rung in world.story(warning)["rungs"] if rung["issued_at"]]
    assert world.offices[FORCE].told(), "the desk let its own limit pass"
    ruling = {"action": "designate", "form": {"department": LEAD, "reason": "属住建职责"}}
    assert world.ask("duty", "POST", f"/v1/warnings/{warning}/responses", json=ruling).status_code == 200
    world.app.settle()
    assert world.assigned(LEAD).data["warning"]["id"] == warning
    assert world.warnings()[0]["status"] == "open"


def test_in_lock_step_nothing_fires_before_it_is_settled(world: World) -> None:
    """Whoever wakes the duty loop: what is due waits for `settle`, so that all that came before at this instant is seen first."""
    world.warn()
    told = len(world.offices[LEAD].attempts)
    world.clock.move_to(world.clock.now() + timedelta(minutes=61))
    for _ in range(20):
        world.app.duty._wake()
        time.sleep(0.01)
    assert len(world.offices[LEAD].attempts) == told
    world.app.settle()
    assert world.app.duty.idle(), "nothing is under way once it is settled"
    assert by_event(world.offices[LEAD].told())[-1] == "task.reminder"
