"""What a person sees when a page cannot be shown: the error's own sentence, on a page."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.api.problems import STATUS
from app.console.render import HEADERS, environment, language_of
from app.console.words import Words
from domain.errors import FengsuiError

log = structlog.get_logger(__name__)


def status_of(error: FengsuiError) -> int:
    """Return the HTTP status of an error: the same as the API's."""
    return next((status for kind, (status, _) in STATUS.items() if isinstance(error, kind)), 500)


def on_error(request: Request[Any, Any, Any], error: FengsuiError) -> Response[bytes]:
    """Show an error that Fengsui raised on purpose."""
    status = status_of(error)
    return _failure(request, status, str(error), {"Retry-After": "5"} if status == 503 else {})


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Show what the framework refused: a page that there is none of, a bad query, a body over the limit."""
    detail = error.detail
    if error.status_code == 404:
        detail = Words(language_of(request)).t("console.no_page", path=request.scope["path"])
    return _failure(request, error.status_code, detail, {})


def on_defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Show that something of ours broke; the log has all of it."""
    log.error("console.defect", path=request.scope["path"], method=request.method, exc_info=error)
    words = Words(language_of(request))
    return _failure(request, 500, words.t("console.defect"), {})


def _failure(request: Request[Any, Any, Any], status: int, detail: str, headers: dict[str, str]) -> Response[bytes]:
    words = Words(language_of(request))
    principal = request.scope.get("state", {}).get("principal")
    body = environment.get_template("failure.html").render(
        words=words,
        t=words.t,
        title=words.title,
        language=words.language,
        principal=principal,
        now=None,
        path=request.url.path,
        other_language=f"{request.url.path}?lang={'zh' if words.language == 'en' else 'en'}",
        status=status,
        detail=detail,
    )
    return Response(body.encode(), status_code=status, media_type="text/html", headers=HEADERS | headers)
