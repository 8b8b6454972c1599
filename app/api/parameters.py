"""The parameters of all routes, each with its meaning in both languages and an example: what `/openapi.json` tells of them."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from app.views.filters import DELIVERY_STATES, LEVELS, REJECTION_STATUSES, STATUSES, check_value
from domain.messages import both
from domain.rejections import REASONS

LONGEST_NAME = 40  # characters that a refusal repeats of a parameter's name


def _path(name: str, example: str) -> Any:
    return PathParameter(description=both(f"parameter.{name}"), examples=[Example(value=example)])


def _query(name: str, example: object, *, legal: tuple[str, ...] = (), ge: int | None = None, le: int | None = None) -> Any:
    listed = f" ({', '.join(legal)})" if legal else ""
    return QueryParameter(description=both(f"parameter.{name}") + listed, examples=[Example(value=example)], ge=ge, le=le)


FeedPath = Annotated[str, _path("feed", "penalties")]
SignalPath = Annotated[str, _path("signal", "GD-2026-0302-017")]
WarningPath = Annotated[str, _path("warning", "w01443529a1acdb09d658")]
ObjectPath = Annotated[str, _path("object", "o-1")]
RulePath = Annotated[str, _path("rule", "gas-leaks")]
DeliveryPath = Annotated[str, _path("delivery", "n5d41402abc4b2a76b971")]
CredentialPath = Annotated[str, _path("credential", "9f86d081884c7d65")]
RulesetPath = Annotated[str, _path("ruleset", "3f0c1a9e")]
DepartmentPath = Annotated[str, _path("department", "zhujian")]

StatusQuery = Annotated[str, _query("status", "open", legal=STATUSES)]
LevelQuery = Annotated[str, _query("level", "orange", legal=LEVELS)]
MatterQuery = Annotated[str, _query("matter", "gas")]
DepartmentQuery = Annotated[str, _query("department_filter", "")]
OverdueQuery = Annotated[bool, _query("overdue", example=True)]
AfterWarning = Annotated[str, _query("after_warning", "")]
ReasonQuery = Annotated[str, _query("reason", "bad_date", legal=REASONS)]
RejectionStatusQuery = Annotated[str, _query("rejection_status", "open", legal=REJECTION_STATUSES)]
Limit = Annotated[int, _query("limit", 100, ge=1, le=1000)]
NamedQuery = Annotated[bool, _query("named", example=True)]
FeedQuery = Annotated[str, _query("feed", "hotline-csv")]
KindQuery = Annotated[str, _query("kind", "gas.leak")]
BeforeRecord = Annotated[int, _query("before_record", 0, ge=0)]
AfterRecord = Annotated[int, _query("after_record", 0, ge=0)]
AtQuery = Annotated[str, _query("at", "2026-03-02T09:00:00+08:00")]
FileName = Annotated[str, _query("file_name", "objects.csv")]

SubjectQuery = Annotated[str, QueryParameter(name="object", description=both("parameter.subject"), examples=[Example(value="o-1")])]
# The argument has another name: Litestar keeps `state` for itself.
DeliveryState = Annotated[
    str,
    QueryParameter(
        name="state",
        description=f"{both('parameter.delivery_state')} ({', '.join(DELIVERY_STATES)})",
        examples=[Example(value="dead")],
    ),
]
IdempotencyKey = Annotated[
    str,
    HeaderParameter(name="Idempotency-Key", description=both("parameter.idempotency_key"), examples=[Example(value="answer-2026-0302-1")]),
]


def only_known(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a parameter behind `?` that a reading route of the API does not have: a filter with a typo looks like no filter.

    Raises:
        IllegalValue: with the route's parameters and the nearest one.
    """
    if connection.scope.get("method") != "GET" or not connection.scope["path"].startswith("/v1/"):
        return
    fields = handler.parsed_fn_signature.parameters
    queries = {name: field.kwarg_definition for name, field in fields.items() if isinstance(field.kwarg_definition, QueryParameter)}
    legal = sorted(one.name or name for name, one in queries.items())
    for name in connection.query_params:
        if name not in legal:
            check_value("query parameter", name[:LONGEST_NAME] or "=", legal)
