"""What partitions of groups need of a partition of objects: each signal that counts there, and no other.

All signals of an area go where the area is, also those that no indicator about areas selects: at each of them the rules of the area are
read, its windows move on, and what is true is true anew. For the same reason all signals of an object go to the partition of groups that
has the object's number, where there are rules about objects that read more than the object's own. What counts in the windows that these
read goes to all partitions. A signal that replaces or withdraws another one does so too, since the other one may have counted anywhere;
whoever knows it undoes it, and it counts where that is one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from domain.objects import RegulatedObject
from domain.partitions import Place
from domain.records import AnyEntry, MovedEntry, SignalEntry
from rules.facts import Facts
from rules.ruleset import By, Indicator
from rules.spread import Spread
from streams.stages.groups import PARENT, area_name, group_at
from streams.stages.ledger import Live
from streams.stages.plans import Plan
from streams.stages.selecting import Selector, combination_of


class Noted(NamedTuple):
    """An entry to be passed on to these partitions of groups, ascending; None: to all."""

    seq: int
    entry: AnyEntry
    to: tuple[int, ...] | None


class Windows:
    """The windows that all partitions of groups keep for their objects: which signals they need of others' objects.

    A window that follows the time of its group moves at any signal of the group, so such signals go to all partitions that have an object
    of it: for a parent these are known from the registry, for any other kind it is all of them.
    """

    def __init__(self, indicators: Sequence[Indicator], home_of: Callable[[str], int]) -> None:
        self._home_of = home_of
        self._selector = Selector(Plan(each, None) for each in indicators)
        follow: dict[By, None] = dict.fromkeys(each.by for each in indicators if each.as_of == "object")
        self._parents = follow.pop("parent", False) is None
        self._follow = tuple(follow)

    def of_all(self, facts: Facts, region: str) -> bool:
        """Tell whether a signal counts in a window that all keep, or moves one on."""
        kinds = [*self._follow, *(plan.by for plan in self._selector.select(combination_of(facts), facts))]
        return any(group_at(by, facts.entry, facts.object, region) for by in kinds)

    def also(self, about: str, thing: RegulatedObject | None, members: dict[str, set[int]]) -> set[int]:
        """Return further partitions of which a signal moves windows on; `members` says where the objects of a parent are."""
        if not self._parents:
            return set()
        parent = parent_of(thing) or about
        return {self._home_of(parent), *members.get(parent, ())}


class Passage:
    """Notes signals as a pipeline takes them in, for partitions of groups, and for partitions of other objects that corrections speak of.

    `spread_of` says how the rule set of a version is spread; `home_of` gives the partition of an object or an area, `mine` is ours.
    """

    def __init__(self, spread_of: Callable[[str], Spread], home_of: Callable[[str], int], mine: int) -> None:
        self._spread_of = spread_of
        self._home_of = home_of
        self._mine = mine
        self._noted: list[Noted] = []
        self._moved: list[tuple[int, MovedEntry]] = []
        self._digits: Sequence[int] = ()
        self._windows: Windows | None = None  # None: partitions of groups need nothing of others' objects
        self._at_home = False  # whether the rules about some objects are judged by partitions of groups
        self._members: dict[str, set[int]] = {}  # where objects are, or were, of which something is the parent

    @property
    def passes(self) -> bool:
        """Whether signals are passed on to partitions of groups at all."""
        return bool(self._digits) or self._windows is not None

    def away(self, entry: SignalEntry) -> bool:
        """Tell whether the object of a signal is of another partition."""
        about = entry.resolution.object_id
        return bool(about) and self._home_of(about) != self._mine

    def move(self, number: int, before: int, live: Live | None, gone: Iterable[Live]) -> None:
        """Tell the partitions of the signals `gone`, of smaller numbers than `before`, that these count no more, and that of `live`'s
        object, that it does, as follows from record `number`; one partition is told both at once.
        """  # noqa: D205  # one sentence reads best here
        told: dict[int, MovedEntry] = {}
        for each in gone:
            home = self._home_of(each.entry.resolution.object_id)
            known = told.get(home, MovedEntry(feed=each.entry.feed, gone=(), before=before, number=number))
            told[home] = replace(known, gone=tuple(dict.fromkeys((*known.gone, *each.ids))))
        if live is not None:
            entry, home = live.entry, self._home_of(live.entry.resolution.object_id)
            also = tuple(one for one in live.also if one != entry.signal.id)
            known = told.get(home, MovedEntry(feed=entry.feed, gone=(), before=before, number=number))
            told[home] = replace(known, content=entry, content_seq=live.seq, also=also)
        self._moved.extend(told.items())

    def tell_late(self, seq: int, untold: Sequence[Live]) -> None:
        """Tell the partitions of the objects of `untold` that these count there, as record `seq` made known, which moves nothing itself.

        What follows from one record takes the numbers behind its own, which belong to its frame; beyond that it has none.
        """
        for number, live in enumerate(untold, seq):
            self.move(number if Place.of(number).offset == Place.of(seq).offset else 0, live.seq + 1, live, ())

    def take_moved(self) -> list[tuple[int, MovedEntry]]:
        """Return what is to be told to other partitions, since the last call, in order."""
        moved, self._moved = self._moved, []
        return moved

    def activate(self, version: str) -> None:
        """Pass on what the rules of `version` need from here on."""
        found = self._spread_of(version)
        self._digits = found.digits
        self._at_home = bool(found.groups.rules)
        self._windows = Windows(found.shared, self._home_of) if found.shared or self._at_home else None

    def register(self, things: Iterable[RegulatedObject]) -> None:
        """Take note of entries of the registry."""
        for thing in things:
            if parent := parent_of(thing):
                self._members.setdefault(parent, set()).add(self._home_of(thing.id))

    def note(self, seq: int, facts: Facts, region: str, also: tuple[str, ...] = (), *, everywhere: bool) -> None:
        """Note a signal in `region`, with the object that it counts for, which answers to `also` too."""
        about = facts.entry.resolution.object_id
        if not everywhere and not about:
            return
        if everywhere or (self._windows is not None and self._windows.of_all(facts, region)):
            self._noted.append(Noted(seq, _by_all_names(seq, facts.entry, also), None))
            return
        to = {self._home_of(area_name(region, digits)) for digits in self._digits if len(region) >= digits}
        if self._windows is not None:
            to |= {*({self._home_of(about)} if self._at_home else ()), *self._windows.also(about, facts.object, self._members)}
        if to:
            self._noted.append(Noted(seq, facts.entry, tuple(sorted(to))))

    def take(self) -> list[Noted]:
        """Return what was noted since the last call, in order."""
        noted, self._noted = self._noted, []
        return noted


def _by_all_names(seq: int, entry: SignalEntry, also: tuple[str, ...]) -> AnyEntry:
    """Return what whoever knows none of the signals between has to be told where one answers to further names than it says itself."""
    signal = entry.signal
    if all(name in {signal.corrects, signal.withdraws} for name in also):
        return entry
    told = MovedEntry(feed=entry.feed, gone=(signal.id, *also), also=also, before=seq)
    counts = entry.resolution.object_id and not signal.withdraws
    return replace(told, content=entry, content_seq=seq) if counts else told


def parent_of(thing: RegulatedObject | None) -> str:
    """Return the parent that the registry knows of an object, "" for none."""
    return next((each.object_id for each in thing.relations if each.kind == PARENT), "") if thing is not None else ""
