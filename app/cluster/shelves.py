"""Where a worker keeps the snapshots of its partitions: in the database, or in a folder that all workers share.

A state of other software is not taken up: the log gives it anew.
"""

from __future__ import annotations

from pathlib import Path

from app.version import VERSION
from storage import partition_snapshots
from storage.database import Database
from storage.snapshots import Snapshot, SnapshotStore
from storage.tables import from_us, to_us
from streams.runtimes.keeping import Kept


class DatabaseShelf:
    """`streams.runtimes.keeping.PartitionSnapshots` in the database."""

    def __init__(self, database: Database, topic: str, partition: int) -> None:
        """Keep the snapshots of one partition in `database`."""
        self._database = database
        self._place = (topic, partition)

    def save(self, kept: Kept) -> None:
        """Keep a snapshot; raises StoreUnavailable."""
        with self._database.write() as connection:
            stored = partition_snapshots.Stored(kept.offset, kept.received_at, kept.state)
            partition_snapshots.keep(connection, *self._place, VERSION, stored)

    def load(self) -> Kept | None:
        """Return the newest sound snapshot of this version; raises StoreUnavailable."""
        with self._database.read() as connection:
            found = partition_snapshots.newest(connection, *self._place, VERSION)
        return None if found is None else Kept(*found)


class FolderShelf:
    """The same in a folder of one partition: for states that would be too much for the database."""

    def __init__(self, folder: Path) -> None:
        """Keep in `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = SnapshotStore(folder)

    def save(self, kept: Kept) -> None:
        """Keep a snapshot; raises StoreUnavailable."""
        received = None if kept.received_at is None else to_us(kept.received_at)
        state = {"pipeline": kept.state, "offset": kept.offset, "received_at": received}
        self._store.save(Snapshot(position=kept.offset, ruleset="", software=VERSION, state=state))

    def load(self) -> Kept | None:
        """Return the newest sound snapshot of this version."""
        found = self._store.load().snapshot
        if found is None or found.software != VERSION:
            return None
        received = found.state["received_at"]
        return Kept(found.state["offset"], None if received is None else from_us(received), found.state["pipeline"])
