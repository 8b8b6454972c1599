"""The page of the rules: what is active and how it fares, what is wrong with a refused set, and what waits for a second person."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from app.api.roles import DUTY, READERS
from app.api.rule_life import WAIT, waiting
from app.console.parts import PartsGiven, PrincipalGiven
from app.console.render import HEADERS, page
from app.views.rules import rules_page

Posted = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/rules", opt={"roles": READERS}, sync_to_thread=True)
def rules(request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven) -> Response[bytes]:
    """Show the active rules with their health, and above them what is wrong with a set that was refused."""
    book, now = services.rulebook, services.clock.now()
    ruleset, health = book.current(), services.health.found(now)
    with services.database.read() as connection:
        found = rules_page(connection, ruleset, book.problems, now, health)
    waits = waiting(services.database, book)
    return page(request, "rules.html", services.clock, principal, page=found, rulebook=book, waits=waits, decides=principal.role in DUTY)


@post("/rules/pending/{version:str}", opt={"roles": DUTY}, status_code=303, sync_to_thread=True)
def decide_rules(services: PartsGiven, principal: PrincipalGiven, version: FromPath[str], data: Posted) -> Response[bytes]:
    """Approve or refuse the rule set that waits, and lead back to the rules."""
    reason = data.get("reason", "")
    if data.get("decision") == "approve":
        told = services.rulebook.approve(version, principal.name, reason)
        services.rulebook.settle(WAIT if told == "approved" else 0.0)
    else:
        services.rulebook.approval.refuse(version, principal.name, reason)
    return Response(b"", status_code=303, headers=HEADERS | {"Location": "/rules"})
