"""The confirm queue (待确认): signals whose object is not certain, and what a person may choose from for each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from connectors.inbound.resolve import Proposal, propose
from domain.base import Noun
from domain.objects import RegulatedObject
from domain.ports import ObjectLookup
from storage import intake_reads, registry

PAGE = 20


class UnresolvedView(Noun, frozen=True, kw_only=True):
    """A signal whose object a person has to confirm; `method` says why it was not clear, `proposals` are what it may be."""

    seq: int
    feed: str
    id: str
    source: str
    kind: str
    text: str
    occurred_at: datetime
    received_at: datetime
    region: str
    name: str
    code: str
    address: str
    method: str
    proposals: tuple[Proposal, ...]


class QueuePage(Noun, frozen=True, kw_only=True):
    """One page of the queue, oldest first; `next` is the `after` of the following page, 0 on the last one.

    `found` are the registered objects that fit `words`, for the signal that is record `searched` (0: nothing was searched for).
    """

    waiting: tuple[UnresolvedView, ...]
    count: int
    next: int
    searched: int
    words: str
    found: tuple[RegulatedObject, ...]


def queue_page(
    connection: Connection, lookup: ObjectLookup, *, after: int = 0, searched: int = 0, words: str = "", limit: int = PAGE
) -> QueuePage:
    """Return a page of the confirm queue; with `searched` and `words` also the objects that one may be instead."""
    held = intake_reads.unresolved_signals(connection, after=after, limit=limit + 1)
    return QueuePage(
        waiting=tuple(_view(one, lookup) for one in held[:limit]),
        count=intake_reads.count_unresolved(connection),
        next=held[limit - 1].seq if len(held) > limit else 0,
        searched=searched,
        words=words,
        found=tuple(registry.search_objects(connection, words)) if searched else (),
    )


def _view(one: intake_reads.StoredSignal, lookup: ObjectLookup) -> UnresolvedView:
    signal = one.entry.signal
    return UnresolvedView(
        seq=one.seq,
        feed=one.entry.feed,
        id=signal.id,
        source=signal.source,
        kind=signal.kind,
        text=signal.text,
        occurred_at=signal.occurred_at,
        received_at=one.received_at,
        region=signal.region,
        name=signal.object.name,
        code=signal.object.code,
        address=signal.object.address,
        method=one.method,
        proposals=tuple(propose(signal.object, signal.text, lookup, signal.region, one.entry.resolution.candidates)),
    )
