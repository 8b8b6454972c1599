"""What those above a task do: review, approve, pause, supervise, designate, waive, withdraw, reopen, and how a warning closes."""

from __future__ import annotations

from msgspec.structs import replace

from dispatch.assign import assign, one_limit, start_joint
from dispatch.draft import Draft
from dispatch.effects import DeliveriesCancelled, Journalled, RulingMade, TimerSet
from dispatch.route import designate_unrouted
from dispatch.rungs import issue
from dispatch.unit import stage_clock
from domain.errors import InvalidAction
from domain.instants import spoken
from domain.messages import both, in_each, text
from domain.records import OutcomeEntry
from domain.tasks import Action, Command, Precedent, Recipient, Stage, Task, Timer, stable_id

SETTLED = (Stage.ACCEPTED, Stage.CLOSED, Stage.WITHDRAWN, Stage.TRANSFERRED)
SIGNATURE_FIELD = "signed_by"


def accept(draft: Draft, task: Task, command: Command) -> str:
    """审核通过: not by whoever handled it; the lead's last, and then the warning closes by itself."""
    if command.actor and command.actor in task.handlers:
        raise InvalidAction(both("task.own_review", actor=command.actor))
    if task.role == "lead":
        open_ones = [known for known in draft.tasks.values() if known.role == "cooperating" and not _settled(known)]
        if open_ones:
            waiting = "、".join(f"{known.department} ({known.stage.value})" for known in open_ones)
            raise InvalidAction(both("task.cooperating_open", waiting=waiting))
        if draft.policy.signature and not str(command.form.get(SIGNATURE_FIELD, "")).strip():
            level = f"level.{draft.case.level}"
            raise InvalidAction(in_each(lambda say: text("task.no_signature", say, field=SIGNATURE_FIELD, level=text(level, say))))
    draft.stop(task.id)
    answers = task.answers | {command.action.value: dict(command.form)}
    draft.move(draft.tasks[task.id], Stage.ACCEPTED, command.action, answers=answers)
    draft.tell(Recipient(role="department", department=task.department), "task.accepted", text("task.accepted"), task_id=task.id)
    if task.role == "lead":
        _close(draft, draft.tasks[task.id])
    return "accepted"


def _settled(task: Task) -> bool:
    return task.stage in SETTLED or (task.stage is Stage.RETURNED and not task.awaits_ruling)


def _close(draft: Draft, lead: Task) -> None:
    """All are accepted: every timer is cancelled in the same transaction, the outcome is journalled, the revisit is set."""
    for task in tuple(draft.tasks.values()):
        if task.stage is Stage.ACCEPTED:
            draft.move(task, Stage.CLOSED, Action.CLOSE)
    verdict = lead.finding if lead.finding != "confirmed" else str(lead.answers.get("feed_back", {}).get("verdict", ""))
    draft.stop("")
    draft.put_case(status="closed", closed_at=draft.now, verdict=verdict)
    draft.release()
    draft.cancel_everything()
    _set_revisits(draft, lead)
    draft.retell("case.closed", text("case.closed", verdict=text(f"verdict.{verdict}")))
    draft.note("close", "", "open", "closed", text(f"verdict.{verdict}"))
    draft.add(Journalled(entry=OutcomeEntry(warning_id=draft.case.id, verdict=lead.finding, closed=True, at=draft.now)))


def _set_revisits(draft: Draft, lead: Task) -> None:
    sample = int(stable_id("", draft.case.id)[:8], 16) / 0xFFFFFFFF  # drawn from the id: the same in every replay
    if sample > draft.policy.revisit_share or lead.finding != "confirmed":
        return
    for index, limit in enumerate(draft.policy.revisit):
        due = draft.context.calendar.due(draft.now, limit, draft.hours(lead.department))
        draft.add(
            TimerSet(
                timer=Timer(
                    id=stable_id("m", draft.case.id, lead.id, "revisit", index),
                    warning_id=draft.case.id,
                    task_id=lead.id,
                    kind="total",
                    what="revisit",
                    due_at=due.at,
                    version=draft.case.attempt,
                    rung=index,
                    provisional=due.provisional,
                )
            )
        )


def send_back(draft: Draft, task: Task, command: Command) -> str:
    """退回重办: with a reason; the time to answer again is shorter by policy."""
    reason = _reason(command)
    again = draft.policy.limits.redo or one_limit(draft, task) or draft.policy.limits.feedback
    draft.stop(task.id, "accept")
    if task.stage is Stage.FED_BACK:
        draft.move(draft.tasks[task.id], Stage.HANDLED, command.action, sent_back=task.sent_back + 1)
        draft.start(task.id, "feedback", again)
    else:
        draft.move(draft.tasks[task.id], Stage.RECEIVED, command.action, sent_back=task.sent_back + 1, finding="")
        whole = one_limit(draft, task) is not None
        draft.start(task.id, "feedback" if whole else "verify", again)
    draft.tell(Recipient(role="department", department=task.department), "task.sent_back", reason, task_id=task.id)
    return "sent_back"


