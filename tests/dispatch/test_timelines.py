"""Whole stories of a warning, told along the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.escalate import fire
from dispatch.lifecycle import refused
from dispatch.policy import PolicySet
from dispatch.policyfile import parse_policies
from dispatch.revise import provisional, recompute
from dispatch.workcalendar import WorkCalendar, Year
from domain.errors import Conflict, InvalidAction
from domain.records import OutcomeEntry
from domain.tasks import Action, Command, Stage, lead_task
from storage.calendars import load_calendar
from tests.dispatch.reckoning import china
from tests.dispatch.timeline import FEEDBACK, HANDLE, MONDAY, UNFOUNDED, VERIFY, Story, calendar_2026

SIGNED = {"signed_by": "局长甲"}


def told_events(story: Story, department: str) -> list[str]:
    """Return the events that a department was told, in order."""
    return [note.event for note in story.told(department)]


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
        OutcomeEntry(warning_id="w1", verdict="confirmed", closed=False),
        OutcomeEntry(warning_id="w1", verdict="confirmed", closed=True),
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
    assert told_events(story, "housing")[-2:] == ["case.closed", "case.revisit"]
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


def test_a_return_goes_to_the_desk_and_a_ruling_becomes_a_precedent() -> None:
    """The duty officer designates, the holder's times have no gap, and the next warning goes there at once."""
    story = Story()
    story.warning()
    story.at("10m").delivered("housing")
    story.at("20m").does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案第五条"})
    assert story.task("housing").stage is Stage.RETURNED
    assert [note.event for note in story.told("duty", "task.returned")] == ["task.returned"]
    story.at("1h").desk("designate", "housing", form={"department": "emergency"}, note="经核实属应急管理职责")
    assert [(part.holder, part.since - MONDAY) for part in story.case().holdings] == [
        ("housing", timedelta(0)),
        ("duty", timedelta(minutes=20)),
        ("emergency", timedelta(hours=1)),
    ]
    assert story.case().lead == "emergency"
    assert story.task("emergency").designated
    following = Story(precedents=tuple(story.store.rulings))
    following.warning()
    assert following.case().lead == "emergency"
    assert any("先例" in reason for reason in following.case().reasons)


def test_a_designated_task_cannot_be_returned() -> None:
    """指定后不得再退回."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案"})
    story.desk("designate", "housing", form={"department": "emergency"}, note="裁定")
    story.delivered("emergency")
    with pytest.raises(InvalidAction, match="不得再退回"):
        story.does("emergency", "return", form={"reason": "not_our_power", "basis": "三定方案"})


def test_at_the_cap_the_superior_designates() -> None:
    """The second return of a chain goes to the 专班, whom the duty officer cannot stand in for."""
    given = Story()
    given.warning()
    given.delivered("housing").does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案"})
    given.desk("designate", "housing", form={"department": "emergency"}, note="裁定")
    story = Story(precedents=tuple(given.store.rulings))
    story.store.rulings.clear()
    story.warning()
    story.delivered("emergency").does("emergency", "return", form={"reason": "duplicate", "basis": "重复"})
    assert story.task("emergency").ruling_by == "duty_desk"  # the precedent is the refuser itself
    story.desk("withdraw", note="撤")

    chain = Story(policies=capped(1))
    chain.warning()
    chain.delivered("housing").does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案"})
    assert chain.task("housing").ruling_by == "task_force"
    with pytest.raises(InvalidAction, match="须由 task_force 办理"):
        chain.desk("designate", "housing", form={"department": "emergency"}, note="裁定")
    ruling = Command(action=Action.DESIGNATE, role="task_force", department="gas-force", form={"department": "emergency"}, note="专班裁定")
    chain.command(chain.task("housing").id, ruling)
    assert chain.case().lead == "emergency"


def capped(cap: int) -> PolicySet:
    """Return an orange policy with another cap of returns."""
    return PolicySet(
        parse_policies(
            {
                "p.yaml": f"""
policy: p
version: 1
match: {{level: orange}}
limits: {{push: {{natural: 1h}}, receive: {{natural: 2h}}, verify: {{natural: 48h}}, handle: {{working: 3d}}, feedback: {{working: 1d}},
  accept: {{working: 8h}}, total: {{working: 7d}}, designate: {{natural: 4h}}}}
