"""The administrator's token of a data folder: made at the first start, readable by the folder's owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

import structlog

from app.gate import fingerprint
from domain.ports import Clock
from domain.principals import Principal
from storage import access
from storage.database import Database

log = structlog.get_logger(__name__)


def ensure_admin_token(folder: Path, database: Database, clock: Clock, name: str = "admin") -> None:
    """Make the token in `folder` where there is none, and let `database` know it under `name`; raises StoreUnavailable."""
    path = folder / "admin-token"
    if not path.exists():
        new = path.with_name(".admin-token.new")
        new.touch(mode=0o600)
        new.write_text(secrets.token_urlsafe(32) + "\n")
        new.replace(path)
        log.info("access.admin_token_made", file=str(path))
    print_of_it = fingerprint(path.read_text().strip())
    with database.write() as connection:  # a crash between file and row is mended here, a revoked token stays revoked
        if all(row.fingerprint != print_of_it for row in access.list_credentials(connection)):
            access.add_credential(connection, print_of_it, Principal(name=name, role="admin"), clock.now())
