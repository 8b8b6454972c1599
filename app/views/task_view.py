"""One task as its page shows it: the track of its stages, its clocks, its answers, and what the asker may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from app.views.clocks import ClockView, clock_view
from app.views.titles import Titles
from dispatch.transitions import legal_actions
from domain.base import Noun
from domain.errors import NotFound
from domain.tasks import Action, Role, Stage, Task, WarningCase

# 生成 → 推送 → 签收 → 核查 → 处置 → 反馈 → 审核 → 办结
TRACK = (
    Stage.GENERATED,
    Stage.PUSHED,
    Stage.RECEIVED,
    Stage.VERIFIED,
    Stage.HANDLED,
    Stage.FED_BACK,
    Stage.ACCEPTED,
    Stage.CLOSED,
)


class Mark(Noun, frozen=True, kw_only=True):
    """One station of the track: passed (and when), present, skipped (an unfounded warning is never handled) or ahead."""

    stage: Stage
    state: Literal["passed", "present", "skipped", "ahead"]
    at: datetime | None = None


class Said(Noun, frozen=True, kw_only=True):
    """One answer of the department: the action and the form as it was given."""

    action: str
    form: dict[str, Any]


class TaskView(Noun, frozen=True, kw_only=True):
    """A task; `actions` are what the asker may do to it now, in the order of the table."""

    id: str
    department: str
    department_name: str
    role: str
    attempt: int
    stage: Stage
    version: int
    open: bool
    designated: bool
    supervised: bool
    returns: int
    sent_back: int
    rung: int
    finding: str
    reason: str
    extension_asked: str
    successor: str
    held_from: datetime
    held_to: datetime | None
    handlers: tuple[str, ...]
    evidence: tuple[str, ...]
    track: tuple[Mark, ...]
    clocks: tuple[ClockView, ...]
    answers: tuple[Said, ...]
    actions: tuple[Action, ...]


def task_view(task: Task, case: WarningCase, titles: Titles, actions: tuple[Action, ...], now: datetime) -> TaskView:
    """Return a task as it stands at `now`."""
    return TaskView(
        id=task.id,
        department=task.department,
        department_name=titles.department(task.department),
        role=task.role,
        attempt=task.attempt,
        stage=task.stage,
        version=task.version,
        open=task.open and case.status == "open",
        designated=task.designated,
        supervised=task.supervised,
        returns=task.returns,
        sent_back=task.sent_back,
        rung=task.rung,
        finding=task.finding,
        reason=task.reason,
        extension_asked=task.extension_asked or "",
        successor=task.successor,
        held_from=task.held_from,
        held_to=task.held_to,
        handlers=task.handlers,
        evidence=task.evidence,
        track=track(task),
        clocks=tuple(clock_view(clock, now) for clock in sorted(task.clocks, key=lambda clock: (clock.start_at, clock.due_at))),
        answers=tuple(Said(action=action, form=form) for action, form in task.answers.items()),
        actions=actions,
    )


def track(task: Task) -> tuple[Mark, ...]:
    """Return the stations of a task; a task that ended off the track stops where it left it."""
    present = task.stage_before if task.stage is Stage.PAUSED else task.stage
    if present not in TRACK:  # returned, transferred, withdrawn
        present = next((passage.stage for passage in reversed(task.passages) if passage.stage in TRACK), Stage.GENERATED)
    here = TRACK.index(present)
    marks = []
    for place, stage in enumerate(TRACK):
        at = task.entered(stage)
        if place > here:
            marks.append(Mark(stage=stage, state="ahead"))
        elif place == here:
            marks.append(Mark(stage=stage, state="present", at=at))
        else:
            marks.append(Mark(stage=stage, state="passed" if at else "skipped", at=at))
    return tuple(marks)


def possible(case: WarningCase, all_tasks: tuple[Task, ...], task: Task | None, role: Role, department: str) -> tuple[Action, ...]:
    """Return what an asker may do to a task, or to the case where `task` is None; nothing to what it has no part in."""
    try:
        return legal_actions(case, all_tasks, task, role, department)
    except NotFound:
        return ()
