"""The two probes and the metrics."""

from __future__ import annotations

from litestar import Response, get

from app.api.given import DoorGiven, ServicesGiven
from app.api.roles import MONITORS, OPEN, OVERSEERS
from app.metrics import CONTENT_TYPE
from app.probes import readiness
from app.version import VERSION
from domain.base import Noun
from domain.messages import both


@get("/healthz", summary=both("operation.healthz"), opt={"roles": OPEN}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@get("/readyz", summary=both("operation.readyz"), opt={"roles": OPEN}, sync_to_thread=True)
def readyz(services: DoorGiven) -> Response[dict[str, str]]:
    """Say whether work moves: the journal takes records, the engine keeps up, every loop runs; and what is lacking though it does."""
    status, told = readiness(services.trouble(), services.lacking())
    return Response(told, status_code=status)


@get("/metrics", summary=both("operation.metrics"), opt={"roles": MONITORS}, sync_to_thread=True)
def metrics(services: DoorGiven) -> Response[bytes]:
    """Return the metrics for Prometheus; it needs a token of the role monitor."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE)


class Status(Noun, frozen=True, kw_only=True):
    """How far the work is: `applied` reaches `head` when nothing waits; `idle` says that the duty loop has nothing due either.

    `quarantined` are records that brought the engine down and were set aside: they have no effect until they are looked at.
    """

    head: int
    applied: int
    idle: bool
    ruleset: str
    version: str
    quarantined: tuple[int, ...]


@get("/v1/status", summary=both("operation.status"), opt={"roles": OVERSEERS | {"monitor"}}, sync_to_thread=True)
def status(services: ServicesGiven) -> Status:
    """Return how far the work is."""
    return Status(
        head=services.journal.head(),
        applied=services.engine.applied(),
        idle=services.duty.idle(),
        ruleset=services.rulebook.active,
        version=VERSION,
        quarantined=services.engine.quarantined(),
    )
