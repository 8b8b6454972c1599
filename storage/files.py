"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from domain.errors import StoreUnavailable
from domain.messages import both
from storage.crashpoints import reach


def sync_folder(folder: Path) -> None:
    """Put the names in `folder` on the disk: a created or renamed file is lost with its name otherwise.

    Raises:
        OSError: the disk does not take it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_fully(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`; one call of the system may write less.

    Raises:
        OSError: the disk does not take it; some of `data` may be written.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def write_whole(path: Path, data: bytes, *, point: str, sync: Callable[[int], None] = os.fsync) -> None:
    """Write `data` under a temporary name, sync, rename to `path`, sync the folder; mode 0600.

    `point` is the prefix of the crash points before and after the rename. A failed try leaves nothing behind: the next one writes
    new pages, so a sync that failed is never followed by one that only seems to work.

    Raises:
        StoreUnavailable: the disk does not take it; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_fully(descriptor, data, 0)
            sync(descriptor)
        finally:
            os.close(descriptor)
        reach(f"{point}.before_rename")
        temporary.rename(path)
        reach(f"{point}.after_rename")
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreUnavailable(both("store.disk", where=path, error=error.strerror or error)) from error
