"""Feeds (数据源) and what they could not bring in: counters, silence, rejections with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from app.views.filters import check_rejection_filters
from connectors.inbound.charsets import decode_text, is_damaged
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.base import Noun
from storage import intake_reads
from storage.intake_reads import Rejection

EXCERPT = 400  # characters of a rejected record that a list shows
PAGE = 50


class FeedView(Noun, frozen=True, kw_only=True):
    """One feed; `accepted` includes revisions, `silent_since` is None while it speaks, `open_rejections` wait for somebody.

    `silent_after` is the limit of its contract in seconds, None where it is not watched. A feed that never sent anything is
    `never_seen`, which is not silent.
    """

    feed: str
    state: Literal["speaking", "silent", "never_seen"]
    silent_after: int | None
    accepted: int
    rejected: int
    duplicates: int
    revisions: int
    open_rejections: int
    last_received_at: datetime | None
    last_occurred_at: datetime | None
    complete_until: datetime | None
    silent_since: datetime | None
    silent: bool


class ReasonCount(Noun, frozen=True, kw_only=True):
    """How many rejections of one feed and reason nobody has replayed or dismissed."""

    feed: str
    reason: str
    count: int


class RejectionView(Noun, frozen=True, kw_only=True):
    """One rejected record; `excerpt` is the beginning of its raw form, in the encoding that fits."""

    seq: int
    feed: str
    batch: str
    position: int
    reason: str
    field: str
    message: str
    excerpt: str
    received_at: datetime
    status: str
    replayed_seq: int | None


class FeedsPage(Noun, frozen=True, kw_only=True):
    """The page of feeds; `next` is the `before` of the following page of rejections, 0 on the last one."""

    feeds: tuple[FeedView, ...]
    reasons: tuple[ReasonCount, ...]
    rejections: tuple[RejectionView, ...]
    next: int
    unresolved_count: int


def feeds_page(
    connection: Connection,
    mappings: Mapping[str, FeedMapping],
    *,
    shown: Callable[[Rejection], Rejection],
    feed: str = "",
    reason: str = "",
    status: str = "open",
    before: int = 0,
    limit: int = PAGE,
) -> FeedsPage:
    """Return all feeds, one page of rejections (newest first, of `feed` and `reason` where given) and the length of the confirm queue.

    `shown` opens a rejection as far as lists may show it.

    Raises:
        IllegalValue: there is no such reason or status.
    """
    check_rejection_filters(reason, status)
    counted = intake_reads.count_open_rejections(connection)
    found = intake_reads.list_rejections(connection, feed=feed, reason=reason, status=status, before=before, limit=limit + 1)
    return FeedsPage(
        feeds=tuple(list_feeds(connection, mappings)),
        reasons=tuple(ReasonCount(feed=key[0], reason=key[1], count=count) for key, count in counted.items()),
        rejections=tuple(_rejection(shown(one)) for one in found[:limit]),
        next=found[limit - 1].seq if len(found) > limit else 0,
        unresolved_count=intake_reads.count_unresolved(connection, named=True),
    )


def list_feeds(connection: Connection, mappings: Mapping[str, FeedMapping]) -> list[FeedView]:
    """Return every feed of `mappings` and every other one that ever said something, by name."""
    waiting: dict[str, int] = {}
    for (feed, _), count in intake_reads.count_open_rejections(connection).items():
        waiting[feed] = waiting.get(feed, 0) + count
    stored = {one.feed: one for one in intake_reads.feeds_status(connection)}
    return [
        FeedView(
            feed=one.feed,
            state="silent" if one.silent_since is not None else "speaking" if one.last_received_at is not None else "never_seen",
            silent_after=_seconds(mappings.get(one.feed)),
            accepted=one.accepted,
            rejected=one.rejected,
            duplicates=one.duplicates,
            revisions=one.revisions,
            open_rejections=waiting.get(one.feed, 0),
            last_received_at=one.last_received_at,
            last_occurred_at=one.last_occurred_at,
            complete_until=one.complete_until,
            silent_since=one.silent_since,
            silent=one.silent_since is not None,
        )
        for one in (stored.get(feed, intake_reads.unseen(feed)) for feed in sorted({*stored, *mappings}))
    ]


def _seconds(mapping: FeedMapping | None) -> int | None:
    return None if mapping is None or mapping.silent_after is None else round(mapping.silent_after.total_seconds())


def _rejection(one: Rejection) -> RejectionView:
    return RejectionView(
        seq=one.seq,
        feed=one.feed,
        batch=one.batch,
        position=one.position,
        reason=one.reason,
        field=one.field,
        message=one.message,
        excerpt=excerpt(one.raw),
        received_at=one.received_at,
        status=one.status,
        replayed_seq=one.replayed_seq,
    )


def excerpt(raw: bytes) -> str:
    r"""Return the beginning of a rejected record, readable; bytes that are in no known encoding are shown as `\xNN`.

    >>> excerpt("编号,日期".encode("gb18030")), excerpt(b"\xff\x00A")
    ('编号,日期', '\\xff\x00A')
    """
    head = raw[: EXCERPT * 4]
    found = decode_text(head, ("utf-8", "gb18030"))
    text = found.text if found is not None else head.decode("utf-8", "surrogateescape")
    return "".join(f"\\x{ord(char) - 0xDC00:02x}" if is_damaged(char) else char for char in text[:EXCERPT])