returns: {{cap: {cap}, ruling_by: task_force}}
"""
            }
        )
    )


def test_where_a_policy_allows_no_return_there_is_none() -> None:
    """A cap of 0 says so by its number."""
    story = Story(policies=capped(0))
    story.warning()
    story.delivered("housing")
    with pytest.raises(InvalidAction, match="退回次数已达上限（0）"):
        story.does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案"})


def test_returns_are_counted_along_the_chain() -> None:
    """With a cap of 2 a return is followed by the precedent's owner; his return is the second and goes to the 专班."""
    first = Story()
    first.warning()
    first.delivered("housing").does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案"})
    first.desk("designate", "housing", form={"department": "emergency"}, note="裁定")
    ruling = first.store.rulings[0]
    story = Story(policies=capped(2))
    story.warning()  # routed before the ruling is known
    story.context = type(story.context)(story.context.calendar, story.context.directory, story.context.policies, (ruling,))
    story.delivered("housing").does("housing", "return", form={"reason": "not_our_power", "basis": "三定方案"})
    assert (story.case().lead, story.task("emergency").returns) == ("emergency", 1)
    story.delivered("emergency").does("emergency", "return", form={"reason": "not_our_region", "basis": "辖区外"})
    assert (story.task("emergency").returns, story.task("emergency").ruling_by) == (2, "task_force")
    assert [part.holder for part in story.case().holdings] == ["housing", "emergency", "gas-force"]
    standing = lead_task(story.tasks())
    assert standing is not None
    assert (standing.department, standing.stage) == ("emergency", Stage.RETURNED)


@pytest.mark.parametrize(
    ("when", "form", "message"),
    [
        ("10m", {"reason": "too_busy", "basis": "x"}, "not_our_power, not_our_region, subject_gone, duplicate"),
        ("10m", {"reason": "duplicate"}, "依据"),
        ("5h", {"reason": "duplicate", "basis": "x"}, "请先处置"),
    ],
)
def test_a_return_needs_its_reason_its_basis_and_its_window(when: str, form: dict[str, str], message: str) -> None:
    """Typed reason, cited basis, and four hours from the push."""
    story = Story()
    story.warning()
    story.delivered("housing").at(when)
    with pytest.raises(InvalidAction, match=message):
        story.does("housing", "return", form=form)


def test_a_transfer_keeps_the_clocks() -> None:
    """转办 to a lower unit wins no time; to a foreign department it is refused."""
    story = Story()
    story.warning()
    story.delivered("housing").at("1h").does("housing", "receive")
    clock = story.task("housing").clock("verify")
    assert clock is not None
    with pytest.raises(InvalidAction, match="不是 housing 的下级或同级单位"):
        story.does("housing", "transfer", role="department_lead", form={"department": "market"})
    story.at("2h").does("housing", "transfer", role="department_lead", form={"department": "housing-gas"})
    moved = story.task("housing-gas").clock("verify")
    assert moved is not None
    assert (moved.due_at, story.task("housing").stage, story.case().lead) == (clock.due_at, Stage.TRANSFERRED, "housing-gas")
    story.delivered("housing-gas").finish("housing-gas")
    assert story.task("housing-gas").stage is Stage.FED_BACK
    story.at("3d")
    assert not [row for row in story.store.escalations.values() if row.task_id == story.task("housing").id]


def test_an_overdue_task_that_is_transferred_is_urged_at_its_new_unit_only_once() -> None:
    """The new unit is urged at once; the rungs that were issued above its predecessor are not issued again."""
    story = Story()
    story.warning()
    story.delivered("housing").at("7h")  # the reception was missed at 2 h and supervised at 6 h
    story.does("housing", "transfer", role="department_lead", form={"department": "housing-gas"})
    story.at("3d")
    task = story.task("housing-gas").id
    rows = [row for row in story.store.escalations.values() if row.task_id == task and row.kind == "receive"]
    assert [(row.act, row.recipient.department, row.issued_at - MONDAY) for row in rows] == [
        ("urge", "housing-gas", timedelta(hours=7)),
        ("report", "gas-force", timedelta(hours=26)),
        ("report", "mayor-urban", timedelta(hours=50)),
    ]


