"""Random lives of a warning: whatever people, timers and levels do, what must always hold holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dispatch import effects as fx
from dispatch.draft import ENDED
from dispatch.lifecycle import apply
from dispatch.transitions import Who, legal
from domain.errors import Conflict, InvalidAction, NotFound
from domain.tasks import Action, Clock, Command, Stage, Task, Timer
from tests.dispatch import reckoning
from tests.dispatch.timeline import FEEDBACK, HANDLE, UNFOUNDED, VERIFY, Story

# Edges of a task's life, written apart from the table; None is the beginning.
EDGES: Final = {
    ("generated", "pushed"),
    ("pushed", "received"),
    ("pushed", "verified"),
    ("received", "verified"),
    ("verified", "handled"),
    ("handled", "fed_back"),
    ("fed_back", "handled"),
    ("verified", "received"),
    ("fed_back", "accepted"),
    ("verified", "accepted"),
    ("accepted", "closed"),
    *((stage, "paused") for stage in ("pushed", "received", "verified", "handled")),
    *(("paused", stage) for stage in ("pushed", "received", "verified", "handled")),
    *((stage, "returned") for stage in ("pushed", "received")),
    *((stage, "transferred") for stage in ("pushed", "received")),
    *(
        (stage, "withdrawn")
        for stage in ("generated", "pushed", "received", "verified", "handled", "fed_back", "paused", "returned", "accepted")
    ),
}
UNITS: Final = ("housing", "housing-gas", "housing-113", "market", "fire", "emergency")
FORMS: Final[dict[Action, list[dict[str, Any]]]] = {
    Action.RETURN: [{"reason": "not_our_power", "basis": "三定方案"}, {"reason": "tired", "basis": ""}],
    Action.TRANSFER: [{"department": unit} for unit in UNITS],
    Action.REPORT: [{"text": "进展"}, {}],
    Action.VERIFY: [VERIFY, UNFOUNDED, {}],
    Action.HANDLE: [HANDLE, {"measure": "停气"}],
    Action.FEED_BACK: [FEEDBACK, {"result": "x", "verdict": "unknown"}],
    Action.ACCEPT: [{"signed_by": "局长"}, {}],
    Action.REQUEST_EXTENSION: [{"reason": "等鉴定"}],
    Action.PAUSE: [{"reason": "laboratory"}, {"reason": "lunch"}],
    Action.DESIGNATE: [{"department": unit, "reason": "裁定"} for unit in (*UNITS, "nobody")],
    Action.ASSESS: [{"minutes": "会商", "attended": list(UNITS)}, {"minutes": "会商", "attended": []}],
}
# The way on from each stage, so that lives get far; everything else that is legal comes beside it.
ONWARD: Final = {
    "generated": Action.DELIVER,
    "pushed": Action.RECEIVE,
    "received": Action.VERIFY,
    "verified": Action.HANDLE,
    "handled": Action.FEED_BACK,
    "fed_back": Action.ACCEPT,
    "paused": Action.RESUME,
    "returned": Action.DESIGNATE,
}
ACTIONS: Final = [action for action in Action if action is not Action.WITHDRAW]
ALWAYS: Final = ("duty",)


class Life(RuleBasedStateMachine):
    """One warning, six departments, a duty officer, a 专班, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.ruled: dict[tuple[str, str], datetime] = {}  # due times that were ruled by people: (task, kind) → end

    @initialize(
        hours=st.integers(0, 8000),
        level=st.sampled_from(["red", "orange", "yellow", "blue"]),
        known=st.sampled_from([True, True, True, False]),
    )
    def begin(self, hours: int, level: str, *, known: bool) -> None:
        """Raise the warning at any hour of 2026."""
        self.story = Story(reckoning.china("2026-01-01", "00:00").astimezone(UTC) + timedelta(hours=hours))
        self.story.warning(level=level, **({} if known else {"matter": "noise", "sector": "noise"}))

    # --- what happens

    @rule(minutes=st.one_of(st.integers(1, 90), st.integers(60, 3000), st.integers(1440, 20000)))
    def time_passes(self, minutes: int) -> None:
        """Fire timers one by one at their due times."""
        target = self.story.clock.now() + timedelta(minutes=minutes)
        for _ in range(400):
            waiting = self.story.store.pending()
            if not waiting or waiting[0].due_at > target:
                break
            self.story.clock.move_to(max(waiting[0].due_at, self.story.clock.now()))
            self.fires(waiting[0])
        self.story.clock.move_to(max(target, self.story.clock.now()))

    @rule(minutes=st.integers(1, 6000))
    def outage(self, minutes: int) -> None:
        """Time passes and no timer fires until the end."""
        self.story.clock.move_to(self.story.clock.now() + timedelta(minutes=minutes))

    def fires(self, timer: Timer) -> None:
        """Fire a timer and check that it belongs to an open obligation at the version it was written for."""
        task = self.story.store.tasks.get(timer.task_id)
        clock = (task or self.story.case()).clock(timer.kind)
        before = self.story.case()
        paused = self.resumes(task) if timer.what == "pause_end" and task else {}
        applied = self.story.fire(timer)
        done = next(effect for effect in applied.effects if isinstance(effect, fx.TimerDone))
        assert timer.due_at <= self.story.clock.now()
        assert done.state == "fired", "what is pending in the table is never stale: it was cancelled with its clock"
        if timer.what == "revisit":
            assert before.status == "closed"
        else:
            assert before.status in {"open", "unrouted"}
            assert clock is not None
            assert (clock.version, clock.state) == (timer.version, "running")
            assert task is None or task.stage not in ENDED or task.awaits_ruling
        self.ruled |= paused

    @rule(choice=st.integers(0, 9), steps=st.integers(1, 5))
    def goes_on(self, choice: int, steps: int) -> None:
        """One task goes some steps on its usual way."""
        for _ in range(steps):
            going = [task for task in self.story.tasks() if task.open or task.awaits_ruling]
            if not going:
                return
            task = going[choice % len(going)]
            self.acts_legally(task, ONWARD[task.stage.value], choice)

    @rule(data=st.data(), choice=st.integers(0, 9))
    def does_something_legal(self, data: st.DataObject, choice: int) -> None:
        """Any action that the table allows for any task."""
        pairs = [(task, action) for task in self.story.tasks() for action in legal(self.story.case(), task)]
        pairs += [(None, action) for action in legal(self.story.case(), None) if action is not Action.WITHDRAW]  # type: ignore[misc]  # None is the case
        if pairs:
            task, action = data.draw(st.sampled_from(pairs))
            self.acts_legally(task, action, choice)

    def acts_legally(self, task: Task | None, action: Action, choice: int) -> None:
        """Act as somebody who may; the form may still be bad."""
        case = self.story.case()
        allowed = legal(case, task).get(action)
        if not allowed:
            return
        who = sorted(allowed)[choice % len(allowed)]
        role, department = ("department_lead", case.lead) if who is Who.CHECKER else (who.value, task.department if task else "")
        forms = FORMS.get(action, [{"reason": "理由"}])
        form = forms[choice % len(forms)]
        command = Command(action=action, role=role, department=department, actor=f"{who}-{department}", form=form)  # type: ignore[arg-type]  # who may act is a role
        self.tries(task, command)

    @rule(data=st.data(), action=st.sampled_from(ACTIONS))
    def somebody_acts(self, data: st.DataObject, action: Action) -> None:
        """Try an action with a good or bad form in a fitting or other role; it is done fully or refused without a trace."""
        tasks = self.story.tasks()
        known = [task for task in tasks if task.open or task.awaits_ruling or task.stage is Stage.ACCEPTED] or list(tasks)
        case_wide = action in {Action.REOPEN, Action.ASSESS} or not known
        task = None if case_wide else data.draw(st.sampled_from(known))
        roles = [("handler", task.department), ("department_lead", task.department)] if task else []
        roles += [("department_lead", self.story.case().lead), ("duty_officer", "duty"), ("task_force", "gas-force"), ("system", "")]
        role, department = data.draw(st.sampled_from(roles))
        command = Command(
            action=action,
            role=role,  # type: ignore[arg-type]  # drawn from the list above
            department=department,
            actor=f"{role}-{department}",
            form=data.draw(st.sampled_from(FORMS.get(action, [{"reason": "理由"}]))),
        )
        self.tries(task, command)

    @precondition(lambda self: self.story.case().status != "closed")
    @rule(odds=st.integers(0, 40))
    def withdrawn(self, odds: int) -> None:
        """Once in a while the facts are taken back."""
        if odds == 23:
            self.tries(None, Command(action=Action.WITHDRAW, role="system", note="更正"))

    def tries(self, task: Task | None, command: Command) -> None:
        """Apply a command; one that is refused leaves no trace."""
        story = self.story
        ruled = self.rulings(task, command)
        try:
            applied = apply(story.case(), story.tasks(), task.id if task else "", command, story.context, story.clock.now())
        except (InvalidAction, NotFound, Conflict):
            return
        story.store.write(applied.effects)
        self.ruled |= ruled
        if task is not None and command.action is Action.TRANSFER:  # the clocks run on as they were ruled
            heir = story.store.tasks[task.id].successor
            self.ruled |= {(heir, kind): end for (owner, kind), end in self.ruled.items() if owner == task.id}
        assert sum(isinstance(effect, fx.Audited) and effect.action == command.action.value for effect in applied.effects) >= 1

    @rule(level=st.sampled_from(["red", "orange", "yellow", "blue"]))
    def level_changes(self, level: str) -> None:
        """No running limit ever gets longer by it."""
        before = {(task.id, clock.kind): clock for task in self.story.tasks() for clock in task.clocks}
        self.story.rises_to(level)
        for task in self.story.tasks():
            for clock in task.clocks:
                old = before[task.id, clock.kind]
                assert clock.due_at <= old.due_at
                if clock.due_at < old.due_at:
                    self.ruled.pop((task.id, clock.kind), None)
        total = self.story.case().clock("total")
        if total is not None and not total.moved:
            self.ruled.pop(("", "total"), None)

    # --- an independent account of ruled times

    def rulings(self, task: Task | None, command: Command) -> dict[tuple[str, str], datetime]:
        """Return the due times that this command will set, should it be applied."""
        if task is None:
            return {}
        if command.action is Action.RESUME:
            return self.resumes(task)
        extension = self.story.case().policy.extension
        clock = next((known for known in task.clocks if known.kind == task.extension_asked), None)
        total = self.story.case().clock("total")
        if command.action is not Action.APPROVE_EXTENSION or extension is None or clock is None or total is None:
            return {}
        return {
            (task.id, clock.kind): reckoning.due(clock.due_at, extension.each),
            ("", "total"): reckoning.due(total.due_at, extension.each),
        }

    def resumes(self, task: Task) -> dict[tuple[str, str], datetime]:
        """Return the due time of the paused clock, should it run again now."""
        now = self.story.clock.now()
        return {
            (task.id, clock.kind): reckoning.resumed(clock.due_at, clock.stopped_at, now, clock.limit)
            for clock in task.clocks
            if clock.state == "paused" and clock.stopped_at
        }

    # --- what must always hold

    @invariant()
    def somebody_is_responsible_and_a_clock_runs(self) -> None:
        """1: an open warning has an open lead task or stands at a desk, and at least one clock runs."""
        if "w1" not in self.story.store.cases:
            return
        case, tasks = self.story.case(), self.story.tasks()
        if case.status not in {"open", "unrouted"}:
            assert not [task for task in tasks if task.open]
            return
        leads = [task for task in tasks if task.role == "lead" and (task.open or task.awaits_ruling)]
        assert len(leads) == (1 if case.status == "open" else 0)
        assert [clock for clock in case.clocks if clock.state == "running"]

    @invariant()
    def the_lead_is_held_without_gap_or_overlap(self) -> None:
        """2: holdings follow each other exactly, from generated to closed."""
        if "w1" not in self.story.store.cases:
            return
        case = self.story.case()
        if case.attempt > 1:
            return  # between closing and reopening nobody holds it
        assert case.holdings[0].since == case.generated_at
        for earlier, later in zip(case.holdings, case.holdings[1:], strict=False):
            assert earlier.until == later.since
        assert case.holdings[-1].until == case.closed_at

    @invariant()
    def timers_and_clocks_agree(self) -> None:
        """3 and 7: each running clock has one due timer, at the time shown, that an independent calculation finds too."""
        if "w1" not in self.story.store.cases:
            return
        case = self.story.case()
        owners: list[tuple[str, tuple[Clock, ...], bool]] = [("", case.clocks, case.status in {"open", "unrouted"})]
        owners += [(task.id, task.clocks, task.open or task.awaits_ruling) for task in self.story.tasks()]
        running = {(owner, clock.kind): clock for owner, clocks, _ in owners for clock in clocks if clock.state == "running"}
        assert all(is_open for owner, clocks, is_open in owners for clock in clocks if clock.state == "running")
        ends = {"due", "pause_end", "unrouted"}
        waiting = {(timer.task_id, timer.kind): timer for timer in self.story.store.pending() if timer.what in ends}
        assert set(waiting) == {key for key, clock in running.items() if not clock.missed}
        for key, clock in running.items():
            if key in waiting:
                assert (waiting[key].due_at, waiting[key].version) == (clock.due_at, clock.version)
            expected = self.ruled[key] if clock.moved else reckoning.due(clock.start_at, clock.limit, always=clock.hours in ALWAYS)
            assert clock.due_at == expected, clock
        for timer in self.story.store.pending():
            if timer.what != "revisit":
                assert running[timer.task_id, timer.kind].version == timer.version

    @invariant()
    def every_step_is_in_the_graph(self) -> None:
        """4: stages follow the edges, times do not go back, and the holding of an ended task is over."""
        for task in self.story.store.tasks.values():
            assert task.passages[0].stage is Stage.GENERATED
            assert task.passages[-1].stage is task.stage
            for earlier, later in zip(task.passages, task.passages[1:], strict=False):
                assert (earlier.stage.value, later.stage.value) in EDGES
                assert earlier.at <= later.at
            assert (task.held_to is not None) == (task.stage in ENDED)

    @invariant()
    def whoever_was_told_is_told_the_end(self) -> None:
        """6: an ended warning was told to everybody who had heard of it."""
        if "w1" not in self.story.store.cases or self.story.case().status not in {"closed", "withdrawn"}:
            return
        case = self.story.case()
        heard = {note.recipient for note in self.story.store.outbox.values() if note.event != "case.revisit"}
        event = f"case.{case.status}"
        last = {note.recipient for note in self.story.store.outbox.values() if note.event == event and note.at == case.closed_at}
        assert last == heard

    @invariant()
    def escalations_have_recipients_and_deliveries(self) -> None:
        """Every rung names somebody and has its message in the outbox."""
        for row in self.story.store.escalations.values():
            assert row.recipient.department
            assert self.story.store.outbox[row.delivery_id].recipient == row.recipient

    @invariant()
    def rows_are_plain(self) -> None:
        """A case and its tasks come back from their JSON as they were."""
        for case in self.story.store.cases.values():
            assert msgspec.json.decode(msgspec.json.encode(case), type=type(case)) == case
        for task in self.story.store.tasks.values():
            assert msgspec.json.decode(msgspec.json.encode(task), type=Task) == task


Life.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = pytest.mark.filterwarnings("error")(Life.TestCase)
