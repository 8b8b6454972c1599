"""The escalation ladder of a warning: every rung that was issued, and those that follow unless somebody answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from app.views.scope import Sight
from app.views.titles import Titles
from domain.base import Noun
from domain.policies import Act, ClockKind, RecipientRole
from domain.tasks import Escalation, Timer
from storage import obligations, outbox


class RungView(Noun, frozen=True, kw_only=True):
    """One rung. `state`: ahead (its time has not come), issued, delivered, answered, or unanswered once its own deadline passed.

    `number` counts from 1. `due_at` is when it is or was to be issued, `answer_by` its own deadline.
    """

    number: int
    repeat: int
    act: Act
    kind: ClockKind
    task_id: str
    task_department: str
    role: RecipientRole
    recipient: str
    recipient_name: str
    reason: str
    due_at: datetime
    issued_at: datetime | None = None
    issued_by: str = ""
    late: bool = False
    delivery: str = ""  # waiting sent dead cancelled
    delivered_at: datetime | None = None
    answer_by: datetime | None = None
    answered_at: datetime | None = None
    state: Literal["ahead", "issued", "delivered", "answered", "unanswered"] = "issued"


def ladder(connection: Connection, seen: Sight, titles: Titles, now: datetime) -> tuple[RungView, ...]:
    """Return the rungs above what the asker may see, in the order of their time."""
    case = seen.case
    if case is None:
        return ()
    mine = {task.id: task.department for task in seen.tasks} | {"": case.lead}
    states = {one.id: one.state for one in outbox.listed(connection, warning_id=case.id, limit=1000)}
    issued = [
        _issued(one, mine[one.task_id], states, titles, now) for one in obligations.rungs_of(connection, case.id) if one.task_id in mine
    ]
    ahead = [
        _ahead(timer, mine[timer.task_id], seen, titles)
        for timer in obligations.timers_of(connection, case.id)
        if timer.what == "rung" and timer.state == "pending" and timer.task_id in mine and timer.rung < len(case.policy.ladder)
    ]
    return tuple(sorted([*issued, *ahead], key=lambda rung: (rung.issued_at or rung.due_at, rung.state == "ahead", rung.number)))


def _issued(one: Escalation, department: str, states: dict[str, str], titles: Titles, now: datetime) -> RungView:
    if one.answered_at is not None:
        state: Literal["issued", "delivered", "answered", "unanswered"] = "answered"
    elif one.answer_by is not None and now > one.answer_by:
        state = "unanswered"
    else:
        state = "delivered" if one.delivered_at is not None else "issued"
    sent = [found for known, found in states.items() if known == one.delivery_id or known.startswith(f"{one.delivery_id}-")]
    return RungView(
        number=one.rung + 1,
        repeat=one.repeat,
        act=one.act,
        kind=one.kind,
        task_id=one.task_id,
        task_department=titles.department(department),
        role=one.recipient.role,
        recipient=one.recipient.department,
        recipient_name=titles.department(one.recipient.department),
        reason=one.reason,
        due_at=one.due_at,
        issued_at=one.issued_at,
        issued_by=one.issued_by,
        late=one.late,
        delivery="sent" if "sent" in sent else next(iter(sent), ""),
        delivered_at=one.delivered_at,
        answer_by=one.answer_by,
        answered_at=one.answered_at,
        state=state,
    )


def _ahead(timer: Timer, department: str, seen: Sight, titles: Titles) -> RungView:
    """A rung that is still to come: its recipient is decided when it is issued, so the role alone is promised."""
    assert seen.case is not None
    rung = seen.case.policy.ladder[timer.rung]
    return RungView(
        number=timer.rung + 1,
        repeat=timer.repeat,
        act=rung.act,
        kind=timer.kind,
        task_id=timer.task_id,
        task_department=titles.department(department),
        role=rung.to,
        recipient="",
        recipient_name="",
        reason="",
        due_at=timer.due_at,
        state="ahead",
    )
