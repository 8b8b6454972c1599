"""What partitions of groups need of a partition of objects: each signal that counts, for the areas it lies in.

All signals of an area go there, also those that no indicator about areas selects: at each of them the rules of the area are read, its
windows move on, and what is true is true anew. A signal that replaces or withdraws another one goes to all partitions, since the other
one may have counted in another area; whoever knows it undoes it, and it counts in the areas that are one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from domain.records import AnyEntry, MovedEntry, SignalEntry
from streams.stages.groups import area_name
from streams.stages.ledger import Live


class Noted(NamedTuple):
    """An entry to be passed on to whoever has one of these areas; None: to all."""

    seq: int
    entry: AnyEntry
    areas: tuple[str, ...] | None


class Passage:
    """Notes signals as a pipeline takes them in, for areas, and for partitions of other objects that corrections speak of.

    `digits_of` says of a rule set's version which areas there are rules about; `home_of` gives the partition of an object, `mine` is ours.
    """

    def __init__(self, digits_of: Callable[[str], Sequence[int]], home_of: Callable[[str], int], mine: int) -> None:
        self._digits_of = digits_of
        self._home_of = home_of
        self._mine = mine
        self._noted: list[Noted] = []
        self._moved: list[tuple[int, MovedEntry]] = []
        self.digits: Sequence[int] = ()

    def away(self, entry: SignalEntry) -> bool:
        """Tell whether the object of a signal is of another partition."""
        about = entry.resolution.object_id
        return bool(about) and self._home_of(about) != self._mine

    def move(self, seq: int, live: Live | None, gone: Iterable[Live]) -> None:
        """Tell the partitions of the signals `gone`, of smaller numbers than `seq`, that these count no more, and that of `live`'s object,
        that it does; one partition is told both at once.
        """  # noqa: D205  # one sentence reads best here
        told: dict[int, MovedEntry] = {}
        for before in gone:
            home = self._home_of(before.entry.resolution.object_id)
            known = told.get(home, MovedEntry(feed=before.entry.feed, gone=(), before=seq))
            told[home] = replace(known, gone=tuple(dict.fromkeys((*known.gone, *_ids(before)))))
        if live is not None:
            entry, home = live.entry, self._home_of(live.entry.resolution.object_id)
            also = tuple(one for one in _ids(live) if one != entry.signal.id)
            known = told.get(home, MovedEntry(feed=entry.feed, gone=(), before=seq))
            told[home] = replace(known, content=entry, content_seq=live.seq, also=also)
        self._moved.extend(told.items())

    def take_moved(self) -> list[tuple[int, MovedEntry]]:
        """Return what is to be told to other partitions, since the last call, in order."""
        moved, self._moved = self._moved, []
        return moved

    def activate(self, version: str) -> None:
        """Pass on what the rules of `version` need from here on."""
        self.digits = self._digits_of(version)

    def note(self, seq: int, entry: SignalEntry, region: str, *, everywhere: bool) -> None:
        """Note a signal in `region`, with the object that it counts for."""
        if not self.digits:
            return
        if everywhere:
            self._noted.append(Noted(seq, entry, None))
            return
        areas = tuple(area_name(region, digits) for digits in self.digits if len(region) >= digits)
        if areas and entry.resolution.object_id:
            self._noted.append(Noted(seq, entry, areas))

    def take(self) -> list[Noted]:
        """Return what was noted since the last call, in order."""
        noted, self._noted = self._noted, []
        return noted


def _ids(live: Live) -> tuple[str, ...]:
    """Return the ids that a signal answers to."""
    return tuple(id_ for _, id_ in live.names)
