"""The HTTP application: all routes behind one gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from app.api import access, health, imports, intake, lookups, personal, rule_life, spec, warning
from app.api.counted import counted
from app.api.parameters import only_known
from app.api.problems import on_fengsui_error, on_http_error, on_too_deep, on_unexpected
from app.api.roles import NOBODY, guard, principal_of
from app.console import failures
from app.console.pages import console_router, login_page
from app.gate import AsgiApp, Credentials, Gate, SignInPage
from app.metrics import Metrics
from app.services import Door, Services
from app.settings import Limits
from app.version import VERSION
from domain.errors import FengsuiError
from domain.messages import both

ROUTES = [
    health.healthz,
    health.readyz,
    health.metrics,
    health.status,
    intake.post_signals,
    intake.post_records,
    intake.post_complete,
    intake.list_feeds,
    intake.list_quarantine,
    intake.list_rejections,
    intake.replay_rejections,
    intake.list_unresolved,
    intake.confirm,
    warning.list_warnings,
    warning.get_warning,
    warning.explain,
    warning.respond,
    personal.read_personal,
    personal.erase_personal,
    lookups.get_object,
    lookups.get_rules,
    lookups.why_not,
    lookups.check_rules,
    rule_life.list_versions,
    rule_life.get_state,
    rule_life.get_pending,
    rule_life.roll_back,
    rule_life.approve,
    rule_life.refuse,
    lookups.get_outbox,
    lookups.resend,
    imports.import_objects,
    imports.import_catalogue,
    imports.import_departments,
    access.list_access,
    access.grant,
    access.revoke,
    access.set_endpoint,
    access.rotate,
    spec.openapi,
]


DOOR_ROUTES = [
    health.healthz,
    health.readyz,
    health.metrics,
    intake.post_signals,
    intake.post_records,
    intake.post_complete,
    spec.openapi,
]


def make_litestar(services: Services) -> Litestar:
    """Return the routes without the gate; tests walk them."""
    return _litestar(services, [*ROUTES, console_router()], services.settings.limits)


def _litestar(services: Services | Door, routes: Sequence[ControllerRouterHandler], limits: Limits, *, door: bool = False) -> Litestar:
    """Return `routes`, which are given `services`; a `door` takes records and says where everything else is."""
    return Litestar(
        route_handlers=routes,
        state=State({"door": door}),
        guards=[guard, only_known],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "principal": Provide(principal_of, sync_to_thread=False),
        },
        exception_handlers={
            FengsuiError: on_fengsui_error,
            HTTPException: on_http_error if door else _on_http_error,
            RecursionError: on_too_deep,
            Exception: on_unexpected,
        },
        openapi_config=OpenAPIConfig(
            title="Fengsui 烽燧",
            version=VERSION,
            description=both("api.description"),
            use_handler_docstrings=True,
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer", description=both("api.token"))}),
            security=[{"token": []}],
            render_plugins=[],
            openapi_router=Router("/_openapi", route_handlers=[], opt={"roles": NOBODY}, include_in_schema=False),  # ours is `spec.openapi`
        ),
        request_max_body_size=limits.body_bytes,
        debug=False,
        logging_config=None,
    )


def _on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer a browser that is anywhere but in the API with a page, everybody else with a problem document."""
    if "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith("/v1/"):
        return failures.on_http_error(request, error)
    return on_http_error(request, error)


def make_asgi(services: Services, credentials: Credentials) -> AsgiApp:
    """Return the whole application."""
    return _gated(make_litestar(services), services.metrics, credentials, login_page)


def make_door(services: Door, credentials: Credentials, limits: Limits) -> AsgiApp:
    """Return the routes of the intake alone, for the edge of a cluster."""
    return _gated(_litestar(services, DOOR_ROUTES, limits, door=True), services.metrics, credentials, None)


def _gated(routes: Litestar, metrics: Metrics, credentials: Credentials, login_page: SignInPage | None) -> AsgiApp:
    def refused(reason: str) -> None:
        metrics.refused.labels(reason=reason).inc()

    return counted(Gate(routes, credentials, login_page, refused), metrics)
