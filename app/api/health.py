"""The two probes and the metrics."""

from __future__ import annotations

from litestar import Response, get

from app.api.roles import MONITORS, OPEN
from app.metrics import CONTENT_TYPE
from app.services import Services


@get("/healthz", opt={"roles": OPEN}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@get("/readyz", opt={"roles": OPEN}, sync_to_thread=True)
def readyz(services: Services) -> Response[dict[str, str]]:
    """Say whether work moves: the engine runs and takes what the journal has."""
    trouble = services.engine.trouble()
    if trouble:
        return Response({"status": "unavailable", "detail": trouble}, status_code=503)
    return Response({"status": "ready"})


@get("/metrics", opt={"roles": MONITORS}, sync_to_thread=True)
def metrics(services: Services) -> Response[bytes]:
    """Return the metrics for Prometheus; it needs a token of the role monitor."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE)
