"""One-time links: a signed address that lets a department answer one task once, without any integration.

The token is an HMAC over what it is for, so that every attempt of a message brings the same link although only its fingerprint is
stored. A link names a task and a department, it proves no person: the page asks who acts and records it as a claim.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import secrets
from pathlib import Path

from domain.errors import StoreUnavailable
from domain.messages import both
from storage.files import write_whole

TOKEN_LENGTH = 43  # characters: 256 bits in base64 without padding


def load_or_make_key(path: Path) -> bytes:
    """Return the key in a file, made at the first start, on the disk before it is used, and readable by its owner alone.

    Processes that share the file and start at the same moment get the same key: a link that one of them signed is good for all.

    Raises:
        StoreUnavailable: it is not there, and the disk does not take it.
    """
    if not path.exists():
        try:
            lock = path.with_name(f".{path.name}.lock").open("wb")
        except OSError as error:
            raise StoreUnavailable(both("store.disk", where=path, error=error.strerror or error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                write_whole(path, secrets.token_bytes(32), point="key")
    return path.read_bytes()


def link_token(key: bytes, task_id: str, purpose: str) -> str:
    """Return the token of a task's link for one message or step (`purpose`); the same arguments give the same token."""
    digest = hmac.new(key, f"{task_id}\x1f{purpose}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
