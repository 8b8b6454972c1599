"""The table of the life of a task: what may be done, from which stage, by whom.

Guards that need a form or the time are beside the deeds.
"""

from __future__ import annotations

from enum import StrEnum

from domain.base import Noun
from domain.errors import NotFound
from domain.messages import both
from domain.policies import ClockKind
from domain.tasks import Action, Role, Stage, Task, WarningCase


class Who(StrEnum):
    """How an actor stands to a task."""

    HANDLER = "handler"  # 承办人 of the task's department
    LEAD = "department_lead"  # 部门负责人 of the task's department
    CHECKER = "checker"  # 负责人 of the warning's lead department, for a cooperating task
    DUTY = "duty_officer"  # 值班员
    SUPERIOR = "task_force"  # 专班, or the common superior
    AUDITOR = "auditor"
    SYSTEM = "system"
    ONLOOKER = "onlooker"  # knows of the task, may do nothing


# Three columns of the table depend on the task; see `_who`.
REVIEWER, APPROVER, RULER = "reviewer", "approver", "ruler"


class Transition(Noun, frozen=True, kw_only=True):
    """One row: `to` None keeps the stage, or leads where the deed says."""

    action: Action
    stages: tuple[Stage, ...]
    who: tuple[str, ...]
    to: Stage | None = None


G, P, R, V, H, F, A = (
    Stage.GENERATED,
    Stage.PUSHED,
    Stage.RECEIVED,
    Stage.VERIFIED,
    Stage.HANDLED,
    Stage.FED_BACK,
    Stage.ACCEPTED,
)
TABLE: tuple[Transition, ...] = (
    Transition(action=Action.DELIVER, stages=(G,), who=(Who.SYSTEM,), to=P),
    Transition(action=Action.RECEIVE, stages=(P,), who=(Who.HANDLER,), to=R),
    Transition(action=Action.RETURN, stages=(P, R), who=(Who.HANDLER,), to=Stage.RETURNED),
    Transition(action=Action.TRANSFER, stages=(P, R), who=(Who.LEAD,), to=Stage.TRANSFERRED),
    Transition(action=Action.REPORT, stages=(P, R, V, H), who=(Who.HANDLER,)),
    Transition(action=Action.VERIFY, stages=(P, R), who=(Who.HANDLER,), to=V),
    Transition(action=Action.HANDLE, stages=(V,), who=(Who.HANDLER,), to=H),
    Transition(action=Action.FEED_BACK, stages=(H,), who=(Who.HANDLER,), to=F),
    Transition(action=Action.ACCEPT, stages=(V, F), who=(REVIEWER,), to=A),
    Transition(action=Action.SEND_BACK, stages=(V, F), who=(REVIEWER,)),
    Transition(action=Action.REQUEST_EXTENSION, stages=(P, R, V, H), who=(Who.HANDLER,)),
    Transition(action=Action.APPROVE_EXTENSION, stages=(P, R, V, H), who=(APPROVER,)),
    Transition(action=Action.REFUSE_EXTENSION, stages=(P, R, V, H), who=(APPROVER,)),
    Transition(action=Action.PAUSE, stages=(P, R, V, H), who=(APPROVER,), to=Stage.PAUSED),
    Transition(action=Action.RESUME, stages=(Stage.PAUSED,), who=(APPROVER, Who.SYSTEM)),
    Transition(action=Action.SUPERVISE, stages=(G, P, R, V, H, F, Stage.PAUSED), who=(Who.DUTY,)),
    Transition(action=Action.DESIGNATE, stages=(Stage.RETURNED,), who=(RULER,)),
    Transition(action=Action.WAIVE, stages=(G, P, R, V, H, F, Stage.PAUSED, Stage.RETURNED), who=(Who.DUTY,), to=Stage.WITHDRAWN),
)
# Clocks of a stage that its department runs: these can be extended and paused, the others cannot.
STAGE_CLOCKS: tuple[ClockKind, ...] = ("verify", "handle", "feedback")


