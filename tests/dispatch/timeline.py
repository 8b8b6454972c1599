"""A city in memory: it carries out effects as the application does in SQL, and lets a test read as a timeline.

`story.at("30m").told("duty", "task.urge")`: times count from the raising of the warning; everything due until then is fired first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dispatch import effects as fx
from dispatch.draft import Context
from dispatch.escalate import fire, in_due_order
from dispatch.lifecycle import apply
from dispatch.policy import PolicySet
from dispatch.policyfile import parse_policies
from dispatch.revise import raise_level
from dispatch.route import Routed, Unrouted, route
from dispatch.workcalendar import WorkCalendar
from domain.catalogue import Catalogue, CatalogueItem
from domain.clock import ManualClock
from domain.departments import Department, Directory, OfficeHours
from domain.tasks import Action, Command, Escalation, Precedent, Task, Timer, WarningCase
from storage.calendars import load_calendar
from tests.factories import make_warning

TOP = Path(__file__).resolve().parents[2]
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai, a working Monday
SPANS = {"m": "minutes", "h": "hours", "d": "days", "s": "seconds"}

DIRECTORY = Directory(
    departments=(
        Department(id="housing", name="市住建局", aliases=("住建部门",), region="610100"),
        Department(id="housing-113", name="雁塔区住建局", aliases=("住建部门",), region="610113", tier="county", parent="housing"),
        Department(id="housing-gas", name="市住建局燃气处", region="610100", parent="housing"),
        Department(id="market", name="市市场监管局", aliases=("市场监管部门",), region="610100"),
        Department(id="fire", name="市消防救援支队", region="610100"),
        Department(id="emergency", name="市应急局", region="610100"),
        Department(id="duty", name="市风险值班台", kind="duty_desk", hours=OfficeHours(always=True), region="610100"),
        Department(id="gas-force", name="燃气安全专班", kind="task_force", sectors=("gas",), region="610100"),
        Department(id="mayor-urban", name="分管副市长", kind="deputy_mayor", sectors=("gas", "construction"), region="610100"),
    )
)
GAS = CatalogueItem(
    slug="gas-use",
    title="燃气使用安全",
    sector="gas",
    lead="市住建局",
    cooperating=("市市场监管局", "市消防救援支队"),
    basis=("城镇燃气管理条例",),
)
BUS = CatalogueItem(slug="bus", title="公交运营安全", sector="transport", lead="市交通局")
CATALOGUE = Catalogue(version=3, items=(GAS, BUS))

VERIFY = {"finding": "confirmed", "means": "phone", "facts": "属实"}
UNFOUNDED = {"finding": "unfounded", "means": "phone", "facts": "误报", "cause": "传感器故障"}
HANDLE = {"measure": "停气整改", "proof": ["照片1"]}
SIGNED = {"signed_by": "局长甲"}
FEEDBACK = {"result": "已整改", "verdict": "handled"}


@functools.cache
def default_policies() -> PolicySet:
    """Return the shipped policies."""
    return PolicySet(parse_policies({"default.yaml": (TOP / "dispatch/policies/default.yaml").read_text(encoding="utf-8")}))


@functools.cache
def calendar_2026() -> WorkCalendar:
    """Return the announced calendar of 2025 and 2026, and the statutory days of 2027."""
    return load_calendar(range(2025, 2028))


def span(text: str) -> timedelta:
    """Return `1h30m`, `2d`, `0m` as a length of time."""
    parts = re.findall(r"(\d+)([mhds])", text)
    assert "".join(f"{number}{unit}" for number, unit in parts) == text, text
    return sum((timedelta(**{SPANS[unit]: int(number)}) for number, unit in parts), timedelta(0))


class Store:
    """Tables in memory with the constraints that the SQL has: unique ids, compare-and-set, one outcome per timer."""

    def __init__(self) -> None:
        self.cases: dict[str, WarningCase] = {}
        self.tasks: dict[str, Task] = {}
        self.timers: dict[str, Timer] = {}
        self.escalations: dict[str, Escalation] = {}
        self.outbox: dict[str, fx.Notify] = {}
        self.audit: list[fx.Audited] = []
        self.journal: list[Any] = []
        self.rulings: list[Precedent] = []
        self.late: set[str] = set()
        self.cancelled: list[str] = []  # warnings whose waiting messages were cancelled

    def write(self, effects: Iterable[fx.AnyEffect]) -> None:
        """Carry out one decision."""
        for effect in effects:
            self._write(effect)

    def _write(self, effect: fx.AnyEffect) -> None:
        match effect:
            case fx.CaseOpened(case=case):
                assert case.id not in self.cases
                self.cases[case.id] = case
            case fx.CaseChanged(case=case, expected_version=expected):
                assert self.cases[case.id].version == expected
                assert case.version == expected + 1
                self.cases[case.id] = case
            case fx.TaskCreated(task=task):
                assert task.id not in self.tasks
                self.tasks[task.id] = task
            case fx.TaskChanged(task=task, expected_version=expected):
                assert self.tasks[task.id].version == expected
                assert task.version == expected + 1
                self.tasks[task.id] = task
            case fx.TimersCancelled() | fx.TimerSet() | fx.TimerDone():
                self._write_timer(effect)
            case fx.EscalationRaised(escalation=row):
                assert row.id not in self.escalations
                self.escalations[row.id] = row
            case fx.EscalationsAnswered():
                self._answer(effect)
            case fx.DeliveriesCancelled(warning_id=warning_id):
                self.cancelled.append(warning_id)
            case fx.Notify(id=message_id):
                self.outbox.setdefault(message_id, effect)
            case fx.Audited():
                self.audit.append(effect)
            case fx.Journalled(entry=entry):
                self.journal.append(entry)
            case fx.RulingMade(precedent=precedent):
                self.rulings.append(precedent)

    def _write_timer(self, effect: fx.TimersCancelled | fx.TimerSet | fx.TimerDone) -> None:
        match effect:
            case fx.TimersCancelled():
                self._cancel(effect)
            case fx.TimerSet(timer=timer):
                assert timer.id not in self.timers, timer
                self.timers[timer.id] = timer
            case fx.TimerDone(timer_id=timer_id, state=state, late=late):
                assert self.timers[timer_id].state == "pending"
                self.timers[timer_id] = replace(self.timers[timer_id], state=state)
                if late:
                    self.late.add(timer_id)

    def _cancel(self, effect: fx.TimersCancelled) -> None:
        for timer in self.timers.values():
            hit = timer.warning_id == effect.warning_id and timer.state == "pending"
            if hit and effect.task_id in (None, timer.task_id) and effect.kind in (None, timer.kind):
                self.timers[timer.id] = replace(timer, state="cancelled")

    def _answer(self, effect: fx.EscalationsAnswered) -> None:
        for row in self.escalations.values():
            hit = row.warning_id == effect.warning_id and row.task_id == effect.task_id and row.answered_at is None
            if hit and effect.kind in (None, row.kind):
                self.escalations[row.id] = replace(row, answered_at=effect.at)

    def pending(self) -> list[Timer]:
        """Return the pending timers in the order in which they fire."""
        return in_due_order(timer for timer in self.timers.values() if timer.state == "pending")


class Story:
    """One warning's timeline."""

    def __init__(
        self,
        start: datetime = MONDAY,
        *,
        policies: PolicySet | None = None,
        precedents: tuple[Precedent, ...] = (),
        catalogue: Catalogue = CATALOGUE,
    ) -> None:
        self.start = start
        self.clock = ManualClock(start)
        self.store = Store()
        self.catalogue = catalogue
        self.context = Context(calendar_2026(), DIRECTORY, policies or default_policies(), precedents)

    # --- time

    def at(self, when: str) -> Story:
        """Move to `when` after the start, firing on the way whatever is due, each at its own due time."""
        self.run_until(self.start + span(when))
        return self

    def run_until(self, moment: datetime) -> None:
        """Fire timers at their due times, then stand at `moment`."""
        while (waiting := self.store.pending()) and waiting[0].due_at <= moment:
            self.clock.move_to(max(waiting[0].due_at, self.clock.now()))
            self.fire(waiting[0])
        self.clock.move_to(max(moment, self.clock.now()))

    def outage_until(self, when: str) -> Story:
        """Stand still until `when`, then fire everything overdue in due order at that one instant."""
        self.clock.move_to(self.start + span(when))
        while (waiting := self.store.pending()) and waiting[0].due_at <= self.clock.now():
            self.fire(waiting[0])
        return self

    def fire(self, timer: Timer) -> fx.Applied:
        """Fire one timer now."""
        applied = fire(self.case(timer.warning_id), self.tasks(timer.warning_id), timer, self.context, self.clock.now())
        self.store.write(applied.effects)
        return applied

    # --- deeds

    def warning(self, **kw: Any) -> Routed | Unrouted:
        """Raise a warning and route it."""
        routed = route(make_warning(**kw), self.catalogue, self.context, self.clock.now())
        self.store.write(routed.effects)
        return routed

    def rises_to(self, level: str) -> fx.Applied:
        """Raise the level of the open warning."""
        applied = raise_level(self.case(), self.tasks(), level, self.context, self.clock.now())
        self.store.write(applied.effects)
        return applied

    def does(self, department: str, action: Action | str, task: Task | None = None, **kw: Any) -> fx.Applied:
        """Let somebody of a department act on its newest task (or on `task`)."""
        given: dict[str, Any] = {"role": "handler", "actor": f"{department}-承办", "department": department}
        command = Command(action=Action(action), **(given | kw))
        target = task.id if task else self.task(department).id
        return self.command(target, command)

    def desk(self, action: Action | str, department: str = "", **kw: Any) -> fx.Applied:
        """Let the duty officer act on a department's newest task, or on the case where none is named."""
        given: dict[str, Any] = {"role": "duty_officer", "actor": "值班员甲", "department": "duty"}
        return self.command(self.task(department).id if department else "", Command(action=Action(action), **(given | kw)))

    def command(self, task_id: str, command: Command) -> fx.Applied:
        """Apply a command to the only case."""
        applied = apply(self.case(), self.tasks(), task_id, command, self.context, self.clock.now())
        self.store.write(applied.effects)
        return applied

    def delivered(self, *departments: str) -> Story:
        """Let the outbox report 2xx for the newest task of each department."""
        for department in departments:
            self.command(self.task(department).id, Command(action=Action.DELIVER, role="system"))
        return self

    def finish(self, department: str) -> Story:
        """Let a department do everything from signing to feedback at once."""
        task = self.task(department)
        steps = [("receive", {}), ("verify", VERIFY), ("handle", HANDLE), ("feed_back", FEEDBACK)]
        order = ["pushed", "received", "verified", "handled"]
        for action, form in steps[order.index(task.stage.value) :]:
            self.does(department, action, form=form)
        return self

    # --- what is seen

    def case(self, warning_id: str = "w1") -> WarningCase:
        """Return the case."""
        return self.store.cases[warning_id]

    def tasks(self, warning_id: str = "w1") -> tuple[Task, ...]:
        """Return all tasks of a case, in the order in which they were made."""
        return tuple(task for task in self.store.tasks.values() if task.warning_id == warning_id)

    def task(self, department: str) -> Task:
        """Return a department's newest task."""
        return [task for task in self.tasks() if task.department == department][-1]

    def told(self, department: str, event: str = "") -> list[fx.Notify]:
        """Return what a department was told, in order."""
        return [note for note in self.store.outbox.values() if note.recipient.department == department and event in ("", note.event)]

    def events(self, department: str) -> list[str]:
        """Return the events that a department was told, in order."""
        return [note.event for note in self.told(department)]

    def rungs(self) -> list[tuple[str, str, str]]:
        """Return the issued rungs as (time since the start, act, recipient)."""
        return [(str(row.issued_at - self.start), row.act, row.recipient.department) for row in self.store.escalations.values()]
