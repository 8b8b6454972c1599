"""The OpenAPI document; it needs a credential like everything else."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get

from app.api.roles import READERS


@get("/openapi.json", opt={"roles": READERS | {"feed"}}, include_in_schema=False, sync_to_thread=False)
def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the OpenAPI 3.1 description of all routes."""
    schema = request.app.openapi_schema.to_schema()
    return Response(msgspec.json.encode(schema), media_type="application/vnd.oai.openapi+json")
