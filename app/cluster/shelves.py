"""Where a worker keeps the snapshots of its partitions: in the database, or in a folder that all workers share.

A state of other software is not taken up: the log gives it anew.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from app import version
from domain.packed import PackedState
from storage import partition_snapshots
from storage.database import Database
from storage.snapshots import Snapshot, SnapshotStore, sound_snapshots
from storage.tables import from_us, to_us
from streams.runtimes.keeping import Kept, PartitionSnapshots
from streams.stages.snapshot import VERSION as FORMAT

VERSION: Final = f"{version.VERSION}/{FORMAT}"  # which states are taken up


def shelf_of(folder: Path | None, database: Database, topic: str, partition: int) -> PartitionSnapshots:
    """Return where a partition's snapshots are kept: below `folder`, None in the database."""
    return DatabaseShelf(database, topic, partition) if folder is None else FolderShelf(folder / f"{topic}-{partition}")


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

    def newest(self) -> int | None:
        """Return the offset of the newest snapshot of this version; raises StoreUnavailable."""
        with self._database.read() as connection:
            return next(iter(partition_snapshots.offsets(connection, *self._place, VERSION)), None)


class FolderShelf:
    """The same in a folder of one partition: for states that would be too much for the database."""

    def __init__(self, folder: Path) -> None:
        """Keep in `folder`, which is made where it is missing."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = SnapshotStore(folder)

    def save(self, kept: Kept) -> None:
        """Keep a snapshot; raises StoreUnavailable."""
        received = None if kept.received_at is None else to_us(kept.received_at)
        state = {"pieces": list(kept.state.pieces), "size": len(kept.state), "offset": kept.offset, "received_at": received}
        self._store.save(Snapshot(position=kept.offset, ruleset="", software=VERSION, state=state))

    def load(self) -> Kept | None:
        """Return the newest sound snapshot of this version."""
        found = self._store.load().snapshot
        return None if found is None or found.software != VERSION else _kept(found)

    def newest(self) -> int | None:
        """Return the offset of the newest snapshot of any version: which one made it stands in the file, which may be large."""
        return self._store.newest()


class PastShelf:
    """What was kept of a partition, for a question about the instant `at` (None: the newest); nothing is kept there."""

    def __init__(self, folder: Path | None, database: Database, topic: str, partition: int, at: datetime | None) -> None:
        """Look where `shelf_of` keeps."""
        self._folder = folder
        self._database = database
        self._place = (topic, partition)
        self._at = at

    def save(self, kept: Kept) -> None:
        """Keep nothing."""

    def load(self) -> Kept | None:
        """Return the newest sound snapshot of this version that is not of later than the instant; raises StoreUnavailable."""
        if self._folder is None:
            with self._database.read() as connection:
                found = partition_snapshots.newest(connection, *self._place, VERSION, self._at)
            return None if found is None else Kept(*found)
        kept = (_kept(each) for each in sound_snapshots(self._folder / "{}-{}".format(*self._place)) if each.software == VERSION)
        return next((each for each in kept if self._at is None or (each.received_at is not None and each.received_at <= self._at)), None)

    def newest(self) -> int | None:
        """Return the offset of what `load` would; raises StoreUnavailable."""
        found = self.load()
        return None if found is None else found.offset


def _kept(found: Snapshot) -> Kept:
    received = found.state["received_at"]
    state = PackedState(found.state["pieces"], found.state["size"])
    return Kept(found.state["offset"], None if received is None else from_us(received), state)
