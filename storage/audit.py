"""The audit trail: one hash chain per warning (decision 13), append-only, verifiable offline.

The hash of an entry covers the hash before it, so nothing can be changed, removed or inserted in the middle unseen. A daily root
over the heads of all chains makes the removal of whole chains or of their ends visible too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select

from domain.base import Noun
from domain.instants import rfc3339
from domain.messages import both
from storage.dialects import parts
from storage.duty_tables import audit

_LENGTHS = (
    select(audit.c.warning_id, func.max(audit.c.n).label("n"))
    .where(audit.c.warning_id.in_(bindparam("keys", expanding=True)))
    .group_by(audit.c.warning_id)
    .subquery()
)
_ENDS = select(audit.c.warning_id, audit.c.n, audit.c.hash).join(
    _LENGTHS, (audit.c.warning_id == _LENGTHS.c.warning_id) & (audit.c.n == _LENGTHS.c.n)
)
_ENTRY = insert(audit)


class AuditEntry(Noun, frozen=True, kw_only=True):
    """Who did, saw or was told what, when and why; `detail` is canonical JSON."""

    warning_id: str
    n: int
    at: datetime
    actor: str
    what: str
    detail: str
    previous: str
    hash: str


def entry_hash(warning_id: str, n: int, at: datetime, said: tuple[str, str, str], previous: str) -> str:
    """Return the hash of an entry; `said` is (actor, what, detail)."""
    parts = (warning_id, str(n), rfc3339(at), *said, previous)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


class Said(NamedTuple):
    """What is to be written at the end of a chain."""

    warning_id: str
    at: datetime
    actor: str
    what: str
    detail: Mapping[str, Any]


def append(connection: Connection, warning_id: str, at: datetime, actor: str, what: str, detail: Mapping[str, Any]) -> None:
    """Add an entry at the end of a warning's chain.

    The transaction holds the warning's case (`obligations.hold_case`), or takes turns about a chain that is no warning's: two entries
    after the same one would be refused by the table.
    """
    append_all(connection, [Said(warning_id, at, actor, what, detail)])


def append_all(connection: Connection, new: Sequence[Said]) -> None:
    """Add entries at the ends of the chains of their warnings, in their order, as `append` does."""
    ends: dict[str, tuple[int, str]] = {}
    for some in parts(sorted({one.warning_id for one in new})):
        ends |= {row.warning_id: (row.n, row.hash) for row in connection.execute(_ENDS, {"keys": some})}
    rows = []
    for one in new:
        last, previous = ends.get(one.warning_id, (0, ""))
        text = json.dumps(one.detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
        digest = entry_hash(one.warning_id, last + 1, one.at, (one.actor, one.what, text), previous)
        ends[one.warning_id] = last + 1, digest
        rows.append(
            {
                "warning_id": one.warning_id,
                "n": last + 1,
                "at": one.at,
                "actor": one.actor,
                "what": one.what,
                "detail": text,
                "previous": previous,
                "hash": digest,
            }
        )
    connection.execute(_ENTRY, rows)


def trail(connection: Connection, warning_id: str) -> list[AuditEntry]:
    """Return a warning's chain from its first entry."""
    rows = connection.execute(select(audit).where(audit.c.warning_id == warning_id).order_by(audit.c.n))
    return [AuditEntry(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name


def verify(entries: Iterable[AuditEntry]) -> str:
    """Return what is wrong with one chain, "" for a sound one."""
    previous = ""
    for n, entry in enumerate(entries, start=1):
        if entry.n != n:
            return both("audit.missing", n=n)
        said = (entry.actor, entry.what, entry.detail)
        if entry.previous != previous or entry.hash != entry_hash(entry.warning_id, n, entry.at, said, previous):
            return both("audit.changed", n=n)
        previous = entry.hash
    return ""


def verify_all(connection: Connection) -> dict[str, str]:
    """Return the broken chains: warning id → what is wrong; {} where all are sound."""
    found: dict[str, str] = {}
    for warning_id in connection.execute(select(audit.c.warning_id).distinct().order_by(audit.c.warning_id)).scalars():
        wrong = verify(trail(connection, warning_id))
        if wrong:
            found[warning_id] = wrong
    return found


def root(connection: Connection) -> str:
    """Return the hash over the heads of all chains, in the order of their warnings' ids."""
    digest = hashlib.sha256()
    for warning_id in connection.execute(select(audit.c.warning_id).distinct().order_by(audit.c.warning_id)).scalars():
        head = trail(connection, warning_id)[-1]
        digest.update(f"{warning_id}\x1f{head.n}\x1f{head.hash}\n".encode())
    return digest.hexdigest()
