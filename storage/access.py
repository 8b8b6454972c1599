"""Who may ask: tokens, console sessions, one-time links, and the secrets that departments sign with.

Only fingerprints (SHA-256) of tokens, sessions and links are stored, here and in the messages of the outbox; signing secrets are stored
in clear, since they sign.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from domain.base import Noun
from domain.principals import Principal
from storage.database import Database
from storage.dialects import parts, upsert
from storage.duty_tables import credentials, endpoint_secrets, endpoints, links, sessions, tasks

_ENDPOINTS = select(endpoints).order_by(endpoints.c.department, endpoints.c.id)
_ENDPOINTS_OF = _ENDPOINTS.where(endpoints.c.department == bindparam("key"))
_ACTIVE = (
    select(endpoints.c.department, endpoints.c.id)
    .where(endpoints.c.department.in_(bindparam("keys", expanding=True)), endpoints.c.state == "active")
    .order_by(endpoints.c.department, endpoints.c.id)
)
_NEW_LINK = upsert(links)
_PUT_LINK = _NEW_LINK.on_conflict_do_update(
    index_elements=["fingerprint"],
    set_={name: _NEW_LINK.excluded[name] for name in ("task_id", "warning_id", "department", "expires_at", "used")},
)


class CredentialRow(Noun, frozen=True, kw_only=True):
    """One credential as lists show it; `fingerprint` identifies it, the token itself is shown once, when it is made."""

    fingerprint: str
    name: str
    role: str
    department: str
    feed: str
    created_at: datetime
    revoked_at: datetime | None


class Endpoint(Noun, frozen=True, kw_only=True):
    """Where a department receives webhooks; `state` is active or disabled (after a 410)."""

    id: str
    department: str
    url: str
    state: str
    created_at: datetime


class SqlCredentials:
    """The look-ups of `app.gate.Credentials` on the database."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        """`now` is the clock's: sessions and links run out by it."""
        self._database = database
        self._now = now

    def by_token(self, fingerprint: str) -> Principal | None:
        """Return the principal of a bearer token that is not revoked."""
        return self._principal(fingerprint, "token")

    def by_session(self, fingerprint: str) -> Principal | None:
        """Return the principal of a console session that has not ended."""
        with self._database.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.fingerprint == fingerprint)).one_or_none()
        if row is None or row.expires_at <= self._now():
            return None
        return self._principal(row.credential, "session")

    def by_link(self, fingerprint: str) -> Principal | None:
        """Return the principal of a one-time link that has not been used up or run out."""
        with self._database.read() as connection:
            row = connection.execute(select(links).where(links.c.fingerprint == fingerprint)).one_or_none()
        if row is None or row.used or row.expires_at <= self._now():
            return None
        return Principal(name=f"link:{row.department}", role="link", department=row.department, task_id=row.task_id, via="link")

    def signers(self, task_id: str) -> list[tuple[Principal, str]]:
        """Return the department of a task with each of its current signing secrets, newest first."""
        with self._database.read() as connection:
            department = connection.scalar(select(tasks.c.department).where(tasks.c.id == task_id))
            found = signing_secrets(connection, department, self._now()) if department else []
        principal = Principal(name=f"system:{department}", role="department", department=department or "", via="signature")
        return [(principal, secret) for secret in found]

    def _principal(self, fingerprint: str, via: str) -> Principal | None:
        with self._database.read() as connection:
            row = connection.execute(
                select(credentials).where(credentials.c.fingerprint == fingerprint, credentials.c.revoked_at.is_(None))
            ).one_or_none()
        if row is None:
            return None
        return Principal(
            name=row.name, role=row.role, department=row.department, feed=row.feed, via="session" if via == "session" else "token"
        )


def add_credential(connection: Connection, fingerprint: str, principal: Principal, now: datetime) -> None:
    """Store a new credential; the caller shows its token once."""
    connection.execute(
        insert(credentials).values(
            fingerprint=fingerprint,
            name=principal.name,
            role=principal.role,
            department=principal.department,
            feed=principal.feed,
            created_at=now,
        )
    )


