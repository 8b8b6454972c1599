"""What a timer does when it is due: reminders, the ladder 催办 → 督办 → 报专班 → 报分管副市长, and what goes on by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from dispatch.assign import begin_work
from dispatch.desk import resume_by_itself
from dispatch.draft import Context, Draft, timer_id
from dispatch.effects import AnyEffect, Applied, TimerDone, TimerSet
from dispatch.rungs import holder, issue
from domain.errors import Conflict
from domain.instants import spoken
from domain.messages import both, text
from domain.policies import Rung
from domain.tasks import Clock, Recipient, Stage, Task, Timer, WarningCase

LATE_AFTER: Final = timedelta(seconds=60)  # a duty loop polls every second; more than this was an outage
_ORDER: Final = ("reminder", "pause_end", "due", "unrouted", "rung", "answer", "revisit")


@dataclass(frozen=True, slots=True)
class _Firing:
    """One timer at one instant."""

    timer: Timer
    clock: Clock
    late: bool


def in_due_order(timers: Iterable[Timer]) -> list[Timer]:
    """Return timers as they are to be fired after an outage: by due time, then reminders before dues before rungs, then by id."""
    return sorted(timers, key=lambda timer: (timer.due_at, _ORDER.index(timer.what), timer.rung, timer.id))


def fire(case: WarningCase, tasks: Iterable[Task], timer: Timer, context: Context, now: datetime) -> Applied:
    """Fire one pending timer.

    A timer of a closed warning, of a clock that stopped or was set anew comes back as cancelled and does nothing else; one that
    was fired or cancelled before has no effects at all. `case` and `tasks` are read in the transaction that writes the effects.

    Raises:
        Conflict: `now` is before its due time; timers never fire early.
    """
    tasks = tuple(tasks)
    if timer.state != "pending":
        return Applied(case=case, tasks=tasks)
    if now < timer.due_at:
        raise Conflict(both("timer.early", id=timer.id, due=spoken(timer.due_at), now=spoken(now)))
    draft = Draft(case, tasks, context, now)
    late = now - timer.due_at > LATE_AFTER
    if timer.what == "revisit":
        return _revisit(draft, timer, late=late)
    clock = _clock(case, tasks, timer)
    if clock is None:
        return _finish(draft, TimerDone(timer_id=timer.id, state="cancelled", late=late))
    _act(draft, _Firing(timer=timer, clock=clock, late=late))
    return _finish(draft, TimerDone(timer_id=timer.id, state="fired", late=late))


def _finish(draft: Draft, done: TimerDone) -> Applied:
    """Put the timer's own row first: where it is not pending any more, the writer undoes everything after it."""
    applied = draft.done()
    effects: tuple[AnyEffect, ...] = (done, *applied.effects)
    return replace(applied, effects=effects)


def _clock(case: WarningCase, tasks: tuple[Task, ...], timer: Timer) -> Clock | None:
    """Return the running clock that the timer was written for, at that version, of an open obligation; else None."""
    if case.status not in {"open", "unrouted"}:
        return None
    owner = next((task for task in tasks if task.id == timer.task_id), None)
    if timer.task_id and (owner is None or not (owner.open or owner.awaits_ruling)):
        return None
    clock = (owner or case).clock(timer.kind)
    running = clock is not None and clock.state == "running" and clock.version == timer.version
    return clock if running else None


def _act(draft: Draft, firing: _Firing) -> None:
    timer, clock = firing.timer, firing.clock
    match timer.what:
        case "reminder":
            share = round(draft.policy.reminders[timer.rung] * 100) if timer.rung < len(draft.policy.reminders) else 0
            reason = text("timer.reminder", clock=text(f"clock.{clock.kind}"), share=share, due=spoken(clock.due_at))
            reason += text("timer.late") if firing.late else ""
            draft.tell(
                holder(draft, timer.task_id, clock), "task.reminder", reason, task_id=timer.task_id, ref=f"{clock.kind}.{timer.rung}"
            )
        case "pause_end":
            resume_by_itself(draft, draft.tasks[timer.task_id])
        case "due" | "unrouted":
            _due(draft, firing)
        case "rung":
            _climb(draft, firing, timer.rung, timer.repeat, timer.due_at)
        case _:
            superior = Recipient(role="task_force", department=draft.case.task_force) if draft.case.task_force else _desk(draft)
            reason = text("timer.no_answer", act=timer.ref, due=spoken(timer.due_at))
            draft.tell(superior, "task.no_answer", reason, task_id=timer.task_id, ref=timer.ref)
            draft.note("no_answer", timer.task_id, "", "", reason)


