"""Routing: who leads, who cooperates, by which policy, and why; never dropped, never guessed."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from dispatch.assign import assign, precedent, start_joint
from dispatch.draft import Context, Draft
from dispatch.effects import Applied
from dispatch.policy import LAST_RESORT, Chosen
from domain.catalogue import Catalogue, CatalogueItem
from domain.errors import InvalidAction
from domain.findings import EarlyWarning
from domain.messages import both, text
from domain.policies import Policy
from domain.tasks import CaseStatus, Holding, Recipient, WarningCase


class Routed(Applied, frozen=True, kw_only=True):
    """The warning has a lead; `reasons` are stored with the case."""

    reasons: tuple[str, ...]


class Unrouted(Applied, frozen=True, kw_only=True):
    """No competent unit, or no policy: the case stands at the duty desk with its own clock, and there are no tasks."""

    reason: str


def route(warning: EarlyWarning, catalogue: Catalogue, context: Context, now: datetime) -> Routed | Unrouted:
    """Decide who gets a new warning.

    A precedent (an earlier ruling on the same matter, kind and region) comes before the catalogue's lead; the catalogue alone names
    the cooperating units. The policy is copied into the case. Every warning gets a case: what is missing (item, department, policy)
    is the reason why it stands at the duty desk.
    """
    item = catalogue.find(warning.matter, warning.kind, warning.region) or catalogue.find(warning.sector, warning.kind, warning.region)
    matter, sector = (item.slug, item.sector) if item else (warning.matter, warning.sector)
    reasons = [text("route.item", item=matter, title=item.title, version=catalogue.version)] if item else []
    lead = _lead(item, matter, warning, context, reasons)
    if not lead and item is None:
        return _unrouted(warning, context, now, text("route.no_item", matter=matter, sector=sector, region=warning.region))
    if not lead and item is not None:
        reason = text("route.no_department", unit=item.lead, tier=item.tier, region=warning.region)
        return _unrouted(warning, context, now, reason, matter)
    chosen = context.policies.choose(level=warning.level, sector=sector, matter=matter, region=warning.region, department=lead)
    if chosen is None:
        return _unrouted(warning, context, now, text("route.no_policy", level=warning.level), matter)
    reasons.append(chosen.reason)
    case = _case(warning, context, now, chosen.policy, chosen.reason, matter=matter, item=item.slug if item else "")
    draft = Draft(case, (), context, now, opened=True)
    draft.start("", "total", chosen.policy.limits.total, hours=lead)
    assign(draft, lead, "lead", text("task.lead", title=item.title if item else matter))
    _cooperating(draft, item, lead, reasons)
    start_joint(draft, len(draft.tasks))
    draft.put_case(reasons=tuple(reasons))
    draft.note("route", "", "", "generated", "；".join(reasons))
    done = draft.done()
    return Routed(case=done.case, tasks=done.tasks, effects=done.effects, reasons=tuple(reasons))


def _cooperating(draft: Draft, item: CatalogueItem | None, lead: str, reasons: list[str]) -> None:
    """Give every cooperating unit its own task; a unit that the directory does not know is shown to the duty desk."""
    if item is None:
        return
    region = draft.case.region
    for unit in item.cooperating:
        department = draft.context.directory.find(unit, item.tier, region)
        if department is None:
            reasons.append(text("route.no_cooperating", unit=unit, region=region))
            draft.tell(Recipient(role="duty_desk", department=draft.case.duty_desk), "case.unit_unknown", reasons[-1], ref=unit)
        elif department.id != lead and department.id not in draft.case.cooperating:
            assign(draft, department.id, "cooperating", text("task.cooperating", title=item.title))
            reasons.append(text("route.cooperating", unit=unit, department=department.name))


def designate_unrouted(draft: Draft, department: str, reason: str) -> None:
    """Give an unrouted case to the department that the desk named: from here on it is a case like others.

    Raises:
        InvalidAction: no policy fits.
    """
    case = draft.case
    chosen = draft.context.policies.choose(
        level=case.level, sector=case.sector, matter=case.matter, region=case.region, department=department
    )
    if chosen is None:
        raise InvalidAction(both("route.no_policy", level=case.level))
    draft.stop("")
    draft.put_case(status="open", policy=chosen.policy, policy_reason=chosen.reason, reasons=(*case.reasons, reason, chosen.reason))
    draft.start("", "total", chosen.policy.limits.total, hours=department)
    assign(draft, department, "lead", reason, designated=True)
    start_joint(draft, 1)


def _lead(item: CatalogueItem | None, matter: str, warning: EarlyWarning, context: Context, reasons: list[str]) -> str:
    ruling = precedent(context.precedents, matter, warning.kind, warning.region)
    ruled = context.directory.get(ruling.department) if ruling is not None else None
    if ruling is not None and ruled is not None:
        reasons.append(text("route.precedent", department=ruled.name, by=ruling.by, day=ruling.at.date().isoformat()))
        return ruling.department
    found = context.directory.find(item.lead, item.tier, warning.region) if item else None
    if item is None or found is None:
        return ""
    reasons.append(text("route.lead", unit=item.lead, department=found.name, basis="、".join(item.basis)))
    return found.id


def unroutable(warning: EarlyWarning, context: Context, now: datetime, reason: str) -> Unrouted:
    """Put a warning that could not be routed on the duty desk; it asks no file for anything."""
    return _at_the_desk(warning, context, now, reason, "", Chosen(LAST_RESORT, text("policy.built_in", policy=LAST_RESORT.ref)))


def _unrouted(warning: EarlyWarning, context: Context, now: datetime, reason: str, matter: str = "") -> Unrouted:
    chosen = context.policies.choose(
        level=warning.level, sector=warning.sector, matter=warning.matter, region=warning.region, unrouted=True
    ) or Chosen(LAST_RESORT, text("route.no_unrouted_policy", level=warning.level, policy=LAST_RESORT.ref))
    return _at_the_desk(warning, context, now, reason, matter, chosen)


def _at_the_desk(warning: EarlyWarning, context: Context, now: datetime, reason: str, matter: str, chosen: Chosen) -> Unrouted:
    case = _case(warning, context, now, chosen.policy, chosen.reason, matter=matter or warning.matter, item=matter, status="unrouted")
    case = replace(case, reasons=(reason, chosen.reason))
    draft = Draft(case, (), context, now, opened=True)
    draft.put_case(holdings=(Holding(holder=case.duty_desk, task_id="", since=now),))
    draft.start("", "total", chosen.policy.limits.total, hours="")  # the desk is manned at night, the departments are not
    draft.start("", "designate", chosen.policy.limits.designate)
    draft.tell(Recipient(role="duty_desk", department=case.duty_desk), "case.unrouted", reason)
    draft.note("route", "", "", "unrouted", reason)
    done = draft.done()
    return Unrouted(reason=reason, case=done.case, tasks=done.tasks, effects=done.effects)


def _case(
    warning: EarlyWarning,
    context: Context,
    now: datetime,
    policy: Policy,
    policy_reason: str,
    *,
    matter: str,
    item: str,
    status: CaseStatus = "open",
) -> WarningCase:
    directory = context.directory
    return WarningCase(
        status=status,
        item=item,
        id=warning.id,
        subject=warning.subject,
        object_id=warning.object_id,
        matter=matter,
        sector=warning.sector,
        region=warning.region,
        kind=warning.kind,
        level=warning.level,
        namespace=warning.namespace,
        policy=policy,
        policy_reason=policy_reason,
        generated_at=now,
        duty_desk=directory.officer("duty_desk", warning.sector, warning.region),
        task_force=directory.officer("task_force", warning.sector, warning.region),
        deputy_mayor=directory.officer("deputy_mayor", warning.sector, warning.region),
    )
