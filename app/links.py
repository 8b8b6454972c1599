"""One-time links: a signed address that lets a department answer one task once, without any integration.

The token is an HMAC over what it is for, so that every attempt of a message brings the same link although only its fingerprint is
stored. A link names a task and a department, it proves no person: the page asks who acts and records it as a claim.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from storage.files import write_whole

TOKEN_LENGTH = 43  # characters: 256 bits in base64 without padding


def load_or_make_key(path: Path) -> bytes:
    """Return the key in a file, made at the first start, on the disk before it is used, and readable by its owner alone."""
    if not path.exists():
        write_whole(path, secrets.token_bytes(32), point="key")
    return path.read_bytes()


def link_token(key: bytes, task_id: str, purpose: str) -> str:
    """Return the token of a task's link for one message or step (`purpose`); the same arguments give the same token."""
    digest = hmac.new(key, f"{task_id}\x1f{purpose}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
