"""The pages and the router that holds them all."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery, Parameter

from app.api.roles import OVERSEERS, READERS
from app.console.answering import answer_warning, read_personal, story_page
from app.console.assets import static_file
from app.console.failures import on_defect, on_error, on_http_error
from app.console.inbox import inbox
from app.console.intake import dismiss, replay
from app.console.links import answer_by_link, show_link
from app.console.parts import PartsGiven, PrincipalGiven
from app.console.render import language_of, page
from app.console.rules import decide_rules, rules
from app.console.sessions import login_page, show_login, sign_in, sign_out
from app.console.unresolved import decide, unresolved
from app.second_chances import can_replay
from app.views.duty import duty_figures
from app.views.feeds import feeds_page
from app.views.filters import STATUSES, check_value
from app.views.objects import object_page
from app.views.warning import list_warnings, live_warnings
from app.why_text import why_not_lines
from domain.errors import FengsuiError
from domain.levels import DEFAULT_LEVELS
from domain.principals import Principal
from domain.rejections import REASONS
from storage import obligations

__all__ = ["console_router", "login_page"]

SHOWN = 200  # open warnings on the duty page; the figures above count all
ENDED = 100  # closed and withdrawn ones on one page
Filter = Annotated[str, Parameter(max_length=100)]


def _table(services: PartsGiven, principal: Principal, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return what the table of warnings shows for the chosen filters."""
    now, status = services.clock.now(), chosen["status"]
    check_value("status", status, STATUSES)
    filters = {name: chosen[name] for name in ("level", "matter", "department", "overdue")}
    with services.database.read() as connection:
        if status in {"closed", "withdrawn"}:
            found = list_warnings(connection, principal, now, status=status, limit=ENDED, after=chosen["after"], **filters)
            return {"rows": found.warnings, "total": len(found.warnings), "next": found.next}
        live = live_warnings(connection, principal, now, **filters)
    rows = [one for one in live if status in {"", one.status}]
    return {"rows": rows[:SHOWN], "total": len(rows), "next": ""}


@get("/", opt={"roles": READERS}, sync_to_thread=True)
def duty(
    request: Request[Any, Any, Any],
    services: PartsGiven,
    principal: PrincipalGiven,
    status: Filter = "",
    level: Filter = "",
    matter: Filter = "",
    department: Filter = "",
    overdue: FromQuery[bool] = False,
    after: Filter = "",
) -> Response[bytes]:
    """Show the duty page: figures, and the open warnings in the order of their urgency."""
    chosen = {"status": status, "level": level, "matter": matter, "department": department, "overdue": overdue, "after": after}
    now = services.clock.now()
    with services.database.read() as connection:
        figures = duty_figures(connection, principal, now)
        units = obligations.directory(connection).departments if principal.sees_all else ()
        matters = services.desk.catalogue(connection).items
    return page(
        request,
        "duty.html",
        services.clock,
        principal,
        figures=figures,
        units=[unit for unit in units if unit.kind == "department"],
        matters=matters,
        levels=[one.name for one in reversed(DEFAULT_LEVELS.levels)],
        chosen=chosen,
        rulebook=services.rulebook,
        **_table(services, principal, chosen),
    )


@get("/live", opt={"roles": READERS}, sync_to_thread=True)
def live(
    request: Request[Any, Any, Any],
    services: PartsGiven,
    principal: PrincipalGiven,
    status: Filter = "",
    level: Filter = "",
    matter: Filter = "",
    department: Filter = "",
    overdue: FromQuery[bool] = False,
    after: Filter = "",
) -> Response[bytes]:
    """Return the moving parts of the duty page alone: what its script fetches every few seconds."""
    chosen = {"status": status, "level": level, "matter": matter, "department": department, "overdue": overdue, "after": after}
    with services.database.read() as connection:
        figures = duty_figures(connection, principal, services.clock.now())
    table = _table(services, principal, chosen)
    return page(request, "live.html", services.clock, principal, figures=figures, chosen=chosen, rulebook=services.rulebook, **table)


@get("/warnings/{warning_id:str}", opt={"roles": READERS}, sync_to_thread=True)
def warning(
    request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven, warning_id: FromPath[str], done: Filter = ""
) -> Response[bytes]:
    """Show the whole story of a warning, with the forms of what the reader may do."""
    return story_page(request, services, principal, warning_id, done=done)


@get("/objects/{object_id:str}", opt={"roles": READERS}, sync_to_thread=True)
def regulated_object(
    request: Request[Any, Any, Any],
    services: PartsGiven,
    principal: PrincipalGiven,
    object_id: FromPath[str],
    after: Annotated[int, Parameter(ge=0)] = 0,
    rule: Filter = "",
) -> Response[bytes]:
    """Show one regulated object from all sides, and why `rule` did not hit it where that is asked."""
    with services.database.read() as connection:
        found = object_page(connection, principal, object_id, after=after)
    asked = services.asking.why_not(principal, object_id, rule, None) if rule else None
    active = services.rulebook.current()
    choices = [] if active is None else sorted((each.id, each.title) for each in active.rules if each.status in {"active", "shadow"})
    said = list(why_not_lines(asked, language_of(request))) if asked is not None else []
    told: dict[str, Any] = {"rules": choices, "rule": rule, "said": said}
    return page(request, "object.html", services.clock, principal, page=found, after=after, **told)


@get("/feeds", opt={"roles": OVERSEERS}, sync_to_thread=True)
def feeds(
    request: Request[Any, Any, Any],
    services: PartsGiven,
    principal: PrincipalGiven,
    feed: Filter = "",
    reason: Filter = "",
    status: Filter = "open",
    before: Annotated[int, Parameter(ge=0)] = 0,
    done: Filter = "",
) -> Response[bytes]:
    """Show the feeds and their rejections."""
    with services.database.read() as connection:
        chosen_status = "" if status == "all" else status
        found = feeds_page(
            connection,
            services.mappings,
            feed=feed,
            reason=reason,
            status=chosen_status,
            before=before,
            shown=services.privacy.shown,
        )
    chosen = {"feed": feed, "reason": reason, "status": status}
    known = {name: mapping.title for name, mapping in services.mappings.items()}
    return page(
        request,
        "feeds.html",
        services.clock,
        principal,
        page=found,
        chosen=chosen,
        reasons=REASONS,
        known=known,
        replayable=lambda of: can_replay(services, of),
        done=done,
        before=before,
        aside=services.aside(),
    )


def console_router() -> Router:
    """Return all pages; each route declares who may call it, the application's guard checks that."""
    return Router(
        path="/",
        route_handlers=[
            duty,
            live,
            warning,
            answer_warning,
            read_personal,
            regulated_object,
            feeds,
            replay,
            dismiss,
            unresolved,
            decide,
            rules,
            decide_rules,
            inbox,
            show_login,
            sign_in,
            sign_out,
            show_link,
            answer_by_link,
            static_file,
        ],
        exception_handlers={FengsuiError: on_error, HTTPException: on_http_error, Exception: on_defect},
        include_in_schema=False,
    )
