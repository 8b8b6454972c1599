"""What is deleted when its time is over: everything that holds personal values, each by its feed's retention.

Raw input, the values behind tokens, the bytes of rejected records, and the files that senders left in the watched folder. Signals carry
tokens, so what stays (journal, tables, snapshots) names nobody. A feed's mapping says how long; a feed without one has the setting's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from connectors.inbound.folder import DONE, FAILED, REJECTIONS
from domain.instants import SHANGHAI
from domain.ports import Clock
from storage.raw import RawStore
from storage.vault import Vault

log = structlog.get_logger(__name__)


class Retention:
    """Looks once an hour; a day's input goes when the whole day is older than its feed's retention."""

    def __init__(
        self, raw: RawStore, vault: Vault, inbox: Path, retention: Callable[[str], timedelta], clock: Clock, *, done: timedelta
    ) -> None:
        """`retention` says how long a feed's input is kept, `done` how long a file that was taken lies in the watched folder at most."""
        self._raw = raw
        self._vault = vault
        self._inbox = inbox
        self._retention = retention
        self._clock = clock
        self._done = done

    def enforce(self) -> int:
        """Delete what is over and return how many inputs, values, rejected records and files that were.

        Raises:
            StoreUnavailable: the disk does not take it; the next look tries again.
        """
        now = self._clock.now()
        today, gone = now.astimezone(SHANGHAI).date(), 0
        for feed in self._raw.feeds():
            older_than = today - self._retention(feed)
            deleted = self._raw.delete_older_than(feed, older_than)
            if deleted:
                log.info("raw.deleted", feed=feed, inputs=deleted, older_than=str(older_than))
            gone += deleted
        values, rejected = self._vault.expire(now)
        if values or rejected:
            log.info("personal.expired", values=values, rejected=rejected)
        return gone + values + rejected + self._sweep(now)

    def _sweep(self, now: datetime) -> int:
        """Delete files that were taken or set aside, by the time at which they were moved there."""
        gone = 0
        for folder in sorted(path for name in (DONE, FAILED) for path in self._inbox.glob(f"*/{name}") if path.is_dir()):
            whole = self._retention(folder.parent.name)
            for path in folder.iterdir():
                is_original = folder.name == DONE and not path.name.endswith(REJECTIONS)
                kept = min(self._done, whole) if is_original else whole  # the raw store has the original, by its hash
                if path.is_file() and now - datetime.fromtimestamp(path.lstat().st_ctime, UTC) >= kept:
                    path.unlink(missing_ok=True)
                    log.info("feed_file_deleted", feed=folder.parent.name, file=path.name)
                    gone += 1
        return gone
