"""Who may see which warning, and how much of it.

The duty desk, administrators and auditors see everything. A department sees the warnings in which it has or had a task, or of which
it was told (a task force, a deputy mayor). Whoever leads sees all of it; a cooperating department sees its own part (`dispatch`'s table
gives it nothing else either). An unknown and an invisible warning are refused in the same words.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, Connection, exists, false, or_, select, true

from domain.base import Noun
from domain.errors import NotFound
from domain.findings import EarlyWarning
from domain.messages import both
from domain.principals import Principal
from domain.tasks import Task, WarningCase
from storage import obligations
from storage.duty_tables import outbox, tasks
from storage.tables import warnings

DEPARTMENT_ROLES = frozenset({"department", "department_lead"})
decode_warning = msgspec.json.Decoder(EarlyWarning).decode


class Sight(Noun, frozen=True, kw_only=True):
    """One warning as far as an asker may see it.

    `case` is None for a finding that was never routed (a rule on trial). `whole`: the other departments' parts too.
    """

    warning: EarlyWarning
    case: WarningCase | None
    tasks: tuple[Task, ...]  # visible ones
    all_tasks: tuple[Task, ...]  # for deciding what is legal, never for showing
    whole: bool

    @property
    def reads_restricted(self) -> bool:
        """Say whether the asker may read the text of signals marked `restricted`: whoever answers for the whole warning."""
        return self.whole


def within(principal: Principal) -> ColumnElement[bool]:
    """Return the condition on `warnings` that keeps what the principal may see; a role without a share in warnings sees none."""
    if principal.sees_all:
        return true()
    if principal.role == "link":
        return warnings.c.id.in_(select(tasks.c.warning_id).where(tasks.c.id == principal.task_id))
    if principal.role not in DEPARTMENT_ROLES or not principal.department:
        return false()
    own = warnings.c.id.in_(select(tasks.c.warning_id).where(tasks.c.department == principal.department))
    told = exists().where(outbox.c.warning_id == warnings.c.id, outbox.c.recipient == principal.department)
    return or_(own, told)


def answers_for_whole(department: str, case: WarningCase) -> bool:
    """Say whether a department is the lead of a warning or one of the offices above it."""
    return department in {case.lead, case.duty_desk, case.task_force, case.deputy_mayor}


def sees_whole(principal: Principal, case: WarningCase | None) -> bool:
    """Say whether a principal who may see a warning sees every department's part of it."""
    if principal.sees_all:
        return True
    if case is None or principal.role not in DEPARTMENT_ROLES:
        return False
    return answers_for_whole(principal.department, case)


def visible_tasks(principal: Principal, case: WarningCase | None, found: tuple[Task, ...]) -> tuple[Task, ...]:
    """Return the tasks that a principal may see of a warning it may see."""
    if sees_whole(principal, case):
        return found
    if principal.role == "link":
        return tuple(task for task in found if task.id == principal.task_id)
    return tuple(task for task in found if task.department == principal.department)


def sight(connection: Connection, principal: Principal, warning_id: str, *, hold: bool = False) -> Sight:
    """Return a warning as far as the principal may see it; whoever decides about it has its case held to the end of the transaction.

    Raises:
        NotFound: there is none of this id, or none that the principal may know of; the message is the same.
    """
    body = connection.scalar(select(warnings.c.body).where(warnings.c.id == warning_id, within(principal)))
    if body is None:
        raise NotFound(both("warning.not_found", id=warning_id))
    case = obligations.hold_case(connection, warning_id) if hold else obligations.get_case(connection, warning_id)
    found = obligations.tasks_of(connection, warning_id)
    return Sight(
        warning=decode_warning(body),
        case=case,
        tasks=visible_tasks(principal, case, found),
        all_tasks=found,
        whole=sees_whole(principal, case),
    )
