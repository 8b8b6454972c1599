"""Applying a command to a case: who may, whether it still holds, what follows. The deeds are in `unit` and `desk`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from dispatch import desk, unit
from dispatch.draft import Context, Draft
from dispatch.effects import Applied, Audited
from dispatch.transitions import Who, legal, standing
from domain.errors import Conflict, InvalidAction, NotFound
from domain.messages import text
from domain.tasks import Action, Answered, Command, Stage, Task, WarningCase


def apply(case: WarningCase, tasks: Iterable[Task], task_id: str, command: Command, context: Context, now: datetime) -> Applied:
    """Apply a command to a task, or to the case itself where `task_id` is "" (withdraw, reopen, assess, designate an unrouted one).

    `tasks` are all tasks of the case. A key that was used before with the same content gives the state as it is, no effects and
    `repeated`. The effects are to be written in the transaction in which `case` and `tasks` were read.

    Raises:
        NotFound: no such task, or the actor's department has no part in it.
        Conflict: the task changed since `command.expected_version`, or the key was used with other content.
        InvalidAction: not in this stage, not by this role, not with this form; the message lists what is legal.
    """
    tasks = tuple(tasks)
    task = next((known for known in tasks if known.id == task_id), None)
    if task_id and task is None:
        raise NotFound(text("task.not_found", id=task_id))
    who = standing(case, tasks, task, command.role, command.department)
    digest = _digest(task_id, command)
    earlier = next((used for used in case.answered if command.key and used.key == command.key), None)
    if earlier is not None and earlier.digest != digest:
        raise Conflict(text("task.key_reused", used=command.key))
    if earlier is not None:
        return Applied(case=case, tasks=tasks, repeated=True)
    current = task.version if task else case.version
    if command.expected_version is not None and command.expected_version != current:
        raise Conflict(text("task.changed", id=task_id or case.id, expected=command.expected_version, current=current))
    _check_legal(case, task, command, who)
    draft = Draft(case, tasks, context, now)
    before = task.stage.value if task else case.status
    outcome = _carry_out(draft, task, command)
    after = draft.tasks[task_id].stage.value if task_id else draft.case.status
    if command.key:
        version = draft.tasks[task_id].version if task_id else draft.version("")
        draft.put_case(answered=(*draft.case.answered, Answered(key=command.key, digest=digest, task_id=task_id, version=version)))
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
    names = ", ".join(f"{name} {text(f'action.{name}')}" for name in mine) or text("task.nothing_legal")
    stage = task.stage.value if task else case.status
    if command.action in possible:
        needed = ", ".join(sorted(possible[command.action]))
        raise InvalidAction(text("task.not_your_role", action=command.action.value, role=who.value, needed=needed, legal=names))
    exhausted = (
        task is not None and command.action is Action.RETURN and task.stage in {Stage.PUSHED, Stage.RECEIVED} and case.status == "open"
    )
    if exhausted and task is not None:
        key = "task.designated_stays" if task.designated else "task.return_cap"
        raise InvalidAction(text(key, cap=case.policy.returns.cap, legal=names))
    raise InvalidAction(text("task.not_in_stage", action=command.action.value, stage=text(f"stage.{stage}"), legal=names))


def _digest(task_id: str, command: Command) -> str:
    """Return the hash of what a key stands for: everything said, nothing about when it was read."""
    said = msgspec.structs.replace(command, key="", expected_version=None)
    return hashlib.sha256(task_id.encode() + b"\x1f" + msgspec.json.encode(said, order="deterministic")).hexdigest()


def refused(case: WarningCase, task_id: str, command: Command, error: Exception, now: datetime) -> Audited:
    """Return the audit entry of a command that `apply` refused: late and foreign answers are written down too."""
    return Audited(
        warning_id=case.id,
        task_id=task_id,
        at=now,
        action=command.action.value,
        role=command.role,
        department=command.department,
        actor=command.actor,
        before="",
        after="",
        reason=str(error),
        detail={"refused": type(error).__name__},
    )
