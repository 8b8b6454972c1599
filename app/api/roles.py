"""Who may call a route: `opt={"roles": …}` at each handler, checked by one guard; a route without it is open to nobody."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler

from domain.errors import Forbidden
from domain.messages import both
from domain.principals import Principal

OPEN: frozenset[str] = frozenset({"anyone"})  # the two probes and the login form
NOBODY: frozenset[str] = frozenset()  # what the framework brings along and nobody needs
READERS = frozenset({"admin", "duty", "auditor", "department", "department_lead"})
OVERSEERS = frozenset({"admin", "duty", "auditor"})
DUTY = frozenset({"admin", "duty"})
CONFIDANTS = frozenset({"duty", "department", "department_lead"})  # may ask for a personal value; `app.privacy` says who gets it
ADMINS = frozenset({"admin"})
FEEDS = frozenset({"admin", "feed"})
MONITORS = frozenset({"admin", "monitor"})
HANDLERS = frozenset({"department", "department_lead", "duty", "admin", "link"})


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse whoever's role the route does not name.

    Raises:
        Forbidden: the route does not declare the role, or declares none.
    """
    roles: frozenset[str] = handler.opt.get("roles", frozenset())
    if roles == OPEN:  # not `is`: Litestar copies the options of a handler inside a router
        return
    principal: Principal | None = connection.scope["state"].get("principal")  # None: another method of an open path
    role = principal.role if principal is not None else ""
    if role not in roles:
        raise Forbidden(both("api.wrong_role", role=role, legal=", ".join(sorted(roles)) or "-"))


def principal_of(request: Request[Any, Any, Any]) -> Principal:
    """Return who asks; the gate has set it."""
    principal: Principal = request.scope["state"]["principal"]
    return principal
