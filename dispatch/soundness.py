"""What must always hold about a stored case, for `fengsui doctor`: read-only, over rows as they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from domain.instants import SHANGHAI, rfc3339
from domain.messages import both
from domain.policies import Limit
from domain.tasks import Clock, Stage, Task, Timer, WarningCase

ENDS = ("due", "pause_end", "unrouted")
LIVE = ("open", "unrouted")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEVER = datetime.max.replace(tzinfo=UTC)


def faults(case: WarningCase, tasks: Iterable[Task], timers: Iterable[Timer], now: datetime) -> list[str]:
    """Return what is wrong with a case, its tasks and its timers, each in one sentence; an empty list means sound.

    Checked: somebody is responsible and a clock runs; the lead was held without gap or overlap; every pending timer belongs to a
    running clock at its version and every running clock that was not missed has its end; the end lies where its limit can end. A clock
    keeps the end it was given when the calendar or the office hours are edited later, so working time is held to what is true of all of
    them, natural time to the minute.
    A timer may be overdue by as long as the duty loop was down; that is told by its metrics, not here.
    """
    tasks = tuple(tasks)
    pending = [timer for timer in timers if timer.state == "pending"]
    found = _responsibility(case, tasks) + _holdings(case)
    running: dict[tuple[str, str], Clock] = {
        (owner, clock.kind): clock
        for owner, clocks in (("", case.clocks), *((task.id, task.clocks) for task in tasks))
        for clock in clocks
        if clock.state == "running"
    }
    found += _timers(case, pending, running)
    for (owner, kind), clock in running.items():
        if clock.start_at > now:
            found.append(both("fault.future", kind=kind, owner=owner or case.id, at=rfc3339(clock.start_at)))
        earliest, latest = ends(clock.start_at, clock.limit)
        if not clock.moved and not earliest <= clock.due_at <= latest:
            told = {"kind": kind, "owner": owner or case.id, "due": rfc3339(clock.due_at), "limit": clock.limit}
            told |= {"start": rfc3339(clock.start_at), "earliest": rfc3339(earliest)}
            found.append(both("fault.due", **told, latest="-" if latest == NEVER else rfc3339(latest)))
    return found


def ends(start: datetime, limit: Limit) -> tuple[datetime, datetime]:
    """Return the first and the last instant at which a limit can end, whatever calendar and office hours; `NEVER` where none is last."""
    if limit.unit in {"nm", "nh"}:
        end = start + limit.amount * (MINUTE if limit.unit == "nm" else HOUR)
        earliest, latest = end, end
    elif limit.amount == 0:
        earliest, latest = start, start
    elif limit.unit == "wh":
        earliest, latest = start + limit.amount * HOUR, NEVER
    else:  # the day that counts has begun
        day = start.astimezone(SHANGHAI).date() + limit.amount * DAY
        earliest, latest = datetime.combine(day, time(0), SHANGHAI), NEVER
    if limit.ceiling is None:
        return earliest, latest
    ceiling = ends(start, limit.ceiling)
    return min(earliest, ceiling[0]), min(latest, ceiling[1])


def _responsibility(case: WarningCase, tasks: tuple[Task, ...]) -> list[str]:
    if case.status not in LIVE:
        return [both("fault.open_task", task=task.id, stage=task.stage.value, status=case.status) for task in tasks if task.open]
    found = []
    leads = [task for task in tasks if task.role == "lead" and (task.open or task.awaits_ruling)]
    if len(leads) != (1 if case.status == "open" else 0):
        found.append(both("fault.leads", count=len(leads), status=case.status))
    if not any(clock.state == "running" for clock in case.clocks):
        found.append(both("fault.no_clock"))
    return found


def _holdings(case: WarningCase) -> list[str]:
    found = []
    if case.attempt == 1:  # between closing and reopening nobody holds it
        for earlier, later in zip(case.holdings, case.holdings[1:], strict=False):
            if earlier.until != later.since:
                told = {"one": earlier.holder, "until": earlier.until, "other": later.holder, "since": later.since}
                found.append(both("fault.gap", **told))
        if not case.holdings or case.holdings[0].since != case.generated_at:
            found.append(both("fault.not_held"))
    if case.holdings and (case.holdings[-1].until is None) != (case.status in LIVE):
        found.append(both("fault.holding_end", status=case.status))
    return found


def _timers(case: WarningCase, pending: list[Timer], running: dict[tuple[str, str], Clock]) -> list[str]:
    found = []
    ends: dict[tuple[str, str], Timer] = {}
    for timer in pending:
        if timer.what == "revisit":
            if case.status != "closed":
                found.append(both("fault.revisit", timer=timer.id, status=case.status))
            continue
        clock = running.get((timer.task_id, timer.kind))
        if clock is None or clock.version != timer.version:
            found.append(both("fault.stray_timer", timer=timer.id, kind=timer.kind, what=timer.what))
        elif timer.what in ENDS:
            ends[timer.task_id, timer.kind] = timer
            if timer.due_at != clock.due_at:
                found.append(both("fault.other_due", timer=timer.id, at=rfc3339(timer.due_at), due=rfc3339(clock.due_at)))
    found += [
        both("fault.no_timer", kind=kind, owner=owner or case.id)
        for (owner, kind), clock in running.items()
        if not clock.missed and (owner, kind) not in ends
    ]
    return found


def orphaned(tasks: Iterable[Task]) -> list[str]:
    """Return the tasks that ended as returned or transferred and that nobody took over."""
    return [
        both("fault.orphan", task=task.id, department=task.department, stage=task.stage.value)
        for task in tasks
        if task.stage in {Stage.RETURNED, Stage.TRANSFERRED} and not task.successor and not task.awaits_ruling
    ]
