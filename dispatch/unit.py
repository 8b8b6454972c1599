"""What a department does with its task: sign, return, transfer, verify, handle, feed back, ask for more time."""

from __future__ import annotations

from dispatch import forms
from dispatch.assign import assign, begin_work, one_limit, precedent
from dispatch.draft import Draft
from dispatch.effects import EscalationsAnswered, Journalled
from dispatch.transitions import STAGE_CLOCKS
from domain.errors import InvalidAction
from domain.instants import spoken
from domain.messages import both, in_each, text
from domain.policies import ClockKind
from domain.records import OutcomeEntry
from domain.tasks import Action, Clock, Command, Finding, Recipient, Stage, Task


def deliver(draft: Draft, task: Task, command: Command) -> str:
    """A 2xx, a poll, an exchange receipt or a confirmed print-out: the department has it."""
    draft.stop(task.id, "push")
    draft.move(draft.tasks[task.id], Stage.PUSHED, command.action)
    if not task.clock("verify") and not task.clock("feedback") and not task.clock("receive"):
        draft.start(task.id, "receive", draft.policy.limits.receive)
    total = draft.case.clock("total")
    if task.role == "lead" and draft.case.pushed_at is None:
        draft.put_case(pushed_at=draft.now)
        if total is not None and total.state == "running":  # the centre's own delay is not the department's
            draft.start("", "total", total.limit, hours=total.hours)
    return "pushed"


def receive(draft: Draft, task: Task, command: Command) -> str:
    """签收: signing late does not win time, the verify clock has run since the receive limit."""
    _sign(draft, task)
    draft.move(draft.tasks[task.id], Stage.RECEIVED, command.action)
    return "received"


def _sign(draft: Draft, task: Task) -> None:
    signing = task.clock("receive")
    began = min(draft.now, signing.due_at) if signing and signing.state == "running" else draft.now
    draft.stop(task.id, "receive")
    begin_work(draft, task.id, began)


def return_(draft: Draft, task: Task, command: Command) -> str:
    """退回: for a typed reason with its basis; at the cap, or without a precedent, somebody above rules."""
    rules = draft.policy.returns
    reason = command.form.get("reason", "")
    if reason not in rules.reasons:
        raise InvalidAction(both("task.bad_return_reason", reason=reason, legal=", ".join(rules.reasons)))
    basis = str(command.form.get("basis", "")).strip()
    if not basis:
        raise InvalidAction(both("task.no_basis"))
    window = draft.policy.limits.return_window
    pushed = task.entered(Stage.PUSHED) or task.generated_at
    if window is not None:
        last = draft.context.calendar.due(pushed, window, draft.hours(task.department)).at
        if draft.now > last:
            raise InvalidAction(both("task.return_too_late", last=spoken(last), limit=window))
    draft.stop(task.id)
    case, directory = draft.case, draft.context.directory
    returns = task.returns + 1
    refusers = {known.department for known in draft.tasks.values() if known.stage is Stage.RETURNED} | {task.department}
    ruling = precedent(draft.context.precedents, case.matter, case.kind, case.region)
    draft.move(
        draft.tasks[task.id], Stage.RETURNED, command.action, returns=returns, reason=f"{reason}: {basis}", answers=_kept(task, command)
    )
    sentence = text("task.returned", department=task.department, reason=reason, basis=basis)
    free = ruling is not None and task.role == "lead" and ruling.department not in refusers and directory.get(ruling.department) is not None
    if ruling is not None and free and returns < rules.cap:
        following = assign(draft, ruling.department, task.role, text("task.by_precedent", by=ruling.by), returns=returns)
        draft.put(draft.tasks[task.id], successor=following.id)
        draft.tell(Recipient(role="duty_desk", department=case.duty_desk), "task.returned", sentence, task_id=task.id)
        return "returned"
    ruler = rules.ruling_by if returns >= rules.cap else "duty_desk"
    draft.put(draft.tasks[task.id], ruling_by=ruler)
    desk = (case.task_force or case.duty_desk) if ruler == "task_force" else case.duty_desk
    limits = draft.policy.limits
    draft.start(task.id, "designate", limits.designate or limits.receive, hours=desk)
    if task.role == "lead":
        draft.hold(desk, "")
    draft.tell(Recipient(role=ruler, department=desk), "task.returned", sentence, task_id=task.id)
    return "returned"


def transfer(draft: Draft, task: Task, command: Command) -> str:
    """转办: to a lower or sibling unit of the same department; the clocks run on there."""
    unit = str(command.form.get("department", ""))
    if not draft.context.directory.same_line(task.department, unit):
        raise InvalidAction(both("task.not_same_line", unit=unit, department=task.department))
    clocks = tuple(clock for clock in task.clocks if clock.state == "running")
    draft.stop(task.id)
    following = assign(draft, unit, task.role, text("task.transferred", department=task.department), returns=task.returns)
    for clock in clocks:
        if clock.kind != "push":
            draft.rewrite(following.id, clock, clock.due_at)
    draft.move(draft.tasks[task.id], Stage.TRANSFERRED, command.action, successor=following.id, reason=command.note)
    return "transferred"