def _due(draft: Draft, firing: _Firing) -> None:
    """A limit passed: note it, go on by itself where nobody signed, and step onto the ladder."""
    timer, clock = firing.timer, firing.clock
    draft.mark_missed(timer.task_id, clock)
    draft.note(
        "overdue",
        timer.task_id,
        "",
        "",
        text("timer.due", clock=text(f"clock.{clock.kind}"), due=spoken(clock.due_at)),
        late=firing.late,
    )
    if clock.kind == "receive":
        begin_work(draft, timer.task_id, clock.due_at)
    if not draft.policy.ladder:
        draft.tell(_desk(draft), "task.overdue", text("timer.no_ladder", policy=draft.policy.ref), task_id=timer.task_id, ref=clock.kind)
    for index, rung in enumerate(draft.policy.ladder):
        at, repeat = draft.context.calendar.due(clock.due_at, rung.after, draft.hours(clock.hours)).at, 0
        if at <= clock.due_at:
            _climb(draft, firing, index, 0, clock.due_at)
            continue
        began = draft.tasks[timer.task_id].generated_at if timer.task_id else at
        while at < began and rung.repeat_every is not None and repeat + 1 < rung.at_most:
            at, repeat = draft.context.calendar.due(at, rung.repeat_every, draft.hours(clock.hours)).at, repeat + 1
        if at >= began:  # earlier rungs were issued above the task that was transferred with this clock
            _set_rung(draft, firing, index, repeat, at)


def _climb(draft: Draft, firing: _Firing, index: int, repeat: int, due_at: datetime) -> None:
    """Issue one rung and set its next repetition; a rung that a newer policy does not have is passed over."""
    if index >= len(draft.policy.ladder):
        return
    rung: Rung = draft.policy.ladder[index]
    timer, clock = firing.timer, firing.clock
    owner = draft.tasks[timer.task_id].department if timer.task_id else draft.case.lead
    reason = text(
        "timer.rung", clock=text(f"clock.{clock.kind}"), due=spoken(clock.due_at), department=draft.name(owner or draft.case.duty_desk)
    )
    reason += text("timer.late") if firing.late else ""
    issue(
        draft,
        timer.task_id,
        clock,
        rung.act,
        rung.to,
        rung=index,
        due_at=due_at,
        reason=reason,
        answer_within=rung.answer_within,
        repeat=repeat,
        late=firing.late,
    )
    if rung.repeat_every is not None and repeat + 1 < rung.at_most:
        following = draft.context.calendar.due(due_at, rung.repeat_every, draft.hours(clock.hours)).at
        _set_rung(draft, firing, index, repeat + 1, following)


def _set_rung(draft: Draft, firing: _Firing, index: int, repeat: int, at: datetime) -> None:
    clock = firing.clock
    draft.add(
        TimerSet(
            timer=Timer(
                id=timer_id(draft.case.id, firing.timer.task_id, clock, "rung", index, repeat),
                warning_id=draft.case.id,
                task_id=firing.timer.task_id,
                kind=clock.kind,
                what="rung",
                due_at=at,
                version=clock.version,
                rung=index,
                repeat=repeat,
                provisional=clock.provisional,
            )
        )
    )


def _revisit(draft: Draft, timer: Timer, *, late: bool) -> Applied:
    """回访: the only timer of a closed warning; a reopened one has none."""
    task = draft.tasks.get(timer.task_id)
    if draft.case.status != "closed" or draft.case.attempt != timer.version or task is None or task.stage is not Stage.CLOSED:
        return _finish(draft, TimerDone(timer_id=timer.id, state="cancelled", late=late))
    reason = text("timer.revisit", department=task.department)
    draft.tell(Recipient(role="department", department=task.department), "case.revisit", reason, task_id=task.id, ref=str(timer.rung))
    draft.tell(_desk(draft), "case.revisit", reason, task_id=task.id, ref=str(timer.rung))
    draft.note("revisit", task.id, "closed", "closed", reason)
    return _finish(draft, TimerDone(timer_id=timer.id, state="fired", late=late))


def _desk(draft: Draft) -> Recipient:
    return Recipient(role="duty_desk", department=draft.case.duty_desk)
