"""Giving a task to a department and setting its clocks; used by routing, returns, transfers, designations and reopening."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from dispatch.draft import Draft
from domain.messages import text
from domain.policies import Limit
from domain.tasks import Action, Passage, Precedent, Recipient, Stage, Task, task_id


def assign(
    draft: Draft,
    department: str,
    role: Literal["lead", "cooperating"],
    reason: str,
    *,
    returns: int = 0,
    designated: bool = False,
) -> Task:
    """Make the next task of a department, start its push clock and tell it.

    A department that becomes the lead loses its cooperating task: nobody assists himself.
    """
    if role == "lead":
        for other in tuple(draft.tasks.values()):
            if other.department == department and other.role == "cooperating" and (other.open or other.awaits_ruling):
                draft.stop(other.id)
                draft.move(draft.tasks[other.id], Stage.WITHDRAWN, Action.DESIGNATE, reason=text("task.merged"), ruling_by="")
    attempt = 1 + sum(1 for known in draft.tasks.values() if known.department == department)
    task = draft.put(
        Task(
            id=task_id(draft.case.id, department, attempt),
            warning_id=draft.case.id,
            department=department,
            role=role,
            attempt=attempt,
            generated_at=draft.now,
            held_from=draft.now,
            passages=(Passage(stage=Stage.GENERATED, at=draft.now, by="route"),),
            returns=returns,
            designated=designated,
            reason=reason,
        )
    )
    draft.start(task.id, "push", draft.policy.limits.push, hours=draft.case.duty_desk)
    if role == "lead":
        draft.put_case(lead=department)
        draft.hold(department, task.id)
    elif department not in draft.case.cooperating:
        draft.put_case(cooperating=(*draft.case.cooperating, department))
    draft.tell(Recipient(role="department", department=department), "task.assigned", reason, task_id=task.id)
    return draft.tasks[task.id]


def one_limit(draft: Draft, task: Task) -> Limit | None:
    """Return the single limit of a cooperating task, from its reception to its feedback, where the policy has one."""
    return draft.policy.limits.cooperating if task.role == "cooperating" else None


def begin_work(draft: Draft, identifier: str, at: datetime) -> None:
    """Start what runs from the reception, or from the end of the receive limit where nobody signs; what runs already runs on."""
    task = draft.tasks[identifier]
    if task.clock("verify") or task.clock("feedback"):
        return
    limits = draft.policy.limits
    whole = one_limit(draft, task)
    if whole is not None:
        draft.start(identifier, "feedback", whole, at=at)
        return
    if task.role == "lead":
        draft.start(identifier, "first_report", limits.first_report, at=at)
    draft.start(identifier, "verify", limits.verify, at=at)


def start_joint(draft: Draft, departments: int) -> None:
    """Convene a joint assessment (综合研判) where the policy asks for one and none was convened yet."""
    rule = draft.policy.joint_assessment
    if rule is None or draft.case.clock("joint"):
        return
    if draft.case.level not in rule.levels and not (rule.departments and departments >= rule.departments):
        return
    draft.start("", "joint", rule.within)
    said = text("task.joint", quorum=text("quorum.all" if rule.quorum == "all" else "quorum.half"))
    desk = Recipient(role="task_force", department=draft.case.task_force or draft.case.duty_desk)
    for recipient in (desk, *(Recipient(role="department_lead", department=unit) for unit in (draft.case.lead, *draft.case.cooperating))):
        draft.tell(recipient, "case.joint_assessment", said)


def precedent(precedents: tuple[Precedent, ...], matter: str, kind: str, region: str) -> Precedent | None:
    """Return the newest ruling for (matter, kind), of the longest region prefix that fits."""
    best: Precedent | None = None
    for ruling in precedents:
        if ruling.matter != matter or ruling.kind != kind or not region.startswith(ruling.region):
            continue
        if best is None or (len(ruling.region), ruling.at) > (len(best.region), best.at):
            best = ruling
    return best
