"""The whole story of one warning: score, evidence, tasks, ladder, deliveries, audit, and all of it along one line of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from app.answers import role_of
from app.views.clocks import ClockView, clock_view
from app.views.ladder import RungView, ladder
from app.views.scope import Sight, sight
from app.views.summary import CanonicalWarning, WarningSummary, canonical_of, decode_entry, summarise
from app.views.task_view import TaskView, possible, task_view
from app.views.timeline import Moment, timeline
from app.views.titles import Titles
from app.views.why import Why
from domain.base import Noun
from domain.findings import Evidence
from domain.identifiers import check_of
from domain.principals import Principal
from domain.tasks import Action
from storage import audit, obligations, outbox
from storage.tables import signals, warning_events


class EvidenceView(Noun, frozen=True, kw_only=True):
    """One signal behind the warning; `text` is "" and `hidden` set where the asker may not read it.

    `status` is active, revised or withdrawn.
    """

    seq: int
    feed: str
    id: str
    source: str
    kind: str
    occurred_at: datetime
    received_at: datetime | None
    severity: int
    value: float | None
    unit: str
    text: str
    hidden: bool
    status: str
    code_check: str  # of the code that the record names its object by: right, wrong, or none


class AttemptView(Noun, frozen=True, kw_only=True):
    """One attempt of a delivery; `status` is the receiver's HTTP status, 0 where none came."""

    n: int
    at: datetime
    status: int
    detail: str


class DeliveryView(Noun, frozen=True, kw_only=True):
    """One thing that was to be told to one recipient; `inbox` where it waits in the console until they look."""

    id: str
    task_id: str
    event: str
    recipient: str
    recipient_name: str
    inbox: bool
    state: str
    message: str
    created_at: datetime
    next_at: datetime | None
    delivered_at: datetime | None
    attempts: tuple[AttemptView, ...]


class AuditView(Noun, frozen=True, kw_only=True):
    """One entry of the audit trail."""

    n: int
    at: datetime
    actor: str
    what: str
    detail: dict[str, Any]
    hash: str


class WarningStory(Noun, frozen=True, kw_only=True):
    """Everything that an asker may know of one warning.

    `chain` is what is wrong with the audit chain, "" for a sound one; it is checked over the whole chain, also where `audit` shows a part.
    `reasons` say how it was routed and by which policy. `actions` are what may be done to the warning itself. `why` is the risk side's
    account of it (`app.views.why`), left out where only the obligations were asked for.
    """

    summary: WarningSummary
    warning: CanonicalWarning
    policy: str
    signature: bool
    verdict: str
    reasons: tuple[str, ...]
    basis: tuple[str, ...]
    closed_at: datetime | None
    version: int
    whole: bool
    clocks: tuple[ClockView, ...]
    actions: tuple[Action, ...]
    evidence: tuple[EvidenceView, ...]
    tasks: tuple[TaskView, ...]
    rungs: tuple[RungView, ...]
    deliveries: tuple[DeliveryView, ...]
    audit: tuple[AuditView, ...]
    chain: str
    timeline: tuple[Moment, ...]
    why: Why | None = None


def story(connection: Connection, principal: Principal, warning_id: str, now: datetime) -> WarningStory:
    """Return the story of a warning as far as the principal may know it.

    Raises:
        NotFound: no such warning, or none that the principal may know of.
    """
    seen, titles = sight(connection, principal, warning_id), Titles(connection)
    case = seen.case
    entries = audit.trail(connection, warning_id)
    shown = [entry for entry in (_entry(one) for one in entries) if _may_see(entry.detail, seen, principal)]
    evidence = _evidence(connection, seen)
    rungs = ladder(connection, seen, titles, now)
    deliveries = _deliveries(connection, seen, principal, titles)
    events = connection.execute(select(warning_events).where(warning_events.c.warning_id == warning_id).order_by(warning_events.c.id)).all()
    unit = obligations.directory(connection).get(principal.department) if principal.department else None
    role = role_of(principal, unit)
    return WarningStory(
        summary=summarise(principal, seen.warning, case, seen.all_tasks, titles, now),
        warning=canonical_of(connection, seen),
        policy=case.policy.ref if case else "",
        signature=case is not None and case.policy.signature,
        verdict=case.verdict if case else "",
        reasons=case.reasons if case else (),
        basis=tuple(dict.fromkeys(line for part in seen.warning.contributions for line in part.basis)),
        closed_at=case.closed_at if case else None,
        version=case.version if case else 0,
        whole=seen.whole,
        clocks=tuple(clock_view(clock, now) for clock in case.clocks) if case else (),
        actions=possible(case, seen.all_tasks, None, role, principal.department) if case else (),
        evidence=evidence,
        tasks=tuple(
            task_view(task, case, titles, possible(case, seen.all_tasks, task, role, principal.department), now) for task in seen.tasks
        )
        if case
        else (),
        rungs=rungs,
        deliveries=deliveries,
        audit=tuple(shown),
        chain=audit.verify(entries),
        timeline=timeline(evidence, events, shown, deliveries, titles),
    )


