"""Cases, tasks, timers and rungs as rows: the whole noun in `body`, compare-and-set on a task's version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from domain.base import Noun
from domain.departments import Department, Directory
from domain.errors import Conflict, NotFound
from domain.messages import both
from domain.tasks import Escalation, Precedent, Task, Timer, WarningCase
from storage.dialects import larger, parts, upsert
from storage.duty_tables import cases, departments, outbox, owed_entries, precedents, rungs, tasks, timers

_case = msgspec.json.Decoder(WarningCase)
_task = msgspec.json.Decoder(Task)
_timer = msgspec.json.Decoder(Timer)
_rung = msgspec.json.Decoder(Escalation)
_department = msgspec.json.Decoder(Department)
_precedent = msgspec.json.Decoder(Precedent)

# Made once: building these costs more than running them, and every decision needs them.
_CASE = select(cases.c.body).where(cases.c.warning_id == bindparam("key"))
_HOLD_CASE = _CASE.with_for_update()
_HOLD_CASES = (
    select(cases.c.body).where(cases.c.warning_id.in_(bindparam("keys", expanding=True))).order_by(cases.c.warning_id).with_for_update()
)
_SET_CASE = update(cases).where(cases.c.warning_id == bindparam("key"), cases.c.version == bindparam("expected"))
_TASK = select(tasks.c.body).where(tasks.c.id == bindparam("key"))
_SET_TASK = update(tasks).where(tasks.c.id == bindparam("key"), tasks.c.version == bindparam("expected"))
_TASKS = select(tasks.c.body).where(tasks.c.warning_id == bindparam("key"))
_TASKS_OF_ALL = select(tasks.c.body).where(tasks.c.warning_id.in_(bindparam("keys", expanding=True)))
_NEW_TIMER = upsert(timers)
_PUT_TIMER = _NEW_TIMER.on_conflict_do_update(
    index_elements=["id"], set_={name: _NEW_TIMER.excluded[name] for name in ("due_at", "state", "body")}
)
# Which of them are pending is looked at here: asked for it, both databases walk all timers that are, of every warning.
_TIMERS = select(timers.c.id, timers.c.warning_id, timers.c.task_id, timers.c.kind, timers.c.state).where(
    timers.c.warning_id.in_(bindparam("keys", expanding=True))
)
_END_TIMER = (
    update(timers)
    .where(timers.c.id == bindparam("key"), timers.c.state == "pending")
    .values(state=bindparam("ended"), fired_at=bindparam("at"))
)
_DEPARTMENTS = select(departments.c.body).order_by(departments.c.id)
_PRECEDENTS = select(precedents.c.body).order_by(precedents.c.id)
_OWED = select(owed_entries.c.id, owed_entries.c.entry).order_by(owed_entries.c.id).limit(bindparam("most"))
_FREE_OWED = _OWED.where(or_(owed_entries.c.lease_until.is_(None), owed_entries.c.lease_until <= bindparam("now"))).with_for_update(
    skip_locked=True
)
_DUE = (
    select(timers.c.body)
    .where(timers.c.state == "pending", timers.c.due_at <= bindparam("now"))
    .order_by(timers.c.due_at, timers.c.id)
    .limit(bindparam("most"))
)
_HOLD_DUE = (
    select(cases.c.body)
    .join(timers, timers.c.warning_id == cases.c.warning_id)
    .where(timers.c.id == bindparam("key"), timers.c.state == "pending")
    .with_for_update(of=[cases, timers], skip_locked=True)
)
_NEW_CASE = insert(cases)
_NEW_TASK = insert(tasks)
_OWE = insert(owed_entries)
_RUNGS = select(rungs.c.body).where(rungs.c.warning_id == bindparam("key")).order_by(rungs.c.created_at, rungs.c.id)


def _json(noun: msgspec.Struct) -> str:
    return msgspec.json.encode(noun).decode()


def add_cases(connection: Connection, new: Iterable[WarningCase]) -> None:
    """Write new cases; raises sqlalchemy.exc.IntegrityError where a warning has one already."""
    connection.execute(_NEW_CASE, [{"warning_id": case.id, **_case_columns(case)} for case in new])


def set_cases(connection: Connection, changed: Sequence[tuple[WarningCase, int]]) -> None:
    """Write changed cases in their order, each over the one of the version beside it.

    Raises:
        Conflict: somebody else changed one of them in the meantime.
    """
    rows = [_case_columns(case) | {"key": case.id, "expected": expected} for case, expected in changed]
    if connection.execute(_SET_CASE, rows).rowcount != len(rows):
        raise Conflict(both("task.changed_meanwhile", tasks=", ".join(case.id for case, _ in changed)))


def _case_columns(case: WarningCase) -> dict[str, object]:
    return {
        "status": case.status,
        "version": case.version,
        "level": case.level,
        "matter": case.matter,
        "region": case.region,
        "lead": case.lead,
        "due_at": case.due_at,
        "generated_at": case.generated_at,
        "closed_at": case.closed_at,
        "body": _json(case),
    }


def get_case(connection: Connection, warning_id: str) -> WarningCase | None:
    """Return the case of a warning, None where it was never routed (a shadow or signal-only finding)."""
    body = connection.scalar(_CASE, {"key": warning_id})
    return _case.decode(body) if body is not None else None


def hold_case(connection: Connection, warning_id: str) -> WarningCase | None:
    """Return the case of a warning and hold it to the end of the transaction: whoever decides about it too waits, and reads it after.

    Take it before any other row of the warning, or two transactions may wait for each other.
    """
    body = connection.scalar(_HOLD_CASE, {"key": warning_id})
    return _case.decode(body) if body is not None else None


def hold_cases(connection: Connection, warning_ids: Collection[str]) -> dict[str, tuple[WarningCase, tuple[Task, ...]]]:
    """Return cases with their tasks by warning, and hold the cases as `hold_case` does, by their ids; what was never routed is left out."""
    held: dict[str, WarningCase] = {}
    of: defaultdict[str, list[Task]] = defaultdict(list)
    for some in parts(sorted(warning_ids)):
        held |= {case.id: case for case in map(_case.decode, connection.execute(_HOLD_CASES, {"keys": some}).scalars())}
    for some in parts(list(held)):
        for task in map(_task.decode, connection.execute(_TASKS_OF_ALL, {"keys": some}).scalars()):
            of[task.warning_id].append(task)
    return {name: (case, _in_order(of[name])) for name, case in held.items()}


def hold_due(connection: Connection, timer_id: str) -> WarningCase | None:
    """Return the case of a pending timer and hold both, None where somebody else fires it or decides about the case just now.

    Several loops may go through the same list of due timers: each fires those that it gets, and none waits for another. The hold ends
    with the transaction, and so with the process: nobody has to wait for a lease to run out.
    """
    body = connection.scalar(_HOLD_DUE, {"key": timer_id})
    return _case.decode(body) if body is not None else None


def add_tasks(connection: Connection, new: Iterable[Task]) -> None:
    """Write new tasks; raises sqlalchemy.exc.IntegrityError where the id of one is there already."""
    connection.execute(_NEW_TASK, [{"id": task.id, "warning_id": task.warning_id, **_task_columns(task)} for task in new])


def set_tasks(connection: Connection, changed: Sequence[tuple[Task, int]]) -> None:
    """Write changed tasks in their order, each over the one of the version beside it.

    Raises:
        Conflict: somebody else changed one of them in the meantime.
    """
    rows = [_task_columns(task) | {"key": task.id, "expected": expected} for task, expected in changed]
    if connection.execute(_SET_TASK, rows).rowcount != len(rows):
        raise Conflict(both("task.changed_meanwhile", tasks=", ".join(task.id for task, _ in changed)))


def _task_columns(task: Task) -> dict[str, object]:
    return {
        "department": task.department,
        "role": task.role,
        "stage": task.stage.value,
        "version": task.version,
        "body": _json(task),
    }


def get_task(connection: Connection, task_id: str) -> Task:
    """Return a task.

    Raises:
        NotFound: no task has this id.
    """
    body = connection.scalar(_TASK, {"key": task_id})
    if body is None:
        raise NotFound(both("task.not_found", id=task_id))
    return _task.decode(body)


def tasks_of(connection: Connection, warning_id: str) -> tuple[Task, ...]:
    """Return all tasks of a warning, also the ended ones: the lead's first, then by department and attempt."""
    rows = connection.execute(_TASKS, {"key": warning_id}).scalars()
    return _in_order(_task.decode(body) for body in rows)


