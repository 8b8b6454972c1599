"""Silence of feeds (数据源静默): which feeds have said nothing for longer than their contract allows (decision 5).

A feed advances by data, by an explicit "complete up to", or is silent after the limit `silent_after` of its mapping. Marks are journal
records, so that a replay is blind at the same places, and what the watch knows it can read again after a restart: the feeds' rows and the
rest of the journal. A feed that never sent anything is not silent; nobody knows yet that it should speak.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

import structlog

from app.synced import offer, refused, synced
from connectors.inbound.edge import Taken
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock, Intake, Receipt
from domain.records import FeedEntry, Record, RejectionEntry, SignalEntry
from storage.intake_reads import FeedStatus

GRACE = timedelta(minutes=10)  # after a start: senders try again and files wait, so nobody is silent before they could come in
SIGNS_PER_LIMIT = 4  # signs of life that bring no record are journalled this often within a limit, not each
log = structlog.get_logger(__name__)


class SilenceWatch:
    """Marks feeds silent and back; safe to use from several threads.

    `saw` is told every synced record, `heard` every input, `look` is called again and again. A restart forgets at most the signs of
    life of a quarter of a limit.
    """

    def __init__(self, mappings: Mapping[str, FeedMapping], intake: Intake, clock: Clock) -> None:
        """Only feeds whose mapping has a limit are watched; nothing is marked before `take_up`."""
        self._limits = {feed: mapping.silent_after for feed, mapping in mappings.items() if mapping.silent_after is not None}
        self._delays = {feed: mapping.delay for feed, mapping in mappings.items()}
        self._intake = intake
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[str, datetime] = {}  # the last sign of life
        self._noted: dict[str, datetime] = {}  # the last one that the journal has
        self._silent: set[str] = set()
        self._asked: dict[str, Future[list[Receipt]]] = {}  # marks that the journal was given and has not answered yet
        self._listening_since: datetime | None = None

    def take_up(self, feeds: Iterable[FeedStatus], rest: Iterable[Record]) -> None:
        """Begin: `feeds` are the stored rows, `rest` the records of the journal that are not in them yet."""
        with self._lock:
            for one in feeds:
                if one.last_received_at is not None:
                    self._heard[one.feed] = self._noted[one.feed] = one.last_received_at
                if one.silent_since is not None:
                    self._silent.add(one.feed)
            self._read(rest)
            self._listening_since = self._clock.now()

    def follow(self, feeds: Iterable[FeedStatus]) -> None:
        """Take account of what others heard, where not every record passes here; which feeds are silent this watch says itself."""
        with self._lock:
            for one in feeds:
                if one.last_received_at is not None:
                    known = self._heard.get(one.feed, one.last_received_at)
                    self._heard[one.feed] = self._noted[one.feed] = max(known, one.last_received_at)

    def saw(self, records: Sequence[Record]) -> None:
        """Take account of synced records, in order; never waits for anything but another call."""
        with self._lock:
            self._read(records)

    def heard(self, taken: Taken, now: datetime) -> None:
        """Take account of an input that brought nothing new: an empty T+1 file, a heartbeat, records that are known.

        Such a feed is complete up to its usual delay. An input of nothing but rejections says nothing here: a new one is a record of its
        own, and one that is known does not mean that the feed is complete.

        Raises:
            StoreUnavailable: the sign cannot be journalled now; the sender may send again.
        """
        limit = self._limits.get(taken.feed)
        if limit is None or taken.accepted or taken.revisions or (taken.rejected and not taken.duplicates):
            return
        with self._lock:
            self._heard[taken.feed] = max(now, self._heard.get(taken.feed, now))
            noted = self._noted.get(taken.feed)
            due = noted is None or taken.feed in self._silent or now - noted >= limit / SIGNS_PER_LIMIT
        if due:
            synced(offer(self._intake, [FeedEntry(feed=taken.feed, mark="complete", until=now - self._delays[taken.feed])]))
            with self._lock:
                self._noted[taken.feed] = max(now, self._noted.get(taken.feed, now))

    def look(self) -> None:
        """Journal the marks that are due at the clock's instant, by feed; one thread calls this.

        Raises:
            StoreUnavailable: the journal does not take them, or not yet; the next look marks them, or waits for the same answer.
        """
        for mark in self._due(self._clock.now()):
            asked = self._asked.get(mark.feed)
            if asked is None or refused(asked):
                asked = self._asked[mark.feed] = offer(self._intake, [mark])
            synced(asked)
            with self._lock:
                self._note(mark)
            log.warning("feed.silent" if mark.mark == "silent" else "feed.back", feed=mark.feed)

    def next_at(self) -> datetime | None:
        """Return when the next feed falls silent if it says nothing until then; None where none can."""
        with self._lock:
            return min((self._deadline(feed, at) for feed, at in self._heard.items() if self._may_fall(feed)), default=None)

    def _due(self, now: datetime) -> list[FeedEntry]:
        with self._lock:
            if self._listening_since is None:
                return []
            fallen = [feed for feed, at in self._heard.items() if self._may_fall(feed) and self._deadline(feed, at) <= now]
            back = [feed for feed in self._silent if self._speaks(feed, now)]
        marks = [FeedEntry(feed=feed, mark="silent") for feed in fallen] + [FeedEntry(feed=feed, mark="back") for feed in back]
        return sorted(marks, key=lambda mark: mark.feed)

    def _speaks(self, feed: str, now: datetime) -> bool:
        """Say whether a feed was heard within its limit; one that is no longer watched cannot be silent either."""
        limit, heard = self._limits.get(feed), self._heard.get(feed)
        return limit is None or (heard is not None and now - heard < limit)

    def _may_fall(self, feed: str) -> bool:
        return feed in self._limits and feed not in self._silent

    def _deadline(self, feed: str, heard: datetime) -> datetime:
        """Return when a feed that was heard last at `heard` is silent."""
        limit = self._limits[feed]
        assert self._listening_since is not None, "it is asked only after `take_up`"
        return max(heard + limit, self._listening_since + min(limit, GRACE))

    def _read(self, records: Iterable[Record]) -> None:
        for record in records:
            entry = record.entry
            if isinstance(entry, SignalEntry | RejectionEntry) or (isinstance(entry, FeedEntry) and entry.mark == "complete"):
                self._heard[entry.feed] = self._noted[entry.feed] = record.received_at
            elif isinstance(entry, FeedEntry):
                self._note(entry)

    def _note(self, mark: FeedEntry) -> None:
        self._asked.pop(mark.feed, None)
        if mark.mark == "silent":
            self._silent.add(mark.feed)
        else:
            self._silent.discard(mark.feed)
