"""What must always hold about a stored case, for `fengsui doctor`: read-only, over rows as they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dispatch.workcalendar import WorkCalendar
from domain.departments import Directory
from domain.instants import rfc3339
from domain.tasks import Clock, Stage, Task, Timer, WarningCase

ENDS = ("due", "pause_end", "unrouted")
LIVE = ("open", "unrouted")


def faults(
    case: WarningCase, tasks: Iterable[Task], timers: Iterable[Timer], calendar: WorkCalendar, directory: Directory, now: datetime
) -> list[str]:
    """Return what is wrong with a case, its tasks and its timers, each in one sentence; an empty list means sound.

    Checked: somebody is responsible and a clock runs; the lead was held without gap or overlap; every pending timer belongs to a
    running clock at its version and every running clock that was not missed has its end; what was computed still computes the same.
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
            found.append(f"clock {kind} of {owner or case.id} starts in the future, {rfc3339(clock.start_at)}")
        due = calendar.due(clock.start_at, clock.limit, directory.hours(clock.hours))
        if not clock.moved and not clock.provisional and due.at != clock.due_at:
            found.append(f"clock {kind} of {owner or case.id} is due {rfc3339(clock.due_at)}, computed {rfc3339(due.at)}")
    return found


def _responsibility(case: WarningCase, tasks: tuple[Task, ...]) -> list[str]:
    if case.status not in LIVE:
        return [f"task {task.id} is {task.stage.value} although its warning is {case.status}" for task in tasks if task.open]
    found = []
    leads = [task for task in tasks if task.role == "lead" and (task.open or task.awaits_ruling)]
    if len(leads) != (1 if case.status == "open" else 0):
        found.append(f"{len(leads)} open lead tasks although the warning is {case.status}")
    if not any(clock.state == "running" for clock in case.clocks):
        found.append("no clock of the warning runs")
    return found


def _holdings(case: WarningCase) -> list[str]:
    found = []
    if case.attempt == 1:  # between closing and reopening nobody holds it
        for earlier, later in zip(case.holdings, case.holdings[1:], strict=False):
            if earlier.until != later.since:
                found.append(f"held by {earlier.holder} until {earlier.until}, by {later.holder} since {later.since}")
        if not case.holdings or case.holdings[0].since != case.generated_at:
            found.append("nobody held it from the beginning")
    if case.holdings and (case.holdings[-1].until is None) != (case.status in LIVE):
        found.append(f"the last holding does not end with the warning, which is {case.status}")
    return found


def _timers(case: WarningCase, pending: list[Timer], running: dict[tuple[str, str], Clock]) -> list[str]:
    found = []
    ends: dict[tuple[str, str], Timer] = {}
    for timer in pending:
        if timer.what == "revisit":
            if case.status != "closed":
                found.append(f"revisit {timer.id} is pending although the warning is {case.status}")
            continue
        clock = running.get((timer.task_id, timer.kind))
        if clock is None or clock.version != timer.version:
            found.append(f"timer {timer.id} ({timer.kind} {timer.what}) is pending for no running clock")
        elif timer.what in ENDS:
            ends[timer.task_id, timer.kind] = timer
            if timer.due_at != clock.due_at:
                found.append(f"timer {timer.id} is due {rfc3339(timer.due_at)}, its clock {rfc3339(clock.due_at)}")
    found += [
        f"clock {kind} of {owner or case.id} runs without a timer"
        for (owner, kind), clock in running.items()
        if not clock.missed and (owner, kind) not in ends
    ]
    return found


def orphaned(tasks: Iterable[Task]) -> list[str]:
    """Return the tasks that ended as returned or transferred and that nobody took over."""
    return [
        f"task {task.id} of {task.department} is {task.stage.value} without a successor"
        for task in tasks
        if task.stage in {Stage.RETURNED, Stage.TRANSFERRED} and not task.successor and not task.awaits_ruling
    ]
