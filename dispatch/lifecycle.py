"""Applying a command to a case: who may, whether it still holds, what follows. The deeds are in `unit` and `desk`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dispatch import desk, unit
from dispatch.draft import Context, Draft
from dispatch.effects import Applied
from dispatch.transitions import Who, legal, standing
from domain.errors import Conflict, InvalidAction, NotFound
from domain.messages import both, in_each, text
from domain.tasks import Action, Command, Stage, Task, WarningCase


def apply(case: WarningCase, tasks: Iterable[Task], task_id: str, command: Command, context: Context, now: datetime) -> Applied:
    """Apply a command to a task, or to the case itself where `task_id` is "" (withdraw, reopen, assess, designate an unrouted one).

    `tasks` are all tasks of the case. The effects are to be written in the transaction in which `case` and `tasks` were read. That an
    answer is applied once is the caller's to see to: it keeps the keys that were used.

    Raises:
        NotFound: no such task, or the actor's department has no part in it.
        Conflict: the task changed since `command.expected_version`.
        InvalidAction: not in this stage, not by this role, not with this form; the message lists what is legal.
    """
    tasks = tuple(tasks)
    task = next((known for known in tasks if known.id == task_id), None)
    if task_id and task is None:
        raise NotFound(both("task.not_found", id=task_id))
    who = standing(case, tasks, task, command.role, command.department)
    current = task.version if task else case.version
    if command.expected_version is not None and command.expected_version != current:
        raise Conflict(both("task.changed", id=task_id or case.id, expected=command.expected_version, current=current))
    _check_legal(case, task, command, who)
    draft = Draft(case, tasks, context, now)
    before = task.stage.value if task else case.status
    outcome = _carry_out(draft, task, command)
    after = draft.tasks[task_id].stage.value if task_id else draft.case.status
    draft.audit(command, task_id, before, after, outcome=outcome)
    return draft.done()


def _carry_out(draft: Draft, task: Task | None, command: Command) -> str:
    if task is None:
        if command.action is Action.DESIGNATE:
            return desk.designate(draft, None, command)
        return desk.CASE_DEEDS[command.action](draft, command)
    if command.action in unit.DEEDS:
        return unit.DEEDS[command.action](draft, task, command)
    return desk.DEEDS[command.action](draft, task, command)


def _check_legal(case: WarningCase, task: Task | None, command: Command, who: Who) -> None:
    possible = legal(case, task)
    mine = [action.value for action, allowed in possible.items() if who in allowed]
    if command.action.value in mine:
        return
    stage = task.stage.value if task else case.status

    def refused(key: str, **values: object) -> InvalidAction:
        def say(language: str) -> str:
            names = ", ".join(f"{name} {text(f'action.{name}', language)}" for name in mine) or text("task.nothing_legal", language)
            return text(key, language, action=command.action.value, stage=text(f"stage.{stage}", language), legal=names, **values)

        return InvalidAction(in_each(say))

    if command.action in possible:
        needed = ", ".join(sorted(possible[command.action]))
        raise refused("task.not_your_role", role=who.value, needed=needed)
    exhausted = (
        task is not None and command.action is Action.RETURN and task.stage in {Stage.PUSHED, Stage.RECEIVED} and case.status == "open"
    )
    if exhausted and task is not None:
        key = "task.designated_stays" if task.designated else "task.return_cap"
        raise refused(key, cap=case.policy.returns.cap)
    raise refused("task.not_in_stage")