def approve_extension(draft: Draft, task: Task, command: Command) -> str:
    """同意延期: the due time moves and the total as much; whoever was told the old one is told."""
    extension, clock = draft.policy.extension, next((known for known in task.clocks if known.kind == task.extension_asked), None)
    if extension is None or clock is None or clock.state != "running":
        raise InvalidAction(both("task.extension_lapsed"))
    calendar = draft.context.calendar
    due = calendar.due(clock.due_at, extension.each, draft.hours(clock.hours))
    draft.put(task, extension_asked=None, extensions=task.extensions + 1)
    draft.rewrite(task.id, clock, due.at, provisional=clock.provisional or due.provisional, moved=True)
    total = draft.case.clock("total")
    if total is not None and total.state == "running":
        later = calendar.due(total.due_at, extension.each, draft.hours(total.hours))
        draft.rewrite("", total, later.at, provisional=total.provisional or later.provisional, moved=True)
        lead = Recipient(role="department", department=draft.case.lead)
        draft.tell(lead, "case.due_changed", text("case.total_moved", due=spoken(later.at)))
    draft.retell("task.due_changed", text("task.extended", due=spoken(due.at), reason=command.note), task_id=task.id)
    return "extended"


def refuse_extension(draft: Draft, task: Task, command: Command) -> str:
    """不同意延期: the clock ran all the time."""
    reason = _reason(command)
    draft.put(task, extension_asked=None)
    draft.tell(Recipient(role="department", department=task.department), "task.extension_refused", reason, task_id=task.id)
    return "refused"


def pause(draft: Draft, task: Task, command: Command) -> str:
    """中止计时: for a typed reason and at most its longest duration; only the stage's clock stands still, the total runs on."""
    reason = command.form.get("reason", "")
    rule = next((known for known in draft.policy.pauses if known.reason == reason), None)
    if rule is None:
        raise InvalidAction(both("task.bad_pause_reason", reason=reason, legal=", ".join(known.reason for known in draft.policy.pauses)))
    clock = stage_clock(task)
    assert clock is not None  # the table asked for a running one
    paused = replace(clock, state="paused", stopped_at=draft.now)
    clocks = (*(known for known in task.clocks if known.kind != clock.kind), paused)
    draft.move(task, Stage.PAUSED, command.action, stage_before=task.stage, clocks=clocks, reason=str(reason))
    draft.start(task.id, "pause", rule.at_most)
    draft.retell("task.due_changed", text("task.paused", reason=reason), task_id=task.id)
    return "paused"


def resume(draft: Draft, task: Task, command: Command) -> str:
    """恢复计时: what was left of the limit then is left now."""
    before = task.stage_before
    assert before is not None  # kept by pause
    draft.stop(task.id, "pause")
    draft.move(draft.tasks[task.id], before, command.action, stage_before=None)
    clock = next((known for known in task.clocks if known.state == "paused"), None)
    if clock is not None and clock.stopped_at is not None:
        due = draft.context.calendar.resumed(clock.due_at, clock.stopped_at, draft.now, clock.limit, draft.hours(clock.hours))
        draft.rewrite(task.id, clock, due, state="running", stopped_at=None, moved=True)
        draft.retell("task.due_changed", text("task.resumed", due=spoken(due)), task_id=task.id)
    return "resumed"


def resume_by_itself(draft: Draft, task: Task) -> None:
    """The longest duration of a pause is over."""
    command = Command(action=Action.RESUME, role="system")
    resume(draft, task, command)
    draft.audit(command, task.id, Stage.PAUSED.value, draft.tasks[task.id].stage.value, reason=text("task.pause_over"))


def supervise(draft: Draft, task: Task, command: Command) -> str:
    """督办 (业务督办, where the issuer has no supervision mandate): flagged, one rung up, with its own deadline."""
    reason = _reason(command)
    clock = stage_clock(task) or next((known for known in task.clocks if known.state == "running"), None)
    task_id = task.id if clock is not None else ""
    clock = clock or draft.case.clock("total")
    assert clock is not None  # an open case has a total clock
    within = next((rung.answer_within for rung in draft.policy.ladder if rung.act == "supervise" and rung.answer_within), None)
    draft.put(task, supervised=True)
    issue(
        draft,
        task_id,
        clock,
        "supervise",
        "department_lead",
        rung=task.rung,
        due_at=draft.now,
        reason=reason,
        answer_within=within or draft.policy.limits.accept,
        issued_by=command.actor or command.role,
    )
    return "supervised"


