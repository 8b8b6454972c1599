"""Obligations: a warning's case, one task per department, their clocks, timers and escalations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from domain.base import Noun
from domain.policies import Act, ClockKind, Limit, Policy, RecipientRole


class Stage(StrEnum):
    """Where a task stands (decision 8)."""

    GENERATED = "generated"  # 已生成
    PUSHED = "pushed"  # 已推送
    RECEIVED = "received"  # 已签收
    VERIFIED = "verified"  # 已核查
    HANDLED = "handled"  # 已处置
    FED_BACK = "fed_back"  # 已反馈
    ACCEPTED = "accepted"  # 已审核
    CLOSED = "closed"  # 已办结
    RETURNED = "returned"  # 已退回
    TRANSFERRED = "transferred"  # 已转办
    PAUSED = "paused"  # 中止计时
    WITHDRAWN = "withdrawn"  # 已撤回


OPEN_STAGES = (Stage.GENERATED, Stage.PUSHED, Stage.RECEIVED, Stage.VERIFIED, Stage.HANDLED, Stage.FED_BACK, Stage.PAUSED)


class Action(StrEnum):
    """What may be done to a task, or (withdraw, reopen, designate, assess) to a case."""

    DELIVER = "deliver"  # 送达
    RECEIVE = "receive"  # 签收
    RETURN = "return"  # 退回
    TRANSFER = "transfer"  # 转办
    REPORT = "report"  # 报告进展 (the first one is the 初报)
    VERIFY = "verify"  # 核查
    HANDLE = "handle"  # 处置
    FEED_BACK = "feed_back"  # 反馈
    ACCEPT = "accept"  # 审核通过
    SEND_BACK = "send_back"  # 退回重办
    REQUEST_EXTENSION = "request_extension"  # 申请延期
    APPROVE_EXTENSION = "approve_extension"  # 同意延期
    REFUSE_EXTENSION = "refuse_extension"  # 不同意延期
    PAUSE = "pause"  # 中止
    RESUME = "resume"  # 恢复
    SUPERVISE = "supervise"  # 督办
    DESIGNATE = "designate"  # 指定办理 (改派裁定)
    WAIVE = "waive"  # 免予反馈, of a cooperating task
    ASSESS = "assess"  # 综合研判 held
    WITHDRAW = "withdraw"  # 撤回
    REOPEN = "reopen"  # 重新办理
    CLOSE = "close"  # 办结: happens by itself when the last task is accepted


Role = Literal["handler", "department_lead", "duty_officer", "task_force", "auditor", "system"]
Finding = Literal["confirmed", "unfounded", "unverifiable", ""]  # 属实, 不属实, 无法核实
CaseStatus = Literal["open", "unrouted", "closed", "withdrawn"]


def stable_id(prefix: str, *parts: object) -> str:
    """Return a deterministic id of 20 hexadecimal digits after `prefix`.

    >>> stable_id("k", "w1", "dept", 1) == stable_id("k", "w1", "dept", 1) != stable_id("k", "w1", "dept", 2)
    True
    """
    return prefix + hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:20]


class Clock(Noun, frozen=True, kw_only=True):
    """The running limit of one stage of a task, or a case's total, joint assessment or designation.

    `version` is the version of the task (of the case) at which it was set: its timers carry the same, all others are stale.
    `hours` is the department whose office hours count. `missed` is set when it was still running after `due_at`.
    `provisional`: the due time leans on a year whose holidays are not announced. While paused, `stopped_at` is the pause's start.
    """

    kind: ClockKind
    start_at: datetime
    due_at: datetime
    limit: Limit
    version: int
    hours: str = ""
    state: Literal["running", "paused", "stopped"] = "running"
    stopped_at: datetime | None = None
    missed: bool = False
    moved: bool = False  # by an extension or a pause: `due_at` is not `start_at` + `limit` any more
    provisional: bool = False


class Timer(Noun, frozen=True, kw_only=True):
    """One future act of a clock; a row with an index on (state, due_at).

    `rung` counts reminders or rungs from 0, `repeat` the repetitions of a rung, `ref` is the escalation an answer timer waits for.
    """

    id: str
    warning_id: str
    task_id: str  # "" for the case's own clocks
    kind: ClockKind
    what: Literal["reminder", "due", "rung", "answer", "pause_end", "revisit", "unrouted"]
    due_at: datetime
    version: int
    rung: int = 0
    repeat: int = 0
    ref: str = ""
    provisional: bool = False
    state: Literal["pending", "fired", "cancelled"] = "pending"


class Recipient(Noun, frozen=True, kw_only=True, order=True):
    """Who is told: a role at a unit."""

    role: RecipientRole
    department: str


class Escalation(Noun, frozen=True, kw_only=True):
    """One rung that was issued: its own recipient, delivery and deadline.

    `delivery_id` is the id of the notification in the outbox; `delivered_at` comes from there. It is answered when the obligation
    behind it moves on. `late` marks what an outage delayed: `due_at` is when it should have been issued.
    """

    id: str
    warning_id: str
    task_id: str
    kind: ClockKind
    rung: int
    repeat: int
    act: Act
    recipient: Recipient
    reason: str
    due_at: datetime
    issued_at: datetime
    delivery_id: str
    issued_by: str = "system"
    late: bool = False
    answer_by: datetime | None = None
    delivered_at: datetime | None = None
    answered_at: datetime | None = None


class Passage(Noun, frozen=True, kw_only=True):
    """A task came to a stage."""

    stage: Stage
    at: datetime
    by: str  # action that led there


class Task(Noun, frozen=True, kw_only=True):
    """One department's part of a warning.

    `version` starts at 1 and grows by one with each change: the store writes with compare-and-set on it. `returns` counts the
    returns of the chain of tasks that led here. `designated` tasks cannot be returned. `stage_before` is the stage under a pause.
    `successor` is the task that took over. `held_from` to `held_to` is when the department held it.
    """

    id: str
    warning_id: str
    department: str
    role: Literal["lead", "cooperating"]
    attempt: int
    generated_at: datetime
    held_from: datetime
    stage: Stage = Stage.GENERATED
    version: int = 1
    clocks: tuple[Clock, ...] = ()
    passages: tuple[Passage, ...] = ()
    held_to: datetime | None = None
    stage_before: Stage | None = None
    returns: int = 0
    designated: bool = False
    ruling_by: Literal["", "duty_desk", "task_force"] = ""  # who has to designate, while it is returned and nobody took over
    handlers: tuple[str, ...] = ()  # people who acted for the department: none of them may review
    finding: Finding = ""
    answers: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)  # action → form
    evidence: tuple[str, ...] = ()
    extension_asked: ClockKind | None = None
    extensions: int = 0
    sent_back: int = 0
    supervised: bool = False
    rung: int = 0  # highest rung issued so far, counted from 1
    successor: str = ""
    reason: str = ""  # why it came to be, or ended

    @property
    def open(self) -> bool:
        """Return whether its department still owes something."""
        return self.stage in OPEN_STAGES

    @property
    def awaits_ruling(self) -> bool:
        """Return whether it stands at the desk that has to designate."""
        return self.stage is Stage.RETURNED and self.ruling_by != ""

    @property
    def due_at(self) -> datetime | None:
        """Return the earliest due time of its running clocks: what a page counts down to."""
        return min((clock.due_at for clock in self.clocks if clock.state == "running"), default=None)

    def clock(self, kind: ClockKind) -> Clock | None:
        """Return its clock of this kind, running or not."""
        return next((clock for clock in self.clocks if clock.kind == kind), None)

    def entered(self, stage: Stage) -> datetime | None:
        """Return when it last came to `stage`."""
        return next((passage.at for passage in reversed(self.passages) if passage.stage is stage), None)


class Holding(Noun, frozen=True, kw_only=True):
    """Who held the lead from when to when; gapless from generated to closed."""

    holder: str  # department
    task_id: str  # "" while it stood at a desk
    since: datetime
    until: datetime | None = None


class Told(Noun, frozen=True, kw_only=True, order=True):
    """Somebody was told something of a task ("" for the case): they are told its changes too."""

    task_id: str
    recipient: Recipient


class WarningCase(Noun, frozen=True, kw_only=True):
    """The obligation side of a warning: its policy (a snapshot), its units, its total clock and who was told.

    `attempt` is 1 and grows with each reopening. `reasons` say how it was routed. `verdict` is set at the end.
    """

    id: str  # of the warning
    subject: str
    matter: str
    sector: str
    region: str
    kind: str
    level: str
    status: CaseStatus
    policy: Policy
    policy_reason: str
    generated_at: datetime
    namespace: str = "live"
    object_id: str = ""
    item: str = ""
    lead: str = ""
    cooperating: tuple[str, ...] = ()
    duty_desk: str = ""
    task_force: str = ""
    deputy_mayor: str = ""
    attempt: int = 1
    version: int = 1
    clocks: tuple[Clock, ...] = ()
    pushed_at: datetime | None = None
    closed_at: datetime | None = None
    holdings: tuple[Holding, ...] = ()
    told: tuple[Told, ...] = ()
    reasons: tuple[str, ...] = ()
    verdict: str = ""

    def clock(self, kind: ClockKind) -> Clock | None:
        """Return the case's own clock of this kind (total, joint or designate), running or not."""
        return next((clock for clock in self.clocks if clock.kind == kind), None)

    @property
    def due_at(self) -> datetime | None:
        """Return when the whole warning has to be done."""
        total = self.clock("total")
        return total.due_at if total else None


