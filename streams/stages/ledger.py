"""Which signals still matter: those inside a window or behind a contribution, and those that wait for their object.

A signal is found by its identity (feed, id) (decision 1). A correction takes over the identity of what it replaces, so a later
revision or withdrawal of either finds what stands now. Whatever no window and no contribution holds any more is forgotten: its
withdrawal then has nothing left to undo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from domain.objects import Resolution
from domain.partitions import came_here, elsewhere
from domain.records import MovedEntry, ResolutionEntry, SignalEntry
from streams.stages.windows import to_us

if TYPE_CHECKING:
    from rules.ruleset import By
    from streams.stages.cells import Cell
    from streams.stages.courses import Course
    from streams.stages.fuse import Part, Risk
    from streams.stages.indicators import Key

Identity = tuple[str, str]  # (feed, id)


class Live:
    """A signal that counts, with where it counts; `holds` is how many windows and contributions keep it."""

    __slots__ = ("cited", "courses", "entry", "holds", "keys", "names", "places", "seq", "t")

    def __init__(self, seq: int, entry: SignalEntry, names: tuple[Identity, ...]) -> None:
        self.seq = seq
        self.entry = entry
        self.t = to_us(entry.signal.occurred_at)
        self.names = names
        self.holds = 0
        self.keys: Mapping[By, Key] = {}  # what it counted for
        self.places: list[Cell] = []  # windows it was put into
        self.cited: list[tuple[Risk, Part]] | None = None  # contributions it was put behind
        self.courses: list[Course] | None = None  # sequences it is part of, once for each place


class Ledger:
    """Signals by identity, and the queue of unresolved ones, of at most `waiting_limit` (the oldest are given up and counted)."""

    def __init__(self, waiting_limit: int) -> None:
        self.by_name: dict[Identity, Live] = {}
        self.waiting: dict[int, Live] = {}  # by seq, in order of arrival
        self.waiting_limit = waiting_limit
        self.given_up = 0

    def replaced_by(self, entry: SignalEntry) -> list[Live]:
        """Return the signals that `entry` replaces or withdraws, in order of arrival: its own earlier content and what it corrects."""
        signal = entry.signal
        if not signal.corrects and not signal.withdraws:
            earlier = self.by_name.get((entry.feed, signal.id))
            return [] if earlier is None else [earlier]
        found = {}
        for name in (signal.id, signal.corrects, signal.withdraws):
            live = self.by_name.get((entry.feed, name)) if name else None
            if live is not None:
                found[live.seq] = live
        return [found[seq] for seq in sorted(found)]

    def names_for(self, entry: SignalEntry, replaced: list[Live]) -> tuple[Identity, ...]:
        """Return the identities that `entry` answers to from now on: its own, what it corrects, and those of what it replaces."""
        signal = entry.signal
        names = {(entry.feed, signal.id): None}
        if signal.corrects:
            names[entry.feed, signal.corrects] = None
        for live in replaced:
            names.update(dict.fromkeys(live.names))
        return tuple(names)

    def meant_by(self, entry: ResolutionEntry, seq: int) -> Live | None:
        """Return the signal that a person spoke of in record `seq`; where it came to another partition, that which the record holds.

        It is kept where it came in too, also where it counts elsewhere: what corrects or withdraws it comes there.
        """
        name = (entry.feed, entry.signal_id)
        known = self.by_name.get(name)
        if entry.content is None or not entry.object_id:
            return known
        if known is not None:
            outdated = known.seq in self.waiting and known.seq < entry.content_seq and not came_here(known.seq, seq)
            if entry.partition < 0 or not outdated:
                return known
            self.forget(known)
        elif elsewhere(entry, seq) and not came_here(entry.content_seq, seq):
            return None
        found = Live(entry.content_seq, resolved(entry.content, ""), (name,))
        self.wait(found)
        return found

    def gone_by(self, entry: MovedEntry) -> list[Live]:
        """Return what counts here no more, as another partition says, in order of arrival."""
        found = [self.by_name.get((entry.feed, id_)) for id_ in entry.gone]
        gone = {live.seq: live for live in found if live is not None and (not entry.before or live.seq < entry.before)}
        return [gone[seq] for seq in sorted(gone)]

    def moved_here(self, entry: MovedEntry) -> Live | None:
        """Return what counts here from now on, as another partition says; None where nothing does, or it does already."""
        if entry.content is None:
            return None
        names = tuple((entry.feed, id_) for id_ in (entry.content.signal.id, *entry.also))
        for name in names:
            known = self.by_name.get(name)
            if known is not None and known.seq in self.waiting and known.seq < max(entry.before, entry.content_seq):
                self.forget(known)  # it counted elsewhere
            elif known is not None and known.seq >= entry.content_seq:
                return None
        return Live(entry.content_seq, entry.content, names)

    def keep(self, live: Live) -> None:
        """Make `live` findable under its names."""
        for name in live.names:
            self.by_name[name] = live

    def release(self, live: Live) -> None:
        """One holder let go; the last one makes it forgotten."""
        live.holds -= 1
        if live.holds == 0:
            self.forget(live)

    def forget(self, live: Live) -> None:
        """Drop `live` from the names and from the queue."""
        by_name = self.by_name
        for name in live.names:
            if by_name.get(name) is live:
                del by_name[name]
        self.waiting.pop(live.seq, None)

    def wait(self, live: Live) -> None:
        """Put an unresolved signal in the queue; the oldest leaves where the queue is full."""
        self.waiting[live.seq] = live
        self.keep(live)
        if len(self.waiting) > self.waiting_limit:
            self.forget(next(iter(self.waiting.values())))
            self.given_up += 1


def resolved(entry: SignalEntry, object_id: str) -> SignalEntry:
    """Return `entry` as a person confirmed it to be about `object_id`; with "" it counts nowhere and is kept for a later decision."""
    found = Resolution(object_id=object_id, method="confirmed", confidence=1.0) if object_id else Resolution()
    return replace(entry, resolution=replace(found, registry_version=entry.resolution.registry_version))


def inherit(entry: SignalEntry, replaced: list[Live]) -> SignalEntry:
    """Return `entry` with the object that a person confirmed for the content it replaces, if it comes without one."""
    if entry.resolution.object_id:
        return entry
    for live in reversed(replaced):
        if live.entry.resolution.method == "confirmed":
            return resolved(entry, live.entry.resolution.object_id)
    return entry