def revoke_credential(connection: Connection, fingerprint: str, now: datetime) -> bool:
    """Revoke a credential and end its sessions; return whether it was there and valid."""
    connection.execute(delete(sessions).where(sessions.c.credential == fingerprint))
    changed = connection.execute(
        update(credentials).where(credentials.c.fingerprint == fingerprint, credentials.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return changed.rowcount == 1


def list_credentials(connection: Connection) -> list[CredentialRow]:
    """Return all credentials, oldest first."""
    return [CredentialRow(**row._mapping) for row in connection.execute(select(credentials).order_by(credentials.c.created_at))]  # noqa: SLF001  # SQLAlchemy's public name


def open_session(connection: Connection, fingerprint: str, credential: str, now: datetime, lifetime: timedelta) -> None:
    """Begin a console session; sessions that ran out are forgotten on the way."""
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    connection.execute(insert(sessions).values(fingerprint=fingerprint, credential=credential, expires_at=now + lifetime))


def end_session(connection: Connection, fingerprint: str) -> None:
    """End a console session."""
    connection.execute(delete(sessions).where(sessions.c.fingerprint == fingerprint))


class NewLink(NamedTuple):
    """A one-time link for one task."""

    fingerprint: str
    task_id: str
    warning_id: str
    department: str
    expires_at: datetime


def add_links(connection: Connection, new: Sequence[NewLink]) -> None:
    """Store one-time links."""
    if new:
        connection.execute(_PUT_LINK, [one._asdict() | {"used": False} for one in new])


def use_up_links(connection: Connection, task_id: str) -> None:
    """Close all links of a task: its last answer is given."""
    connection.execute(update(links).where(links.c.task_id == task_id).values(used=True))


def signing_secrets(connection: Connection, department: str, now: datetime) -> list[str]:
    """Return a department's secrets that are valid now, newest first."""
    rows = connection.execute(
        select(endpoint_secrets.c.secret)
        .where(
            endpoint_secrets.c.department == department,
            or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now),
        )
        .order_by(endpoint_secrets.c.id.desc())
    )
    return list(rows.scalars())


def rotate_secret(connection: Connection, department: str, secret: str, now: datetime, overlap: timedelta) -> None:
    """Add a signing secret; the older ones stay valid for `overlap`, so that both sides can change one after the other."""
    connection.execute(
        update(endpoint_secrets)
        .where(endpoint_secrets.c.department == department, endpoint_secrets.c.expires_at.is_(None))
        .values(expires_at=now + overlap)
    )
    connection.execute(insert(endpoint_secrets).values(department=department, secret=secret, created_at=now))


def put_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    """Add or replace a department's endpoint."""
    connection.execute(delete(endpoints).where(endpoints.c.id == endpoint.id))
    connection.execute(
        insert(endpoints).values(
            id=endpoint.id, department=endpoint.department, url=endpoint.url, state=endpoint.state, created_at=endpoint.created_at
        )
    )


def disable_endpoint(connection: Connection, endpoint_id: str, url: str) -> bool:
    """Stop sending to an endpoint whose `url` answered 410; False where it has another address by now, which is not meant by that."""
    own = update(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.url == url)
    return connection.execute(own.values(state="disabled")).rowcount == 1


def active_endpoints(connection: Connection, departments: Collection[str]) -> dict[str, list[str]]:
    """Return the ids of the active endpoints of departments, sorted; a department without any is left out."""
    found: dict[str, list[str]] = {}
    for some in parts(sorted(departments)):
        for row in connection.execute(_ACTIVE, {"keys": some}):
            found.setdefault(row.department, []).append(row.id)
    return found


def list_endpoints(connection: Connection, department: str | None = None) -> list[Endpoint]:
    """Return endpoints, of one department or of all, sorted by department and id."""
    rows = connection.execute(_ENDPOINTS) if department is None else connection.execute(_ENDPOINTS_OF, {"key": department})
    return [Endpoint(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name