def lead_task(tasks: Iterable[Task]) -> Task | None:
    """Return the task whose stage is the warning's: the newest lead task that nobody took over; None for an unrouted warning."""
    leads = [task for task in tasks if task.role == "lead" and not task.successor]
    return max(leads, key=lambda task: (task.generated_at, task.attempt, task.id), default=None)


class Command(Noun, frozen=True, kw_only=True):
    """What somebody wants done. `department` and `role` come from the credential, never from the body.

    `expected_version` refuses to act on what changed since it was read. `at` is when the actor says it was done, for the record only.
    """

    action: Action
    role: Role
    department: str = ""
    actor: str = ""
    form: dict[str, Any] = msgspec.field(default_factory=dict)
    note: str = ""
    at: datetime | None = None
    evidence: tuple[str, ...] = ()
    expected_version: int | None = None


class Precedent(Noun, frozen=True, kw_only=True):
    """A ruling (改派裁定) on who is competent for (matter, kind, region); later warnings follow it."""

    matter: str
    kind: str
    region: str
    department: str
    at: datetime
    by: str = ""
    reason: str = ""
    warning_id: str = ""


def task_id(warning_id: str, department: str, attempt: int) -> str:
    """Return the id of a department's task: no clock and no random number in it."""
    return stable_id("t", warning_id, department, attempt)
