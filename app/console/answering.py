"""The page of one warning, and answers given on it by somebody who is signed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from sqlalchemy import Connection

from app.answers import ACTIONS
from app.api.roles import CONFIDANTS, READERS
from app.console.failures import status_of
from app.console.parts import Parts, PartsGiven, PrincipalGiven
from app.console.render import HEADERS, language_of, page
from app.console.sheets import Sheet, read, sheets
from app.console.words import ENGLISH
from app.privacy import Reading, may_read, tokens_of
from app.views.scope import Sight, sight
from app.views.story import WarningStory, story
from app.views.why import gather, reckon
from app.why_text import held_line, overridden_line, rule_titles
from domain.errors import Conflict, FileProblems, Forbidden, InvalidAction, NotFound
from domain.messages import text
from domain.principals import Principal
from domain.tasks import Action
from rules.ruleset import Indicator
from storage import obligations

Posted = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def story_page(
    request: Request[Any, Any, Any],
    services: Parts,
    principal: Principal,
    warning_id: str,
    *,
    done: str = "",
    refused: Exception | None = None,
    filled: Mapping[str, str] | None = None,
    reading: Reading | None = None,
) -> Response[bytes]:
    """Return the page of a warning; `refused` is why an answer was not taken, `filled` what was typed, so that nothing is typed twice.

    `reading` is the personal value that was asked for: it is on this one answer, which no browser keeps, and nowhere else.
    """
    now = services.clock.now()
    with services.database.read() as connection:
        found = story(connection, principal, warning_id, now)
        seen = sight(connection, principal, warning_id)
        tokens = tuple(tokens_of(connection, seen)) if principal.role in CONFIDANTS and may_read(principal, seen) else ()
        offered = _offered(connection, principal, seen, found, english=language_of(request) == ENGLISH)
        trail = gather(connection, seen)
    return page(
        request,
        "warning.html",
        services.clock,
        principal,
        status=status_of(refused) if isinstance(refused, InvalidAction | Conflict | Forbidden) else 200,
        story=found,
        why=reckon(trail, services.rulebook.load),
        indicator=_indicators(services, found.warning.ruleset),
        held_line=held_line,
        rule_titles=rule_titles,
        overridden_line=overridden_line,
        offered=offered,
        done=done,
        refused=str(refused) if refused is not None else "",
        filled=filled or {},
        tokens=tokens,
        reading=reading,
    )


def _indicators(services: Parts, version: str) -> Callable[[str, str], Indicator | None]:
    """Return what finds an indicator of a set by a rule and the name that the rule calls it by; None where nothing is known of it."""
    try:
        ruleset = services.rulebook.load(version)
    except (NotFound, FileProblems):  # written for an earlier Fengsui
        return lambda _rule, _name: None
    packs = {rule.id: rule.pack for rule in ruleset.rules}
    return lambda rule, name: ruleset.indicators.get(name) or ruleset.indicators.get(f"{packs.get(rule, '')}.{name}")


def _offered(
    connection: Connection, principal: Principal, seen: Sight, found: WarningStory, *, english: bool
) -> dict[str, tuple[Sheet, ...]]:
    """Return the forms by task id, "" for the warning itself: exactly the legal actions, no others."""
    if seen.case is None:
        return {}
    directory, who = obligations.directory(connection), principal.name
    by_id = {task.id: task for task in seen.tasks}
    offered = {one.id: sheets(one.actions, seen.case, by_id[one.id], directory, who, english=english) for one in found.tasks if one.actions}
    return offered | {"": sheets(found.actions, seen.case, None, directory, who, english=english)}


def posted_sheet(connection: Connection, principal: Principal, warning_id: str, posted: Mapping[str, str]) -> Sheet:
    """Return the form that was posted; whether the action is legal now is for `dispatch` to say.

    Raises:
        NotFound: no such warning or task, or none that the principal may know of.
        InvalidAction: there is no such action.
    """
    seen = sight(connection, principal, warning_id)
    name = posted.get("action", "")
    if seen.case is None or name not in ACTIONS:
        raise InvalidAction(text("task.unknown_action", action=name, legal=", ".join(sorted(ACTIONS))))
    named = posted.get("task", "")
    task = next((one for one in seen.tasks if one.id == named), None)
    if named and task is None:
        raise NotFound(text("task.not_found", id=named))
    return sheets([Action(name)], seen.case, task, obligations.directory(connection), principal.name)[0]


@post("/warnings/{warning_id:str}", opt={"roles": READERS}, status_code=303, sync_to_thread=True)
def answer_warning(
    request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven, warning_id: FromPath[str], data: Posted
) -> Response[bytes]:
    """Apply one answer; a refused one shows the page again with the reason and with what was typed."""
    try:
        with services.database.read() as connection:
            sheet = posted_sheet(connection, principal, warning_id, data)
        answer = read(data, sheet, data.get("operator", "").strip())
        services.answers.give(principal, warning_id, answer, data.get("key", ""))
    except (InvalidAction, Conflict, Forbidden) as error:
        return story_page(request, services, principal, warning_id, refused=error, filled=data)
    services.nudge()
    place = f"#task-{sheet.task}" if sheet.task else ""
    return Response(b"", status_code=303, headers=HEADERS | {"Location": f"/warnings/{warning_id}?done={sheet.action.value}{place}"})


@post("/warnings/{warning_id:str}/personal", opt={"roles": CONFIDANTS}, status_code=200, sync_to_thread=True)
def read_personal(
    request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven, warning_id: FromPath[str], data: Posted
) -> Response[bytes]:
    """Show the page with the personal value behind a token, for this once."""
    try:
        reading = services.privacy.read(principal, warning_id, data.get("token", ""), data.get("reason", ""))
    except (InvalidAction, Forbidden) as error:
        return story_page(request, services, principal, warning_id, refused=error)
    return story_page(request, services, principal, warning_id, reading=reading)
