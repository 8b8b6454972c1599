"""What came before an activation in a partition of groups: the logs of all partitions of the frames, in the one order of groups.

A partition of groups was never told of signals that no rule of it was about, so its own log does not have them; those of the frames
do. They are read in the order of time, source, offset, as far as the sources had told of by then: whatever is received later stands behind
the activation. What each window holds follows from these logs alone, whoever reads them and however much was worked out beforehand.
All partitions of groups count all windows, and take over their own: what a person says of a signal may move it from the window of one
partition into that of another, which has to know it then.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Literal

import msgspec

from domain.errors import StoreCorrupt
from domain.partitions import Place, everywhere, partition_of
from domain.ports import Counted
from domain.records import MovedEntry, Prepared, Record
from rules.ruleset import By
from rules.spread import alone
from streams.runtimes.passing_on import FOR_ALL
from streams.runtimes.past import Judged, LogHistory, or_corrupt
from streams.runtimes.sharing import Sharing

Which = Literal["areas", "groups"]
"""Of which of its two pipelines: that of its areas, or that of its objects with their groups."""

Begin = tuple[int, datetime | None]  # the offset of the next frame of a source, and the time that it had reached before


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stored back-fill is: where each source goes on, and the number that stands for this place in the back-fill itself."""

    position: int
    begins: list[Begin]


def kept(which: Which, mine: int, partitions: int, by: By, about: str) -> bool:
    """Tell whether a pipeline of partition of groups `mine` keeps a window (`streams.stages.indicators.Keeps`).

    >>> kept("areas", 0, 1, 6, "region:610113"), kept("areas", 0, 1, "object", "o-1"), kept("groups", 7, 9, "parent", "o-1")
    (True, False, True)
    """
    if which == "areas" and by != "each":
        return by != "object" and partition_of(about, partitions) == mine
    return not alone(by) or partition_of(about, partitions) == mine


def artifact_of(artifact: str, which: Which) -> str:
    """Return under which name that is kept for all partitions of groups which is kept as `artifact` for one of the frames.

    >>> artifact_of("1f3a/0", "areas")
    '1f3a/areas'
    """
    return f"{artifact.partition('/')[0]}/{which}"


def begins_of(firsts: Iterable[int]) -> list[Begin]:
    """Return where to begin, given the first records of all sources."""
    return [(Place.of(first).offset, None) for first in firsts]


def in_order(
    sources: Sequence[LogHistory], begins: Sequence[Begin], lasts: Sequence[int], *, to_the_end: bool
) -> Iterator[tuple[int, Judged]]:
    """Yield (source, frame) by time, source, offset; `lasts` are the offsets of the last frames that may be read.

    Not `to_the_end` it stops behind the last frame of any source: what comes there next may have an earlier time than others' frames.

    Raises:
        NotFound: some frames were deleted by retention.
        StoreUnavailable: nobody waits any longer for a store that is away.
    """
    with ExitStack() as stack:
        heads: list[tuple[datetime, int, int, Judged]] = []
        streams = [
            stack.enter_context(closing(source.frames(first, last, received)))
            for source, (first, received), last in zip(sources, begins, lasts, strict=True)
        ]
        for source, stream in enumerate(streams):
            if (head := next(stream, None)) is not None:
                heads.append((head.received_at, source, head.offset, head))
            elif not to_the_end:
                return
        heapq.heapify(heads)
        while heads:
            _, source, _, judged = heads[0]
            yield source, judged
            if (head := next(streams[source], None)) is not None:
                heapq.heapreplace(heads, (head.received_at, source, head.offset, head))
            elif to_the_end:
                heapq.heappop(heads)
            else:
                return


def told_of(source: int, judged: Judged) -> Iterator[Record]:
    """Yield what partitions of groups may know of a frame: what is in every partition once, as the first one has it."""
    for record in judged.records:
        entry = record.entry
        if isinstance(entry, FOR_ALL):
            if not source:
                yield msgspec.structs.replace(record, entry=everywhere(entry))
        elif not isinstance(entry, MovedEntry):
            yield record


class GroupsPast:
    """`domain.ports.SharedHistory` of one pipeline of one partition of groups."""

    def __init__(
        self,
        which: Which,
        sources: Sequence[LogHistory],
        upto: Callable[[], Mapping[int, int]],
        worked_out: Callable[[str], Iterator[bytes] | None],
        aside: Callable[[], Collection[int]],
        sharing: Sharing,
    ) -> None:
        """`upto` says by source of which offsets it has told; `aside` are the numbers of records that have no effect here.

        What it counts as all partitions do is shared with those of the process.
        """
        self._which: Which = which
        self._sources = sources
        self._upto = upto
        self._worked_out = worked_out
        self._aside = aside
        self._sharing = sharing
        self._alike = False
        self._begins: dict[int, list[Begin]] = {}  # by the activation
        self._cut: Cut | None = None
        self._parts = 0  # of stored back-fills, and moves of whoever counts for it
        self.busy = False  # whether somebody is being told of the past; may be read by any thread, as `told`

    @property
    def told(self) -> int:
        """How many records and parts were read so far: it grows for as long as it goes on."""
        return self._parts + sum(source.told for source in self._sources)

    def expect(self, seq: int, prepared: Prepared, *, in_order: bool) -> None:
        """Say what the activation `seq`, which is judged next, counts from; `in_order`: all sources have told of all before it."""
        self._begins[seq] = begins_of(prepared.firsts)
        self._alike = in_order

    def counted(self, seq: int, about: Hashable, count: Callable[[], Counted]) -> Counted:
        """Return what `count` makes of the past, or what another partition made of the same; raises what it raises.

        Who leaves out what others have, or has not been told all that they have, counts by itself.
        """
        if not self._alike or self._apart():
            return count()
        self.busy = True
        try:
            return self._sharing.get(self._which, (seq, about), count, lambda: self.told, self._move)
        finally:
            self.busy = False

    def _move(self) -> None:
        self._parts += 1

    def _apart(self) -> bool:
        return bool(self._aside()) or any(source.apart for source in self._sources)

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield what there was before the activation `before`, from its first records on or behind the artifact that is at `after`.

        Raises:
            NotFound, StoreUnavailable: as `in_order`.
        """
        self.busy = True
        try:
            begins, cut, self._cut = self._begins[before], self._cut, None
            if cut is not None and cut.position == after:
                begins = cut.begins
            upto, aside = self._upto(), self._aside()
            lasts = [upto.get(source, -1) for source in range(len(self._sources))]
            for source, judged in in_order(self._sources, begins, lasts, to_the_end=True):
                for record in told_of(source, judged):
                    if record.seq == before:
                        return
                    if record.seq not in aside:
                        yield record
        finally:
            self.busy = False

    def artifact(self, name: str) -> Iterator[bytes] | None:
        """Return the parts of what was worked out for this pipeline, which raise StoreCorrupt where it breaks off.

        None of them is used where a record has no effect here. Raises StoreUnavailable as `in_order`.
        """
        if self._apart():
            return None
        own = artifact_of(name, self._which)
        found = self._worked_out(own)
        if found is None:
            return None
        parts = self._counted(or_corrupt(own, found))
        try:
            self._cut = msgspec.msgpack.decode(next(parts, b""), type=Cut)
        except (msgspec.MsgspecError, StoreCorrupt):
            return None  # written by other software, or not whole
        return parts

    def _counted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            self._parts += 1
            yield part


def written(cut: Cut, parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of an artifact: how far it is, then what the back-fill wrote down."""
    yield msgspec.msgpack.encode(cut)
    yield from parts