def test_an_approved_extension_moves_the_limit_and_the_total() -> None:
    """Three working days more for the handling are three more for the total, and whoever was told the old time is told."""
    story = Story()
    story.warning()
    story.delivered("housing").at("10m").does("housing", "receive")
    story.does("housing", "verify", form=VERIFY)
    handle, total = story.task("housing").clock("handle"), story.case().clock("total")
    assert handle is not None
    assert total is not None
    story.at("1d").does("housing", "request_extension", form={"reason": "等待检测"})
    assert story.told("duty", "task.extension_requested")
    story.at("2d").desk("approve_extension", "housing", note="同意")
    later, longer = story.task("housing").clock("handle"), story.case().clock("total")
    assert later is not None
    assert longer is not None
    assert (handle.due_at, later.due_at) == (china("2026-03-05", "18:00"), china("2026-03-10", "18:00"))
    assert (total.due_at, longer.due_at) == (china("2026-03-11", "18:00"), china("2026-03-16", "18:00"))
    assert told_events(story, "housing")[-2:] == ["case.due_changed", "task.due_changed"]
    with pytest.raises(InvalidAction):
        story.does("housing", "request_extension", form={"reason": "再等"})


def test_an_extension_asked_too_late_is_refused() -> None:
    """It is asked before the due time, with a reason."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    with pytest.raises(InvalidAction, match="延期理由"):
        story.does("housing", "request_extension")
    story.at("48h")
    with pytest.raises(InvalidAction, match="须在到期前申请"):
        story.does("housing", "request_extension", form={"reason": "忙"})


def test_a_pause_stops_the_stage_and_not_the_total() -> None:
    """Three days in the laboratory are added to the handling; the total's due time stays."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    total = story.case().clock("total")
    story.at("1h").desk("pause", "housing", form={"reason": "laboratory"})
    assert story.task("housing").stage is Stage.PAUSED
    story.at("3d").desk("resume", "housing")
    clock = story.task("housing").clock("verify")
    assert clock is not None
    assert (clock.due_at - MONDAY, story.task("housing").stage) == (timedelta(hours=72 + 47), Stage.RECEIVED)
    assert story.case().clock("total") == total


def test_a_pause_ends_by_itself_after_its_longest_duration() -> None:
    """A forgotten pause of an orange warning ends after thirty natural days."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    story.desk("pause", "housing", form={"reason": "laboratory"})
    story.at("29d")
    assert story.task("housing").stage is Stage.PAUSED
    story.at("31d")
    assert story.task("housing").stage is Stage.RECEIVED
    assert any(entry.action == "resume" and entry.role == "system" for entry in story.store.audit)


def test_work_sent_back_has_less_time() -> None:
    """退回重办 counts, gives four working hours, and the next feedback is reviewed again."""
    story = Story()
    story.warning()
    story.delivered("housing").finish("housing")
    for unit in ("market", "fire"):
        story.desk("waive", unit, note="无需配合")
    story.at("1h").desk("send_back", "housing", note="佐证不足")
    clock = story.task("housing").clock("feedback")
    assert clock is not None
    assert (story.task("housing").sent_back, story.task("housing").stage, clock.due_at) == (1, Stage.HANDLED, china("2026-03-02", "17:00"))
    story.does("housing", "feed_back", form=FEEDBACK)
    story.desk("accept", "housing", form=SIGNED)
    assert story.case().status == "closed"


def test_an_unfounded_warning_needs_a_reviewer_and_its_cause() -> None:
    """不属实 is confirmed by the duty officer, closes as unfounded and has no revisit; a doubt sends it back to verification."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    with pytest.raises(InvalidAction, match="不属实或无法核实的原因"):
        story.does("housing", "verify", form={"finding": "unfounded", "means": "phone", "facts": "误报"})
    story.does("housing", "verify", form=UNFOUNDED)
    story.desk("send_back", "housing", note="请现场复核")
    assert (story.task("housing").stage, story.task("housing").finding) == (Stage.RECEIVED, "")
    story.does("housing", "verify", form=UNFOUNDED)
    for unit in ("market", "fire"):
        story.desk("waive", unit, note="误报")
    story.desk("accept", "housing", form=SIGNED)
    assert (story.case().status, story.case().verdict) == ("closed", "unfounded")
    assert story.store.journal[-1] == OutcomeEntry(warning_id="w1", verdict="unfounded", closed=True)
    assert not story.store.pending()


def test_the_lead_is_reviewed_last_by_another_person_and_signed() -> None:
    """Open cooperating tasks, the handler himself and a missing signature each hold the closing up."""
    story = Story()
    story.warning()
    story.delivered("housing", "market").finish("housing").finish("market")
    with pytest.raises(InvalidAction, match=r"market \(fed_back\)、fire \(generated\)"):
        story.desk("accept", "housing", form=SIGNED)
    with pytest.raises(InvalidAction, match="审核人不能是承办人"):
        story.desk("accept", "market", actor="market-承办")
    story.desk("accept", "market")
    story.desk("waive", "fire", note="无消防事项")
    with pytest.raises(InvalidAction, match="负责人签字"):
        story.desk("accept", "housing")
    story.desk("accept", "housing", form=SIGNED)
    assert story.case().status == "closed"