def standing(case: WarningCase, tasks: tuple[Task, ...], task: Task | None, role: Role, department: str) -> Who:
    """Return how an actor stands to a task (None: to the case).

    Raises:
        NotFound: the actor's department has no part in it; it learns nothing, not even that the task is there.
    """
    if role not in {"handler", "department_lead"}:
        return Who(role)
    leads = department == case.lead and bool(department)
    if task is None:
        if not leads and not any(known.department == department for known in tasks):
            raise NotFound(both("task.not_found", id=case.id))
        return Who.CHECKER if leads and role == "department_lead" else Who.ONLOOKER
    if department and department == task.department:
        return Who.HANDLER if role == "handler" else Who.LEAD
    if leads and task.role == "cooperating":
        return Who.CHECKER if role == "department_lead" else Who.ONLOOKER
    raise NotFound(both("task.not_found", id=task.id))


def legal(case: WarningCase, task: Task | None) -> dict[Action, frozenset[Who]]:
    """Return what can be done in the present state, and by whom, in the order of the table; None is the case itself."""
    if task is None:
        return _legal_for_case(case)
    if case.status != "open":
        return {}
    found = {}
    for row in TABLE:
        if task.stage in row.stages and _possible(row.action, case, task):
            found[row.action] = frozenset(who for token in row.who for who in _who(token, case, task))
    return found


def legal_actions(case: WarningCase, tasks: tuple[Task, ...], task: Task | None, role: Role, department: str = "") -> tuple[Action, ...]:
    """Return what an actor may do to a task (None: to the case); raises NotFound like `standing`."""
    who = standing(case, tasks, task, role, department)
    return tuple(action for action, allowed in legal(case, task).items() if who in allowed)


def _legal_for_case(case: WarningCase) -> dict[Action, frozenset[Who]]:
    if case.status == "unrouted":
        return {
            Action.DESIGNATE: frozenset({Who.DUTY, Who.SUPERIOR}),
            Action.WITHDRAW: frozenset({Who.SYSTEM, Who.DUTY}),
        }
    if case.status == "open":
        joint = case.clock("joint")
        assess = {Action.ASSESS: frozenset({Who.CHECKER, Who.DUTY, Who.SUPERIOR})} if joint and joint.state == "running" else {}
        return assess | {Action.WITHDRAW: frozenset({Who.SYSTEM, Who.DUTY})}
    if case.status == "closed":
        return {Action.REOPEN: frozenset({Who.DUTY, Who.AUDITOR, Who.SYSTEM})}
    return {}


def _who(token: str, case: WarningCase, task: Task) -> tuple[Who, ...]:
    checkers = (Who.DUTY,) if task.role == "lead" else (Who.CHECKER, Who.DUTY)
    if token == REVIEWER:
        return checkers
    if token == APPROVER:
        approver = case.policy.extension.approver if case.policy.extension else "lead"
        return {"lead": checkers, "duty_officer": (Who.DUTY,), "task_force": (Who.SUPERIOR,)}[approver]
    if token == RULER:
        return (Who.SUPERIOR,) if task.ruling_by == "task_force" else (Who.DUTY, Who.SUPERIOR)
    return (Who(token),)


def _possible(action: Action, case: WarningCase, task: Task) -> bool:
    """Return whether the parts of the guard hold that are written on the task itself."""
    refuted = task.finding in {"unfounded", "unverifiable"}
    running = any(clock.kind in STAGE_CLOCKS and clock.state == "running" for clock in task.clocks)
    extension = case.policy.extension
    match action:
        case Action.HANDLE:
            return not refuted
        case Action.ACCEPT | Action.SEND_BACK:
            return task.stage is Stage.FED_BACK or refuted
        case Action.RETURN:
            return task.returns < case.policy.returns.cap and not task.designated
        case Action.REQUEST_EXTENSION:
            return extension is not None and task.extensions < extension.at_most and task.extension_asked is None and running
        case Action.APPROVE_EXTENSION | Action.REFUSE_EXTENSION:
            return task.extension_asked is not None
        case Action.PAUSE:
            return bool(case.policy.pauses) and running
        case Action.DESIGNATE:
            return task.awaits_ruling
        case Action.WAIVE:
            return task.role == "cooperating" and (task.open or task.awaits_ruling)
        case _:
            return True
