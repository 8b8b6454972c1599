"""Stories of those above a task: reviews, closing, withdrawing, reopening, rising levels, answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.revise import provisional, recompute
from dispatch.workcalendar import WorkCalendar, Year
from domain.errors import Conflict, InvalidAction
from domain.records import OutcomeEntry
from domain.tasks import Action, Command, Stage
from storage.calendars import load_calendar
from tests.dispatch.reckoning import china
from tests.dispatch.timeline import FEEDBACK, MONDAY, SIGNED, UNFOUNDED, VERIFY, Story, calendar_2026


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
    assert story.store.journal[-1] == OutcomeEntry(warning_id="w1", verdict="unfounded", closed=True, at=story.clock.now())
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
    heard = {note.recipient.department for note in story.store.outbox.values()}
    story.desk("withdraw", note="数据更正")
    told = [note.recipient.department for note in story.store.outbox.values() if note.event == "case.withdrawn"]
    assert sorted(told) == sorted(heard), "each department once, in however many roles it was told"
    assert heard >= {"housing", "market", "fire", "gas-force", "mayor-urban", "duty"}
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
    assert "case.level_raised" in story.events("market")
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
    (note, *_) = story.told("gas-force", "case.joint_assessment")
    assert "牵头单位和至少半数的配合单位" in repr(note), "said in words, not in those of the policy file"
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


def test_an_answer_to_what_changed_since_it_was_read_is_a_conflict() -> None:
    """Whoever names the version that he read is told when it is not the present one, and nothing happens."""
    story = Story()
    story.warning()
    story.delivered("housing").does("housing", "receive")
    before = story.case()
    with pytest.raises(Conflict, match="请重新查看"):
        story.does("housing", "verify", form=VERIFY, expected_version=1)
    assert story.case() == before


def test_a_late_answer_is_refused_with_what_would_be_legal() -> None:
    """After the withdrawal there is nothing left to receive."""
    story = Story()
    story.warning()
    story.desk("withdraw", note="误报")
    with pytest.raises(InvalidAction, match="receive"):
        story.does("housing", "receive")


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


def test_a_department_that_was_told_in_two_roles_is_told_the_end_once() -> None:
    """The lead heard as the holder of its task and as its head (综合研判): one `case.closed`, and so for every other change."""
    story = Story()
    story.warning(level="red")
    roles = {note.recipient.role for note in story.told("housing")}
    assert roles == {"department", "department_lead"}
    story.delivered("housing", "market", "fire")
    for department in ("market", "fire", "housing"):
        story.finish(department)
        story.desk("accept", department, form=SIGNED)
    assert story.case().status == "closed"
    assert [story.events(unit).count("case.closed") for unit in ("housing", "market", "fire")] == [1, 1, 1]
    story.desk("reopen", note="复燃")
    assert story.events("housing").count("case.reopened") == 1
