"""What is deleted when its time is over: everything that holds personal values, each by its feed's retention.

Raw input, the values behind tokens, the bytes of rejected records, and the files that senders left in the watched folder. Signals carry
tokens, so what stays of them (journal, tables, snapshots) names nobody as far as mappings and numbers go; what else may, SECURITY.md
says. A feed's mapping says how long; a feed without one has the setting's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from connectors.inbound.folder import DONE, FAILED, REJECTIONS
from domain.errors import FengsuiError, StoreUnavailable
from domain.instants import SHANGHAI
from domain.messages import both
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

        What cannot be deleted keeps nothing else from being deleted.

        Raises:
            StoreUnavailable: some of it could not be deleted; the next look tries again.
        """
        now = self._clock.now()
        gone, failed = 0, []
        for step in self._steps(now):
            try:
                gone += step()
            except (FengsuiError, OSError) as error:
                failed.append(error)
        if failed:
            raise StoreUnavailable(both("retention.failed", count=len(failed), first=str(failed[0]))) from failed[0]
        return gone

    def _steps(self, now: datetime) -> Iterator[Callable[[], int]]:
        """Yield every deletion by itself, first the one that no folder can disturb."""
        yield partial(self._expire, now)
        for feed in self._raw.feeds():
            yield partial(self._drop_inputs, feed, now)
        for path in sorted(path for name in (DONE, FAILED) for path in self._inbox.glob(f"*/{name}/*")):
            yield partial(self._sweep, path, now)

    def _expire(self, now: datetime) -> int:
        """Erase values and rejected records, and what earlier erasures left in the write-ahead log."""
        values, rejected = self._vault.expire(now)
        if values or rejected:
            log.info("personal.expired", values=values, rejected=rejected)
        self._vault.cut()
        return values + rejected

    def _drop_inputs(self, feed: str, now: datetime) -> int:
        older_than = now.astimezone(SHANGHAI).date() - self._retention(feed)
        deleted = self._raw.delete_older_than(feed, older_than)
        if deleted:
            log.info("raw.deleted", feed=feed, inputs=deleted, older_than=str(older_than))
        return deleted

    def _sweep(self, path: Path, now: datetime) -> int:
        """Delete a file that was taken or set aside, by the time at which it was moved there."""
        feed, is_original = path.parent.parent.name, path.parent.name == DONE and not path.name.endswith(REJECTIONS)
        whole = self._retention(feed)
        kept = min(self._done, whole) if is_original else whole  # the raw store has the original, by its hash
        if not path.is_file() or now - datetime.fromtimestamp(path.lstat().st_ctime, UTC) < kept:
            return 0
        path.unlink(missing_ok=True)
        log.info("feed_file_deleted", feed=feed, file=path.name)
        return 1
