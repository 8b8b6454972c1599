"""Journal records: everything that the risk engine reads, in one order.

Replaying them gives the same hits, warnings and ids. `seq` counts from 1 without gaps; `received_at` never goes back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from domain.base import Noun
from domain.catalogue import Catalogue
from domain.objects import RegulatedObject, Resolution
from domain.signals import Signal


class Entry(Noun, frozen=True, kw_only=True, tag_field="type"):
    """What is common to all records before the journal numbers them."""


class SignalEntry(Entry, frozen=True, kw_only=True, tag="signal"):
    """A mapped signal with what its object was resolved to.

    `digest` is the hash of the canonical content: the same key with another digest is a revision or a conflict (decision 1).
    `revision` is 0 for the first content of a key, then 1, 2, …; a revision replaces the earlier content.
    `batch` is the SHA-256 of the raw input it came from ("" where it came in canonical form), `position` its 1-based place there.
    """

    feed: str
    signal: Signal
    resolution: Resolution
    digest: str
    revision: int = 0
    batch: str = ""
    position: int = 0


class RejectionEntry(Entry, frozen=True, kw_only=True, tag="rejection"):
    """A record that could not become a signal; kept, shown, and replayable for as long as its bytes are kept.

    `raw` is the tokenised signal where the journal refused it (`conflicting_content`, `unknown_target`). A record that was refused before
    may name people in clear, which an append-only journal must not: its bytes stand in an erasable place, under feed, batch and position.
    """

    feed: str
    batch: str
    position: int
    reason: str  # a code of `domain.rejections.REASONS`
    field: str
    message: str
    raw: bytes  # at most `domain.rejections.RAW_LIMIT`; b"" where the bytes stand elsewhere


class ResolutionEntry(Entry, frozen=True, kw_only=True, tag="resolution"):
    """A person confirmed (or changed) which object signals are about: they count from here on.

    `object_id` "" says that it is no registered one: they count nowhere and leave the confirm queue, until somebody says otherwise.

    In a cluster every partition has it: `partition` is that of the object, where the signal counts from here on, and -1 where one process
    judges all or none is meant. The partition that the signal came to decides what follows, and tells the object's. `content` and
    `content_seq` are what earlier versions wrote with it; nobody reads them.
    """

    feed: str
    signal_id: str
    object_id: str
    by: str
    reason: str = ""
    partition: int = -1
    content: SignalEntry | None = None
    content_seq: int = 0


class ObjectsEntry(Entry, frozen=True, kw_only=True, tag="objects"):
    """Registry entries, new or replaced by id; `version` is the registry's version after it."""

    version: int
    objects: tuple[RegulatedObject, ...]


class CatalogueEntry(Entry, frozen=True, kw_only=True, tag="catalogue"):
    """A whole new catalogue version."""

    catalogue: Catalogue


class Prepared(Noun, frozen=True, kw_only=True):
    """New indicators count from record `first` of the journal on, as if they had been there: the state at the activation is what these
    records make of them. `artifact` names where that is worked out up to some record, "" for nowhere; it only saves time.

    In a cluster `firsts` are such records of all partitions of the frames, in their order: partitions of groups count from these on.
    """  # noqa: D205  # one sentence reads best here

    first: int
    artifact: str = ""
    firsts: tuple[int, ...] = ()


class RulesetEntry(Entry, frozen=True, kw_only=True, tag="ruleset"):
    """Activation of a rule set, content-addressed: its texts are kept for good under `version`.

    Without `prepared` its new indicators start empty at this record.
    """

    version: str
    by: str = "system"
    prepared: Prepared | None = None


class OutcomeEntry(Entry, frozen=True, kw_only=True, tag="outcome"):
    """What the departments found about a warning, at the instant `at`; `closed` ends its episode."""

    warning_id: str
    verdict: Literal["confirmed", "unfounded", "unverifiable", "withdrawn", ""]  # 属实 / 不属实 / 无法核实 / 撤回
    closed: bool
    at: datetime | None = None


class FeedEntry(Entry, frozen=True, kw_only=True, tag="feed"):
    """A feed fell silent, came back, or said that it is complete up to `until`."""

    feed: str
    mark: Literal["silent", "back", "complete"]
    until: datetime | None = None


class MovedEntry(Entry, frozen=True, kw_only=True, tag="moved"):
    """In a cluster: what a correction says of an object of another partition than that which has the signal's name, told to the object's.

    The signals `gone` of `feed` count there no more, and `content`, record `content_seq` of the partition that tells, from here on does;
    None: nothing else does. `also` are further ids that it answers to, those that it replaced. Only what stands under a smaller number than
    `before` is gone (0: all). `number` is that of the record from which it follows there: it grows from one to the next, and one that comes
    again, also once something later came, is known by it. 0: nobody asks, as in what earlier versions wrote.
    """

    feed: str
    gone: tuple[str, ...]
    content: SignalEntry | None = None
    content_seq: int = 0
    also: tuple[str, ...] = ()
    before: int = 0
    number: int = 0


class TickEntry(Entry, frozen=True, kw_only=True, tag="tick"):
    """Time passed: written for every wake, so that a replay wakes at the same place."""


AnyEntry = (
    SignalEntry | RejectionEntry | ResolutionEntry | ObjectsEntry | CatalogueEntry | RulesetEntry | OutcomeEntry | FeedEntry | MovedEntry
    | TickEntry
)  # fmt: skip


# What a part of a log cannot be read without, though it was written before that part.
SCENE = (RulesetEntry, ObjectsEntry, CatalogueEntry, FeedEntry)


class Record(Noun, frozen=True, kw_only=True):
    """One numbered record of the journal."""

    seq: int
    received_at: datetime
    entry: AnyEntry
