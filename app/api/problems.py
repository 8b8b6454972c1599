"""Errors as RFC 9457 problem documents: what is wrong, where, and what to do; never a traceback, never another's secret."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from domain.errors import (
    Conflict,
    FengsuiError,
    FileProblems,
    Forbidden,
    IllegalValue,
    InvalidAction,
    NotFound,
    SignalRejected,
    StoreUnavailable,
)
from domain.messages import both

log = structlog.get_logger(__name__)

STATUS: dict[type[FengsuiError], tuple[int, str]] = {
    FileProblems: (422, "File refused"),
    SignalRejected: (422, "Record rejected"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict"),
    Forbidden: (403, "Forbidden"),
    IllegalValue: (400, "Bad Request"),
    InvalidAction: (422, "Action refused"),
    StoreUnavailable: (503, "Storage unavailable"),
}
TOO_LARGE = "input_too_large"  # the reason of a rejection that has a status of its own in HTTP


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is not a success."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    problems: list[dict[str, Any]] = []  # msgspec copies a default list for each instance


def answer(document: ProblemDocument, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return a problem document as an HTTP answer."""
    return Response(
        msgspec.json.encode(document), status_code=document.status, media_type="application/problem+json", headers=headers or {}
    )


def on_fengsui_error(_request: Request[Any, Any, Any], error: FengsuiError) -> Response[bytes]:
    """Answer an error that Fengsui raised on purpose."""
    status, title = next((found for kind, found in STATUS.items() if isinstance(error, kind)), (500, "Internal error"))
    if isinstance(error, SignalRejected) and error.reason == TOO_LARGE:
        status, title = 413, HTTPStatus(413).phrase
    problems = [msgspec.structs.asdict(problem) for problem in error.problems] if isinstance(error, FileProblems) else []
    document = ProblemDocument(title=title, status=status, detail=str(error), problems=problems)
    return answer(document, {"Retry-After": "5"} if status == 503 else None)


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused: unknown routes, bad JSON, bodies over the limit."""
    status, path = error.status_code, request.scope["path"]
    extra = error.extra if isinstance(error.extra, list) else []
    problems = [item if isinstance(item, dict) else {"message": str(item)} for item in extra]
    match status:
        case 404:
            detail = both("api.no_route", path=path) + (f"；{both('api.door')}" if request.app.state.get("door") else "")
        case 405:
            detail = both("api.no_method", method=request.method, path=path)
        case 413:
            limit = request.app.request_max_body_size
            detail = both("api.body_too_large", limit=limit if isinstance(limit, int) else 0)
        case 400 if _bodiless(request):
            detail, problems = both("api.no_body"), []
        case 400 if problems:
            detail = both("api.invalid")
        case 400:
            detail = both("api.unreadable", reason=error.detail)
        case _:
            detail = error.detail
    return answer(ProblemDocument(title=HTTPStatus(status).phrase, status=status, detail=detail, problems=problems))


def on_too_deep(_request: Request[Any, Any, Any], _error: RecursionError) -> Response[bytes]:
    """Answer a body nested deeper than the decoder goes."""
    return answer(ProblemDocument(title="Bad Request", status=400, detail=both("api.too_deep")))


def _bodiless(request: Request[Any, Any, Any]) -> bool:
    """Say whether a request that should have a body has none."""
    length = request.headers.get("content-length", "")
    return request.method in {"POST", "PUT"} and "transfer-encoding" not in request.headers and length in {"", "0"}


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a defect of ours: log it whole, tell the caller only that it happened."""
    log.error("api.defect", path=request.scope["path"], method=request.method, exc_info=error)
    return answer(ProblemDocument(title="Internal error", status=500, detail="内部错误，已记录。Internal error; it has been logged."))