def _in_order(found: Iterable[Task]) -> tuple[Task, ...]:
    return tuple(sorted(found, key=lambda task: (task.role != "lead", task.department, task.attempt)))


def put_timers(connection: Connection, new: Iterable[Timer]) -> None:
    """Write timers; one whose id is there already is replaced (the same act at another time)."""
    rows = [
        {
            "id": timer.id,
            "warning_id": timer.warning_id,
            "task_id": timer.task_id,
            "kind": timer.kind,
            "what": timer.what,
            "due_at": timer.due_at,
            "state": timer.state,
            "body": _json(timer),
        }
        for timer in new
    ]
    if rows:
        connection.execute(_PUT_TIMER, rows)


class Cancelled(NamedTuple):
    """Timers that are off: of one task ("" is the case itself) and one kind of clock of a warning, or of all where None."""

    warning_id: str
    task_id: str | None = None
    kind: str | None = None


def cancel_timers(connection: Connection, off: Collection[Cancelled], now: datetime) -> None:
    """Cancel the pending ones of timers that are off."""
    wanted = frozenset(off)
    rows = [row for some in parts(sorted({one.warning_id for one in wanted})) for row in connection.execute(_TIMERS, {"keys": some})]
    found = [
        {"key": row.id, "ended": "cancelled", "at": now}
        for row in rows
        if row.state == "pending"
        and not wanted.isdisjoint(Cancelled(row.warning_id, task, kind) for task in (row.task_id, None) for kind in (row.kind, None))
    ]
    if found:
        connection.execute(_END_TIMER, found)