def test_withdrawing_tells_everybody_who_was_told() -> None:
    """Whoever heard of the warning, the ladder's offices included, hears that it is withdrawn; nothing fires any more."""
    story = Story()
    story.warning(level="red")
    story.delivered("housing").at("5h")
    heard = {note.recipient for note in story.store.outbox.values()}
    story.desk("withdraw", note="数据更正")
    assert {note.recipient for note in story.store.outbox.values() if note.event == "case.withdrawn"} == heard
    assert {recipient.department for recipient in heard} >= {"housing", "market", "fire", "gas-force", "mayor-urban", "duty"}
    assert not story.store.pending()
    assert {task.stage for task in story.tasks()} == {Stage.WITHDRAWN}
    assert story.store.journal[-1].closed


def test_reopening_starts_a_new_attempt_and_keeps_the_history() -> None:
    """重新办理 makes new tasks; the system may do so within 30 days only, and the old revisit does not fire."""
    story = Story()
    story.warning()
    story.delivered("housing", "market", "fire")
    for unit in ("market", "fire", "housing"):
        story.finish(unit).desk("accept", unit, form=SIGNED)
    story.at("10d").command("", Command(action=Action.REOPEN, role="system", note="同一对象风险再次升高"))
    assert [(task.attempt, task.stage) for task in story.tasks() if task.department == "housing"] == [
        (1, Stage.CLOSED),
        (2, Stage.GENERATED),
    ]
    assert (story.case().attempt, story.case().status) == (2, "open")
    assert not [timer for timer in story.store.pending() if timer.what == "revisit"]
    story.delivered("housing", "market", "fire")
    for unit in ("market", "fire", "housing"):
        story.finish(unit).desk("accept", unit, form=SIGNED)
    story.at("60d")
    with pytest.raises(InvalidAction, match="期限已过"):
        story.command("", Command(action=Action.REOPEN, role="system", note="再次升高"))
    story.desk("reopen", note="审计发现问题")
    assert story.case().attempt == 3


def test_a_rising_level_shortens_and_never_lengthens() -> None:
    """From orange to red the verification has 24 hours from the rise; everybody is told; a lower level changes nothing."""
    story = Story()
    story.warning()
    story.delivered("housing", "market", "fire").does("housing", "receive")
    story.at("2h").rises_to("red")
    clock = story.task("housing").clock("verify")
    assert clock is not None
    assert clock.due_at == MONDAY + timedelta(hours=26)
    assert story.case().policy.ref == "city-red@1"
    assert "case.level_raised" in told_events(story, "market")
    before = story.case()
    assert story.rises_to("blue").effects == ()
    assert story.case() is before
    late = Story()
    late.warning()
    late.delivered("housing").does("housing", "receive")
    late.at("40h").rises_to("red")
    kept = late.task("housing").clock("verify")
    assert kept is not None
    assert kept.due_at == MONDAY + timedelta(hours=48)  # eight hours are less than the new 24


def test_a_red_warning_calls_the_departments_together() -> None:
    """综合研判 within two hours, with the lead and half of the others; without the quorum it does not count."""
    story = Story()
    story.warning(level="red")
    assert story.told("gas-force", "case.joint_assessment")
    joint = story.case().clock("joint")
    assert joint is not None
    assert joint.due_at == MONDAY + timedelta(hours=2)
    with pytest.raises(InvalidAction, match="法定人数"):
        story.desk("assess", form={"minutes": "会商", "attended": ["housing"]})
    story.desk("assess", form={"minutes": "先停气后核查", "attended": ["housing", "fire"]})
    story.at("5h")
    assert not [row for row in story.store.escalations.values() if row.kind == "joint"]


