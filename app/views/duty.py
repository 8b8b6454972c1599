"""Figures of the duty page (值班) and, from the same rows, the gauges that Prometheus scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, and_, func, or_, select

from app.metrics import Sample
from app.views.clocks import LIVE
from app.views.scope import within
from app.views.titles import Titles
from domain.base import Noun
from domain.principals import Principal
from domain.tasks import Clock, Stage, Task
from storage import intake_reads, outbox
from storage.durability import Durability, durability
from storage.duty_tables import cases, departments, tasks, timers
from storage.duty_tables import outbox as outbox_table
from storage.registry import count_objects
from storage.tables import warnings

ON_TIME_WINDOW = timedelta(days=30)
# Clocks that a desk or a reviewer runs; the others are the department's own.
_OTHERS_CLOCKS = frozenset({"push", "accept", "designate", "pause"})
_task = msgspec.json.Decoder(Task)


class DepartmentFigures(Noun, frozen=True, kw_only=True):
    """One department: `on_time` is the share in [0, 1] of its `clocks` of the last 30 days that were met, None where it had none."""

    department: str
    name: str
    open: int
    overdue: int
    clocks: int
    on_time: float | None


class DutyFigures(Noun, frozen=True, kw_only=True):
    """What stands on top of the duty page; what may be None is so for whoever sees a single department.

    `durability` is None in `serve` as well: it is that of a cluster's log.
    """

    open_by_level: dict[str, int]
    overdue: int
    unrouted: int
    to_review: int
    unresolved: int | None
    deliveries_dead: int | None
    deliveries_waiting: int | None
    feeds_silent: int | None
    durability: Durability | None
    departments: tuple[DepartmentFigures, ...]


class Tally(msgspec.Struct):
    """Counts of one department while rows are read."""

    stages: Counter[str] = msgspec.field(default_factory=Counter)
    overdue: int = 0
    clocks: int = 0
    met: int = 0


def duty_figures(connection: Connection, principal: Principal, now: datetime) -> DutyFigures:
    """Return the figures in the principal's scope: everybody's for the duty desk, its own for a department."""
    live = select(warnings.c.level, cases.c.status, func.count()).join(cases, cases.c.warning_id == warnings.c.id)
    rows = connection.execute(live.where(within(principal), cases.c.status.in_(LIVE)).group_by(warnings.c.level, cases.c.status)).all()
    levels: Counter[str] = Counter()
    for level, _, count in rows:
        levels[level] += count
    tallies = tally(connection, now, "" if principal.sees_all else principal.department)
    states = outbox.counts(connection) if principal.sees_all else {}
    titles = Titles(connection)
    silent = sum(1 for feed in intake_reads.feeds_status(connection) if feed.silent_since is not None) if principal.sees_all else None
    return DutyFigures(
        open_by_level=dict(levels),
        overdue=sum(one.overdue for one in tallies.values()),
        unrouted=sum(count for _, status, count in rows if status == "unrouted"),
        to_review=sum(one.stages[Stage.FED_BACK.value] for one in tallies.values()),
        unresolved=intake_reads.count_unresolved(connection, named=True) if principal.sees_all else None,
        deliveries_dead=states.get("dead", 0) if principal.sees_all else None,
        deliveries_waiting=states.get("waiting", 0) if principal.sees_all else None,
        feeds_silent=silent,
        durability=durability(connection) if principal.sees_all else None,
        departments=tuple(_department(unit, one, titles) for unit, one in sorted(tallies.items())),
    )


def _department(unit: str, one: Tally, titles: Titles) -> DepartmentFigures:
    return DepartmentFigures(
        department=unit,
        name=titles.department(unit),
        open=sum(one.stages.values()),
        overdue=one.overdue,
        clocks=one.clocks,
        on_time=one.met / one.clocks if one.clocks else None,
    )


def tally(connection: Connection, now: datetime, department: str = "") -> dict[str, Tally]:
    """Return the counts by department, of one or of all: open tasks by stage, overdue ones, clocks of the last 30 days and those met.

    A clock counts once it was stopped or has passed its due time in the window. It is met where it was stopped by its due time.
    Clocks of desks and reviewers count for nobody here; a task that was withdrawn or handed on ended without an answer and is left out.
    """
    since = now - ON_TIME_WINDOW
    query = select(tasks.c.body, cases.c.status).join(cases, cases.c.warning_id == tasks.c.warning_id)
    query = query.where(or_(cases.c.closed_at.is_(None), cases.c.closed_at > since))
    if department:
        query = query.where(tasks.c.department == department)
    found: dict[str, Tally] = {}
    for row in connection.execute(query):
        task = _task.decode(row.body)
        one = found.setdefault(task.department, Tally())
        if task.open and row.status in LIVE:
            one.stages[task.stage.value] += 1
            one.overdue += any(clock.state == "running" and now > clock.due_at for clock in task.clocks)
        for clock in _counting(task, since, now):
            one.clocks += 1
            one.met += _met(clock, now)
    return found


def _counting(task: Task, since: datetime, now: datetime) -> Iterator[Clock]:
    if task.stage in {Stage.WITHDRAWN, Stage.TRANSFERRED}:
        return
    for clock in task.clocks:
        if clock.kind in _OTHERS_CLOCKS:
            continue
        ended = clock.stopped_at if clock.state == "stopped" else clock.due_at
        if clock.state != "paused" and ended is not None and since < ended <= now:
            yield clock


def _met(clock: Clock, now: datetime) -> bool:
    return clock.state == "stopped" and not clock.missed and (clock.stopped_at or now) <= clock.due_at


def samples(connection: Connection, now: datetime) -> list[Sample]:
    """Return the samples of the gauges about obligations, deliveries, intake and objects; rule set and journal add their own."""
    return [
        *_obligations(connection, now),
        *_departments(connection),
        *clock_samples(connection, now),
        *_intake(connection),
    ]


def clock_samples(connection: Connection, now: datetime) -> list[Sample]:
    """Return the samples that say whether obligations are met in time: what a duty loop works off."""
    return [*_timers(connection, now), *_deliveries(connection, now)]


def _obligations(connection: Connection, now: datetime) -> Iterable[Sample]:
    query = select(cases.c.level, cases.c.matter, func.count()).where(cases.c.status.in_(LIVE))
    for level, matter, count in connection.execute(query.group_by(cases.c.level, cases.c.matter).order_by(cases.c.level, cases.c.matter)):
        yield Sample("fengsui_warnings_open", float(count), (level, matter))
    led = select(cases.c.lead, cases.c.level, func.count()).where(cases.c.status == "open").group_by(cases.c.lead, cases.c.level)
    for lead, level, count in connection.execute(led.order_by(cases.c.lead, cases.c.level)):
        yield Sample("fengsui_warnings_open_by_department", float(count), (lead, level))
    oldest = func.min(cases.c.generated_at, type_=cases.c.generated_at.type)
    unrouted, since = connection.execute(select(func.count(), oldest).where(cases.c.status == "unrouted")).one()
    yield Sample("fengsui_warnings_unrouted", float(unrouted))
    yield Sample("fengsui_warnings_unrouted_wait_seconds", _since(since, now))
    for unit, one in sorted(tally(connection, now).items()):
        for stage, count in sorted(one.stages.items()):
            yield Sample("fengsui_tasks_open", float(count), (unit, stage))
        yield Sample("fengsui_tasks_overdue", float(one.overdue), (unit,))
        if one.clocks:
            yield Sample("fengsui_tasks_on_time_ratio", one.met / one.clocks, (unit,))


def _departments(connection: Connection) -> Iterable[Sample]:
    for row in connection.execute(select(departments.c.id, departments.c.name).order_by(departments.c.id)):
        yield Sample("fengsui_department_info", 1.0, (row.id, row.name))


def _timers(connection: Connection, now: datetime) -> Iterable[Sample]:
    first = func.min(timers.c.due_at, type_=timers.c.due_at.type)
    count, due_at = connection.execute(select(func.count(), first).where(timers.c.state == "pending")).one()
    due = select(func.count()).where(timers.c.state == "pending", timers.c.due_at <= now)
    yield Sample("fengsui_timers_pending", float(count))
    yield Sample("fengsui_timers_due", float(connection.scalar(due) or 0))
    yield Sample("fengsui_timers_late_seconds", _since(due_at, now))


def _deliveries(connection: Connection, now: datetime) -> Iterable[Sample]:
    """What waits in an inbox of the console is the reader's to fetch; only what is to be sent counts as waiting."""
    waiting = and_(outbox_table.c.state == "waiting", outbox_table.c.endpoint_id != "")
    first = func.min(outbox_table.c.next_at, type_=outbox_table.c.next_at.type)
    count, next_at = connection.execute(select(func.count(), first).where(waiting)).one()
    yield Sample("fengsui_outbox_waiting", float(count))
    yield Sample("fengsui_outbox_late_seconds", _since(next_at, now))
    dead = select(outbox_table.c.recipient, func.count()).where(outbox_table.c.state == "dead").group_by(outbox_table.c.recipient)
    for recipient, count in connection.execute(dead.order_by(outbox_table.c.recipient)):
        yield Sample("fengsui_outbox_dead", float(count), (recipient,))


