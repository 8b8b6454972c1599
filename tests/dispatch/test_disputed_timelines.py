"""Stories of tasks that change hands or time: returns, rulings, transfers, extensions, pauses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatch.policy import PolicySet
from dispatch.policyfile import parse_policies
from domain.errors import InvalidAction
from domain.tasks import Action, Command, Stage, lead_task
from tests.dispatch.reckoning import china
from tests.dispatch.timeline import MONDAY, VERIFY, Story


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
    assert story.events("housing")[-2:] == ["case.due_changed", "task.due_changed"]
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
