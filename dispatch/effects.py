"""Effects (what follows from a decision): plain rows that the caller writes in one transaction, in the order given.

A change carries the version that must still be in the store; where it is not, the whole transaction is undone and decided again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from domain.base import Noun
from domain.policies import ClockKind
from domain.records import OutcomeEntry
from domain.tasks import Escalation, Precedent, Recipient, Task, Timer, WarningCase


class Effect(Noun, frozen=True, kw_only=True, tag_field="effect"):
    """What is common to all effects."""


class CaseOpened(Effect, frozen=True, kw_only=True, tag="case_opened"):
    """Insert the case."""

    case: WarningCase


class CaseChanged(Effect, frozen=True, kw_only=True, tag="case_changed"):
    """Replace the case where its stored version is `expected_version`."""

    case: WarningCase
    expected_version: int


class TaskCreated(Effect, frozen=True, kw_only=True, tag="task_created"):
    """Insert a task."""

    task: Task


class TaskChanged(Effect, frozen=True, kw_only=True, tag="task_changed"):
    """Replace a task where its stored version is `expected_version`."""

    task: Task
    expected_version: int


class TimersCancelled(Effect, frozen=True, kw_only=True, tag="timers_cancelled"):
    """Set the pending timers of a warning to cancelled: of one task ("" is the case itself) and kind, or of all where None."""

    warning_id: str
    task_id: str | None = None
    kind: ClockKind | None = None


class TimerSet(Effect, frozen=True, kw_only=True, tag="timer_set"):
    """Insert a pending timer."""

    timer: Timer


class TimerDone(Effect, frozen=True, kw_only=True, tag="timer_done"):
    """Set one timer from pending to fired or cancelled; where it is not pending any more, undo the transaction."""

    timer_id: str
    state: Literal["fired", "cancelled"]
    late: bool = False


class EscalationRaised(Effect, frozen=True, kw_only=True, tag="escalation_raised"):
    """Insert a rung."""

    escalation: Escalation


class EscalationsAnswered(Effect, frozen=True, kw_only=True, tag="escalations_answered"):
    """Set `answered_at` on the unanswered rungs of a task, of one kind of clock or of all."""

    warning_id: str
    task_id: str
    kind: ClockKind | None
    at: datetime


class DeliveriesCancelled(Effect, frozen=True, kw_only=True, tag="deliveries_cancelled"):
    """Cancel the messages of a warning that have not gone out: written before the messages of this decision."""

    warning_id: str


class Notify(Effect, frozen=True, kw_only=True, tag="notify"):
    """Put a message to one recipient into the outbox, where `id` is not in it yet.

    `event` is `task.assigned` and the like, `reason` a sentence for the reader, `ref` what it is about beyond the task (an escalation).
    A recipient of the department "" has nobody to be delivered to: the message stands on the duty page.
    """

    id: str
    warning_id: str
    task_id: str
    recipient: Recipient
    event: str
    reason: str
    at: datetime
    due_at: datetime | None = None
    ref: str = ""
    urgency: Literal["phone", "normal", "batched"] = "normal"


class Audited(Effect, frozen=True, kw_only=True, tag="audited"):
    """Append to the warning's audit chain."""

    warning_id: str
    task_id: str
    at: datetime
    action: str
    role: str
    department: str
    actor: str
    before: str
    after: str
    reason: str = ""
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


class Journalled(Effect, frozen=True, kw_only=True, tag="journalled"):
    """Submit to the journal: what the departments found, and that the episode is over."""

    entry: OutcomeEntry


class RulingMade(Effect, frozen=True, kw_only=True, tag="ruling_made"):
    """Insert a routing precedent."""

    precedent: Precedent


AnyEffect = (
    CaseOpened
    | CaseChanged
    | TaskCreated
    | TaskChanged
    | TimersCancelled
    | TimerSet
    | TimerDone
    | EscalationRaised
    | EscalationsAnswered
    | DeliveriesCancelled
    | Notify
    | Audited
    | Journalled
    | RulingMade
)


class Applied(Noun, frozen=True, kw_only=True):
    """A decision: the case and all its tasks after it, and the effects to write."""

    case: WarningCase
    tasks: tuple[Task, ...]
    effects: tuple[AnyEffect, ...] = ()
