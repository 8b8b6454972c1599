"""Raw input, kept once by its SHA-256: `<folder>/<feed>/<day>/<hash>`, sealed, for the feed's retention.

The day is that of `received_at` in Asia/Shanghai. The same bytes from the same feed on a later day move to that day, so that they
are kept once and as long as the newest record that names them needs.
"""

from __future__ import annotations

import hashlib
import re
import threading
from datetime import date, datetime
from pathlib import Path

from domain.errors import NotFound, StoreUnavailable
from domain.instants import SHANGHAI
from domain.messages import both
from storage.files import sync_folder, write_whole
from storage.sealing import Seal

_FEED = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HASH = re.compile(r"[0-9a-f]{64}")


def check_feed(feed: str) -> str:
    """Return `feed` if it may name a folder.

    >>> check_feed("hotline-12345")
    'hotline-12345'

    Raises:
        ValueError: it holds anything but lower-case letters, digits, `-` and `_`, or is longer than 64.
    """
    if _FEED.fullmatch(feed) is None:
        raise ValueError(f"feed {feed!r}: legal are 1 to 64 lower-case letters, digits, '-' and '_', the first a letter or digit")
    return feed


class RawStore:
    """The folder of raw input; several threads may use it."""

    def __init__(self, folder: Path, seal: Seal) -> None:
        """Keep under `folder`, which exists, sealed with `seal`: raw input holds personal values in clear."""
        self._folder = folder
        self._seal = seal
        self._lock = threading.Lock()  # two senders of the same bytes: one writes, the other finds them

    def put(self, feed: str, received_at: datetime, data: bytes) -> str:
        """Keep `data` on the disk and return its SHA-256; bytes that are there are not written again.

        Raises:
            ValueError: `feed` is no legal name.
            StoreUnavailable: the disk does not take it; nothing is kept.
        """
        digest = hashlib.sha256(data).hexdigest()
        home = self._folder / check_feed(feed)
        day = home / received_at.astimezone(SHANGHAI).date().isoformat()
        with self._lock:
            try:
                kept = [path for path in self._days(home) if (path / digest).is_file()]
                if any(path >= day for path in kept):
                    return digest
                self._make(home, day)
                if kept:
                    (kept[0] / digest).rename(day / digest)
                    sync_folder(day)
                    sync_folder(kept[0])
                    return digest
            except OSError as error:
                raise StoreUnavailable(both("store.disk", where=day, error=error.strerror or error)) from error
            write_whole(day / digest, self._seal.close(data, digest), point="raw")
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes of this SHA-256, whichever feed they came from.

        Raises:
            NotFound: there are none (any more).
            StoreCorrupt: the file is not what was kept under this hash.
        """
        if _HASH.fullmatch(digest) is None:
            raise NotFound(both("raw.no_digest", given=repr(digest)))
        for path in sorted(self._folder.glob(f"*/*/{digest}")):
            try:
                return self._seal.open(path.read_bytes(), digest)
            except FileNotFoundError:  # retention, or the same bytes again, moved it in between
                continue
        raise NotFound(both("raw.none", digest=digest))

    def feeds(self) -> list[str]:
        """Return every feed of which there is raw input, sorted; one without a mapping (any more) is among them."""
        return sorted(path.name for path in self._folder.iterdir() if _FEED.fullmatch(path.name) and path.is_dir())

    def digests(self) -> list[str]:
        """Return the SHA-256 of everything that is kept, each once, sorted."""
        return sorted({path.name for path in self._folder.glob("*/*/*") if _HASH.fullmatch(path.name)})

    def delete(self, digest: str) -> int:
        """Delete the bytes of this SHA-256, whichever feeds they came from; return how many files went.

        Raises:
            NotFound: this is no SHA-256.
        """
        if _HASH.fullmatch(digest) is None:
            raise NotFound(both("raw.no_digest", given=repr(digest)))
        gone = 0
        with self._lock:
            for path in sorted(self._folder.glob(f"*/*/{digest}")):
                path.unlink(missing_ok=True)
                sync_folder(path.parent)
                gone += 1
        return gone

    def delete_older_than(self, feed: str, day: date) -> int:
        """Delete what `feed` sent before `day` and has not sent again since; return how many files went.

        A folder that somebody else made in there is none of ours and stays.

        Raises:
            StoreUnavailable: some could not be deleted; the others are.
        """
        gone, failed = 0, []
        with self._lock:
            for folder in self._days(self._folder / check_feed(feed)):
                if folder.name >= day.isoformat():
                    break
                for path in [path for path in folder.iterdir() if not path.is_dir()]:
                    try:
                        path.unlink()
                        gone += 1
                    except OSError as error:
                        failed.append(error)
                if not any(folder.iterdir()):
                    folder.rmdir()
        if failed:
            told = both("raw.not_deleted", error=failed[0], count=len(failed), feed=feed)
            raise StoreUnavailable(told) from failed[0]
        return gone

    def _days(self, home: Path) -> list[Path]:
        return sorted(path for path in home.iterdir() if _DAY.fullmatch(path.name) and path.is_dir()) if home.is_dir() else []

    def _make(self, home: Path, day: Path) -> None:
        """Make the folders, on the disk with their names."""
        for folder in (home, day):
            if not folder.is_dir():
                folder.mkdir(mode=0o700)
                sync_folder(folder.parent)
