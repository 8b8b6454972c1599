"""What a department is told: the body of a webhook, thin, with links for the rest (decision 15).

Evidence goes out as ids only: the texts of complaints stay here, behind the reader's own credential. What is stored of a message ends
its one-time link before the token: the token is added when the message goes out, and kept nowhere.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.links import TOKEN_LENGTH
from dispatch.effects import Notify
from domain.findings import EarlyWarning, Inferred
from domain.instants import rfc3339
from domain.messages import text
from domain.tasks import Task, WarningCase

EVIDENCE_SHOWN = 20
INFERRED_SHOWN = 10
BODY_LIMIT = 20_000  # bytes, the Standard Webhooks convention's
ANSWER = "answer"  # the name of the one-time link among the links


class WebhookMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every webhook: `type`, the `timestamp` of the event (Asia/Shanghai offset), and `data`."""

    type: str
    timestamp: str
    data: dict[str, Any]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a warning is about: `name` is its own, `shown` what the recipient reads in its place."""

    name: str
    shown: str


def body_of(
    notify: Notify,
    warning: EarlyWarning | None,
    case: WarningCase,
    task: Task | None,
    *,
    subject: Subject,
    actions: tuple[str, ...],
    links: dict[str, str],
) -> bytes:
    """Return the JSON body of a notification, at most 20 kB.

    Where it is too long the contributions go first, then the evidence, then what was inferred.
    `actions` are what the recipient may do with the task now; `links` are absolute addresses by what they lead to.
    """
    data: dict[str, Any] = {
        "message": notify.reason,
        "recipient": {"department": notify.recipient.department, "role": notify.recipient.role},
        "due_at": rfc3339(notify.due_at) if notify.due_at else None,
        "urgency": notify.urgency,
        "warning": _warning(warning, case, subject),
        "task": _task(task) if task is not None else None,
        "legal_actions": list(actions),
        "links": links,
    }
    for drop in ("", "contributions", "evidence", "inferred"):
        if drop:
            data["warning"].pop(drop, None)
        body = msgspec.json.encode(WebhookMessage(type=notify.event, timestamp=rfc3339(notify.at), data=data))
        if len(body) + TOKEN_LENGTH <= BODY_LIMIT:
            break
    return body


def with_token(body: bytes, token: str) -> bytes:
    """Return a stored body with its one-time link made whole; one without such a link as it is."""
    message = msgspec.json.decode(body, type=WebhookMessage)
    links = message.data["links"]
    if ANSWER not in links:
        return body
    links[ANSWER] += token
    return msgspec.json.encode(message)


def _inferred(each: Inferred) -> dict[str, Any]:
    """Return a conclusion with what it rests on; what the reader has to decide about a transfer stands in full."""
    hint = each.transfer
    return {
        "id": each.id,
        "title": each.title,
        "message": each.message,
        "because": [reason.fact if reason.holds else f"not {reason.fact}" for reason in each.because],
        "basis": list(each.basis),
        "plan": each.plan,
        "transfer": {"crime": hint.crime, "basis": list(hint.basis), "to": hint.to} if hint is not None else None,
    }


def _warning(warning: EarlyWarning | None, case: WarningCase, subject: Subject) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": case.id,
        "subject": case.subject,
        "subject_name": subject.shown,
        "matter": case.matter,
        "sector": case.sector,
        "region": case.region,
        "level": case.level,
        "level_title": text(f"level.{case.level}"),
        "lead": case.lead,
        "cooperating": list(case.cooperating),
        "status": case.status,
        "due_at": rfc3339(case.due_at) if case.due_at else None,
    }
    if warning is not None:
        shown |= {
            "score": round(warning.score, 1),
            "raised_at": rfc3339(warning.raised_at),
            "rules": list(warning.rules),
            "plan": warning.plan,
            "inferred": [_inferred(each) for each in warning.inferred[:INFERRED_SHOWN]],
            "contributions": [
                {"name": part.name, "title": part.title, "message": part.message.replace(subject.name, subject.shown)}
                for part in warning.contributions
            ],
            "evidence": [
                {"feed": one.feed, "id": one.id, "kind": one.kind, "occurred_at": rfc3339(one.occurred_at)}
                for one in warning.evidence[:EVIDENCE_SHOWN]
            ],
            "evidence_count": warning.evidence_count,
        }
    return shown


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "department": task.department,
        "role": task.role,
        "stage": task.stage.value,
        "version": task.version,
        "due_at": rfc3339(task.due_at) if task.due_at else None,
        "clocks": [
            {"kind": clock.kind, "due_at": rfc3339(clock.due_at), "state": clock.state, "provisional": clock.provisional}
            for clock in task.clocks
            if clock.state != "stopped"
        ],
    }
