"""The table of the life of a task, tried in every stage with every action and every role."""

from __future__ import annotations

import functools
from typing import Any, Final

import pytest

from dispatch.lifecycle import apply
from dispatch.transitions import legal_actions
from domain.errors import InvalidAction, NotFound
from domain.tasks import Action, Command, Stage, Task
from tests.dispatch.timeline import FEEDBACK, HANDLE, UNFOUNDED, VERIFY, Story

FORMS: Final[dict[Action, dict[str, Any]]] = {
    Action.RETURN: {"reason": "not_our_power", "basis": "三定方案第五条"},
    Action.TRANSFER: {"department": "housing-gas"},
    Action.REPORT: {"text": "已到现场"},
    Action.VERIFY: VERIFY,
    Action.HANDLE: HANDLE,
    Action.FEED_BACK: FEEDBACK,
    Action.ACCEPT: {"signed_by": "局长甲"},
    Action.PAUSE: {"reason": "laboratory"},
    Action.DESIGNATE: {"department": "emergency", "reason": "专班裁定"},
}
# Who may do what, written a second time: stage → "action by who, who; …". `own` is the department's handler, `head` its head,
# `lead` the head of the lead department (for cooperating tasks), `duty`, `force`, `auditor`, `system`.
ASKS = "report by own; request_extension by own; supervise by duty; waive by duty"
EXPECTED: Final = {
    "generated": "deliver by system; supervise by duty; waive by duty",
    "pushed": "receive by own; return by own; transfer by head; verify by own; report by own; supervise by duty; waive by duty",
    "received": f"return by own; transfer by head; verify by own; pause by lead, duty; {ASKS}",
    "verified": f"handle by own; pause by lead, duty; {ASKS}",
    "unfounded": "accept by lead, duty; send_back by lead, duty; report by own; supervise by duty; waive by duty",
    "handled": f"feed_back by own; pause by lead, duty; {ASKS}",
    "fed_back": "accept by lead, duty; send_back by lead, duty; supervise by duty; waive by duty",
    "asked": "return by own; transfer by head; verify by own; pause by lead, duty; report by own; supervise by duty; waive by duty; "
    "approve_extension by lead, duty; refuse_extension by lead, duty",
    "accepted": "",
    "paused": "resume by lead, duty, system; supervise by duty; waive by duty",
    "returned": "designate by duty, force; waive by duty",
    "transferred": "",
    "withdrawn": "",
    "closed": "",
}
TASK_ACTIONS = tuple(action for action in Action if action not in {Action.WITHDRAW, Action.REOPEN, Action.ASSESS})
ACTORS: Final = {
    "own": ("handler", ""),
    "head": ("department_lead", ""),
    "lead": ("department_lead", "housing"),
    "lead_handler": ("handler", "housing"),
    "duty": ("duty_officer", "duty"),
    "force": ("task_force", "gas-force"),
    "auditor": ("auditor", ""),
    "system": ("system", ""),
}


@functools.cache
def reached(state: str, department: str) -> tuple[Story, Task]:
    """Return a story in which a department's task stands in a state."""
    story = Story()
    story.warning()
    story.at("5m")
    steps = ["pushed", "received", "verified", "handled", "fed_back"]
    aim = {"asked": "received", "unfounded": "received", "paused": "received", "returned": "pushed", "transferred": "pushed"}.get(
        state, state
    )
    aim = {"accepted": "fed_back", "closed": "fed_back", "withdrawn": "pushed"}.get(aim, aim)
    deeds = [lambda: story.delivered(department), lambda: story.does(department, "receive")]
    deeds += [lambda: story.does(department, "verify", form=VERIFY), lambda: story.does(department, "handle", form=HANDLE)]
    deeds += [lambda: story.does(department, "feed_back", form=FEEDBACK)]
    for deed in deeds[: steps.index(aim) + 1] if aim in steps else []:
        deed()
    match state:
        case "asked":
            story.does(department, "request_extension", form={"reason": "等鉴定"})
        case "unfounded":
            story.does(department, "verify", form=UNFOUNDED)
        case "paused":
            story.desk("pause", department, form={"reason": "laboratory"})
        case "returned":
            story.does(department, "return", form=FORMS[Action.RETURN])
        case "transferred":
            story.does("housing", "transfer", role="department_lead", form=FORMS[Action.TRANSFER])
        case "withdrawn":
            story.desk("withdraw", note="误报")
        case "accepted":
            story.desk("accept", department)
        case "closed":
            for unit in ("market", "fire", "housing"):
                if story.task(unit).stage is Stage.GENERATED:
                    story.delivered(unit).finish(unit)
            for unit in ("market", "fire"):
                story.desk("accept", unit)
            story.desk("accept", "housing", form={"signed_by": "局长甲"})
    if department == "housing" and state in {"fed_back", "unfounded"}:  # the lead's review waits for the others
        for unit in ("market", "fire"):
            story.desk("waive", unit, note="无配合事项")
    found = next(task for task in story.tasks() if task.department == department)
    return story, found


