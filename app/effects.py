"""Carries out what `dispatch` decided, in the caller's transaction: effects of one kind are written together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from app.gate import fingerprint
from app.links import link_token
from app.messages_out import ANSWER, Subject, body_of, with_token
from app.views.scope import answers_for_whole
from app.views.titles import AREA
from dispatch.effects import (
    AnyEffect,
    Applied,
    Audited,
    CaseChanged,
    CaseOpened,
    DeliveriesCancelled,
    Effect,
    EscalationRaised,
    EscalationsAnswered,
    Journalled,
    Notify,
    RulingMade,
    TaskChanged,
    TaskCreated,
    TimerDone,
    TimersCancelled,
    TimerSet,
)
from dispatch.transitions import legal_actions
from domain.errors import Conflict
from domain.messages import both, text
from domain.names import masked_name
from domain.objects import RegulatedObject
from domain.tasks import Stage, Task, WarningCase
from storage import access, audit, findings, obligations, outbox, registry

LINK_LIFETIME = timedelta(days=15)  # no stage of the shipped policies runs longer
_entry = msgspec.msgpack.Encoder()
E = TypeVar("E", bound=Effect)

# The kinds of effects by the table that they are about. Those of one table and one warning are written in the order of the decisions,
# all others commute: so many decisions are written at once. Messages tell the state after the whole decision they belong to.
_TABLES: Final[tuple[tuple[type[Effect], ...], ...]] = (
    (CaseOpened, CaseChanged),
    (TaskCreated, TaskChanged),
    (TimerDone, TimersCancelled, TimerSet),
    (EscalationRaised, EscalationsAnswered),
    (Audited,),
    (Journalled,),
    (RulingMade,),
    (DeliveriesCancelled, Notify),
)
_KINDS: Final = {kind: (table, rank) for table, kinds in enumerate(_TABLES) for rank, kind in enumerate(kinds)}


@dataclass(frozen=True, slots=True)
class EffectWriter:
    """Writes effects; `base_url` begins the links, `link_key` signs them."""

    base_url: str
    link_key: bytes

    def write(self, connection: Connection, decisions: Sequence[Applied], now: datetime) -> None:
        """Write the effects of decisions, several about one warning in their order.

        Raises:
            Conflict: a case, task or timer changed since the decision read it: roll back, read again, decide again.
        """
        for run in _runs(decisions):
            self._write(connection, run, now)

    def _write(self, connection: Connection, run: Sequence[tuple[Applied, AnyEffect]], now: datetime) -> None:
        """Write effects of one kind."""
        effects = [effect for _, effect in run]
        match effects[0]:
            case CaseOpened() | CaseChanged() | TaskCreated() | TaskChanged():
                _write_standing(connection, effects)
            case TimersCancelled() | TimerDone() | TimerSet():
                _write_timers(connection, effects, now)
            case EscalationRaised():
                for raised in _of(EscalationRaised, effects):
                    obligations.put_rung(connection, raised.escalation)
            case EscalationsAnswered():
                for answered in _of(EscalationsAnswered, effects):
                    obligations.answer_rungs(connection, answered.warning_id, answered.task_id, answered.kind, answered.at)
            case Audited():
                audit.append_all(connection, [_said(one) for one in _of(Audited, effects)])
            case Journalled():
                obligations.owe_entries(connection, [_entry.encode(one.entry) for one in _of(Journalled, effects)])
            case RulingMade():
                for made in _of(RulingMade, effects):
                    obligations.add_precedent(connection, made.precedent)
            case DeliveriesCancelled():
                for off in _of(DeliveriesCancelled, effects):
                    outbox.cancel(connection, off.warning_id)
            case Notify():
                self._notify(connection, [(decision, effect) for decision, effect in run if isinstance(effect, Notify)], now)

    def _notify(self, connection: Connection, told: Sequence[tuple[Applied, Notify]], now: datetime) -> None:
        """Put one delivery per active endpoint into the outbox; a unit without any has its inbox in the console."""
        warnings = findings.get_warnings(connection, {decision.case.id for decision, _ in told})
        objects = registry.get_objects(connection, {decision.case.object_id for decision, _ in told})
        endpoints = access.active_endpoints(connection, {notify.recipient.department for _, notify in told})
        deliveries: list[outbox.Delivery] = []
        opened: dict[str, access.NewLink] = {}
        for decision, notify in told:
            case, department = decision.case, notify.recipient.department
            task = next(task for task in decision.tasks if task.id == notify.task_id) if notify.task_id else None
            links = self._links(case, task, notify)
            body = body_of(
                notify,
                warnings.get(case.id),
                case,
                task,
                subject=_subject(objects.get(case.object_id), case, department),
                actions=self._actions(case, task, notify),
                links=links,
            )
            found = endpoints.get(department, [])
            for endpoint_id in found or [""]:
                delivery = outbox.Delivery(
                    id=f"{notify.id}-{endpoint_id}" if len(found) > 1 else notify.id,
                    warning_id=notify.warning_id,
                    task_id=notify.task_id,
                    recipient=department,
                    event=notify.event,
                    endpoint_id=endpoint_id,
                    body=body,
                    created_at=now,
                )
                deliveries.append(delivery)
                if task is not None and ANSWER in links:
                    opened[delivery.id] = _opening(link_token(self.link_key, task.id, delivery.id), task, notify.at)
        new = outbox.add(connection, deliveries)
        access.add_links(connection, [link for id_, link in opened.items() if id_ in new])

    def outgoing(self, delivery: outbox.Delivery) -> bytes:
        """Return the body of a delivery as it goes out, at every attempt the same."""
        return with_token(delivery.body, link_token(self.link_key, delivery.task_id, delivery.id))

    def _actions(self, case: WarningCase, task: Task | None, notify: Notify) -> tuple[str, ...]:
        """Return what the recipient may do once it has this: a task that is only generated is pushed by the delivery itself."""
        if task is None or task.department != notify.recipient.department:
            return ()
        if task.stage is Stage.GENERATED:
            task = msgspec.structs.replace(task, stage=Stage.PUSHED)
        return tuple(action.value for action in legal_actions(case, (task,), task, "handler", task.department))

    def _links(self, case: WarningCase, task: Task | None, notify: Notify) -> dict[str, str]:
        links = {"warning": f"{self.base_url}/warnings/{case.id}"}
        if task is None or task.department != notify.recipient.department or not task.open:
            return links
        links["responses"] = f"{self.base_url}/v1/warnings/{case.id}/responses"
        if case.level != "red":  # red warnings need a sign-in (decision 14)
            links[ANSWER] = f"{self.base_url}/answer/"  # the token is added when it goes out
        return links

    def answer_link(self, connection: Connection, task: Task, purpose: str, now: datetime) -> str:
        """Return a new one-time link to the answer page of a task; the same purpose gives the same link."""
        token = link_token(self.link_key, task.id, purpose)
        access.add_links(connection, [_opening(token, task, now)])
        return f"{self.base_url}/answer/{token}"


def _runs(decisions: Sequence[Applied]) -> Iterator[list[tuple[Applied, AnyEffect]]]:
    """Yield the effects of decisions in runs of one kind, each to be written at once.

    Effects about one warning and table keep their order, but that messages come after all else of their decision.
    """
    runs: defaultdict[tuple[int, int, int], list[tuple[Applied, AnyEffect]]] = defaultdict(list)
    last: dict[tuple[str, int], tuple[int, int]] = {}
    for decision in decisions:
        for effect in sorted(decision.effects, key=lambda effect: isinstance(effect, Notify)):
            table, rank = _KINDS[type(effect)]
            nth, before = last.get((decision.case.id, table), (0, 0))
            nth += rank < before
            last[decision.case.id, table] = nth, rank
            runs[table, nth, rank].append((decision, effect))
    for place in sorted(runs):
        yield runs[place]


def _of(kind: type[E], effects: Sequence[AnyEffect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def _write_standing(connection: Connection, effects: Sequence[AnyEffect]) -> None:
    """Write cases or tasks, new or changed."""
    match effects[0]:
        case CaseOpened():
            obligations.add_cases(connection, [one.case for one in _of(CaseOpened, effects)])
        case CaseChanged():
            obligations.set_cases(connection, [(one.case, one.expected_version) for one in _of(CaseChanged, effects)])
        case TaskCreated():
            obligations.add_tasks(connection, [one.task for one in _of(TaskCreated, effects)])
        case TaskChanged():
            obligations.set_tasks(connection, [(one.task, one.expected_version) for one in _of(TaskChanged, effects)])


def _write_timers(connection: Connection, effects: Sequence[AnyEffect], now: datetime) -> None:
    obligations.put_timers(connection, [one.timer for one in _of(TimerSet, effects)])
    off = [obligations.Cancelled(one.warning_id, one.task_id, one.kind) for one in _of(TimersCancelled, effects)]
    obligations.cancel_timers(connection, off, now)
    for done in _of(TimerDone, effects):
        if not obligations.end_timer(connection, done.timer_id, done.state, now):
            raise Conflict(both("timer.over", id=done.timer_id))


def _said(effect: Audited) -> audit.Said:
    detail = {
        "task": effect.task_id,
        "role": effect.role,
        "department": effect.department,
        "before": effect.before,
        "after": effect.after,
        "reason": effect.reason,
        **effect.detail,
    }
    return audit.Said(effect.warning_id, effect.at, effect.actor or effect.role, effect.action, detail)


def _opening(token: str, task: Task, now: datetime) -> access.NewLink:
    """Return what lets a token open a task from now on; only its fingerprint is kept."""
    return access.NewLink(fingerprint(token), task.id, task.warning_id, task.department, now + LINK_LIFETIME)


def _subject(known: RegulatedObject | None, case: WarningCase, department: str) -> Subject:
    """Return what a warning is about as a department may read it: a person's name is for those who answer for the whole (decision 15)."""
    if case.subject.startswith(AREA):
        area = text("unit.area", region=case.subject.removeprefix(AREA))
        return Subject(name=area, shown=area)
    name = known.name if known is not None and known.name else case.subject
    masked = known is not None and known.type == "person" and not answers_for_whole(department, case)
    return Subject(name=name, shown=masked_name(name) if masked else name)
