"""Which signals still matter: those inside a window or behind a contribution, and those that wait for their object.

A signal is found by its identity (feed, id) (decision 1). A correction takes over the identity of what it replaces, so a later
revision or withdrawal of either finds what stands now. Whatever no window and no contribution holds any more is forgotten: its
withdrawal then has nothing left to undo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern
from typing import TYPE_CHECKING

from msgspec.structs import replace

from domain.objects import Resolution
from domain.partitions import Place, came_here
from domain.records import MovedEntry, ResolutionEntry, SignalEntry
from streams.stages.packing import Packed, glance, pack, unpack
from streams.stages.windows import to_us

if TYPE_CHECKING:
    from rules.ruleset import By
    from streams.stages.courses import Course
    from streams.stages.fuse import Part, Risk
    from streams.stages.keys import Key

Identity = tuple[str, str]  # (feed, id)


class Live:
    """A signal that counts, with where it counts; `holds` is how many windows and contributions keep it.

    `id` is its own, `also` are the further ids that it answers to. What was kept for longer than a step is packed.
    """

    __slots__ = ("also", "cited", "courses", "feed", "holds", "id", "kept", "keys", "seq", "t")

    def __init__(self, seq: int, kept: Packed, feed: str, id_: str, t: int, also: tuple[str, ...]) -> None:
        self.seq = seq
        self.kept = kept
        self.feed = intern(feed)
        self.id = id_
        self.t = t
        self.also = also
        self.holds = 0
        self.keys: Mapping[By, Key] = {}  # what it counted for
        self.cited: list[tuple[Risk, Part]] | None = None  # contributions it was put behind
        self.courses: list[Course] | None = None  # sequences it is part of, once for each place

    @staticmethod
    def of(seq: int, entry: SignalEntry, also: tuple[str, ...] = ()) -> Live:
        """Return one of a signal that came just now."""
        signal = entry.signal
        return Live(seq, entry, entry.feed, signal.id, to_us(signal.occurred_at), also)

    @property
    def entry(self) -> SignalEntry:
        """The signal; made anew at each call where it is packed."""
        kept = self.kept
        return unpack(kept, self.feed, self.id, self.t) if kept.__class__ is bytes else kept  # type: ignore[return-value]  # quicker than isinstance

    @entry.setter
    def entry(self, entry: SignalEntry) -> None:
        self.kept = entry

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that it answers to, its own first."""
        return (self.id, *self.also)

    def pack(self) -> Packed:
        """Keep the signal as few bytes from here on, and return them."""
        if not isinstance(self.kept, bytes):
            self.kept = pack(self.kept)
        return self.kept

    def glance(self) -> tuple[str, str, str]:
        """Return the signal's source, kind and text."""
        if isinstance(self.kept, bytes):
            return glance(self.kept)
        signal = self.kept.signal
        return signal.source, signal.kind, signal.text


