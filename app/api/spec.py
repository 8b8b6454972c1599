"""The OpenAPI document; it needs a credential like everything else."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.routes import HTTPRoute

from app.api.problems import ProblemDocument
from app.api.roles import OPEN, READERS
from domain.messages import both

_REFERENCE = "#/components/schemas/{name}"


def document(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of all routes: what the framework knows, who may call them, and how they refuse."""
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    _, problem = msgspec.json.schema_components([ProblemDocument], ref_template=_REFERENCE)
    schema["components"]["schemas"] |= problem
    refusal = {
        "description": both("api.refusal"),
        "content": {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(name="ProblemDocument")}}},
    }
    for route in app.routes:
        operations = schema["paths"].get(route.path_format, {})
        for method, (handler, _) in route.route_handler_map.items() if isinstance(route, HTTPRoute) else ():
            told = operations.get(method.lower())
            if told is None:
                continue
            roles = handler.opt["roles"]
            told["responses"].pop("400", None)  # the framework's own form of it, which nobody gets
            if roles == OPEN:
                told["security"] = []
            else:
                told["responses"]["4XX"] = refusal
                told["x-roles"] = sorted(roles)
    return schema


@get("/openapi.json", opt={"roles": READERS | {"feed"}}, include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the OpenAPI 3.1 description of all routes."""
    return Response(msgspec.json.encode(document(request.app)), media_type="application/vnd.oai.openapi+json")
