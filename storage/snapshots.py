"""Snapshots of the pipeline's state: whole or not at all, checked when read, the newest two kept.

`<applied seq, 20 digits>.snap`: 8 bytes magic, u32 length and u32 crc32 of the header, the header (msgpack), the state (msgpack). The
header holds the crc32 and length of the state.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from domain.errors import StoreCorrupt
from domain.messages import both
from storage.files import sync_folder, write_whole

_log = structlog.get_logger(__name__)

KEEP = 2
_MAGIC = b"FSSNAP01"
_LEAD = struct.Struct("<8sII")


class _Header(msgspec.Struct, frozen=True):
    position: int
    ruleset: str
    software: str
    length: int
    crc: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state after record `position`, made by version `software` under the rule set `ruleset`."""

    position: int
    ruleset: str
    software: str
    state: Mapping[str, Any]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What `load` found: the newest sound snapshot, None for a full replay, and what is wrong with the newer ones."""

    snapshot: Snapshot | None
    damaged: tuple[str, ...] = ()


class SnapshotStore:
    """The folder of snapshots; one thread saves."""

    def __init__(self, folder: Path) -> None:
        """Keep under `folder`, which exists; what a killed save left half done is cleared away."""
        self._folder = folder
        for unfinished in folder.glob(".*.tmp"):
            unfinished.unlink()

    def save(self, snapshot: Snapshot) -> Path:
        """Put `snapshot` on the disk, then delete all but the newest two.

        Raises:
            StoreUnavailable: the disk does not take it; the earlier ones stand as they were.
        """
        state = msgspec.msgpack.encode(snapshot.state)
        header = msgspec.msgpack.encode(_Header(snapshot.position, snapshot.ruleset, snapshot.software, len(state), zlib.crc32(state)))
        path = self._folder / f"{snapshot.position:020d}.snap"
        write_whole(path, _LEAD.pack(_MAGIC, len(header), zlib.crc32(header)) + header + state, point="snapshot")
        for old in self._paths()[KEEP:]:
            old.unlink()
        sync_folder(self._folder)
        return path

    def load(self) -> Loaded:
        """Return the newest sound snapshot; a damaged one is passed over, reported and left for inspection."""
        damaged: list[str] = []
        snapshot = None
        for path in self._paths():
            try:
                snapshot = _read(path)
                break
            except StoreCorrupt as error:
                damaged.append(str(error))
        if damaged:
            goes_on = f"the snapshot at {snapshot.position}" if snapshot else "a full replay of the journal"
            _log.error("snapshot_damaged", damaged=damaged, goes_on_with=goes_on)
        return Loaded(snapshot=snapshot, damaged=tuple(damaged))

    def newest(self) -> int | None:
        """Return the position of the newest snapshot, sound or not, None for none."""
        return next((int(path.stem) for path in self._paths()), None)

    def forgettable(self, software: str) -> int:
        """Return the position up to which the journal may be forgotten: the older of two sound snapshots of `software`, 0 with fewer."""
        sound: list[int] = []
        for path in self._paths():
            try:
                snapshot = _read(path)
                sound += [snapshot.position] if snapshot.software == software else []
            except StoreCorrupt as error:
                _log.warning("snapshot_damaged", damaged=[str(error)], goes_on_with="a longer journal")
        return sound[-1] if len(sound) >= KEEP else 0

    def _paths(self) -> list[Path]:
        return _paths_of(self._folder)


def _paths_of(folder: Path) -> list[Path]:
    """Return the snapshots, newest first."""
    return sorted((path for path in folder.glob("*.snap") if path.stem.isdecimal()), reverse=True)


def sound_snapshots(folder: Path) -> Iterator[Snapshot]:
    """Yield the sound snapshots of a folder that another process may be writing, newest first."""
    for path in _paths_of(folder):
        try:
            yield _read(path)
        except (StoreCorrupt, FileNotFoundError) as error:  # damaged, or deleted meanwhile for a newer one
            _log.warning("snapshot_passed_over", file=str(path), reason=str(error))


def _read(path: Path) -> Snapshot:
    """Return the snapshot in `path`; raises StoreCorrupt unless every byte is as it was written."""
    data = path.read_bytes()
    try:
        magic, length, crc = _LEAD.unpack_from(data)
        header_bytes = data[_LEAD.size : _LEAD.size + length]
        if magic != _MAGIC or zlib.crc32(header_bytes) != crc:
            raise StoreCorrupt(both("snapshot.header_damaged", path=path))
        header = msgspec.msgpack.decode(header_bytes, type=_Header)
        body = memoryview(data)[_LEAD.size + length :]
        if len(body) != header.length or zlib.crc32(body) != header.crc:
            raise StoreCorrupt(both("snapshot.state_damaged", path=path))
        state = msgspec.msgpack.decode(body, type=dict[str, Any])
    except (struct.error, msgspec.MsgspecError) as error:
        raise StoreCorrupt(both("snapshot.unreadable", path=path, error=error)) from error
    return Snapshot(position=header.position, ruleset=header.ruleset, software=header.software, state=state)
