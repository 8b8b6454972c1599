"""Which names the rows of a cluster have already: what an edge asks before it sends, and a worker before it takes in.

Every signal that was taken in has a row with its number, so the rows below a frame's first number are exactly what was there before it,
also when the frame is read again after a crash: what came later does not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy import text as sql

from domain.digest import digest_of
from domain.frames import Frame
from domain.partitions import Place
from domain.records import Record, RejectionEntry, SignalEntry
from storage.admission import Plan, admit
from storage.database import Database
from storage.identity import Key, Known, rejection_key
from storage.tables import rejections, signals

_CHUNK = 1_000
# PostgreSQL compares `id IN (…)` with thousands of values one by one with each row of the feed; a join with the list looks each name up.
# A plan that was made while the table was empty would read all of it for as long as the connection lives.
_BY_INDEX = sql("SELECT set_config('enable_seqscan', 'off', true)")
_NAMED = sql(
    "SELECT s.id, s.seq, s.revision, s.body FROM json_array_elements_text(CAST(:ids AS json)) AS wanted(id) "
    "JOIN signals AS s ON s.feed = :feed AND s.id = wanted.id"
)
_entry = msgspec.json.Decoder(SignalEntry)


def known_names(connection: Connection, keys: Iterable[Key], *, after: int = 0, before: int | None = None) -> dict[Key, Known]:
    """Return the newest content of each of `keys` (feed, id) among the signals with after < `seq` < before."""
    wanted: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for feed, identity in keys:
        wanted[feed][as_stored(connection, identity) if "\0" in identity else identity] = identity
    found: dict[Key, Known] = {}
    for feed, ids in wanted.items():
        # Which of them count is not asked of the database: it would walk all rows of the partition instead of looking names up.
        for identity, seq, revision, body in sorted(_named(connection, as_stored(connection, feed), list(ids)), key=itemgetter(1)):
            if after < seq and (before is None or seq < before):
                found[feed, ids[identity]] = Known(_digest(body), seq, revision)
    return found


def _named(connection: Connection, feed: str, ids: Sequence[str]) -> Iterator[Any]:
    """Yield (id, seq, revision, body) of every signal of a feed with one of these ids."""
    if connection.dialect.name == "postgresql":
        connection.execute(_BY_INDEX)
        yield from connection.execute(_NAMED, {"feed": feed, "ids": msgspec.json.encode(ids).decode()})
        return
    columns = select(signals.c.id, signals.c.seq, signals.c.revision, signals.c.body)
    for start in range(0, len(ids), _CHUNK):
        yield from connection.execute(columns.where(signals.c.feed == feed, signals.c.id.in_(ids[start : start + _CHUNK])))


def as_stored(connection: Connection, name: str) -> str:
    """Return a name as its column holds it: PostgreSQL has no NUL (`storage.postgres`)."""
    return name.replace("\0", "\u2400") if connection.dialect.name == "postgresql" else name


def _digest(body: str) -> str:
    entry = _entry.decode(body)
    return entry.digest or digest_of(entry.signal)


def kept_rejections(connection: Connection, entries: Collection[RejectionEntry], *, after: int, before: int) -> dict[Key, Known]:
    """Return which of `entries` have a row with after < `seq` < before, by their key."""
    batches = sorted({entry.batch for entry in entries})
    found: dict[Key, Known] = {}
    columns = ("feed", "batch", "position", "reason", "field", "message", "raw")
    for start in range(0, len(batches), _CHUNK):
        rows = select(rejections.c.seq, *(rejections.c[name] for name in columns)).where(
            rejections.c.batch.in_(batches[start : start + _CHUNK]), rejections.c.seq > after, rejections.c.seq < before
        )
        for seq, *values in connection.execute(rows.order_by(rejections.c.seq)):
            found.setdefault(rejection_key(RejectionEntry(**dict(zip(columns, values, strict=True)))), Known("", seq))
    return found


class _Before:
    """What `admit` asks: the names of a partition as they were before a frame, with those of frames that have no rows yet."""

    def __init__(self, connection: Connection, first: int, start: int, pending: Mapping[Key, Known], rejected: Mapping[Key, Known]) -> None:
        self._connection = connection
        self._first = first
        self._start = start
        self._pending = pending
        self._rejected = rejected

    def lookup(self, keys: Iterable[Key]) -> dict[Key, Known]:
        wanted = dict.fromkeys(keys)
        names = [key for key in wanted if key[0][:1] != "\0"]  # the others are rejections
        found = known_names(self._connection, names, after=self._start, before=self._first)
        for told in (self._rejected, self._pending):
            if told:
                found.update((key, told[key]) for key in wanted if key in told)
        return found


@dataclass(frozen=True, slots=True)
class _Pending:
    """What a frame brought that may have no rows yet; of rejections the batch too, by which their rows are found."""

    names: Mapping[Key, Known]
    rejections: Sequence[tuple[str, Key, Known]]

    @classmethod
    def of(cls, plan: Plan) -> _Pending:
        refused = ((record.seq, record.entry) for record in plan.records if isinstance(record.entry, RejectionEntry))
        return cls(plan.names, [(entry.batch, rejection_key(entry), Known("", seq)) for seq, entry in refused])

    def rejections_of(self, batches: Collection[str]) -> dict[Key, Known]:
        found: dict[Key, Known] = {}
        for batch, key, known in self.rejections:
            if batch in batches:
                found.setdefault(key, known)
        return found


class PartitionAdmission:
    """Decides what the frames of one partition bring in, by decision 1: duplicates leave no record, conflicts become kept rejections.

    Frames come in the order of their offsets; `settled` says which of them have rows by now.
    """

    def __init__(self, database: Database, partition: int) -> None:
        """Judge by the rows of `database`."""
        self._database = database
        self._start = Place(partition, 0, 0).seq() - 1
        self._partition = partition
        self._pending: dict[int, _Pending] = {}  # by the offsets of the frames, in their order
        self._names: dict[Key, Known] = {}  # that these brought, the newest of each

    def __call__(self, offset: int, frame: Frame, received_at: datetime) -> list[Record]:
        """Return the records of the frame at `offset`, each numbered by its place.

        Raises:
            StoreUnavailable: the rows cannot be read; ask again.
        """
        first = Place(self._partition, offset, 0).seq()
        refused = [offer.entry for offer in frame.offers if isinstance(offer.entry, RejectionEntry)]
        with self._database.read() as connection:
            rejected = kept_rejections(connection, refused, after=self._start, before=first) if refused else {}
            batches = {entry.batch for entry in refused}
            for frame_before in self._pending.values():
                rejected = frame_before.rejections_of(batches) | rejected
            before = _Before(connection, first, self._start, self._names, rejected)
            plan = admit(frame.offers, before, head=first - 1, received_at=received_at, in_frame=True)
        self._pending[offset] = _Pending.of(plan)
        self._names.update(plan.names)
        return plan.records

    def settled(self, upto: int) -> None:
        """The frames up to the offset `upto` have their rows: they are asked from now on."""
        for offset in [offset for offset in self._pending if offset <= upto]:
            for key, known in self._pending.pop(offset).names.items():
                if self._names.get(key) is known:
                    del self._names[key]


def names_of(database: Database, keys: Sequence[Key]) -> dict[Key, Known]:
    """Return the newest content of names anywhere in the cluster; raises StoreUnavailable."""
    with database.read() as connection:
        return known_names(connection, keys)
