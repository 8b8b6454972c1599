"""Where a record goes in a cluster, and what number it has there.

All signals of one object share a partition, so that one pipeline sees all of them in order. The hash is CRC-32 of the key's UTF-8, the
same in every process, version and language; the number of partitions is fixed for as long as the log is kept.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

import msgspec

from domain.records import AnyEntry, MovedEntry, RejectionEntry, ResolutionEntry, RulesetEntry, SignalEntry, TickEntry

HASH: Final = "crc32"  # written down with the number of partitions, and compared
# As well: which partitions judge what. 1: all that is about objects where they live (ADR 12); 2: what reads their groups apart (ADR 13).
PLACEMENT: Final = 2
MOST_PARTITIONS: Final = 1 << 10
MOST_OFFSETS: Final = 1 << 40
MOST_IN_FRAME: Final = 1 << 12
OF_A_PARTITION: Final = MOST_OFFSETS * MOST_IN_FRAME  # numbers that each has
IN_GROUPS: Final = 1 << 62  # added to the number of what stands in the topic of groups and nowhere else


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of `key`, from 0.

    >>> [partition_of("obj-1", 24), partition_of("企业甲", 24)]
    [18, 5]
    """
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % partitions


def routing_key(entry: AnyEntry) -> str | None:
    """Return what decides about the partition of `entry`; None for what every partition has to know.

    A signal goes where its object is; one whose object nobody knows goes by its own name, and so does a rejection.
    """
    if isinstance(entry, SignalEntry):
        return entry.resolution.object_id or f"{entry.feed}\0{entry.signal.corrects or entry.signal.withdraws or entry.signal.id}"
    if isinstance(entry, RejectionEntry):
        return f"{entry.feed}\0{entry.batch}\0{entry.position}"
    if isinstance(entry, TickEntry | MovedEntry):
        raise TypeError("the worker that writes it says which partition it belongs to")
    return None


def named_by(entry: AnyEntry) -> int | None:
    """Return the partition that an entry itself is for; None where its key decides, or nothing does.

    An activation that counts back names the record from which on, and each partition has its own.
    """
    return Place.of(entry.prepared.first).partition if isinstance(entry, RulesetEntry) and entry.prepared is not None else None


def elsewhere(entry: ResolutionEntry, seq: int) -> bool:
    """Say whether the object that a person confirmed is of another partition than that of record `seq`, which this is."""
    return entry.partition >= 0 and Place.of(seq).partition != entry.partition


def everywhere(entry: AnyEntry) -> AnyEntry:
    """Return `entry` as partitions of groups are told of it: confirmed, a signal counts for areas, wherever its object is.

    An activation has them count back where it says from which record of every partition on.
    """
    if isinstance(entry, RulesetEntry) and entry.prepared is not None and not entry.prepared.firsts:
        return msgspec.structs.replace(entry, prepared=None)
    return msgspec.structs.replace(entry, partition=-1) if isinstance(entry, ResolutionEntry) else entry


def came_here(number: int, seq: int) -> bool:
    """Say whether record `number` is of the partition of record `seq`, which this is."""
    return Place.of(number).partition == Place.of(seq).partition


class Place(NamedTuple):
    """Where a record stands: partition, offset of its frame in the topic, the how-manieth in the frame; all from 0."""

    partition: int
    offset: int
    nth: int

    def seq(self) -> int:
        """Return the number of the record: unique in the cluster, growing within a partition, below 2^62, never 0.

        >>> Place.of(Place(3, 17, 5).seq())
        Place(partition=3, offset=17, nth=5)
        """
        if not (0 <= self.partition < MOST_PARTITIONS and 0 <= self.offset < MOST_OFFSETS - 1 and 0 <= self.nth < MOST_IN_FRAME):
            raise ValueError(
                f"{self}: at most {MOST_PARTITIONS} partitions, {MOST_OFFSETS - 1} offsets, {MOST_IN_FRAME} records in a frame"
            )
        return (self.partition * MOST_OFFSETS + self.offset + 1) * MOST_IN_FRAME + self.nth

    @classmethod
    def of(cls, seq: int) -> Place:
        """Return the place that `seq` was made of."""
        at, nth = divmod(seq, MOST_IN_FRAME)
        partition, offset = divmod(at, MOST_OFFSETS)
        return cls(partition, offset - 1, nth)