def _intake(connection: Connection) -> Iterable[Sample]:
    yield Sample("fengsui_signals_unresolved", float(intake_reads.count_unresolved(connection)))
    waiting: Counter[str] = Counter()
    for (feed, _), count in intake_reads.count_open_rejections(connection).items():
        waiting[feed] += count
    for one in intake_reads.feeds_status(connection):
        yield Sample("fengsui_rejections_open", float(waiting.pop(one.feed, 0)), (one.feed,))
        if one.last_received_at is not None:
            yield Sample("fengsui_feed_last_received_timestamp_seconds", one.last_received_at.timestamp(), (one.feed,))
        if one.last_occurred_at is not None:
            yield Sample("fengsui_feed_last_event_timestamp_seconds", one.last_occurred_at.timestamp(), (one.feed,))
        yield Sample("fengsui_feed_silent", float(one.silent_since is not None), (one.feed,))
    for feed, count in sorted(waiting.items()):
        yield Sample("fengsui_rejections_open", float(count), (feed,))
    for kind, count in sorted(count_objects(connection).items()):
        yield Sample("fengsui_objects", float(count), (kind,))


def _since(then: datetime | None, now: datetime) -> float:
    """Return the seconds from `then` to `now`, 0 where that is to come or there is no such instant."""
    return max(0.0, (now - then).total_seconds()) if then is not None else 0.0