def expected(state: str, action: Action, actor: str, department: str) -> bool:
    """Say whether the second table allows it."""
    table = dict(part.split(" by ") for part in EXPECTED[state].split("; ") if part)
    allowed = table.get(action.value, "").split(", ")
    if department == "housing":  # the lead's own task
        if actor in {"lead", "lead_handler"}:
            actor = {"lead": "head", "lead_handler": "own"}[actor]
        return actor in allowed and action is not Action.WAIVE
    if action is Action.TRANSFER:
        return False  # tried apart: this department has no lower unit
    return actor in allowed


CASES = [
    (state, department)
    for state in EXPECTED
    for department in ("housing", "market")
    if (state, department)
    not in {("accepted", "housing"), ("transferred", "market")}  # the one closes at once, the other has no unit below
]


@pytest.mark.parametrize(("state", "department"), CASES)
def test_every_action_by_every_role_follows_the_table(state: str, department: str) -> None:
    """What the table allows is done; everything else is refused with the legal actions and changes nothing."""
    story, task = reached(state, department)
    case, tasks = story.case(), story.tasks()
    assert state in {task.stage.value, "asked", "unfounded"}
    for action in TASK_ACTIONS:
        for actor, (role, unit) in ACTORS.items():
            command = Command(
                action=action,
                role=role,  # type: ignore[arg-type]  # the table's text
                department=unit or department,
                actor="审核人",
                form=FORMS.get(action, {"reason": "理由"}),
            )
            if expected(state, action, actor, department):
                _tried(story, task, command)
            else:
                with pytest.raises(InvalidAction):
                    apply(case, tasks, task.id, command, story.context, story.clock.now())


def _tried(story: Story, task: Task, command: Command) -> None:
    """Apply what is allowed: the version grows by one and is compared when it is written."""
    applied = apply(story.case(), story.tasks(), task.id, command, story.context, story.clock.now())
    assert next(known for known in applied.tasks if known.id == task.id).version == task.version + 1
    assert any(getattr(effect, "expected_version", None) == task.version for effect in applied.effects)


@pytest.mark.parametrize("state", [state for state in EXPECTED if state != "accepted"])
@pytest.mark.parametrize(("stranger", "department"), [("emergency", "housing"), ("fire", "market"), ("fire", "housing")])
def test_a_foreign_department_learns_of_no_task(state: str, stranger: str, department: str) -> None:
    """Whatever it tries, in any role of its own, it is told that there is no such task, in the words for a missing one."""
    if state == "transferred" and department == "market":
        return
    story, task = reached(state, department)
    missing = Command(action=Action.RECEIVE, role="handler", department=stranger)
    with pytest.raises(NotFound) as absent:
        apply(story.case(), story.tasks(), "t-none", missing, story.context, story.clock.now())
    for action in TASK_ACTIONS:
        for role in ("handler", "department_lead"):
            command = Command(action=action, role=role, department=stranger)  # type: ignore[arg-type]  # as above
            with pytest.raises(NotFound) as caught:
                apply(story.case(), story.tasks(), task.id, command, story.context, story.clock.now())
            assert str(caught.value).replace(task.id, "t-none") == str(absent.value)


def test_the_state_of_every_stage_is_tried() -> None:
    """The exhaustive test leaves out no stage."""
    assert {state for state, _ in CASES} >= {stage.value for stage in Stage}


def test_legal_actions_are_what_the_actor_may_do() -> None:
    """A page shows the same list that a refusal names."""
    story, task = reached("received", "market")
    assert legal_actions(story.case(), story.tasks(), task, "handler", "market") == (
        Action.RETURN,
        Action.REPORT,
        Action.VERIFY,
        Action.REQUEST_EXTENSION,
    )
    assert legal_actions(story.case(), story.tasks(), task, "department_lead", "housing") == (Action.PAUSE,)
    assert legal_actions(story.case(), story.tasks(), None, "duty_officer") == (Action.ASSESS, Action.WITHDRAW)


def test_a_refusal_names_what_is_legal() -> None:
    """The message says the stage and lists the actor's own actions."""
    story, task = reached("received", "market")
    command = Command(action=Action.FEED_BACK, role="handler", department="market")
    with pytest.raises(
        InvalidAction, match="已签收的任务不能执行 feed_back；可办：return 退回, report 报告进展, verify 核查, request_extension 申请延期"
    ):
        apply(story.case(), story.tasks(), task.id, command, story.context, story.clock.now())