class Ledger:
    """Signals by identity, and the queue of unresolved ones, of at most `waiting_limit` (the oldest are given up and counted)."""

    def __init__(self, waiting_limit: int) -> None:
        self._by_id: dict[str, dict[str, Live]] = {}  # by feed
        self._fresh: list[Live] = []  # kept since `settle`
        self.waiting: dict[int, Live] = {}  # by seq, in order of arrival
        self.waiting_limit = waiting_limit
        self.given_up = 0
        self.heard: dict[int, int] = {}  # the newest number of what another partition told, by that partition

    def __len__(self) -> int:
        """Return how many identities are known."""
        return sum(map(len, self._by_id.values()))

    def named(self, feed: str, id_: str) -> Live | None:
        """Return the signal that answers to an id."""
        own = self._by_id.get(feed)
        return None if own is None else own.get(id_)

    def names(self) -> Iterator[Identity]:
        """Yield all identities."""
        return ((feed, id_) for feed, own in self._by_id.items() for id_ in own)

    def adopt(self, other: Ledger) -> None:
        """Know what another ledger knows."""
        for feed, own in other._by_id.items():
            self._by_id.setdefault(feed, {}).update(own)

    def replaced_by(self, entry: SignalEntry) -> list[Live]:
        """Return the signals that `entry` replaces or withdraws, in order of arrival: its own earlier content and what it corrects."""
        signal = entry.signal
        if not signal.corrects and not signal.withdraws:
            own = self._by_id.get(entry.feed)
            earlier = own.get(signal.id) if own is not None else None
            return [] if earlier is None else [earlier]
        found = {}
        for name in (signal.id, signal.corrects, signal.withdraws):
            live = self.named(entry.feed, name) if name else None
            if live is not None:
                found[live.seq] = live
        return [found[seq] for seq in sorted(found)]

    def also_for(self, entry: SignalEntry, replaced: list[Live]) -> tuple[str, ...]:
        """Return the ids that `entry` answers to beside its own from now on: what it corrects, and those of what it replaces."""
        signal = entry.signal
        ids = {signal.corrects: None} if signal.corrects else {}
        for live in replaced:
            ids.update(dict.fromkeys(live.ids))
        ids.pop(signal.id, None)
        return tuple(ids)

    def meant_by(self, entry: ResolutionEntry, seq: int) -> Live | None:
        """Return the signal that a person spoke of in record `seq`; None where nothing is known of it, or somebody else decides.

        Of several partitions the one that the signal came to decides, alone: it keeps it, also where it counts elsewhere. What it tells
        the others is in one order with what corrects or withdraws the signal, which comes there too.
        """
        known = self.named(entry.feed, entry.signal_id)
        return known if known is None or entry.partition < 0 or came_here(known.seq, seq) else None

    def hear(self, entry: MovedEntry) -> bool:
        """Take note that another partition told something; False where it told this, or something later, before."""
        if entry.number:
            source = Place.of(entry.number).partition
            if entry.number <= self.heard.get(source, 0):
                return False
            self.heard[source] = entry.number
        return True

    def gone_by(self, entry: MovedEntry) -> list[Live]:
        """Return what counts here no more, as another partition says, in order of arrival."""
        found = [self.named(entry.feed, id_) for id_ in entry.gone]
        gone = {live.seq: live for live in found if live is not None and (not entry.before or live.seq < entry.before)}
        return [gone[seq] for seq in sorted(gone)]

    def moved_here(self, entry: MovedEntry) -> Live | None:
        """Return what counts here from now on, as another partition says; None where nothing does, or it does already."""
        if entry.content is None:
            return None
        for id_ in (entry.content.signal.id, *entry.also):
            known = self.named(entry.feed, id_)
            if known is not None and known.seq in self.waiting and known.seq < max(entry.before, entry.content_seq):
                self.forget(known)  # it counted elsewhere
            elif known is not None and known.seq >= entry.content_seq:
                return None
        return Live.of(entry.content_seq, entry.content, entry.also)

    def keep(self, live: Live) -> None:
        """Make `live` findable under its ids."""
        own = self._by_id.get(live.feed)
        if own is None:
            own = self._by_id[live.feed] = {}
        own[live.id] = live
        for id_ in live.also:
            own[id_] = live
        self._fresh.append(live)

    def settle(self) -> None:
        """Pack what was kept since this was done last, and still is."""
        for live in self._fresh:
            if live.holds or live.seq in self.waiting:
                live.pack()
        self._fresh.clear()

    def release(self, live: Live) -> None:
        """One holder let go; the last one makes it forgotten."""
        live.holds -= 1
        if live.holds == 0:
            self.forget(live)

    def forget(self, live: Live) -> None:
        """Drop `live` from the names and from the queue."""
        own = self._by_id.get(live.feed, {})
        for id_ in live.ids:
            if own.get(id_) is live:
                del own[id_]
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
