"""Issuing one rung of the ladder: a row with its own recipient, delivery and deadline."""

from __future__ import annotations

from datetime import datetime

from dispatch.draft import Draft, timer_id
from dispatch.effects import EscalationRaised, TimerSet
from dispatch.unit import reviewer
from domain.messages import text
from domain.policies import Act, ClockKind, Limit, RecipientRole
from domain.tasks import Clock, Escalation, Recipient, Stage, Timer, stable_id

# 催办 and 督办 go to whoever holds the obligation; these clocks are held by a desk, not by the task's department.
CENTRE_CLOCKS: tuple[ClockKind, ...] = ("push", "joint")


def holder(draft: Draft, task_id: str, clock: Clock) -> Recipient:
    """Return who is behind a clock: the department, the reviewer of an accept clock, or a desk."""
    case = draft.case
    desk = Recipient(role="duty_desk", department=case.duty_desk)
    superior = Recipient(role="task_force", department=case.task_force) if case.task_force else desk
    if not task_id:
        if clock.kind == "joint":
            return superior
        lead = draft.lead_task()
        if clock.kind == "designate" or lead is None:
            return desk
        if lead.awaits_ruling:
            return superior if lead.ruling_by == "task_force" else desk
        return desk if lead.stage in {Stage.FED_BACK, Stage.GENERATED} else Recipient(role="department", department=lead.department)
    task = draft.tasks[task_id]
    if clock.kind == "push":
        return desk
    if clock.kind == "accept":
        return reviewer(draft, task)
    if clock.kind == "designate":
        return superior if task.ruling_by == "task_force" else desk
    return Recipient(role="department", department=task.department)


def addressee(draft: Draft, task_id: str, clock: Clock, to: RecipientRole) -> Recipient:
    """Return whom a rung reaches; an office that the directory does not have is stood in for by the next one above, else the duty desk."""
    case = draft.case
    above: list[tuple[RecipientRole, str]] = [("task_force", case.task_force), ("deputy_mayor", case.deputy_mayor)]
    if to in {"department", "department_lead"}:
        held = holder(draft, task_id, clock)
        return Recipient(role=to, department=held.department) if held.role in {"department", "department_lead"} else held
    if to == "deputy_mayor":
        above = above[1:]
    found = [Recipient(role=role, department=unit) for role, unit in above if unit] if to != "duty_desk" else []
    return found[0] if found else Recipient(role="duty_desk", department=case.duty_desk)


def issue(
    draft: Draft,
    task_id: str,
    clock: Clock,
    act: Act,
    to: RecipientRole,
    *,
    rung: int,
    due_at: datetime,
    reason: str,
    answer_within: Limit | None = None,
    repeat: int = 0,
    late: bool = False,
    issued_by: str = "system",
) -> Escalation:
    """Issue one rung: the row, its message, and the timer of its own deadline. `rung` counts from 0."""
    recipient = addressee(draft, task_id, clock, to)
    identifier = stable_id("e", draft.case.id, task_id, clock.kind, clock.version, rung, repeat, act, issued_by, due_at.isoformat())
    if task_id:
        task = draft.tasks[task_id]
        draft.put(task, rung=max(task.rung, rung + 1))
    message = draft.tell(recipient, f"task.{act}", reason, task_id=task_id, ref=identifier)
    answer_by = None
    if answer_within is not None:
        answer_by = draft.context.calendar.due(draft.now, answer_within, draft.hours(recipient.department)).at
        draft.add(
            TimerSet(
                timer=Timer(
                    id=timer_id(draft.case.id, task_id, clock, "answer", rung, repeat, identifier),
                    warning_id=draft.case.id,
                    task_id=task_id,
                    kind=clock.kind,
                    what="answer",
                    due_at=answer_by,
                    version=clock.version,
                    rung=rung,
                    repeat=repeat,
                    ref=identifier,
                )
            )
        )
    row = Escalation(
        id=identifier,
        warning_id=draft.case.id,
        task_id=task_id,
        kind=clock.kind,
        rung=rung,
        repeat=repeat,
        act=act,
        recipient=recipient,
        reason=reason,
        due_at=due_at,
        issued_at=draft.now,
        delivery_id=message,
        issued_by=issued_by,
        late=late,
        answer_by=answer_by,
    )
    draft.add(EscalationRaised(escalation=row))
    draft.note(act, task_id, "", "", text(f"act.{act}") + "：" + reason, recipient=recipient.department, role=recipient.role, late=late)
    return row
