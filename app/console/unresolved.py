"""The confirm queue: which object is this signal about? One click where a candidate fits, a search where none does, or none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter

from app import second_chances
from app.api.roles import DUTY, OVERSEERS
from app.console.parts import PartsGiven, PrincipalGiven
from app.console.render import HEADERS, page
from app.views.unresolved import Chosen, queue_page
from domain.errors import InvalidAction
from domain.messages import text

REASON_LIMIT = 500  # characters
KEPT = ("named", "feed", "kind", "after")  # of the address of the page, through its forms and back
Posted = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Short = Annotated[str, QueryParameter(max_length=100)]
Number = Annotated[int, QueryParameter(ge=0)]


@get("/unresolved", opt={"roles": OVERSEERS}, sync_to_thread=True)
def unresolved(
    request: Request[Any, Any, Any],
    services: PartsGiven,
    principal: PrincipalGiven,
    named: Annotated[bool, QueryParameter()] = True,
    feed: Short = "",
    kind: Short = "",
    after: Short = "",
    searched: Number = 0,
    words: Short = "",
    done: Short = "",
) -> Response[bytes]:
    """Show the queue: what each signal may be about and, for whoever decides, the forms."""
    chosen = Chosen(named=named, feed=feed, kind=kind)
    with services.database.read() as connection:
        found = queue_page(connection, services.lookup, chosen, after=after, searched=searched, words=words)
    known = {name: mapping.title for name, mapping in services.mappings.items()}
    kept = {"named": "" if named else "0", "feed": feed, "kind": kind, "after": after}
    following = urlencode(_kept(kept | {"after": found.next}))
    decides = principal.role in DUTY
    return page(
        request,
        "unresolved.html",
        services.clock,
        principal,
        page=found,
        known=known,
        decides=decides,
        kept=kept,
        following=following,
        done=done,
    )


@post("/unresolved/{seq:int}", opt={"roles": DUTY}, status_code=303, sync_to_thread=True)
def decide(services: PartsGiven, principal: PrincipalGiven, seq: FromPath[int], data: Posted) -> Response[bytes]:
    """Confirm an object, or that it is no registered one (`none`), and lead back to the queue."""
    object_id, none = data.get("object", "").strip(), data.get("none") == "yes"
    if bool(object_id) == none:
        raise InvalidAction(text("console.choose_object"))
    reason = " ".join(data.get("reason", "").split())[:REASON_LIMIT]
    second_chances.confirm_waiting(services, seq, object_id, by=principal.name, reason=reason)
    services.nudge()
    query = urlencode(_kept(data) | {"done": "none" if none else "confirmed"})
    return Response(b"", status_code=303, headers=HEADERS | {"Location": f"/unresolved?{query}"})


def _kept(values: Mapping[str, str]) -> dict[str, str]:
    """Return what of a page's address is not as it is without a word."""
    return {name: values[name][:100] for name in KEPT if values.get(name)}
