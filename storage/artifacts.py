"""Artifacts: what was worked out beside the running service, named by its content, whole or not there at all.

`<sha256>.fill`: 8 bytes magic, then frames of u32 length and bytes. The name is the SHA-256 of the file, so that what is read is what was
written. Nothing depends on a file being there: what it holds follows from the journal.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from domain.errors import StoreUnavailable
from domain.messages import both
from storage.files import sync_folder

_log = structlog.get_logger(__name__)
_MAGIC = b"FSFILL01"
_LENGTH = struct.Struct("<I")
_BLOCK = 1 << 20


class ArtifactStore:
    """The folder of artifacts; any process may read and write it."""

    def __init__(self, folder: Path) -> None:
        """Keep under `folder`, which is made with the first artifact."""
        self._folder = folder

    def put(self, frames: Iterable[bytes]) -> str:
        """Write an artifact and return its name.

        Raises:
            StoreUnavailable: the disk does not take it; nothing is left behind.
        """
        temporary = self._folder / f".{os.getpid()}.tmp"
        digest = hashlib.sha256(_MAGIC)
        try:
            self._folder.mkdir(exist_ok=True, mode=0o700)
            with temporary.open("wb") as file:
                file.write(_MAGIC)
                for frame in frames:
                    for part in (_LENGTH.pack(len(frame)), frame):
                        digest.update(part)
                        file.write(part)
                file.flush()
                os.fsync(file.fileno())
            name = digest.hexdigest()
            temporary.rename(self._path(name))
            sync_folder(self._folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StoreUnavailable(both("store.disk", where=self._folder, error=error.strerror or error)) from error
        return name

    def frames(self, name: str) -> Iterator[bytes] | None:
        """Return the frames of an artifact in order, None where it is missing or damaged (said in the log)."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            _log.warning("artifact_missing", name=name, goes_on_with="the journal")
            return None
        if hashlib.sha256(data).hexdigest() != name or not data.startswith(_MAGIC):
            _log.error("artifact_damaged", file=str(path), goes_on_with="the journal")
            return None
        return _split(data)

    def clear(self, before: float) -> int:
        """Delete what was written earlier than `before` (seconds since the epoch), and what killed writers left; nobody may be writing.

        Return how many files went.
        """
        gone = [path for path in self._folder.glob("*.fill") if path.stat().st_mtime < before] + list(self._folder.glob(".*.tmp"))
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.fill"


def _split(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    at = len(_MAGIC)
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        yield bytes(view[at : at + length])
        at += length
