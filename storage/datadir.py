"""The data folder: its layout, its owner, and the lock that lets one `serve` use it at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from domain.errors import StoreUnavailable
from domain.messages import both

# File systems on which locks or syncs do not mean what the journal and SQLite need (https://www.sqlite.org/howtocorrupt.html §2.1).
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse.glusterfs", "afs", "ncpfs"})


class DataPaths(msgspec.Struct, frozen=True):
    """Where things lie under the data folder `top`; commands that only read need no more."""

    top: Path

    @property
    def journal(self) -> Path:
        """Segments of the journal."""
        return self.top / "journal"

    @property
    def raw(self) -> Path:
        """Raw input by feed, day and hash."""
        return self.top / "raw"

    @property
    def snapshots(self) -> Path:
        """State of the pipeline."""
        return self.top / "snapshots"

    @property
    def backfill(self) -> Path:
        """Back-fills of new indicators."""
        return self.top / "backfill"

    @property
    def database(self) -> Path:
        """The SQLite database."""
        return self.top / "fengsui.db"

    @property
    def identity(self) -> Path:
        """The derived index of identities."""
        return self.top / "identity.db"

    @property
    def lock(self) -> Path:
        """The lock file; it holds the id of the process that has it."""
        return self.top / "lock"


class DataDir:
    """The data folder in exclusive use, from construction to `close`; made with mode 0700 where it is missing."""

    def __init__(self, top: Path) -> None:
        """Make what is missing and take the lock.

        Raises:
            StoreUnavailable: another process uses the folder, it lies on a network file system, or it cannot be made.
        """
        self.paths = DataPaths(top.absolute())
        try:
            for folder in (top, self.paths.journal, self.paths.raw, self.paths.snapshots):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
            kind = file_system(self.paths.top.resolve(), Path("/proc/self/mounts").read_text(encoding="utf-8"))
            if kind in NETWORK:
                raise StoreUnavailable(both("store.network", top=top, kind=kind))
            self._lock = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(both("store.rights", where=error.filename or top, error=error.strerror or error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._lock, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise StoreUnavailable(both("store.in_use", top=top, holder=holder)) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Give the lock back; the system does so too when the process dies."""
        os.ftruncate(self._lock, 0)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def file_system(path: Path, mounts: str) -> str:
    r"""Return the type of the file system that holds `path` (no links in it), given the text of /proc/self/mounts; "" if none does.

    >>> file_system(Path("/data/a"), "/dev/vda / ext4 rw 0 0\nhost:/x /data nfs4 rw 0 0\n")
    'nfs4'
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        _, where, what, *_ = line.split()
        point = Path(where.replace("\\040", " "))
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), what
    return kind