def report(draft: Draft, task: Task, command: Command) -> str:
    """报告进展: the first one is the 初报; each answers the rungs above the task."""
    said = str(command.form.get("text", "")).strip()
    if not said:
        raise InvalidAction(both("form.missing", field="text", title="进展情况"))
    draft.stop(task.id, "first_report")
    draft.put(draft.tasks[task.id], answers=_kept(task, command), supervised=False)
    draft.add(EscalationsAnswered(warning_id=draft.case.id, task_id=task.id, kind=None, at=draft.now))
    return "reported"


def verify(draft: Draft, task: Task, command: Command) -> str:
    """核查: 属实 starts the handling; 不属实 and 无法核实 wait for a reviewer."""
    _check(draft, "verify", command)
    finding: Finding = command.form["finding"]
    if task.stage is Stage.PUSHED:
        _sign(draft, task)
    draft.stop(task.id, "first_report", "verify")
    draft.move(draft.tasks[task.id], Stage.VERIFIED, command.action, finding=finding, **_done(draft.tasks[task.id], command))
    if finding != "confirmed":
        draft.stop(task.id, "feedback")
        _to_reviewer(draft, task.id)
    elif one_limit(draft, task) is None:
        draft.start(task.id, "handle", draft.policy.limits.handle)
    if task.role == "lead":
        draft.add(Journalled(entry=OutcomeEntry(warning_id=draft.case.id, verdict=finding, closed=False, at=draft.now)))
    return "verified"


def handle(draft: Draft, task: Task, command: Command) -> str:
    """处置: a measure and its proof."""
    _check(draft, "handle", command)
    draft.stop(task.id, "handle")
    draft.move(draft.tasks[task.id], Stage.HANDLED, command.action, **_done(task, command))
    if one_limit(draft, task) is None:
        draft.start(task.id, "feedback", draft.policy.limits.feedback)
    return "handled"


def feed_back(draft: Draft, task: Task, command: Command) -> str:
    """反馈: on the form of this kind of warning; the checker's clock starts."""
    _check(draft, "feedback", command)
    draft.stop(task.id, "feedback")
    draft.move(draft.tasks[task.id], Stage.FED_BACK, command.action, **_done(task, command))
    _to_reviewer(draft, task.id)
    return "fed_back"


def request_extension(draft: Draft, task: Task, command: Command) -> str:
    """申请延期: before the due time, with a reason; the clock runs while it waits."""
    clock = stage_clock(task)
    assert clock is not None
    if draft.now >= clock.due_at:
        raise InvalidAction(both("task.extension_too_late", due=spoken(clock.due_at)))
    reason = str(command.form.get("reason", "") or command.note).strip()
    if not reason:
        raise InvalidAction(both("form.missing", field="reason", title="延期理由"))
    draft.put(task, extension_asked=clock.kind, answers=_kept(task, command))
    extension = draft.policy.extension
    approver = reviewer(draft, task)
    if extension is not None and extension.approver != "lead":
        desk = extension.approver == "task_force" and draft.case.task_force
        approver = (
            Recipient(role="task_force", department=draft.case.task_force)
            if desk
            else Recipient(role="duty_desk", department=draft.case.duty_desk)
        )
    draft.tell(approver, "task.extension_requested", reason, task_id=task.id)
    return "asked"


def stage_clock(task: Task) -> Clock | None:
    """Return the running clock of the stage, which can be extended or paused."""
    return next((clock for clock in task.clocks if clock.kind in STAGE_CLOCKS and clock.state == "running"), None)


def reviewer(draft: Draft, task: Task) -> Recipient:
    """Return who reviews a task: the duty officer the lead's, the lead's head a cooperating one."""
    if task.role == "lead" or not draft.case.lead:
        return Recipient(role="duty_desk", department=draft.case.duty_desk)
    return Recipient(role="department_lead", department=draft.case.lead)


def _to_reviewer(draft: Draft, identifier: str) -> None:
    task = draft.tasks[identifier]
    checker = reviewer(draft, task)
    draft.start(identifier, "accept", draft.policy.limits.accept, hours=checker.department)
    if task.extension_asked is not None:
        draft.put(draft.tasks[identifier], extension_asked=None)
    draft.tell(checker, "task.to_review", text("task.to_review", department=task.department), task_id=identifier)


def _check(draft: Draft, action: str, command: Command) -> None:
    form = forms.form(action, draft.policy.forms)
    if forms.problems(form, command.form):
        raise InvalidAction(in_each(lambda language: "；".join(forms.problems(form, command.form, language))))


def _kept(task: Task, command: Command) -> dict[str, dict[str, object]]:
    return task.answers | {command.action.value: dict(command.form)}


def _done(task: Task, command: Command) -> dict[str, object]:
    proof = command.form.get("proof", [])
    kept = dict.fromkeys((*task.evidence, *command.evidence, *proof))
    people = dict.fromkeys((*task.handlers, *([command.actor] if command.actor else [])))
    asked: ClockKind | None = None  # an extension that was asked for lapses with its stage
    return {"answers": _kept(task, command), "evidence": tuple(kept), "handlers": tuple(people), "extension_asked": asked}


DEEDS = {
    Action.DELIVER: deliver,
    Action.RECEIVE: receive,
    Action.RETURN: return_,
    Action.TRANSFER: transfer,
    Action.REPORT: report,
    Action.VERIFY: verify,
    Action.HANDLE: handle,
    Action.FEED_BACK: feed_back,
    Action.REQUEST_EXTENSION: request_extension,
}
