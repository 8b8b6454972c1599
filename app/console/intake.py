"""What an administrator does about a rejected record: replay it through its mended mapping, or dismiss it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from litestar import Response, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from app import second_chances
from app.api.roles import ADMINS
from app.console.parts import PartsGiven
from app.console.render import HEADERS
from domain.errors import Conflict, InvalidAction, NotFound
from domain.messages import text
from storage import intake_reads

Posted = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def _back(data: dict[str, str], done: str) -> Response[bytes]:
    kept = {name: data[name] for name in ("feed", "reason", "status") if data.get(name)}
    return Response(b"", status_code=303, headers=HEADERS | {"Location": f"/feeds?{urlencode(kept | {'done': done})}"})


@post("/feeds/rejections/{seq:int}/dismiss", opt={"roles": ADMINS}, status_code=303, sync_to_thread=True)
def dismiss(services: PartsGiven, seq: FromPath[int], data: Posted) -> Response[bytes]:
    """Note that a rejected record needs nothing more."""
    with services.database.write() as connection:
        intake_reads.dismiss_rejection(connection, seq)
    return _back(data, "dismissed")


@post("/feeds/rejections/{seq:int}/replay", opt={"roles": ADMINS}, status_code=303, sync_to_thread=True)
def replay(services: PartsGiven, seq: FromPath[int], data: Posted) -> Response[bytes]:
    """Take one rejected record in again; where it still fails, it stays and its present reason is shown."""
    with services.database.read() as connection:
        held = intake_reads.get_rejection(connection, seq)
    if held is None:
        raise NotFound(text("rejection.not_found", seq=seq))
    if held.status != "open":
        raise Conflict(text("rejection.settled", seq=seq, status=held.status))
    [result] = second_chances.replay(services, held.feed, [held]).results
    if result.status not in second_chances.ARRIVED:
        raise InvalidAction(text("rejection.again", seq=seq, why=result.message or held.message))
    return _back(data, "replayed")
