"""What changes a promise from outside: a finding that goes on, a level that rises, and a year's holidays that become known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec.structs import replace

from dispatch.assign import start_joint
from dispatch.draft import Context, Draft
from dispatch.effects import Applied
from dispatch.lifecycle import apply
from dispatch.policy import Chosen
from domain.errors import InvalidAction
from domain.findings import Inferred
from domain.instants import spoken
from domain.levels import DEFAULT_LEVELS, LevelScale
from domain.messages import text
from domain.policies import ClockKind, Limit, Limits
from domain.tasks import Action, Clock, Command, Recipient, Task, WarningCase

# Which limit a running clock was set by.
_LIMIT_OF: Final[Mapping[ClockKind, str]] = {
    "push": "push",
    "receive": "receive",
    "first_report": "first_report",
    "verify": "verify",
    "handle": "handle",
    "feedback": "feedback",
    "accept": "accept",
    "designate": "designate",
    "total": "total",
}


Change = Literal["joined", "level_raised", "level_fell", "corrected", "rescored", "inferred"]


def follow(level: str, change: Change, case: WarningCase, tasks: Iterable[Task], context: Context, now: datetime) -> Applied:
    """Decide what a change of the finding means for its case; nothing that happened is passed over in silence.

    A higher level shortens what is not yet reached. Whoever was told of facts that were corrected is told again, also after the end.
    A rule that is new, or a rise, that reaches a case which is over came between its end here and the end of the episode in the journal,
    which will spend it: a closed case is reopened, within the policy's days; a withdrawn one, and a closed one after them, becomes a row
    on the duty desk.
    """
    tasks = tuple(tasks)
    live = case.status in {"open", "unrouted"}
    if change == "corrected" and (live or case.status == "closed"):
        return retold(case, tasks, text("case.corrected"), context, now)
    if live:
        return raise_level(case, tasks, level, context, now)
    if change not in {"joined", "level_raised"}:
        return Applied(case=case, tasks=tasks)
    command = Command(action=Action.REOPEN, role="system", note=text("case.rose_again"))
    try:
        again = apply(case, tasks, "", command, context, now)
    except InvalidAction as error:
        return attention(case, tasks, text("case.hit_after_end", status=text(f"stage.{case.status}"), why=error), context, now)
    raised = raise_level(again.case, again.tasks, level, context, now)
    return replace(raised, effects=(*again.effects, *raised.effects))


def facts_withdrawn(case: WarningCase, tasks: Iterable[Task], context: Context, now: datetime) -> Applied:
    """Withdraw a case whose facts are gone; whoever was told of one that is closed hears of it."""
    tasks, reason = tuple(tasks), text("case.facts_withdrawn")
    if case.status == "closed":
        return retold(case, tasks, reason, context, now)
    if case.status == "withdrawn":
        return Applied(case=case, tasks=tasks)
    return apply(case, tasks, "", Command(action=Action.WITHDRAW, role="system", note=reason), context, now)


def retold(case: WarningCase, tasks: Iterable[Task], reason: str, context: Context, now: datetime) -> Applied:
    """Tell everybody who was told that the facts are others now."""
    draft = Draft(case, tasks, context, now)
    draft.put_case()  # a version of its own: the second correction is not the first one told twice
    draft.retell("case.corrected", reason)
    return draft.done()


def inferred(found: Sequence[Inferred], case: WarningCase, tasks: Iterable[Task], context: Context, now: datetime) -> Applied:
    """Tell those who were told of a live case what follows from the findings by now; that nothing follows any more is no news."""
    tasks = tuple(tasks)
    if case.status not in {"open", "unrouted"} or not found:
        return Applied(case=case, tasks=tasks)
    said = [each.title if each.transfer is None else text("case.transfer", title=each.title, crime=each.transfer.crime) for each in found]
    draft = Draft(case, tasks, context, now)
    draft.put_case()  # a version of its own, as for a correction
    draft.retell("case.inferred", text("case.inferred", said="；".join(said)))
    return draft.done()


def attention(case: WarningCase, tasks: Iterable[Task], reason: str, context: Context, now: datetime) -> Applied:
    """Lay something before the duty desk that cannot be decided here."""
    draft = Draft(case, tasks, context, now)
    draft.put_case()
    draft.tell(Recipient(role="duty_desk", department=case.duty_desk), "case.attention", reason)
    draft.note("attention", "", case.status, case.status, reason)
    return draft.done()


def raise_level(
    case: WarningCase, tasks: Iterable[Task], level: str, context: Context, now: datetime, scale: LevelScale = DEFAULT_LEVELS
) -> Applied:
    """Take over a higher level: the policy is read again for the stages to come; a running limit is shortened, never lengthened.

    A shortened limit runs anew from the rise, so nobody is overdue by it at once. A level that is not higher, and any level of a
    case that is over, changes nothing that was promised. Where no policy is for the new level the old one goes on, and the reason says so.
    """
    tasks = tuple(tasks)
    if case.status not in {"open", "unrouted"} or scale.rank(level) <= scale.rank(case.level):
        return Applied(case=case, tasks=tasks)
    chosen = context.policies.choose(
        level=level,
        sector=case.sector,
        matter=case.matter,
        region=case.region,
        department=case.lead,
        unrouted=case.status == "unrouted",
    )
    if chosen is None:
        chosen = Chosen(case.policy, text("route.no_policy", level=level) + "；" + case.policy_reason)
    draft = Draft(case, tasks, context, now)
    draft.put_case(level=level, policy=chosen.policy, policy_reason=chosen.reason, reasons=(*case.reasons, chosen.reason))
    for task_id in ("", *(task.id for task in tasks if task.open or task.awaits_ruling)):
        for clock in draft.clocks_of(task_id):
            if clock.state != "stopped":
                _shorten(draft, task_id, clock, chosen.policy.limits)
    if case.status == "open":
        start_joint(draft, sum(1 for task in tasks if task.open))
    reason = text("case.level_raised", before=text(f"level.{case.level}"), level=text(f"level.{level}"))
    draft.retell("case.level_raised", reason)
    draft.note("raise_level", "", case.level, level, reason, policy=chosen.policy.ref)
    return draft.done()


def _shorten(draft: Draft, task_id: str, clock: Clock, limits: Limits) -> None:
    limit = _limit(draft, task_id, clock, limits)
    if limit is None:
        return
    due = draft.context.calendar.due(draft.now, limit, draft.hours(clock.hours))
    if due.at >= clock.due_at:
        return
    if clock.state == "paused":  # what is left when it runs again is at most the new limit
        draft.rewrite(task_id, clock, due.at, provisional=due.provisional, limit=limit, stopped_at=draft.now)
        return
    draft.rewrite(task_id, clock, due.at, provisional=due.provisional, limit=limit, start_at=draft.now, moved=False)


def _limit(draft: Draft, task_id: str, clock: Clock, limits: Limits) -> Limit | None:
    name = _LIMIT_OF.get(clock.kind)
    if name is None:
        return None
    task = draft.tasks.get(task_id)
    if clock.kind == "feedback" and task is not None:
        if task.sent_back:
            return limits.redo or limits.feedback
        if task.role == "cooperating" and limits.cooperating is not None:
            return limits.cooperating
    limit: Limit | None = getattr(limits, name)
    return limit


def recompute(case: WarningCase, tasks: Iterable[Task], context: Context, now: datetime) -> Applied:
    """Compute provisional due times again with a calendar that knows more; whoever was told a time that moved is told.

    A clock whose end was moved by an extension or a pause keeps it: that time was ruled, not computed.
    """
    tasks = tuple(tasks)
    draft = Draft(case, tasks, context, now)
    if case.status not in {"open", "unrouted"}:
        return draft.done()
    for task_id in ("", *(task.id for task in tasks if task.open or task.awaits_ruling)):
        moved = []
        for clock in draft.clocks_of(task_id):
            if clock.state != "running" or not clock.provisional or clock.moved:
                continue
            due = context.calendar.due(clock.start_at, clock.limit, draft.hours(clock.hours))
            if due.at != clock.due_at or due.provisional != clock.provisional:
                draft.rewrite(task_id, clock, due.at, provisional=due.provisional)
            if due.at != clock.due_at:
                moved.append(text("case.recomputed", clock=text(f"clock.{clock.kind}"), due=spoken(due.at)))
        if moved:
            draft.retell("task.due_changed" if task_id else "case.due_changed", "；".join(moved), task_id=task_id or None)
            draft.note("recompute", task_id, "", "", "；".join(moved))
    return draft.done()


def provisional(case: WarningCase, tasks: Iterable[Task]) -> bool:
    """Return whether any running clock leans on a year that is not announced: these cases are to be recomputed when the file arrives."""
    clocks = (*case.clocks, *(clock for task in tasks for clock in task.clocks))
    return any(clock.provisional and clock.state == "running" for clock in clocks)
