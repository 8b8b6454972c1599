"""The two probes and the metrics."""

from __future__ import annotations

from litestar import Response, get

from app.api.given import ServicesGiven
from app.api.roles import MONITORS, OPEN, OVERSEERS
from app.metrics import CONTENT_TYPE
from app.version import VERSION
from domain.base import Noun
from storage import risk


@get("/healthz", opt={"roles": OPEN}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@get("/readyz", opt={"roles": OPEN}, sync_to_thread=True)
def readyz(services: ServicesGiven) -> Response[dict[str, str]]:
    """Say whether work moves: the engine runs and takes what the journal has."""
    trouble = services.engine.trouble() or ("" if services.duty.is_alive() else "the duty loop is not running")
    if trouble:
        return Response({"status": "unavailable", "detail": trouble}, status_code=503)
    return Response({"status": "ready"})


@get("/metrics", opt={"roles": MONITORS}, sync_to_thread=True)
def metrics(services: ServicesGiven) -> Response[bytes]:
    """Return the metrics for Prometheus; it needs a token of the role monitor."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE)


class Status(Noun, frozen=True, kw_only=True):
    """How far the work is: `applied` reaches `head` when nothing waits; `idle` says that the duty loop has nothing due either."""

    head: int
    applied: int
    idle: bool
    ruleset: str
    version: str


@get("/v1/status", opt={"roles": OVERSEERS | {"monitor"}}, sync_to_thread=True)
def status(services: ServicesGiven) -> Status:
    """Return how far the work is."""
    with services.database.read() as connection:
        applied = risk.applied_position(connection)
    return Status(
        head=services.journal.head(), applied=applied, idle=services.duty.idle(), ruleset=services.rulebook.active, version=VERSION
    )
