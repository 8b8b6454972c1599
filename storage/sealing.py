"""Sealing: what holds personal values lies on the disk encrypted with one key (AES-256-GCM, NIST SP 800-38D).

Each sealed text is bound to what it is about, so that it cannot be put in another's place. The key is made at the first start, or
given by the operator in a file that need not lie in the data folder: a copy of the folder without the key then tells no values.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, select

from domain.errors import StoreCorrupt, StoreUnavailable
from domain.messages import both
from storage.database import Database
from storage.dialects import insert_new
from storage.files import write_whole
from storage.tables import meta

SEALING_KEY = "sealing-key"  # its file in the data folder, where the operator names no other
_NONCE = 12  # bytes
_KEY = re.compile(r"[0-9a-f]{64}")
_CHECK = "sealing_check"  # in `meta`: a known text, sealed; it tells a wrong key before anything is sealed with it


class Seal:
    """Seals and opens with one key; safe to use from several threads."""

    def __init__(self, key: bytes) -> None:
        """Take the key, 32 bytes; raises ValueError for another length."""
        if len(key) != 32:
            raise ValueError(f"the sealing key has {len(key)} bytes; it needs 32")
        self._cipher = AESGCM(key)

    def close(self, plain: bytes, about: str) -> bytes:
        """Return `plain` encrypted and bound to `about`: 28 bytes longer, another text each time."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Return what was sealed.

        Raises:
            StoreCorrupt: it was changed, was about something else, or was sealed with another key.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except (InvalidTag, ValueError) as error:
            raise StoreCorrupt(both("sealing.changed", about=about)) from error


def open_seal(database: Database, path: Path, *, make: bool) -> Seal:
    """Return the seal whose key stands in the file `path`; with `make` the key is made where there never was one.

    Raises:
        StoreUnavailable: the file is not there or holds no key, or not the key that the stored values are sealed with: without it
            they are lost, and nobody shall find that out later.
    """
    with database.read() as connection:
        first = _check(connection) is None
        if make and first and not path.exists():
            write_whole(path, os.urandom(32).hex().encode() + b"\n", point="key")
        seal = check_key(connection, path)
    if first:
        with database.write() as connection:
            if not insert_new(connection, meta, {"key": _CHECK, "value": seal.close(b"fengsui", _CHECK).hex()}):
                check_key(connection, path)  # another process started at the same moment; its key has to be this one
    return seal


def check_key(connection: Connection, path: Path) -> Seal:
    """Return the seal whose key stands in `path`, where it is the one that everything was sealed with; writes nothing.

    Raises:
        StoreUnavailable: as `open_seal`.
    """
    try:
        text = path.read_text("ascii").strip().lower()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailable(both("sealing.unreadable", path=path, why=error)) from error
    if _KEY.fullmatch(text) is None:
        raise StoreUnavailable(both("sealing.no_key", path=path))
    seal, check = Seal(bytes.fromhex(text)), _check(connection)
    try:
        if check is not None:
            seal.open(bytes.fromhex(check), _CHECK)
    except StoreCorrupt as error:
        raise StoreUnavailable(both("sealing.foreign", path=path)) from error
    return seal


def _check(connection: Connection) -> str | None:
    """Return the known text as it was sealed at the first start, None before it."""
    return connection.scalar(select(meta.c.value).where(meta.c.key == _CHECK))
