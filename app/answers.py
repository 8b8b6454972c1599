"""What departments and the duty desk say about a task, from whichever door: API, signed callback, one-time link, console."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, insert, select

from app.desk import Desk
from app.effects import EffectWriter
from app.logs import Sparing
from app.metrics import Metrics
from app.views.scope import sight
from dispatch.lifecycle import apply
from dispatch.transitions import legal_actions
from domain.base import Noun
from domain.errors import Conflict, Forbidden, InvalidAction, NotFound
from domain.instants import rfc3339
from domain.messages import both
from domain.ports import Clock
from domain.principals import Principal
from domain.tasks import Action, Command, Role, Task, WarningCase
from storage import access, audit, obligations
from storage.database import Database
from storage.duty_tables import answers

KEY_LIMIT = 200  # characters of an idempotency key
FINAL = frozenset({"fed_back", "accepted", "closed", "returned", "transferred", "withdrawn"})  # stages after which a link is used up


strangers = Sparing(structlog.get_logger(__name__))


class Answer(Noun, frozen=True, kw_only=True):
    """An answer as it is sent; `task` may be left out where the asker's department has one open task of the warning.

    `at` is when the actor says it was done, for the record only. `version` refuses to act on what changed since it was read.
    """

    action: str
    task: str = ""
    form: dict[str, Any] = msgspec.field(default_factory=dict)
    note: str = ""
    operator: str = ""
    at: datetime | None = None
    evidence: tuple[str, ...] = ()
    version: int | None = None


class Reply(Noun, frozen=True, kw_only=True):
    """What the answer led to: the task as it stands and what may be done next."""

    warning: str
    task: str
    stage: str
    version: int
    status: str
    due_at: str | None
    legal_actions: tuple[str, ...]


class Answers:
    """Applies answers, each once: a repeat with the same key gets the same reply."""

    def __init__(self, database: Database, desk: Desk, writer: EffectWriter, clock: Clock, metrics: Metrics) -> None:
        """Take the parts; `clock` says when an answer counts as given."""
        self._database = database
        self._desk = desk
        self._writer = writer
        self._clock = clock
        self._metrics = metrics

    def give(self, principal: Principal, warning_id: str, answer: Answer, key: str = "") -> Reply:
        """Apply one answer and return the reply.

        Raises:
            NotFound: no such warning or task, or none that the asker may know of.
            Conflict: the key was used with other content, or the task changed.
            InvalidAction: not now, not by this role, not with this form.

        What is refused to somebody who may see the warning is audited too; what is refused to others is counted and logged.
        """
        try:
            with self._database.write() as connection:
                reply = self._apply(connection, principal, warning_id, answer, key)
        except (InvalidAction, Conflict, Forbidden, NotFound) as error:
            self._refused(principal, warning_id, answer, error)
            raise
        self._metrics.answers.labels(action=answer.action, outcome="applied").inc()
        return reply

    def _apply(self, connection: Connection, principal: Principal, warning_id: str, answer: Answer, key: str) -> Reply:
        action = _action(answer.action)
        # First of all: whoever may not know of the warning learns nothing by its key.
        seen = sight(connection, principal, warning_id, hold=True)
        case, tasks = seen.case, seen.all_tasks
        if case is None:
            raise NotFound(both("warning.not_found", id=warning_id))
        if answer.task and answer.task not in {task.id for task in seen.tasks}:
            raise NotFound(both("task.not_found", id=answer.task))
        digest = hashlib.sha256(msgspec.json.encode(answer, order="deterministic")).hexdigest()
        told = _told(connection, key, [warning_id, *(task.id for task in seen.tasks)])
        repeated = next((reply for known, reply in told.values() if known == digest), None)
        if repeated is not None:
            return repeated
        task = _meant(case, tasks, answer.task, principal, action)
        if principal.via == "link" and principal.task_id != (task.id if task else ""):
            raise NotFound(both("warning.not_found", id=warning_id))
        task_id = task.id if task else ""
        if (task_id or warning_id) in told:
            raise Conflict(both("task.key_reused", used=key))
        now, context = self._clock.now(), self._desk.context(connection)
        command = Command(
            action=action,
            role=role_of(principal, context.directory.get(principal.department)),
            department=principal.department,
            actor=answer.operator or principal.name,
            form=answer.form,
            note=answer.note,
            at=answer.at,
            evidence=answer.evidence,
            expected_version=answer.version,
        )
        applied = apply(case, tasks, task_id, command, context, now)
        self._writer.write(connection, [applied], now)
        after = next((one for one in applied.tasks if one.id == task_id), None)
        if after is not None and after.stage.value in FINAL:
            access.use_up_links(connection, task_id)
        reply = reply_of(applied.case, applied.tasks, after, command.role, principal.department)
        if key:
            connection.execute(
                insert(answers).values(
                    task_id=task_id or warning_id,
                    idempotency_key=key,
                    digest=digest,
                    action=answer.action,
                    at=now,
                    actor=command.actor,
                    status=200,
                    reply=msgspec.json.encode(reply).decode(),
                )
            )
        return reply

    def _refused(self, principal: Principal, warning_id: str, answer: Answer, error: Exception) -> None:
        self._metrics.answers.labels(action=answer.action if answer.action in ACTIONS else "unknown", outcome="refused").inc()
        detail = {"action": answer.action, "task": answer.task, "department": principal.department, "reason": str(error)}
        with self._database.write() as connection:
            try:
                sight(connection, principal, warning_id)
            except NotFound:  # a warning's chain is its parties' own: a stranger cannot make it grow
                self._metrics.refused.labels(reason="stranger").inc()
                strangers.info("answer.refused", who=principal.name, department=principal.department, action=answer.action)
                return
            if obligations.hold_case(connection, warning_id) is not None:
                audit.append(connection, warning_id, self._clock.now(), principal.name, "refused", detail)


def _told(connection: Connection, key: str, about: Sequence[str]) -> dict[str, tuple[str, Reply]]:
    """Return what was answered under an idempotency key: task (or warning) → digest of the answer, and the reply to it.

    Raises:
        InvalidAction: the key is longer than `KEY_LIMIT`.
    """
    if len(key) > KEY_LIMIT:
        raise InvalidAction(both("task.key_too_long", limit=KEY_LIMIT))
    if not key:
        return {}
    rows = connection.execute(select(answers).where(answers.c.task_id.in_(about), answers.c.idempotency_key == key))
    return {row.task_id: (row.digest, msgspec.json.decode(row.reply, type=Reply)) for row in rows}


ACTIONS = frozenset(action.value for action in Action)


def _action(name: str) -> Action:
    if name not in ACTIONS:
        raise InvalidAction(both("task.unknown_action", action=name, legal=", ".join(sorted(ACTIONS))))
    return Action(name)


def role_of(principal: Principal, unit: object) -> Role:
    """Return the part that a principal plays in a task; `unit` is its department, None for an unknown one."""
    kind = getattr(unit, "kind", "department")
    if principal.role in {"admin", "duty"}:
        return "duty_officer"
    if principal.role == "auditor":
        return "auditor"
    if kind in {"task_force", "deputy_mayor"}:
        return "task_force"
    if kind == "duty_desk":
        return "duty_officer"
    return "department_lead" if principal.role == "department_lead" else "handler"


def _meant(case: WarningCase, tasks: tuple[Task, ...], task_id: str, principal: Principal, action: Action) -> Task | None:
    """Return the task an answer is about; None for what is done to the case itself.

    Raises:
        NotFound: the id is of no task of this warning, or the department has none.
        InvalidAction: the asker must say which of several.
    """
    if task_id:
        found = next((task for task in tasks if task.id == task_id), None)
        if found is None:
            raise NotFound(both("task.not_found", id=task_id))
        return found
    if action in {Action.WITHDRAW, Action.REOPEN, Action.ASSESS} or case.status == "unrouted":
        return None
    own = [task for task in tasks if task.open and (principal.sees_all or task.department == principal.department)]
    if not own:
        raise NotFound(both("task.not_found", id=case.id))
    if len(own) > 1:
        raise InvalidAction(both("task.say_which", tasks=", ".join(f"{task.id} ({task.department})" for task in own)))
    return own[0]


def reply_of(case: WarningCase, tasks: tuple[Task, ...], task: Task | None, role: Role, department: str) -> Reply:
    """Return the reply for a task as it stands, or for the case where `task` is None."""
    return Reply(
        warning=case.id,
        task=task.id if task else "",
        stage=task.stage.value if task else "",
        version=task.version if task else case.version,
        status=case.status,
        due_at=rfc3339(task.due_at) if task and task.due_at else None,
        legal_actions=tuple(action.value for action in legal_actions(case, tasks, task, role, department)),
    )
