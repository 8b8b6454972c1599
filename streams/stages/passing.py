"""What partitions of groups need of a partition of objects: each signal that counts, for the areas it lies in.

All signals of an area go there, also those that no indicator about areas selects: at each of them the rules of the area are read, its
windows move on, and what is true is true anew. A signal that replaces or withdraws another one goes to all partitions, since the other
one may have counted in another area; whoever knows it undoes it, and it counts in the areas that are one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from domain.records import AnyEntry, SignalEntry
from streams.stages.groups import area_name


class Noted(NamedTuple):
    """An entry to be passed on to whoever has one of these areas; None: to all."""

    seq: int
    entry: AnyEntry
    areas: tuple[str, ...] | None


class Passage:
    """Notes signals as a pipeline takes them in; `digits_of` says of a rule set's version which areas there are rules about."""

    def __init__(self, digits_of: Callable[[str], Sequence[int]]) -> None:
        self._digits_of = digits_of
        self._noted: list[Noted] = []
        self.digits: Sequence[int] = ()

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
