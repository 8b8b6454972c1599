"""Warnings and the answers to them; a department sees only those in which it has a task."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import JSONBody

from app.answers import Answer, Reply
from app.api import bodies
from app.api.given import PrincipalGiven, ServicesGiven
from app.api.parameters import (
    AfterWarning,
    DepartmentQuery,
    IdempotencyKey,
    LevelQuery,
    Limit,
    MatterQuery,
    OverdueQuery,
    StatusQuery,
    WarningPath,
)
from app.api.roles import HANDLERS, READERS
from app.views import warning as views
from app.views import why
from app.views.scope import sight
from domain.messages import both


@get("/v1/warnings", summary=both("operation.list_warnings"), opt={"roles": READERS}, sync_to_thread=True)
def list_warnings(
    services: ServicesGiven,
    principal: PrincipalGiven,
    status: StatusQuery = "",
    level: LevelQuery = "",
    matter: MatterQuery = "",
    department: DepartmentQuery = "",
    overdue: OverdueQuery = False,
    limit: Limit = 100,
    after: AfterWarning = "",
) -> views.WarningPage:
    """Return warnings, the most urgent first; `after` is the `next` of the page before."""
    now = services.clock.now()
    with services.database.read() as connection:
        return views.list_warnings(
            connection,
            principal,
            now,
            status=status,
            level=level,
            matter=matter,
            department=department,
            overdue=overdue,
            limit=limit,
            after=after,
        )


@get("/v1/warnings/{warning_id:str}", summary=both("operation.get_warning"), opt={"roles": READERS}, sync_to_thread=True)
def get_warning(services: ServicesGiven, principal: PrincipalGiven, warning_id: WarningPath) -> views.CanonicalWarning:
    """Return a warning in the canonical form."""
    with services.database.read() as connection:
        return views.canonical(connection, principal, warning_id)


@get("/v1/warnings/{warning_id:str}/explain", summary=both("operation.explain"), opt={"roles": READERS}, sync_to_thread=True)
def explain(services: ServicesGiven, principal: PrincipalGiven, warning_id: WarningPath) -> views.WarningStory:
    """Return a warning with its whole story: scores and why, evidence, tasks, rungs, deliveries, audit."""
    with services.database.read() as connection:
        told = views.story(connection, principal, warning_id, services.clock.now())
        trail = why.gather(connection, sight(connection, principal, warning_id))
    return msgspec.structs.replace(told, why=why.reckon(trail, services.rulebook.load))


@post(
    "/v1/warnings/{warning_id:str}/responses",
    summary=both("operation.respond"),
    operation_class=bodies.ANSWER,
    opt={"roles": HANDLERS},
    status_code=200,
    sync_to_thread=True,
)
def respond(
    services: ServicesGiven,
    principal: PrincipalGiven,
    request: Request[Any, Any, Any],
    warning_id: WarningPath,
    data: JSONBody[Answer],
    idempotency_key: IdempotencyKey = "",
) -> Reply:
    """Answer a task: receive, verify, handle, feed_back, return, …; `Idempotency-Key` makes a repeat harmless.

    A signed answer is known by its `webhook-id`, which the signature covers: sent again by whoever caught it, it changes nothing.
    """
    known_by = request.headers.get("webhook-id", "") if principal.via == "signature" else idempotency_key
    reply = services.answers.give(principal, warning_id, data, known_by)
    services.nudge()
    return reply
