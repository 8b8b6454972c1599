"""Tokens, endpoints and signing secrets; for administrators."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from litestar import delete, get, post, put
from litestar.params import JSONBody

from app.api import bodies
from app.api.given import ServicesGiven
from app.api.parameters import CredentialPath, DepartmentPath
from app.api.roles import ADMINS
from app.gate import fingerprint
from connectors.outbound.egress import check_url, networks
from domain.errors import DeliveryRejected, InvalidAction, NotFound
from domain.messages import both
from domain.principals import Principal
from domain.tasks import stable_id
from storage import access, obligations, outbox

OVERLAP = timedelta(hours=24)  # for which a rotated secret stays valid


@dataclass(frozen=True)
class NewCredential:
    """What a credential is for; `department` and `feed` bind the roles that need one."""

    name: str
    role: Literal["admin", "duty", "auditor", "department", "department_lead", "feed", "monitor"]
    department: str = ""
    feed: str = ""


@dataclass(frozen=True)
class NewEndpoint:
    """Where a department receives webhooks."""

    url: str


def new_secret() -> str:
    """Return a signing secret as Standard Webhooks writes it: 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@get("/v1/access", summary=both("operation.list_access"), opt={"roles": ADMINS}, sync_to_thread=True)
def list_access(services: ServicesGiven) -> list[access.CredentialRow]:
    """Return all credentials without their tokens."""
    with services.database.read() as connection:
        return access.list_credentials(connection)


@post("/v1/access", summary=both("operation.grant"), operation_class=bodies.CREDENTIAL, opt={"roles": ADMINS}, sync_to_thread=True)
def grant(
    services: ServicesGiven,
    data: JSONBody[NewCredential],
) -> dict[str, str]:
    """Make a credential; its token is in this answer and nowhere else."""
    with services.database.read() as connection:
        unit = obligations.directory(connection).get(data.department)
    if unit is None and (data.department or data.role in {"department", "department_lead"}):
        raise NotFound(both("department.not_found", id=data.department))
    if data.role == "feed" and data.feed not in services.mappings and data.feed != "signals":
        raise NotFound(both("api.no_feed", feed=data.feed, legal=", ".join(("signals", *sorted(services.mappings)))))
    token = secrets.token_urlsafe(32)
    principal = Principal(name=data.name, role=data.role, department=data.department, feed=data.feed)
    with services.database.write() as connection:
        access.add_credential(connection, fingerprint(token), principal, services.clock.now())
    return {"token": token, "fingerprint": fingerprint(token)}


@delete("/v1/access/{credential:str}", summary=both("operation.revoke"), opt={"roles": ADMINS}, status_code=200, sync_to_thread=True)
def revoke(services: ServicesGiven, credential: CredentialPath) -> dict[str, str]:
    """Revoke a credential; its sessions end with it."""
    with services.database.write() as connection:
        if not access.revoke_credential(connection, credential, services.clock.now()):
            raise NotFound(both("credential.not_found", id=credential))
    return {"revoked": credential}


@put(
    "/v1/departments/{department:str}/endpoint",
    summary=both("operation.set_endpoint"),
    operation_class=bodies.ENDPOINT,
    opt={"roles": ADMINS},
    sync_to_thread=True,
)
def set_endpoint(
    services: ServicesGiven,
    department: DepartmentPath,
    data: JSONBody[NewEndpoint],
) -> dict[str, str]:
    """Register where a department receives webhooks; the first time, its signing secret is in the answer.

    A new address takes the place of the old one, also for what waits, in the inbox too, and for dead letters that are sent again.
    """
    try:
        check_url(data.url, networks(services.settings.egress.allow))
    except DeliveryRejected as error:
        raise InvalidAction(str(error)) from error
    now = services.clock.now()
    with services.database.write() as connection:
        if obligations.directory(connection).get(department) is None:
            raise NotFound(both("department.not_found", id=department))
        endpoint = access.Endpoint(id=stable_id("e", department), department=department, url=data.url, state="active", created_at=now)
        access.put_endpoint(connection, endpoint)
        outbox.from_inbox(connection, department, endpoint.id, now)
        secret = ""
        if not access.signing_secrets(connection, department, now):
            secret = new_secret()
            access.rotate_secret(connection, department, secret, now, OVERLAP)
    services.nudge()
    return {"endpoint": endpoint.id, "secret": secret}


@post("/v1/departments/{department:str}/secret", summary=both("operation.rotate"), opt={"roles": ADMINS}, sync_to_thread=True)
def rotate(services: ServicesGiven, department: DepartmentPath) -> dict[str, str]:
    """Give a department a new signing secret; the old one stays valid for 24 hours."""
    secret = new_secret()
    with services.database.write() as connection:
        if obligations.directory(connection).get(department) is None:
            raise NotFound(both("department.not_found", id=department))
        access.rotate_secret(connection, department, secret, services.clock.now(), OVERLAP)
    return {"secret": secret}
