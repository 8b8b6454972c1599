"""The confirm queue (待确认): signals whose object is not certain, and what a person may choose from for each."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import Connection

from connectors.inbound.resolve import Proposal, propose
from domain.base import Noun
from domain.errors import IllegalValue
from domain.identifiers import check_of
from domain.messages import both
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
    code_check: str  # right, wrong, or none
    address: str
    method: str
    proposals: tuple[Proposal, ...]


class Chosen(Noun, frozen=True, kw_only=True):
    """Which part of the queue: signals that name somebody (`named`) or the others, of a feed, of a kind; "" means any."""

    named: bool = True
    feed: str = ""
    kind: str = ""


class QueuePage(Noun, frozen=True, kw_only=True):
    """One page of the queue, candidates first, then newest first; `next` is the `after` of the following page, "" on the last one.

    `count` is the length of what was chosen, `named_count` of all that name somebody, `nameless_count` of all that name nobody.
    `found` are the registered objects that fit `words`, for the signal that is record `searched` (0: nothing was searched for).
    """

    waiting: tuple[UnresolvedView, ...]
    count: int
    named_count: int
    nameless_count: int
    feeds: tuple[str, ...]
    kinds: tuple[str, ...]
    next: str
    searched: int
    words: str
    found: tuple[RegulatedObject, ...]


def queue_page(
    connection: Connection, lookup: ObjectLookup, chosen: Chosen, *, after: str = "", searched: int = 0, words: str = "", limit: int = PAGE
) -> QueuePage:
    """Return a page of the confirm queue; with `searched` and `words` also the objects that one may be instead.

    Raises:
        IllegalValue: `after` is no `next` of a page.
    """
    held = intake_reads.queue_for_people(
        connection, named=chosen.named, feed=chosen.feed, kind=chosen.kind, behind=_place(after), limit=limit + 1
    )
    groups = intake_reads.waiting_by(connection, named=chosen.named)
    total = sum(groups.values())
    others = intake_reads.count_unresolved(connection, named=not chosen.named)
    return QueuePage(
        waiting=tuple(_view(one, lookup) for one in held[:limit]),
        count=sum(n for (feed, kind), n in groups.items() if chosen.feed in {"", feed} and chosen.kind in {"", kind}),
        named_count=total if chosen.named else others,
        nameless_count=others if chosen.named else total,
        feeds=tuple(sorted({feed for feed, _ in groups})),
        kinds=tuple(sorted({kind for _, kind in groups})),
        next="{}.{}".format(*intake_reads.place_in_queue(held[limit - 1])) if len(held) > limit else "",
        searched=searched,
        words=words,
        found=tuple(registry.search_objects(connection, words)) if searched else (),
    )


def _place(after: str) -> tuple[int, int] | None:
    if not after:
        return None
    found = re.fullmatch(r"([01])\.([0-9]{1,18})", after)
    if found is None:
        raise IllegalValue(both("console.no_such_page"))
    return int(found[1]), int(found[2])


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
        code_check=check_of(signal.object.code),
        address=signal.object.address,
        method=one.method,
        proposals=tuple(propose(signal.object, signal.text, lookup, signal.region, one.entry.resolution.candidates)),
    )
