"""Objects, rules and deliveries as they stand."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from app.api import bodies
from app.api.given import PrincipalGiven, ServicesGiven
from app.api.parameters import AtQuery, DeliveryPath, DeliveryState, DepartmentQuery, Limit, ObjectPath, RulePath, SubjectQuery
from app.api.roles import DUTY, OVERSEERS, READERS
from app.views import objects as object_views
from app.views import rules as rule_views
from app.views.filters import DELIVERY_STATES, check_department, check_value, instant_of
from domain.instants import rfc3339
from domain.messages import both
from rules.load import check
from storage import outbox
from streams.stages.inquiry import Inquiry


@get("/v1/objects/{object_id:str}", summary=both("operation.get_object"), opt={"roles": READERS}, sync_to_thread=True)
def get_object(services: ServicesGiven, principal: PrincipalGiven, object_id: ObjectPath) -> object_views.ObjectPage:
    """Return a regulated object with its signals, scores and warnings."""
    with services.database.read() as connection:
        return object_views.object_page(connection, principal, object_id)


@get("/v1/rules/{rule:str}/why-not", summary=both("operation.why_not"), opt={"roles": READERS}, sync_to_thread=True)
def why_not(services: ServicesGiven, principal: PrincipalGiven, rule: RulePath, subject: SubjectQuery, at: AtQuery = "") -> Inquiry:
    """Return why a rule is or is not true for an object or an area, as of an instant or the last record."""
    return services.asking.why_not(principal, subject, rule, instant_of("at", at))


@get("/v1/rules", summary=both("operation.get_rules"), opt={"roles": READERS}, sync_to_thread=True)
def get_rules(services: ServicesGiven) -> rule_views.RulesPage:
    """Return the active rules with their health, and what is wrong with a refused set."""
    now, ruleset, health = services.clock.now(), services.rulebook.current(), services.health.found(services.clock.now())
    with services.database.read() as connection:
        return rule_views.rules_page(connection, ruleset, services.rulebook.problems, now, health, services.rulebook.failing)


@post(
    "/v1/rules/check",
    summary=both("operation.check_rules"),
    operation_class=bodies.RULE_FILES,
    opt={"roles": READERS},
    status_code=200,
    sync_to_thread=True,
)
def check_rules(
    data: JSONBody[dict[str, str]],
) -> dict[str, Any]:
    """Check rule files (name → YAML text) without activating anything."""
    ruleset, problems = check(data)
    found = [msgspec.structs.asdict(problem) for problem in problems]
    return {"ok": ruleset is not None, "version": ruleset.version if ruleset else "", "problems": found}


@get("/v1/outbox", summary=both("operation.get_outbox"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def get_outbox(
    services: ServicesGiven,
    wanted: DeliveryState = "",
    department: DepartmentQuery = "",
    limit: Limit = 200,
) -> list[dict[str, Any]]:
    """Return deliveries, newest first."""
    check_value("state", wanted, DELIVERY_STATES)
    with services.database.read() as connection:
        check_department(connection, department)
        return [_shown(one) for one in outbox.listed(connection, state=wanted, recipient=department, limit=limit)]


@post("/v1/outbox/{delivery_id:str}/resend", summary=both("operation.resend"), opt={"roles": DUTY}, status_code=200, sync_to_thread=True)
def resend(services: ServicesGiven, delivery_id: DeliveryPath) -> dict[str, Any]:
    """Send a delivery again, with the same id."""
    with services.database.write() as connection:
        again = outbox.resend(connection, delivery_id, services.clock.now())
    services.nudge()
    return _shown(again)


def _shown(one: outbox.Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "warning": one.warning_id,
        "task": one.task_id,
        "recipient": one.recipient,
        "event": one.event,
        "state": one.state,
        "attempts": one.attempt,
        "next_at": rfc3339(one.next_at) if one.next_at and one.state == "waiting" else None,
        "status": one.status,
        "detail": one.detail,
        "delivered_at": rfc3339(one.delivered_at) if one.delivered_at else None,
    }