def test_supervision_is_a_row_of_its_own() -> None:
    """督办 by the duty officer flags the task and has its own deadline; a progress report answers it."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    story.at("1h").desk("supervise", "housing", note="媒体关注")
    row = next(iter(story.store.escalations.values()))
    assert (row.act, row.recipient.department, row.issued_by, row.answer_by) == (
        "supervise", "housing", "值班员甲", MONDAY + timedelta(hours=13),
    )  # fmt: skip
    assert story.task("housing").supervised
    story.at("2h").does("housing", "report", form={"text": "已到现场"})
    assert next(iter(story.store.escalations.values())).answered_at == story.clock.now()
    assert not story.task("housing").supervised


def test_an_answer_is_applied_once() -> None:
    """The same key with the same content changes nothing and says so; with other content it is a conflict."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive", key="k1")
    again = story.does("housing", "receive", key="k1")
    assert (again.repeated, again.effects) == (True, ())
    with pytest.raises(Conflict, match="幂等键 k1"):
        story.does("housing", "verify", key="k1", form=VERIFY)
    with pytest.raises(Conflict, match="请重新查看"):
        story.does("housing", "verify", form=VERIFY, expected_version=1)


def test_a_refused_answer_can_be_written_down() -> None:
    """A late answer is refused clearly, and the refusal is an audit entry."""
    story = Story()
    story.warning()
    story.desk("withdraw", note="误报")
    command = Command(action=Action.RECEIVE, role="handler", department="housing", actor="张三")
    with pytest.raises(InvalidAction) as caught:
        story.command(story.task("housing").id, command)
    entry = refused(story.case(), story.task("housing").id, command, caught.value, story.clock.now())
    assert (entry.action, entry.department, entry.detail) == ("receive", "housing", {"refused": "InvalidAction"})


def test_an_unrouted_warning_has_its_own_clock_until_somebody_is_named() -> None:
    """At the duty desk the ladder climbs as well; a designation makes it an ordinary case under its level's policy."""
    story = Story()
    story.warning(matter="noise", sector="noise")
    assert (story.case().status, story.tasks(), [part.holder for part in story.case().holdings]) == ("unrouted", (), ["duty"])
    story.at("3h")
    assert story.rungs() == [("1:00:00", "urge", "duty"), ("2:00:00", "report", "duty")]  # no 专班 is in charge of noise
    story.at("4h").desk("designate", form={"department": "emergency"}, note="由应急局牵头")
    assert (story.case().status, story.case().lead, story.case().policy.ref) == ("open", "emergency", "city-orange@1")
    assert [part.holder for part in story.case().holdings] == ["duty", "emergency"]
    assert story.task("emergency").designated
    assert story.store.rulings[0].matter == "noise"


def test_a_new_years_file_recomputes_provisional_times_with_notice() -> None:
    """When 2027 is announced a due time across New Year moves, its timers with it, and the department is told."""
    story = Story(china("2026-12-28").astimezone(UTC))
    story.warning(level="yellow")
    story.delivered("housing").does("housing", "receive")
    clock = story.task("housing").clock("verify")
    total = story.case().clock("total")
    assert clock is not None
    assert total is not None
    assert (clock.provisional, total.provisional, provisional(story.case(), story.tasks())) == (False, True, True)
    years = dict(load_calendar(range(2025, 2027)).years)
    years[2027] = Year(off=frozenset(china(f"2027-01-0{day}").date() for day in (1, 4, 5)))
    context = type(story.context)(WorkCalendar(years), story.context.directory, story.context.policies)
    applied = recompute(story.case(), story.tasks(), context, story.clock.now())
    story.store.write(applied.effects)
    moved = story.case().clock("total")
    assert moved is not None
    assert (moved.provisional, moved.due_at) == (False, calendar_shift(total.start_at, years))
    assert moved.due_at > total.due_at
    assert [timer.due_at for timer in story.store.pending() if timer.kind == "total" and timer.what == "due"] == [moved.due_at]
    assert "case.due_changed" in {note.event for note in story.store.outbox.values()}
    assert not provisional(story.case(), story.tasks())


def calendar_shift(start: datetime, years: dict[int, Year]) -> datetime:
    """Return the tenth working day's close after `start`, counted by hand."""
    day, left = start.astimezone(china("2026-01-01").tzinfo).date(), 10
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5 and day not in years[day.year].off
    return china(day.isoformat(), "18:00")


def test_the_same_decisions_give_the_same_rows() -> None:
    """Two runs of one story give equal effects: nothing depends on a clock, a random number or a hash seed."""

    def rows() -> list[object]:
        story = Story(MONDAY)
        story.warning(level="red")
        story.delivered("housing", "market").at("6h").finish("market")
        return [story.case(), story.tasks(), story.store.timers, story.store.escalations, story.store.outbox, story.store.audit]

    assert rows() == rows()
    assert calendar_2026() is calendar_2026()