def designate(draft: Draft, task: Task | None, command: Command) -> str:
    """指定办理: the ruling is a precedent for the next warning, and the designated department cannot return it."""
    unit = str(command.form.get("department", ""))
    if draft.context.directory.get(unit) is None:
        raise InvalidAction(both("task.unknown_department", unit=unit))
    reason = _reason(command)
    case = draft.case
    if task is None:
        designate_unrouted(draft, unit, reason)
    else:
        draft.stop(task.id)
        following = assign(draft, unit, task.role, reason, returns=task.returns, designated=True)
        draft.put(draft.tasks[task.id], ruling_by="", successor=following.id)
    draft.retell("case.designated", text("task.designated", department=unit, reason=reason), task_id=task.id if task else "")
    ruling = Precedent(
        matter=case.matter,
        kind=case.kind,
        region=case.region,
        department=unit,
        at=draft.now,
        by=command.actor or command.role,
        reason=reason,
        warning_id=case.id,
    )
    if task is None or task.role == "lead":
        draft.add(RulingMade(precedent=ruling))
    return "designated"


def waive(draft: Draft, task: Task, command: Command) -> str:
    """免予反馈: a cooperating unit is ruled out, with a reason."""
    reason = _reason(command)
    draft.stop(task.id)
    draft.move(draft.tasks[task.id], Stage.WITHDRAWN, command.action, reason=reason, ruling_by="")
    draft.retell("task.withdrawn", reason, task_id=task.id)
    return "waived"


def withdraw(draft: Draft, command: Command) -> str:
    """撤回: everybody who was told is told again; what has not gone out yet would only come after that."""
    reason = _reason(command)
    for task in tuple(draft.tasks.values()):
        if task.open or task.awaits_ruling or task.stage is Stage.ACCEPTED:
            draft.stop(task.id)
            draft.move(draft.tasks[task.id], Stage.WITHDRAWN, command.action, ruling_by="")
    draft.stop("")
    draft.put_case(status="withdrawn", closed_at=draft.now, verdict="withdrawn")
    draft.release()
    draft.cancel_everything()
    draft.add(DeliveriesCancelled(warning_id=draft.case.id))
    draft.retell("case.withdrawn", reason)
    draft.add(Journalled(entry=OutcomeEntry(warning_id=draft.case.id, verdict="withdrawn", closed=True, at=draft.now)))
    return "withdrawn"


def reopen(draft: Draft, command: Command) -> str:
    """重新办理: new tasks for the same units, the history stays; the system only within the policy's days."""
    reason = _reason(command)
    case, within = draft.case, draft.policy.reopen_within
    if command.role == "system" and within is not None and case.closed_at is not None:
        last = draft.context.calendar.due(case.closed_at, within, draft.hours(case.duty_desk)).at
        if draft.now > last:
            raise InvalidAction(both("case.reopen_too_late", last=spoken(last)))
    draft.cancel_everything()  # the revisits
    kept = tuple(clock for clock in case.clocks if clock.kind != "joint")
    draft.put_case(status="open", closed_at=None, verdict="", pushed_at=None, attempt=case.attempt + 1, clocks=kept)
    draft.start("", "total", draft.policy.limits.total, hours=case.lead)
    assign(draft, case.lead, "lead", reason)
    for unit in case.cooperating:
        if unit != case.lead:
            assign(draft, unit, "cooperating", reason)
    start_joint(draft, 1 + len(case.cooperating))
    draft.retell("case.reopened", reason)
    return "reopened"


def assess(draft: Draft, command: Command) -> str:
    """综合研判: minutes and who was there; without the quorum it was a talk."""
    minutes = str(command.form.get("minutes", "")).strip()
    if not minutes:
        raise InvalidAction(both("form.missing", field="minutes", title="会商纪要"))
    attended = command.form.get("attended", [])
    case, rule = draft.case, draft.policy.joint_assessment
    others = [unit for unit in case.cooperating if unit != case.lead]
    there = sum(1 for unit in others if unit in attended)
    needed = len(others) if rule is not None and rule.quorum == "all" else (len(others) + 1) // 2
    if case.lead not in attended or there < needed:
        raise InvalidAction(both("case.no_quorum", lead=case.lead, needed=needed, there=there))
    draft.stop("", "joint")
    for unit in (case.lead, *others):
        draft.tell(Recipient(role="department", department=unit), "case.assessed", minutes)
    return "assessed"


def _reason(command: Command) -> str:
    reason = str(command.form.get("reason", "") or command.note).strip()
    if not reason:
        raise InvalidAction(both("form.missing", field="reason", title="理由"))
    return reason


DEEDS = {
    Action.ACCEPT: accept,
    Action.SEND_BACK: send_back,
    Action.APPROVE_EXTENSION: approve_extension,
    Action.REFUSE_EXTENSION: refuse_extension,
    Action.PAUSE: pause,
    Action.RESUME: resume,
    Action.SUPERVISE: supervise,
    Action.DESIGNATE: designate,
    Action.WAIVE: waive,
}
CASE_DEEDS = {Action.WITHDRAW: withdraw, Action.REOPEN: reopen, Action.ASSESS: assess}