def _entry(one: audit.AuditEntry) -> AuditView:
    return AuditView(n=one.n, at=one.at, actor=one.actor, what=one.what, detail=msgspec.json.decode(one.detail), hash=one.hash)


def _may_see(detail: dict[str, Any], seen: Sight, principal: Principal) -> bool:
    """Keep the entries about the whole warning and about the asker's own tasks; another department's doings are its own."""
    if seen.whole:
        return True
    task = detail.get("task", "")
    return task in {one.id for one in seen.tasks} if task else detail.get("department", "") in {"", principal.department}


def _evidence(connection: Connection, seen: Sight) -> tuple[EvidenceView, ...]:
    seqs = [one.seq for one in seen.warning.evidence]
    rows = {row.seq: row for row in connection.execute(select(signals).where(signals.c.seq.in_(seqs)))}
    return tuple(_evidence_view(one, rows.get(one.seq), seen) for one in seen.warning.evidence)


def _evidence_view(one: Evidence, row: Any, seen: Sight) -> EvidenceView:
    """Take what the signals table says now; a signal that is not there any more is shown as the warning kept it."""
    said = decode_entry(row.body).signal if row is not None else None
    hidden = said is not None and not seen.reads_restricted and said.confidential == "restricted"
    return EvidenceView(
        seq=one.seq,
        feed=one.feed,
        id=one.id,
        source=one.source,
        kind=one.kind,
        occurred_at=one.occurred_at,
        received_at=row.received_at if row is not None else None,
        severity=said.severity if said is not None else 0,
        value=said.value if said is not None else None,
        unit=said.unit if said is not None else "",
        text="" if hidden else (said.text if said is not None else one.text),
        hidden=hidden,
        status=row.status if row is not None else "active",
        code_check=check_of(said.object.code) if said is not None else "none",
    )


def _deliveries(connection: Connection, seen: Sight, principal: Principal, titles: Titles) -> tuple[DeliveryView, ...]:
    found = outbox.listed(connection, warning_id=seen.warning.id, recipient="" if seen.whole else principal.department, limit=500)
    if not seen.whole and not principal.department:
        return ()
    tried: dict[str, list[AttemptView]] = {}
    for row in outbox.attempts_of(connection, [one.id for one in found]):
        tried.setdefault(row.delivery_id, []).append(AttemptView(n=row.n, at=row.at, status=row.status, detail=row.detail))
    return tuple(_delivery(one, tried.get(one.id, ()), titles) for one in reversed(found))


def _delivery(one: outbox.Delivery, tried: Iterable[AttemptView], titles: Titles) -> DeliveryView:
    return DeliveryView(
        id=one.id,
        task_id=one.task_id,
        event=one.event,
        recipient=one.recipient,
        recipient_name=titles.department(one.recipient),
        inbox=not one.endpoint_id,
        state=one.state,
        message=message_of(one.body),
        created_at=one.created_at,
        next_at=one.next_at if one.state == "waiting" and one.endpoint_id else None,
        delivered_at=one.delivered_at,
        attempts=tuple(tried),
    )


def message_of(body: bytes) -> str:
    """Return the sentence that a delivery tells its reader."""
    data = msgspec.json.decode(body).get("data", {})
    return str(data.get("message", ""))