def end_timer(connection: Connection, timer_id: str, state: str, now: datetime) -> bool:
    """Mark a pending timer as fired or cancelled; return False where it was not pending any more."""
    return connection.execute(_END_TIMER, {"key": timer_id, "ended": state, "at": now}).rowcount == 1


def due_timers(connection: Connection, now: datetime, limit: int) -> list[Timer]:
    """Return pending timers that are due, by due time, then id; at most `limit`."""
    return [_timer.decode(body) for body in connection.execute(_DUE, {"now": now, "most": limit}).scalars()]


def timers_of(connection: Connection, warning_id: str) -> list[Timer]:
    """Return a warning's timers with their present state, by due time."""
    query = select(timers.c.body, timers.c.state).where(timers.c.warning_id == warning_id).order_by(timers.c.due_at, timers.c.id)
    return [msgspec.structs.replace(_timer.decode(row.body), state=row.state) for row in connection.execute(query)]


def under_way(connection: Connection) -> list[str]:
    """Return the warnings that are not over, or for which a timer still waits, by id."""
    live = select(cases.c.warning_id).where(cases.c.status.in_(("open", "unrouted")))
    timed = select(timers.c.warning_id).where(timers.c.state == "pending")
    return sorted(str(name) for name in connection.scalars(live.union(timed)))


class Agenda(Noun, frozen=True, kw_only=True):
    """What the duty loop has before it: whether journal entries are owed, when the next timer or delivery to an endpoint is due."""

    owed: bool
    next_at: datetime | None


def agenda(connection: Connection, aside: Iterable[str] = ()) -> Agenda:
    """Return what is ahead, in one statement; timers that were set `aside` are not, and a delivery under way not before its lease ends."""
    row = connection.execute(_AGENDA, {"aside": sorted(aside)}).one()
    return Agenda(owed=row.owed is not None, next_at=min((at for at in (row.timer, row.attempt) if at is not None), default=None))


_AGENDA = select(
    select(func.min(owed_entries.c.id)).scalar_subquery().label("owed"),
    select(func.min(timers.c.due_at, type_=timers.c.due_at.type))
    .where(timers.c.state == "pending", timers.c.id.not_in(bindparam("aside", expanding=True)))
    .scalar_subquery()
    .label("timer"),
    select(func.min(larger(outbox.c.next_at, func.coalesce(outbox.c.lease_until, outbox.c.next_at)), type_=outbox.c.next_at.type))
    .where(outbox.c.state == "waiting", outbox.c.endpoint_id != "")
    .scalar_subquery()
    .label("attempt"),
)


