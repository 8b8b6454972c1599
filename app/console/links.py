"""The page behind a one-time link: a department without any integration answers one step of one task with it.

The link names a task and a department; it proves no person, so the page asks who acts and records that as a claim. Each link serves one
answer; the answer's reply leads to a new one while there is a next step. Red (重大) warnings need a sign-in (decision 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, Parameter

from app.answers import FINAL
from app.console.answering import posted_sheet
from app.console.failures import status_of
from app.console.parts import Parts, PartsGiven, PrincipalGiven
from app.console.render import HEADERS, STATIC, language_of, page, style_hash
from app.console.sheets import read, sheets
from app.console.words import ENGLISH
from app.views.scope import sight
from app.views.story import story
from app.views.task_view import possible
from domain.errors import Conflict, Forbidden, InvalidAction
from domain.messages import text
from domain.principals import Principal
from storage import access, obligations

LINKED = frozenset({"link"})
CLAIMED = "link:"  # before the name in the record: said by whoever held the link, not proven
NAME_LIMIT = 60  # characters
SIGN_IN_LEVELS = frozenset({"red"})
Posted = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def _warning_of(services: Parts, principal: Principal) -> str:
    with services.database.read() as connection:
        return obligations.get_task(connection, principal.task_id).warning_id


def _page(
    request: Request[Any, Any, Any],
    services: Parts,
    principal: Principal,
    token: str,
    *,
    done: str = "",
    refused: Exception | None = None,
    filled: Mapping[str, str] | None = None,
) -> Response[bytes]:
    warning_id = _warning_of(services, principal)
    with services.database.read() as connection:
        found = story(connection, principal, warning_id, services.clock.now())
        seen = sight(connection, principal, warning_id)
        assert seen.case is not None
        task = seen.tasks[0]
        closed_door = seen.case.level in SIGN_IN_LEVELS
        actions = () if closed_door or not token else possible(seen.case, seen.all_tasks, task, "handler", task.department)
        directory = obligations.directory(connection)
        offered = sheets(actions, seen.case, task, directory, principal.task_id, english=language_of(request) == ENGLISH)
    style = (STATIC / "console.css").read_text(encoding="utf-8")
    status = status_of(refused) if isinstance(refused, InvalidAction | Conflict | Forbidden) else 200
    answer = page(
        request,
        "link.html",
        services.clock,
        None,
        status=403 if closed_door else status,
        story=found,
        task=found.tasks[0],
        offered=offered,
        token=token,
        sign_in=closed_door,
        done=done,
        refused=str(refused) if refused is not None else "",
        filled=filled or {},
        style=style,
    )
    # Whoever holds a link has no session, so the page brings its style along; nothing else is allowed in it.
    policy = f"default-src 'none'; style-src {style_hash(style)}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    answer.headers["Content-Security-Policy"] = policy
    return answer


@get("/answer/{token:str}", opt={"roles": LINKED}, sync_to_thread=True)
def show_link(
    request: Request[Any, Any, Any],
    services: PartsGiven,
    principal: PrincipalGiven,
    token: FromPath[str],
    done: Annotated[str, Parameter(max_length=40)] = "",
) -> Response[bytes]:
    """Show the task of a link with the form of its next step."""
    return _page(request, services, principal, token, done=done)


@post("/answer/{token:str}", opt={"roles": LINKED}, status_code=303, sync_to_thread=True)
def answer_by_link(
    request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven, token: FromPath[str], data: Posted
) -> Response[bytes]:
    """Apply one answer, use the link up, and lead to the next step's link, or show that all is done."""
    try:
        done = _take(services, principal, data)
    except (InvalidAction, Conflict, Forbidden) as error:
        return _page(request, services, principal, token, refused=error, filled=data)
    services.nudge()
    following = _next_link(services, principal)
    if not following:
        return _page(request, services, principal, "", done=done)
    return Response(b"", status_code=303, headers=HEADERS | {"Location": f"/answer/{following}?done={done}"})


def _take(services: Parts, principal: Principal, data: Mapping[str, str]) -> str:
    """Apply the posted answer and return its action."""
    name = " ".join(data.get("operator", "").split())
    warning_id = _warning_of(services, principal)
    with services.database.read() as connection:
        sheet = posted_sheet(connection, principal, warning_id, {**data, "task": principal.task_id})
        seen = sight(connection, principal, warning_id)
    if seen.case is not None and seen.case.level in SIGN_IN_LEVELS:
        raise Forbidden(text("console.red_needs_sign_in"))
    if not name or len(name) > NAME_LIMIT:
        raise InvalidAction(text("console.name_needed", limit=NAME_LIMIT))
    services.answers.give(principal, warning_id, read(data, sheet, CLAIMED + name), data.get("key", ""))
    return sheet.action.value


def _next_link(services: Parts, principal: Principal) -> str:
    """Use up the links of the task and return the token of a new one, "" where nothing is left to do by link."""
    with services.database.write() as connection:
        task = obligations.get_task(connection, principal.task_id)
        case = obligations.hold_case(connection, task.warning_id)
        access.use_up_links(connection, task.id)
        if case is None or task.stage.value in FINAL or case.level in SIGN_IN_LEVELS:
            return ""
        if not possible(case, (task,), task, "handler", task.department):
            return ""
        address = services.writer.answer_link(connection, task, f"page.{task.version}", services.clock.now())
    return address.rsplit("/", maxsplit=1)[-1]
