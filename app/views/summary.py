"""One warning (预警) as a line of a list, and as the canonical document of the public surface."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from app.views.clocks import next_due
from app.views.scope import Sight, visible_tasks
from app.views.titles import Titles
from domain.base import Noun
from domain.findings import Contribution, EarlyWarning, Evidence, Inferred
from domain.instants import SHANGHAI
from domain.policies import ClockKind
from domain.principals import Principal
from domain.records import SignalEntry
from domain.tasks import Task, WarningCase
from storage.tables import signals

decode_entry = msgspec.json.Decoder(SignalEntry).decode


class WarningSummary(Noun, frozen=True, kw_only=True):
    """One line of a list. `due_at` is the next running clock of what the asker may see; `seconds` is negative once it has passed.

    `stage` is the lead task's, "" where there is none (unrouted). `rung` is the highest rung of the ladder, counted from 1, 0 for none.
    """

    id: str
    subject: str
    subject_name: str
    object_id: str
    matter: str
    matter_title: str
    sector: str
    region: str
    namespace: str
    level: str
    current_level: str
    score: float
    raised_at: datetime
    updated_at: datetime
    status: str
    stage: str
    lead: str
    lead_name: str
    cooperating: tuple[str, ...]
    cooperating_names: tuple[str, ...]
    due_at: datetime | None
    due_kind: ClockKind | None
    seconds: int | None
    overdue: bool
    rung: int
    provisional: bool


class CanonicalWarning(Noun, frozen=True, kw_only=True):
    """The canonical warning of the public surface; times carry the offset of Asia/Shanghai.

    `due_at` is the end of the whole warning's limit, as in messages; the clocks of its stages are in the story.
    """

    id: str
    subject: str
    object_id: str
    matter: str
    sector: str
    region: str
    level: str
    current_level: str
    score: float
    rules: tuple[str, ...]
    models: tuple[str, ...]
    contributions: tuple[Contribution, ...]
    inferred: tuple[Inferred, ...]
    plan: str
    evidence: tuple[Evidence, ...]
    evidence_count: int
    raised_at: datetime
    updated_at: datetime
    episode: int
    ruleset: str
    coverage: float
    silent: tuple[str, ...]
    warming: tuple[str, ...]
    namespace: str
    lead: str
    cooperating: tuple[str, ...]
    status: str
    stage: str
    due_at: datetime | None


def summarise(
    principal: Principal, warning: EarlyWarning, case: WarningCase | None, all_tasks: tuple[Task, ...], titles: Titles, now: datetime
) -> WarningSummary:
    """Return the line of one warning as the principal sees it."""
    seen = visible_tasks(principal, case, all_tasks)
    due = next_due(case, seen, now)
    matter, lead, others = (case.matter, case.lead, case.cooperating) if case else (warning.matter, "", ())
    return WarningSummary(
        id=warning.id,
        subject=warning.subject,
        subject_name=titles.subject(warning.subject, warning.object_id),
        object_id=warning.object_id,
        matter=matter,
        matter_title=titles.matter(matter),
        sector=warning.sector,
        region=warning.region,
        namespace=warning.namespace,
        level=warning.level,
        current_level=warning.current_level,
        score=warning.score,
        raised_at=warning.raised_at,
        updated_at=warning.updated_at,
        status=case.status if case else "shadow",
        stage=lead_stage(all_tasks),
        lead=lead,
        lead_name=titles.department(lead),
        cooperating=others,
        cooperating_names=tuple(titles.department(unit) for unit in others),
        due_at=due.due_at if due else None,
        due_kind=due.kind if due else None,
        seconds=due.seconds if due else None,
        overdue=due is not None and due.seconds < 0,
        rung=max((task.rung for task in seen if task.open), default=0),
        provisional=due is not None and due.provisional,
    )


def lead_stage(all_tasks: Sequence[Task]) -> str:
    """Return the stage of the lead's newest task, "" where nobody leads."""
    leads = [task for task in all_tasks if task.role == "lead"]
    newest = max(leads, key=lambda task: (task.open, task.held_from, task.attempt), default=None)
    return newest.stage.value if newest else ""


def canonical_of(connection: Connection, seen: Sight) -> CanonicalWarning:
    """Return the canonical form of a warning that was looked up already."""
    warning, case = seen.warning, seen.case
    hidden = set() if seen.reads_restricted else restricted(connection, [one.seq for one in warning.evidence])
    due_at = case.due_at if case else None
    return CanonicalWarning(
        id=warning.id,
        subject=warning.subject,
        object_id=warning.object_id,
        matter=case.matter if case else warning.matter,
        sector=warning.sector,
        region=warning.region,
        level=warning.level,
        current_level=warning.current_level,
        score=warning.score,
        rules=warning.rules,
        models=warning.models,
        contributions=tuple(msgspec.structs.replace(part, since=_local(part.since)) for part in warning.contributions),
        inferred=warning.inferred,
        plan=warning.plan,
        evidence=tuple(_shown(one, hidden=one.seq in hidden) for one in warning.evidence),
        evidence_count=warning.evidence_count,
        raised_at=_local(warning.raised_at),
        updated_at=_local(warning.updated_at),
        episode=warning.episode,
        ruleset=warning.ruleset,
        coverage=warning.coverage,
        silent=warning.silent,
        warming=warning.warming,
        namespace=warning.namespace,
        lead=case.lead if case else "",
        cooperating=case.cooperating if case else (),
        status=case.status if case else "shadow",
        stage=lead_stage(seen.all_tasks),
        due_at=_local(due_at) if due_at else None,
    )


def restricted(connection: Connection, seqs: Sequence[int]) -> set[int]:
    """Return which of these signals are marked restricted."""
    rows = connection.execute(select(signals.c.seq, signals.c.body).where(signals.c.seq.in_(seqs)))
    return {row.seq for row in rows if decode_entry(row.body).signal.confidential == "restricted"}


def _shown(one: Evidence, *, hidden: bool) -> Evidence:
    return msgspec.structs.replace(one, occurred_at=_local(one.occurred_at), text="" if hidden else one.text)


def _local(moment: datetime) -> datetime:
    return moment.astimezone(SHANGHAI)