def put_rung(connection: Connection, rung: Escalation) -> None:
    """Write one rung of the ladder, new or changed."""
    body = _json(rung)
    statement = upsert(rungs).values(
        id=rung.id,
        warning_id=rung.warning_id,
        task_id=rung.task_id,
        recipient=rung.recipient.department,
        created_at=rung.issued_at,
        body=body,
    )
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"body": body}))


def answer_rungs(connection: Connection, warning_id: str, task_id: str, kind: str | None, at: datetime) -> None:
    """Mark the unanswered rungs of a task as answered: of one kind of clock, or of all where None."""
    for rung in rungs_of(connection, warning_id):
        if rung.task_id == task_id and rung.answered_at is None and kind in {None, rung.kind}:
            put_rung(connection, msgspec.structs.replace(rung, answered_at=at))


def deliver_rung(connection: Connection, warning_id: str, delivery_id: str, at: datetime) -> None:
    """Mark the rung whose notification this delivery carries as delivered."""
    for rung in rungs_of(connection, warning_id):
        if rung.delivery_id == delivery_id and rung.delivered_at is None:
            put_rung(connection, msgspec.structs.replace(rung, delivered_at=at))


def rungs_of(connection: Connection, warning_id: str) -> list[Escalation]:
    """Return the rungs of a warning in the order of their issue."""
    return [_rung.decode(body) for body in connection.execute(_RUNGS, {"key": warning_id}).scalars()]


def put_departments(connection: Connection, new: Sequence[Department]) -> None:
    """Add or replace departments by id."""
    for unit in new:
        body = _json(unit)
        statement = upsert(departments).values(id=unit.id, name=unit.name, body=body)
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": unit.name, "body": body}))


def directory(connection: Connection) -> Directory:
    """Return all departments, sorted by id."""
    return Directory(departments=tuple(_unit(body) for body in connection.execute(_DEPARTMENTS).scalars()))


@lru_cache(maxsize=1024)
def _unit(body: str) -> Department:
    """Return a department of the directory; every decision reads them all, and they hardly ever change."""
    return _department.decode(body)


def add_precedent(connection: Connection, precedent: Precedent) -> None:
    """Keep a ruling on who is competent."""
    connection.execute(insert(precedents).values(matter=precedent.matter, body=_json(precedent)))


def all_precedents(connection: Connection) -> tuple[Precedent, ...]:
    """Return all rulings, oldest first."""
    rows = connection.execute(_PRECEDENTS).scalars()
    return tuple(_precedent.decode(body) for body in rows)


def owe_entries(connection: Connection, entries: Sequence[bytes]) -> None:
    """Remember journal entries that follow from this transaction, in their order; the duty loop submits them."""
    connection.execute(_OWE, [{"entry": entry} for entry in entries])


def owed(connection: Connection, limit: int = 1000) -> list[tuple[int, bytes]]:
    """Return the entries still to be submitted, oldest first."""
    return [(row.id, row.entry) for row in connection.execute(_OWED, {"most": limit})]


def claim_owed(connection: Connection, now: datetime, lease: timedelta, owner: str, limit: int = 1000) -> list[tuple[int, bytes]]:
    """Take entries that nobody submits just now for `lease` and return them, oldest first."""
    found = [(row.id, row.entry) for row in connection.execute(_FREE_OWED, {"most": limit, "now": now})]
    _lease_owed(connection, [id_ for id_, _ in found], owner, now + lease)
    return found


def release_owed(connection: Connection, ids: Sequence[int]) -> None:
    """Give claimed entries back: they were not taken."""
    _lease_owed(connection, ids, "", None)


def _lease_owed(connection: Connection, ids: Sequence[int], owner: str, until: datetime | None) -> None:
    if ids:
        connection.execute(update(owed_entries).where(owed_entries.c.id.in_(ids)).values(lease_owner=owner, lease_until=until))


def paid(connection: Connection, ids: Sequence[int]) -> None:
    """Forget these owed entries: the journal has them.

    By name, not up to the last: one with a smaller id may have been written by a transaction that ended later.
    """
    connection.execute(owed_entries.delete().where(owed_entries.c.id.in_(ids)))
