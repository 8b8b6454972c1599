"""Carries out what `dispatch` decided: one row for each effect, all in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import msgspec
from sqlalchemy import Connection

from app.gate import fingerprint
from app.links import link_token
from app.messages_out import ANSWER, Subject, body_of, with_token
from app.views.scope import answers_for_whole
from app.views.titles import AREA
from dispatch.effects import (
    AnyEffect,
    Audited,
    CaseChanged,
    CaseOpened,
    DeliveriesCancelled,
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
from domain.messages import text
from domain.names import masked_name
from domain.records import AnyEntry
from domain.tasks import Stage, Task, WarningCase
from storage import access, audit, obligations, outbox, registry, risk

LINK_LIFETIME = timedelta(days=15)  # no stage of the shipped policies runs longer
_entry = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class EffectWriter:
    """Writes effects; `base_url` begins the links, `link_key` signs them."""

    base_url: str
    link_key: bytes

    def write(self, connection: Connection, effects: tuple[AnyEffect, ...], now: datetime) -> None:
        """Write effects in their order.

        Raises:
            Conflict: a case, task or timer changed since the decision read it: roll back, read again, decide again.
        """
        for kind, same in groupby(effects, type):
            if kind is TimerSet:  # several follow one another, and the database is asked once
                obligations.put_timers(connection, [effect.timer for effect in same if isinstance(effect, TimerSet)])
            else:
                for effect in same:
                    self._write_one(connection, effect, now)
        # Messages tell the state after the whole decision, so they are built when all of it is written.
        for effect in effects:
            if isinstance(effect, Notify):
                self._notify(connection, effect, now)

    def _write_one(self, connection: Connection, effect: AnyEffect, now: datetime) -> None:
        match effect:
            case CaseOpened():
                obligations.add_case(connection, effect.case)
            case CaseChanged():
                obligations.set_case(connection, effect.case, effect.expected_version)
            case TaskCreated():
                obligations.add_task(connection, effect.task)
            case TaskChanged():
                obligations.set_task(connection, effect.task, effect.expected_version)
            case TimersCancelled() | TimerDone():
                _write_timer(connection, effect, now)
            case EscalationRaised():
                obligations.put_rung(connection, effect.escalation)
            case EscalationsAnswered():
                obligations.answer_rungs(connection, effect.warning_id, effect.task_id, effect.kind, effect.at)
            case Audited():
                self._audit(connection, effect)
            case Journalled():
                owe(connection, effect.entry)
            case RulingMade():
                obligations.add_precedent(connection, effect.precedent)
            case DeliveriesCancelled():
                outbox.cancel(connection, effect.warning_id)
            case TimerSet() | Notify():
                pass  # several at once, and after all others: see `write`

    def _audit(self, connection: Connection, effect: Audited) -> None:
        detail = {
            "task": effect.task_id,
            "role": effect.role,
            "department": effect.department,
            "before": effect.before,
            "after": effect.after,
            "reason": effect.reason,
            **effect.detail,
        }
        audit.append(connection, effect.warning_id, effect.at, effect.actor or effect.role, effect.action, detail)

    def _notify(self, connection: Connection, notify: Notify, now: datetime) -> None:
        """Put one delivery per active endpoint into the outbox; a unit without any has its inbox in the console."""
        case = obligations.get_case(connection, notify.warning_id)
        assert case is not None, "a notification is about a case that was written before it"
        task = obligations.get_task(connection, notify.task_id) if notify.task_id else None
        links = self._links(case, task, notify)
        body = body_of(
            notify,
            risk.get_warning(connection, notify.warning_id),
            case,
            task,
            subject=_subject(connection, case, notify.recipient.department),
            actions=self._actions(case, task, notify),
            links=links,
        )
        found = [one for one in access.list_endpoints(connection, notify.recipient.department) if one.state == "active"]
        for endpoint_id in [one.id for one in found] or [""]:
            delivery = outbox.Delivery(
                id=f"{notify.id}-{endpoint_id}" if len(found) > 1 else notify.id,
                warning_id=notify.warning_id,
                task_id=notify.task_id,
                recipient=notify.recipient.department,
                event=notify.event,
                endpoint_id=endpoint_id,
                body=body,
                created_at=now,
            )
            if outbox.add(connection, delivery) and task is not None and ANSWER in links:
                self._token(connection, task, delivery.id, notify.at)

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
        return f"{self.base_url}/answer/{self._token(connection, task, purpose, now)}"

    def _token(self, connection: Connection, task: Task, purpose: str, now: datetime) -> str:
        """Let a token open a task from now on and return it; only its fingerprint is kept."""
        token = link_token(self.link_key, task.id, purpose)
        access.add_link(connection, fingerprint(token), task.id, task.warning_id, task.department, now + LINK_LIFETIME)
        return token


def _write_timer(connection: Connection, effect: TimersCancelled | TimerDone, now: datetime) -> None:
    match effect:
        case TimersCancelled():
            obligations.cancel_timers(connection, effect.warning_id, effect.task_id, effect.kind, now)
        case TimerDone():
            if not obligations.end_timer(connection, effect.timer_id, effect.state, now):
                raise Conflict(f"timer {effect.timer_id} is not pending any more")


def _subject(connection: Connection, case: WarningCase, department: str) -> Subject:
    """Return what a warning is about as a department may read it: a person's name is for those who answer for the whole (decision 15)."""
    if case.subject.startswith(AREA):
        area = text("unit.area", region=case.subject.removeprefix(AREA))
        return Subject(name=area, shown=area)
    known = registry.get_object(connection, case.object_id) if case.object_id else None
    name = known.name if known is not None and known.name else case.subject
    masked = known is not None and known.type == "person" and not answers_for_whole(department, case)
    return Subject(name=name, shown=masked_name(name) if masked else name)


def owe(connection: Connection, entry: AnyEntry) -> None:
    """Remember a journal entry that follows from this transaction."""
    obligations.owe_entry(connection, _entry.encode(entry))
