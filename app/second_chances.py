"""What people do about records that did not get through by themselves: take rejected ones in again, say what a signal is about.

The API and the console do both through here, so that a click and a call have the same effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.inlet import Inlet
from app.privacy import Privacy
from app.synced import offer, synced
from connectors.inbound.edge import Taken
from domain.errors import Conflict, NotFound
from domain.messages import both
from domain.partitions import partition_of
from domain.records import ResolutionEntry
from storage import intake_reads, registry
from storage.database import Database

CANONICAL = "signals"  # the feed of canonical signals whose sender has no feed of its own
ARRIVED = frozenset({"accepted", "revision", "duplicate"})


class Workings(Inlet, Protocol):
    """The parts of the running application that this needs."""

    @property
    def database(self) -> Database:
        """Where everything stands."""
        ...

    @property
    def partitions(self) -> int:
        """Into how many partitions the log is divided, 0 where one process judges all."""
        ...

    @property
    def privacy(self) -> Privacy:
        """Opens rejected records, and reads personal values."""
        ...

    def await_shown(self, seq: int) -> None:
        """Wait, for a bounded time, until pages and queries show what follows from record `seq`."""
        ...


def can_replay(parts: Workings, feed: str) -> bool:
    """Say whether rejections of a feed can be taken in again: it has a mapping, or its records were canonical signals."""
    return feed == CANONICAL or feed in parts.mappings


def replay(parts: Workings, feed: str, kept: Sequence[intake_reads.Rejection]) -> Taken:
    """Take open rejections of one feed in again and settle those that arrive; one result per rejection, in order.

    Raises:
        NotFound: the feed has no mapping and is not that of canonical signals.
        StoreUnavailable: the journal does not take writes; what arrived before stays.
    """
    mapping, now = parts.mappings.get(feed), parts.clock.now()
    if mapping is None and feed != CANONICAL:
        raise NotFound(both("rejection.no_mapping", feed=feed, legal=", ".join([CANONICAL, *sorted(parts.mappings)])))
    entries = [parts.privacy.replayable(one) for one in kept]
    taken = parts.edge.replay(mapping, entries, now) if mapping is not None else parts.edge.replay_signals(feed, entries, now)
    with parts.database.write() as connection:
        for one, result in zip(kept, taken.results, strict=True):
            if result.status in ARRIVED:
                intake_reads.mark_replayed(connection, one.seq, result.seq)
    return taken


def confirm(parts: Workings, feed: str, signal_id: str, object_id: str, *, by: str, reason: str = "") -> None:
    """Say which object a signal is about, "" for none that is registered; it counts, or leaves the queue, from here on.

    What was said before may be changed; said twice, it is noted twice and counts once.

    Raises:
        NotFound: there is no such signal, or no such object.
        StoreUnavailable: the journal does not take writes, or not in time; saying it again does no harm.
    """
    with parts.database.read() as connection:
        if not intake_reads.signals_of_key(connection, feed, signal_id):
            raise NotFound(both("signal.not_found", feed=feed, id=signal_id))
        if object_id and registry.get_object(connection, object_id) is None:
            raise NotFound(both("object.not_found", id=object_id))
    entry = ResolutionEntry(feed=feed, signal_id=signal_id, object_id=object_id, by=by, reason=reason)
    if parts.partitions and object_id:
        entry = msgspec.structs.replace(entry, partition=partition_of(object_id, parts.partitions))
    [receipt] = synced(offer(parts.intake, [entry]))
    parts.await_shown(receipt.seq)


def confirm_waiting(parts: Workings, seq: int, object_id: str, *, by: str, reason: str = "") -> None:
    """Confirm the signal that is record `seq`, from a page that showed it waiting.

    Raises:
        NotFound: record `seq` is no signal, or there is no such object.
        Conflict: somebody else has decided about it meanwhile.
        StoreUnavailable: as `confirm`.
    """
    with parts.database.read() as connection:
        held = intake_reads.get_signal(connection, seq)
    if held is None:
        raise NotFound(both("signal.not_found", feed="", id=seq))
    if not held.waiting:
        raise Conflict(both("signal.decided", id=held.entry.signal.id, object=held.object_id or "–"))
    confirm(parts, held.entry.feed, held.entry.signal.id, object_id, by=by, reason=reason)
