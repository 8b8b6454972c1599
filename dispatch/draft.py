"""The working copy of one decision: changes are made here, and the effects are what differs at the end.

So a clock that was stopped always has its timers cancelled, and a clock that was set always has its timers, whoever touched it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from msgspec.structs import replace

from dispatch.effects import (
    AnyEffect,
    Applied,
    Audited,
    CaseChanged,
    CaseOpened,
    EscalationsAnswered,
    Notify,
    TaskChanged,
    TaskCreated,
    TimersCancelled,
    TimerSet,
)
from dispatch.policy import PolicySet
from dispatch.workcalendar import WorkCalendar
from domain.departments import Directory, OfficeHours
from domain.policies import ClockKind, Limit, Policy
from domain.tasks import (
    Action,
    Clock,
    Command,
    Holding,
    Passage,
    Precedent,
    Recipient,
    Stage,
    Task,
    Timer,
    Told,
    WarningCase,
    stable_id,
)

ENDED = (Stage.RETURNED, Stage.TRANSFERRED, Stage.WITHDRAWN, Stage.CLOSED)


@dataclass(frozen=True, slots=True)
class Context:
    """What decisions look things up in; each part is an immutable version."""

    calendar: WorkCalendar
    directory: Directory
    policies: PolicySet
    precedents: tuple[Precedent, ...] = ()


class Draft:
    """One decision about one case at one instant; used once."""

    def __init__(self, case: WarningCase, tasks: Iterable[Task], context: Context, now: datetime, *, opened: bool = False) -> None:
        """`opened` says that the case is not in the store yet."""
        self.case = case
        self.context = context
        self.now = now
        self.tasks = {task.id: task for task in tasks}
        self._before_case = None if opened else case
        self._before = dict(self.tasks)
        self._late_effects: list[AnyEffect] = []
        self._messages: dict[tuple[str, str, str, str], str] = {}  # (event, task, department, ref) → id of the message
        self._cancel_all = False

    @property
    def policy(self) -> Policy:
        """Return the case's own policy."""
        return self.case.policy

    # --- state

    def version(self, task_id: str) -> int:
        """Return the version that a task ("": the case) will have after this decision."""
        if not task_id:
            return self._before_case.version + 1 if self._before_case else 1
        before = self._before.get(task_id)
        return before.version + 1 if before else 1

    def put(self, task: Task, **changes: Any) -> Task:
        """Keep a changed (or new) task and return it."""
        changed = replace(task, version=self.version(task.id), **changes)
        self.tasks[task.id] = changed
        return changed

    def put_case(self, **changes: Any) -> None:
        """Keep a changed case."""
        self.case = replace(self.case, version=self.version(""), **changes)

    def move(self, task: Task, stage: Stage, by: Action, **changes: Any) -> Task:
        """Bring a task to a stage; a stage that ends it ends its holding too."""
        passages = (*task.passages, Passage(stage=stage, at=self.now, by=by.value))
        if stage in ENDED and task.held_to is None:
            changes.setdefault("held_to", self.now)
        return self.put(task, stage=stage, passages=passages, **changes)

    def hold(self, holder: str, task_id: str) -> None:
        """Hand the lead over at this instant: the times of holding neither overlap nor leave a gap."""
        kept = tuple(replace(part, until=self.now) if part.until is None else part for part in self.case.holdings)
        self.put_case(holdings=(*kept, Holding(holder=holder, task_id=task_id, since=self.now)))

    def release(self) -> None:
        """End the last holding: the warning is closed or withdrawn."""
        kept = tuple(replace(part, until=self.now) if part.until is None else part for part in self.case.holdings)
        self.put_case(holdings=kept)

    def lead_task(self) -> Task | None:
        """Return the open lead task, or the returned one that awaits a ruling."""
        leads = [task for task in self.tasks.values() if task.role == "lead"]
        return next((task for task in leads if task.open or task.awaits_ruling or task.stage is Stage.ACCEPTED), None)

    # --- clocks

    def clocks_of(self, task_id: str) -> tuple[Clock, ...]:
        """Return the clocks of a task, or of the case for ""."""
        return self.tasks[task_id].clocks if task_id else self.case.clocks

    def _put_clock(self, task_id: str, clock: Clock) -> None:
        clocks = (*(known for known in self.clocks_of(task_id) if known.kind != clock.kind), clock)
        if task_id:
            self.put(self.tasks[task_id], clocks=clocks)
        else:
            self.put_case(clocks=clocks)

    def hours(self, unit: str) -> OfficeHours:
        """Return the office hours that a clock runs by."""
        return self.context.directory.hours(unit)

    def name(self, unit: str) -> str:
        """Return a unit as people call it; its id where the directory does not know it."""
        found = self.context.directory.get(unit)
        return found.name if found is not None else unit

    def start(self, task_id: str, kind: ClockKind, limit: Limit | None, *, at: datetime | None = None, hours: str | None = None) -> None:
        """Set a clock that starts at `at` (now); a policy without this limit sets none.

        `hours` is the unit whose office hours count ("": the ordinary ones), by default the task's department or the duty desk.
        """
        if limit is None:
            return
        holder = self.tasks[task_id].department if task_id else self.case.duty_desk
        unit = holder if hours is None else hours
        start = at or self.now
        due = self.context.calendar.due(start, limit, self.hours(unit))
        version = self.version(task_id)
        self._put_clock(
            task_id,
            Clock(kind=kind, start_at=start, due_at=due.at, limit=limit, version=version, hours=unit, provisional=due.provisional),
        )

    def stop(self, task_id: str, *kinds: ClockKind) -> None:
        """Stop these clocks (all, without kinds) and answer the rungs above them."""
        for clock in self.clocks_of(task_id):
            if clock.state == "stopped" or (kinds and clock.kind not in kinds):
                continue
            missed = clock.missed or (clock.state == "running" and self.now > clock.due_at)
            self._put_clock(task_id, replace(clock, state="stopped", stopped_at=self.now, missed=missed))
            if missed:
                self.add(EscalationsAnswered(warning_id=self.case.id, task_id=task_id, kind=clock.kind, at=self.now))

    def rewrite(self, task_id: str, clock: Clock, due_at: datetime, *, provisional: bool | None = None, **changes: Any) -> None:
        """Move the end of a clock: its timers are written anew at the new version, and fire at once where the new end is past."""
        leaning = clock.provisional if provisional is None else provisional
        if clock.missed:
            self.add(EscalationsAnswered(warning_id=self.case.id, task_id=task_id, kind=clock.kind, at=self.now))
        version = self.version(task_id)
        self._put_clock(task_id, replace(clock, due_at=due_at, version=version, missed=False, provisional=leaning, **changes))

    def mark_missed(self, task_id: str, clock: Clock) -> None:
        """Note that a clock passed its end; its rungs stay valid."""
        self._put_clock(task_id, replace(clock, missed=True))

    # --- telling

    def add(self, effect: AnyEffect) -> None:
        """Keep an effect that follows from no difference."""
        self._late_effects.append(effect)

    def tell(
        self,
        recipient: Recipient,
        event: str,
        reason: str,
        *,
        task_id: str = "",
        ref: str = "",
    ) -> str:
        """Tell one recipient; whoever was told is told later changes too. Returns the id of the message.

        A department that is to hear the same thing in a second role has it already: one message is enough.
        """
        told = Told(task_id=task_id, recipient=recipient)
        if told not in self.case.told:
            self.put_case(told=tuple(sorted((*self.case.told, told))))
        same = (event, task_id, recipient.department, ref)
        if same in self._messages:
            return self._messages[same]
        message_id = self._messages[same] = stable_id(
            "n", self.case.id, task_id, event, recipient.role, recipient.department, ref, self.version(task_id)
        )
        clocks = [clock.due_at for clock in self.clocks_of(task_id) if clock.state == "running"]
        urgency: Literal["phone", "normal", "batched"] = self.policy.urgency
        if urgency == "batched" and event != "task.assigned":
            urgency = "normal"
        self.add(
            Notify(
                id=message_id,
                warning_id=self.case.id,
                task_id=task_id,
                recipient=recipient,
                event=event,
                reason=reason,
                at=self.now,
                due_at=min(clocks, default=None),
                ref=ref,
                urgency=urgency,
            )
        )
        return message_id

    def retell(self, event: str, reason: str, *, task_id: str | None = None) -> None:
        """Tell a change to everybody who was told of this task (None: of anything in this case), each department once."""
        told = {entry.recipient for entry in self.case.told if task_id is None or entry.task_id == task_id}
        for recipient in sorted(told):
            self.tell(recipient, event, reason, task_id=task_id or "")

    def audit(self, command: Command, task_id: str, before: str, after: str, *, reason: str = "", **detail: Any) -> None:
        """Write who did what."""
        said = {"form": dict(command.form), "note": command.note, "evidence": list(command.evidence)} if command.role != "system" else {}
        if command.at is not None:
            said["done_at"] = command.at.isoformat()
        self.add(
            Audited(
                warning_id=self.case.id,
                task_id=task_id,
                at=self.now,
                action=command.action.value,
                role=command.role,
                department=command.department,
                actor=command.actor,
                before=before,
                after=after,
                reason=reason or command.note,
                detail={key: value for key, value in said.items() if value} | detail,
            )
        )

    def note(self, act: str, task_id: str, before: str, after: str, reason: str, **detail: Any) -> None:
        """Write down what the system did by itself."""
        self.add(
            Audited(
                warning_id=self.case.id,
                task_id=task_id,
                at=self.now,
                action=act,
                role="system",
                department="",
                actor="",
                before=before,
                after=after,
                reason=reason,
                detail=detail,
            )
        )

    def cancel_everything(self) -> None:
        """Cancel all timers of the warning in the same transaction."""
        self._cancel_all = True

    # --- the end

    def done(self) -> Applied:
        """Return the decision with its effects: rows first, then timers, then what is told and written down."""
        effects: list[AnyEffect] = []
        if self._before_case is None:
            effects.append(CaseOpened(case=self.case))
        elif self.case is not self._before_case:
            effects.append(CaseChanged(case=self.case, expected_version=self._before_case.version))
        for task in self.tasks.values():
            before = self._before.get(task.id)
            if before is None:
                effects.append(TaskCreated(task=task))
            elif task is not before:
                effects.append(TaskChanged(task=task, expected_version=before.version))
        effects += self._timer_effects()
        effects += self._late_effects
        return Applied(case=self.case, tasks=tuple(self.tasks.values()), effects=tuple(effects))

    def _timer_effects(self) -> list[AnyEffect]:
        cancelled: list[AnyEffect] = [TimersCancelled(warning_id=self.case.id)] if self._cancel_all else []
        written: list[AnyEffect] = []
        groups = [("", self._before_case.clocks if self._before_case else (), self.case.clocks)]
        groups += [(task.id, self._before[task.id].clocks if task.id in self._before else (), task.clocks) for task in self.tasks.values()]
        for task_id, before, after in groups:
            was = {clock.kind: clock for clock in before}
            for clock in after:
                old = was.get(clock.kind)
                moved = old is not None and (old.version != clock.version or old.state != clock.state)
                if moved and old is not None and old.state != "stopped" and not self._cancel_all:
                    cancelled.append(TimersCancelled(warning_id=self.case.id, task_id=task_id, kind=clock.kind))
                if clock.state == "running" and (old is None or old.version != clock.version):
                    written += [TimerSet(timer=timer) for timer in self._timers(task_id, clock)]
        return cancelled + written

    def _timers(self, task_id: str, clock: Clock) -> list[Timer]:
        def timer(what: Any, due_at: datetime, rung: int = 0) -> Timer:
            return Timer(
                id=timer_id(self.case.id, task_id, clock, what, rung),
                warning_id=self.case.id,
                task_id=task_id,
                kind=clock.kind,
                what=what,
                due_at=due_at,
                version=clock.version,
                rung=rung,
                provisional=clock.provisional,
            )

        if clock.kind == "pause":
            return [timer("pause_end", clock.due_at)]
        hours = self.hours(clock.hours)
        found = []
        for index, share in enumerate(self.policy.reminders):
            moment = self.context.calendar.fraction(clock.start_at, clock.due_at, share, clock.limit, hours)
            if self.now < moment < clock.due_at:
                found.append(timer("reminder", moment, index))
        last = "unrouted" if self.case.status == "unrouted" and clock.kind == "designate" else "due"
        return [*found, timer(last, clock.due_at)]


def timer_id(warning_id: str, task_id: str, clock: Clock, what: str, rung: int, repeat: int = 0, ref: str = "") -> str:
    """Return the id of a timer: the same clock at the same version gives the same ids."""
    return stable_id("m", warning_id, task_id, clock.kind, what, rung, repeat, clock.version, ref)
