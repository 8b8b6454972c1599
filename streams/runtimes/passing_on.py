"""What a partition of the frames tells the partitions of groups about one frame: a letter to each whom it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from domain.frames import Frame, Passed, Passing, encode
from domain.partitions import everywhere
from domain.ports import Letter, Offer
from domain.records import CatalogueEntry, FeedEntry, MovedEntry, ObjectsEntry, OutcomeEntry, Record, ResolutionEntry, RulesetEntry
from streams.stages.passing import Noted

# What is in every partition: the first one passes it on.
FOR_ALL: Final = (RulesetEntry, ObjectsEntry, CatalogueEntry, OutcomeEntry, FeedEntry, ResolutionEntry)


def known_to_all(records: Sequence[Record], aside: Sequence[int]) -> list[Noted]:
    """Return what of a frame is in every partition, but for what was set aside."""
    return [Noted(each.seq, everywhere(each.entry), None) for each in records if isinstance(each.entry, FOR_ALL) and each.seq not in aside]


def letters(source: int, offset: int, received_at: datetime, noted: Sequence[Noted], groups: int, *, to_all: bool) -> list[Letter]:
    """Return the letters for what was noted at a frame, in the order of the numbers; `to_all` tells everybody the time at least."""
    told: dict[int, list[Passed]] = {group: [] for group in range(groups)} if to_all else {}
    for seq, entry, to in sorted(noted, key=lambda each: each.seq):
        for group in range(groups) if to is None else to:
            told.setdefault(group, []).append(Passed(seq=seq, entry=entry))
    return [
        Letter(
            to="groups",
            partition=group,
            body=encode(Passing(source=source, offset=offset, received_at=received_at, records=tuple(passed))),
        )
        for group, passed in sorted(told.items())
    ]


def moved(home: int, entry: MovedEntry, received_at: datetime, source: int) -> Letter:
    """Return the letter to the partition of an object that a correction in another one speaks of: a frame of its own."""
    frame = Frame(received_at=received_at, offers=(Offer(entry=entry),), by=f"partition {source}")
    return Letter(to="frames", partition=home, body=encode(frame))
