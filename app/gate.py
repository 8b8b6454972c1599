"""The gate in front of every route: no credential, no answer; which role may call what is declared at each route.

A credential is one of: a bearer token, a console session (cookie), a Standard Webhooks signature by the department of a task, or a
one-time link. Whoever brings none gets 401 on every path, known or not, but for the two probes (decision 14).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog
from standardwebhooks import Webhook, WebhookVerificationError

from app.logs import Sparing
from domain.messages import both
from domain.principals import Principal
from storage.scope import reading_for

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

WALLED = frozenset({"department", "department_lead", "link"})  # who reads for a department, behind the database's own walls too
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
LINKS = "/answer/"  # what the paths of one-time links begin with
SESSION_COOKIE = "fengsui_session"
SIGNED_BODY_LIMIT = 256 * 1024  # bytes of a signed answer
NO_CREDENTIAL = "缺少或无效的凭据：请使用 Authorization: Bearer <令牌>。No valid credential: send Authorization: Bearer <token>."
NOT_SIGNED_SO = (  # the same whichever it is: who signs nothing right shall not learn which tasks there are
    "签名不能验证：正文须为 JSON 且写明 task（任务编号），签名用该任务部门的密钥按 Standard Webhooks 计算，时间戳与现在相差不超过 5 分钟。"
    "The signature does not fit: the body is JSON that names its task, signed as Standard Webhooks say with the secret of that task's "
    "department, at most 5 minutes ago."
)
refusals = Sparing(structlog.get_logger(__name__))  # anybody can be refused, as often as he likes


def fingerprint(secret: str) -> str:
    """Return what is stored of a token: its SHA-256. Tokens have 256 bits of randomness, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Credentials(Protocol):
    """Where credentials are looked up; all arguments are fingerprints, but for the task id."""

    def by_token(self, fingerprint: str) -> Principal | None:
        """Return the principal of a bearer token that is not revoked."""
        ...

    def by_session(self, fingerprint: str) -> Principal | None:
        """Return the principal of a console session that has not ended."""
        ...

    def by_link(self, fingerprint: str) -> Principal | None:
        """Return the principal of a one-time link that has not been used up or run out."""
        ...

    def signers(self, task_id: str) -> list[tuple[Principal, str]]:
        """Return the department of a task with each of its current signing secrets, newest first; [] for an unknown task."""
        ...


class SignInPage(Protocol):
    """What a browser sees instead of a page that it may not see yet."""

    def __call__(self, *, dead_link: bool = False) -> bytes:
        """Return the page; with `dead_link` it says that a one-time link opens nothing, without a word on whether it ever did."""
        ...


class _Signed(msgspec.Struct):
    """What the gate reads of a signed body; whose secret to try follows from the task."""

    task: str


class Gate:
    """ASGI middleware that sets `scope["state"]["principal"]` or answers 401."""

    def __init__(
        self,
        app: AsgiApp,
        credentials: Credentials,
        login_page: SignInPage | None,
        on_refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        """`login_page` is what a browser sees instead of a page that it may not see yet, None where there are no pages.

        `on_refused` is told why.
        """
        self._on_refused = on_refused
        self._app = app
        self._credentials = credentials
        self._login_page = login_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass with its principal, or refuse it."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (scope["method"], scope["path"]) == ("POST", "/login"):
            await self._app(scope, receive, send)  # the token is in the form; the route itself answers 401
            return
        principal = self._identify(scope["path"], headers)
        signed = "webhook-signature" in headers and scope["method"] == "POST" and "authorization" not in headers
        if principal is None and signed:
            body, receive = await _buffer(receive)
            principal = self._by_signature(headers, body)
        if principal is None:
            self._on_refused("no_credential")
            await self._refuse(scope, headers, send, signed=signed)
            return
        if principal.via == "session" and scope["method"] not in {"GET", "HEAD"} and not _same_origin(headers):
            self._on_refused("cross_site")
            await _answer(send, 403, b'{"title":"Forbidden","detail":"cross-site request refused"}', "application/problem+json")
            return
        scope.setdefault("state", {})["principal"] = principal
        if principal.role in WALLED:
            with reading_for(principal.department):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _identify(self, path: str, headers: dict[str, str]) -> Principal | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._credentials.by_token(fingerprint(token.strip()))
        if path.startswith(LINKS):  # who is signed in has the warning's own page: a session opens no link
            return self._credentials.by_link(fingerprint(path.removeprefix(LINKS).split("/", maxsplit=1)[0]))
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
        except CookieError:
            return None
        return self._credentials.by_session(fingerprint(cookie.value)) if cookie is not None else None

    def _by_signature(self, headers: dict[str, str], body: bytes | None) -> Principal | None:
        """Return the department whose secret signed the body; the body names the task, the task names the department."""
        if body is None:
            return None
        try:
            task_id = msgspec.json.decode(body, type=_Signed).task
        except (msgspec.DecodeError, ValueError, RecursionError):  # nesting too deep for the decoder is as unreadable as the others
            return None
        for principal, secret in self._credentials.signers(task_id):
            try:
                Webhook(secret).verify(body, headers)
            except (WebhookVerificationError, ValueError):  # the library lets a malformed header through as ValueError
                continue
            return principal
        return None

    async def _refuse(self, scope: Scope, headers: dict[str, str], send: Send, *, signed: bool = False) -> None:
        refusals.info("access.refused", method=scope["method"], path=scope["path"].split("/")[1])
        if self._login_page is not None and "text/html" in headers.get("accept", ""):
            dead_link = scope["path"].startswith(LINKS)
            await _answer(send, 404 if dead_link else 401, self._login_page(dead_link=dead_link), "text/html; charset=utf-8")
            return
        detail = {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": (NOT_SIGNED_SO if signed else NO_CREDENTIAL) + ("" if self._login_page is not None else f" {both('api.door')}"),
        }
        await _answer(send, 401, json.dumps(detail, ensure_ascii=False).encode(), "application/problem+json")


def _same_origin(headers: dict[str, str]) -> bool:
    """Say whether a browser's request comes from our own pages: it always names the origin of a POST."""
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "-")


async def _buffer(receive: Receive) -> tuple[bytes | None, Receive]:
    """Read a body that is to be verified and return it with a `receive` that gives it again; None where it is too large."""
    parts: list[bytes] = []
    more, size = True, 0
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > SIGNED_BODY_LIMIT:
            return None, receive
        more = message.get("more_body", False)
    body = b"".join(parts)
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="fengsui"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
