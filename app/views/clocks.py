"""Clocks as a reader sees them: what runs out next, and what ran out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from domain.base import Noun
from domain.policies import ClockKind
from domain.tasks import Clock, Task, WarningCase

ClockState = Literal["running", "overdue", "paused", "met", "missed"]
LIVE = frozenset({"open", "unrouted"})


class ClockView(Noun, frozen=True, kw_only=True):
    """One clock; `seconds` to its due time, negative once it has passed, None where it does not run. `limit` is as the trade writes it."""

    kind: ClockKind
    start_at: datetime
    due_at: datetime
    limit: str
    state: ClockState
    seconds: int | None
    stopped_at: datetime | None
    moved: bool
    provisional: bool


class NextDue(Noun, frozen=True, kw_only=True):
    """The clock that runs out next; `seconds` is negative once it has passed."""

    kind: ClockKind
    due_at: datetime
    seconds: int
    provisional: bool


def clock_view(clock: Clock, now: datetime) -> ClockView:
    """Return a clock as it stands at `now`."""
    return ClockView(
        kind=clock.kind,
        start_at=clock.start_at,
        due_at=clock.due_at,
        limit=str(clock.limit),
        state=_state(clock, now),
        seconds=_seconds(clock, now) if clock.state == "running" else None,
        stopped_at=clock.stopped_at,
        moved=clock.moved,
        provisional=clock.provisional,
    )


def _state(clock: Clock, now: datetime) -> ClockState:
    if clock.state == "paused":
        return "paused"
    if clock.state == "running":
        return "overdue" if now > clock.due_at else "running"
    late = clock.missed or (clock.stopped_at is not None and clock.stopped_at > clock.due_at)
    return "missed" if late else "met"


def _seconds(clock: Clock, now: datetime) -> int:
    return int((clock.due_at - now).total_seconds())


def running(case: WarningCase | None, tasks: Iterable[Task]) -> list[Clock]:
    """Return the running clocks of a live case and of these of its tasks."""
    if case is None or case.status not in LIVE:
        return []
    found = [*case.clocks, *(clock for task in tasks if task.open or task.awaits_ruling for clock in task.clocks)]
    return [clock for clock in found if clock.state == "running"]


def next_due(case: WarningCase | None, tasks: Iterable[Task], now: datetime) -> NextDue | None:
    """Return which of the running clocks runs out first, None where none runs."""
    first = min(running(case, tasks), key=lambda clock: (clock.due_at, clock.kind), default=None)
    if first is None:
        return None
    return NextDue(kind=first.kind, due_at=first.due_at, seconds=_seconds(first, now), provisional=first.provisional)
