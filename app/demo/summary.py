"""What a run of the demo came to, read from the application's own tables and held against what truly happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import func, select

from app.demo.schedule import Plan, digest
from app.demo.truth import Raised, Verdict, score
from app.wiring import Application
from connectors.inbound.folder import FileTaken
from domain.findings import EarlyWarning
from domain.instants import rfc3339
from domain.levels import DEFAULT_LEVELS
from domain.records import RejectionEntry, SignalEntry
from domain.tasks import Stage, Task
from storage.dialects import json_at
from storage.duty_tables import outbox, rungs, tasks, timers
from storage.tables import objects, warnings

STAGES = tuple(stage for stage in Stage if stage not in {Stage.TRANSFERRED, Stage.PAUSED, Stage.WITHDRAWN})
COUNTS = ("accepted", "rejected", "duplicates", "revisions", "skipped")


class Doors:
    """What the doors answered: the senders' own account of their records."""

    def __init__(self) -> None:
        self.by_feed: dict[str, Counter[str]] = {}
        self.reasons: Counter[str] = Counter()
        self.kept: set[int] = set()  # numbers of the rejections; a bad record sent again is answered with its first

    @property
    def records(self) -> int:
        """Return how many records were answered for."""
        return sum(sum(page.values()) for page in self.by_feed.values())

    def answer(self, feed: str, told: dict[str, Any]) -> None:
        """Take the answer to one request."""
        self._add(feed, {name: told[name] for name in COUNTS}, told["reasons"])
        self.kept.update(one["seq"] for one in told["results"] if one["status"] == "rejected")

    def files(self, taken: Iterable[FileTaken]) -> None:
        """Take what became of files."""
        for one in taken:
            self._add(one.taken.feed, {name: getattr(one.taken, name) for name in COUNTS}, one.taken.reasons())
            self.kept.update(result.seq for result in one.taken.results if result.status == "rejected")

    def _add(self, feed: str, counts: dict[str, int], reasons: dict[str, int]) -> None:
        self.by_feed.setdefault(feed, Counter()).update(counts)
        self.reasons.update(reasons)

    def total(self) -> Counter[str]:
        """Return the sum over all feeds."""
        return sum(self.by_feed.values(), Counter())


def summarise(application: Application, plan: Plan, doors: Doors, departments: dict[str, int]) -> dict[str, Any]:
    """Return the summary; but for wall times it depends on the seed alone."""
    told = doors.total()
    journalled, rejected = _journalled(application)
    lost = max(told["accepted"] + told["revisions"] - journalled, 0) + max(len(doors.kept) - rejected, 0)
    lost += sum(max(page.readable - _answered(doors, feed), 0) for feed, page in plan.ledger.feeds.items())
    with application.database.read() as connection:
        raised = [
            msgspec.json.decode(body, type=EarlyWarning) for body in connection.scalars(select(warnings.c.body).order_by(warnings.c.id))
        ]
        found_tasks = [msgspec.json.decode(body, type=Task) for body in connection.scalars(select(tasks.c.body).order_by(tasks.c.id))]
        deliveries = {row[0]: row[1] for row in connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))}
        acts = connection.scalars(select(json_at(rungs.c.body, "act"))).all()
        fired = connection.scalar(select(func.count()).select_from(timers).where(timers.c.state == "fired"))
        registered = connection.scalar(select(func.count()).select_from(objects))
    verdict = _judge(raised, found_tasks, plan)
    return {
        "sent": digest(plan)[:16],  # what the seed stands for
        "records": doors.records,
        **{name: told[name] for name in COUNTS},
        "rejections_by_reason": dict(sorted(doors.reasons.items())),
        "signals": journalled,
        "objects": registered,
        "warnings": len(raised),
        "warnings_by_level": _counted((one.level for one in raised), DEFAULT_LEVELS.names()),
        "warnings_by_sector": _counted(one.sector for one in raised),
        "tasks": len(found_tasks),
        "tasks_by_department": _counted(task.department for task in found_tasks),
        "stages": {stage.value: _reached(found_tasks, stage) for stage in STAGES},
        "timers_fired": fired,
        "escalations": len(acts),
        "escalations_by_act": _counted(acts),
        "on_time_rate": _on_time(found_tasks),
        "deliveries": {
            "sent": deliveries.get("sent", 0) + deliveries.get("dead", 0) + deliveries.get("waiting", 0),
            "delivered": deliveries.get("sent", 0),
            "dead": deliveries.get("dead", 0),
            "waiting": deliveries.get("waiting", 0),
        },
        "incidents": {
            "planted": verdict.planted,
            "found": verdict.found,
            "missed": verdict.missed,
            "false": len(verdict.false_alarms),
            "worst_false_day": verdict.worst_day,
            "found_before_peak": sum(one.before_peak for one in verdict.incidents),
            "list": [
                {"id": one.incident, "sector": one.sector, "level": one.level, "delay_hours": _hours(one.delay)}
                for one in verdict.incidents
            ],
        },
        "false_alarms": [
            {"warning": one.warning, "subject": one.subject, "sector": one.sector, "level": one.level, "raised_at": rfc3339(one.raised_at)}
            for one in verdict.false_alarms
        ],
        "departments": departments,
        "lost": lost,
    }


def _journalled(application: Application) -> tuple[int, int]:
    """Return how many signals and rejections the journal holds, each counted once by feed, id and revision."""
    seen: set[tuple[str, str, int]] = set()
    rejected = 0
    for record in application.journal.read(0):
        if isinstance(record.entry, SignalEntry):
            seen.add((record.entry.feed, record.entry.signal.id, record.entry.revision))
        elif isinstance(record.entry, RejectionEntry):
            rejected += 1
    return len(seen), rejected


def _answered(doors: Doors, feed: str) -> int:
    page = doors.by_feed.get(feed, Counter())
    return page["accepted"] + page["duplicates"] + page["revisions"] + page["skipped"]


def _judge(raised: list[EarlyWarning], found_tasks: list[Task], plan: Plan) -> Verdict:
    departments: dict[str, set[str]] = {}
    for task in found_tasks:
        departments.setdefault(task.warning_id, set()).add(task.department)
    seen = [
        Raised(
            id=one.id,
            subject=one.subject,
            sector=one.sector,
            raised_at=one.raised_at,
            level=one.level,
            departments=tuple(sorted(departments.get(one.id, ()))),
        )
        for one in raised
    ]
    return score(seen, plan.world, levels=DEFAULT_LEVELS.names())


def _counted(names: Iterable[str], order: Iterable[str] = ()) -> dict[str, int]:
    counts = Counter(names)
    return {name: counts[name] for name in (*order, *sorted(counts.keys() - set(order)))}


def _reached(found: list[Task], stage: Stage) -> int:
    return sum(task.entered(stage) is not None or (stage is Stage.GENERATED) for task in found)


def _on_time(found: list[Task]) -> float:
    """Return the share of stage clocks that ended in time, of all that ended or passed."""
    clocks = [clock for task in found for clock in task.clocks if clock.state == "stopped" or clock.missed]
    return round(sum(not clock.missed for clock in clocks) / len(clocks), 4) if clocks else 1.0


def _hours(delay: Any) -> float | None:
    return round(delay.total_seconds() / 3600, 1) if delay is not None else None
