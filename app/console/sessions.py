"""Signing in and out: a token in a form becomes a session in a cookie."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body

from app.api.roles import OPEN, READERS
from app.console.parts import PartsGiven, PrincipalGiven
from app.console.render import HEADERS, STATIC, environment, style_hash
from app.gate import SESSION_COOKIE, fingerprint
from domain.errors import Forbidden
from domain.messages import both
from storage import access

LIFETIME = timedelta(hours=12)  # one shift of the duty desk
Posted = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def login_page(*, refused: bool = False, dead_link: bool = False) -> bytes:
    """Return the page that asks for a token, in both languages at once: whoever reads it has no cookie yet.

    It carries its own style, allowed by its hash: without a credential nothing else may be fetched.
    """
    style = (STATIC / "login.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src {style_hash(style)}; base-uri 'none'; form-action 'self'"
    return environment.get_template("login.html").render(style=style, policy=policy, refused=refused, dead_link=dead_link).encode()


def _login(status: int, *, refused: bool = False) -> Response[bytes]:
    headers = {name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"}
    return Response(login_page(refused=refused), status_code=status, media_type="text/html", headers=headers)


@get("/login", opt={"roles": READERS}, sync_to_thread=False)
def show_login() -> Response[bytes]:
    """Show the form to somebody who is signed in and wants to be somebody else; the gate shows it to everybody who is not."""
    return _login(200)


@post("/login", opt={"roles": OPEN}, status_code=303, sync_to_thread=True)
def sign_in(request: Request[Any, Any, Any], services: PartsGiven, data: Posted) -> Response[bytes]:
    """Begin a session for a valid token of a person; anything else is 401."""
    if not _from_here(request, request.headers.get("origin", "")):
        raise Forbidden(both("api.cross_site"))
    now = services.clock.now()
    credential = fingerprint(data.get("token", "").strip())
    found = access.SqlCredentials(services.database, services.clock.now).by_token(credential)
    if found is None or found.role not in READERS:
        services.metrics.sign_ins.labels(outcome="refused").inc()
        return _login(401, refused=True)
    session = secrets.token_urlsafe(32)
    with services.database.write() as connection:
        access.open_session(connection, fingerprint(session), credential, now, LIFETIME)
    services.metrics.sign_ins.labels(outcome="begun").inc()
    secure = services.settings.base_url.startswith("https://")
    cookie = Cookie(
        key=SESSION_COOKIE,
        value=session,
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure,
        max_age=int(LIFETIME.total_seconds()),
    )
    return Response(b"", status_code=303, headers=HEADERS | {"Location": _wanted(request)}, cookies=[cookie])


@post("/logout", opt={"roles": READERS}, status_code=303, sync_to_thread=True)
def sign_out(request: Request[Any, Any, Any], services: PartsGiven, principal: PrincipalGiven) -> Response[bytes]:  # noqa: ARG001  any signed-in principal may
    """End the session and forget its cookie."""
    with services.database.write() as connection:
        access.end_session(connection, fingerprint(request.cookies.get(SESSION_COOKIE, "")))
    gone = Cookie(key=SESSION_COOKIE, value="", path="/", httponly=True, samesite="strict", max_age=0)
    return Response(b"", status_code=303, headers=HEADERS | {"Location": "/"}, cookies=[gone])


def _from_here(request: Request[Any, Any, Any], address: str) -> bool:
    """Say whether an address is one of ours; a program that names none is no browser and needs no protection from one."""
    return not address or urlsplit(address).netloc == request.headers.get("host", "-")


def _wanted(request: Request[Any, Any, Any]) -> str:
    """Return the page that the reader was refused before signing in; never an address elsewhere."""
    came_from = request.headers.get("referer", "")
    parts = urlsplit(came_from)
    if not came_from or not _from_here(request, came_from) or parts.path in {"", "/login"} or parts.path.startswith("//"):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")
