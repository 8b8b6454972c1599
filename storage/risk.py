"""Journal records as rows: signals, rejections, objects, feeds, catalogues, rule sets, and how far all of it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, and_, bindparam, case, insert, or_, select, update

from domain.catalogue import Catalogue
from domain.objects import Resolution
from domain.partitions import elsewhere
from domain.records import (
    CatalogueEntry,
    FeedEntry,
    MovedEntry,
    ObjectsEntry,
    OutcomeEntry,
    Record,
    RejectionEntry,
    ResolutionEntry,
    RulesetEntry,
    SignalEntry,
    TickEntry,
)
from storage.dialects import insert_tuples, larger, upsert
from storage.findings import WarningEvent, add_once, apply_outcomes, get_warning
from storage.registry import write_objects
from storage.tables import activations, applied, catalogues, feeds, rejections, rulesets, signals, to_us

__all__ = [
    "active_ruleset",
    "add_counts",
    "add_duplicates",
    "applied_position",
    "apply_outcomes",
    "apply_records",
    "current_catalogue",
    "get_warning",
    "judged_by",
    "ruleset_texts",
    "set_applied",
    "store_ruleset",
    "write_rows",
]

_catalogue = msgspec.json.Decoder(Catalogue)
_texts = msgspec.json.Decoder(dict[str, str])
_encoder = msgspec.json.Encoder()

# Made once: a commit of a handful of records would otherwise spend more on building its statements than on running them.
_POSITION = select(applied.c.position).where(applied.c.id == 0)
_NEW_POSITION = upsert(applied)
_SET_POSITION = _NEW_POSITION.on_conflict_do_update(
    index_elements=["id"], set_={"position": larger(applied.c.position, _NEW_POSITION.excluded.position)}
)
_NEW_COUNTS = upsert(feeds)
_ADD_COUNTS = _NEW_COUNTS.on_conflict_do_update(
    index_elements=["feed"],
    set_={
        "accepted": feeds.c.accepted + _NEW_COUNTS.excluded.accepted,
        "rejected": feeds.c.rejected + _NEW_COUNTS.excluded.rejected,
        "revisions": feeds.c.revisions + _NEW_COUNTS.excluded.revisions,
        "last_received_at": _NEW_COUNTS.excluded.last_received_at,
        "last_occurred_at": case(
            (
                (feeds.c.last_occurred_at.is_(None)) | (_NEW_COUNTS.excluded.last_occurred_at > feeds.c.last_occurred_at),
                _NEW_COUNTS.excluded.last_occurred_at,
            ),
            else_=feeds.c.last_occurred_at,
        ),
    },
)
_OUTDATE = update(signals).where(signals.c.feed == bindparam("of_feed"), signals.c.id == bindparam("of_id"), signals.c.status == "active")


def applied_position(connection: Connection) -> int:
    """Return the `seq` up to which records and outcomes are in the tables, 0 at the beginning."""
    return connection.scalar(_POSITION) or 0


def set_applied(connection: Connection, position: int) -> None:
    """Move the applied position on to `position`; call it last in the transaction of the effects. It never goes back."""
    connection.execute(_SET_POSITION, {"id": 0, "position": position})


def apply_records(connection: Connection, records: Sequence[Record], after: int | None = None) -> None:
    """Write the rows of `records`, which come in their order; those at or below `after` change nothing.

    `after` is the applied position of the journal where it is left out.
    """
    add_counts(connection, write_rows(connection, records, after))


def write_rows(connection: Connection, records: Sequence[Record], after: int | None = None) -> Mapping[str, Tally]:
    """As `apply_records`, without the feeds' counters, which are returned for `add_counts`."""
    position = applied_position(connection) if after is None else after
    rows = _Rows(connection)
    for record in records:
        if record.seq > position:
            rows.take(record)
    rows.flush()
    return rows.feeds


def add_counts(connection: Connection, counts: Mapping[str, Tally]) -> None:
    """Add to the counters of feeds; call it late: whoever else takes in signals of these feeds waits from here to the transaction's end."""
    if counts:
        rows = [{"feed": feed, "duplicates": 0, **msgspec.structs.asdict(tally)} for feed, tally in sorted(counts.items())]
        connection.execute(_ADD_COUNTS, rows)


class Tally(msgspec.Struct):
    """What one call adds to a feed's row."""

    accepted: int = 0
    rejected: int = 0
    revisions: int = 0
    last_received_at: datetime | None = None
    last_occurred_at: datetime | None = None


class _Rows:
    """Collects rows for few, large inserts; writes them before a record that changes earlier rows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._signals: list[tuple[object, ...]] = []
        self._rejections: list[dict[str, object]] = []
        self._received: datetime | None = None
        self._received_us = 0
        self.feeds: dict[str, Tally] = {}

    def take(self, record: Record) -> None:
        """Write one record, now or with the next flush."""
        match record.entry:
            case SignalEntry() as entry:
                self._signal(record, entry)
            case RejectionEntry() as entry:
                self._rejection(record, entry)
            case ResolutionEntry() as entry if elsewhere(entry, record.seq):
                pass  # the partition of the object writes it down
            case ResolutionEntry() as entry:
                self._insert()
                same = (signals.c.feed == entry.feed) & (signals.c.id == entry.signal_id)
                self._connection.execute(update(signals).where(same).values(object_id=entry.object_id, method="confirmed", confidence=1.0))
            case ObjectsEntry() as entry:
                write_objects(self._connection, entry)
            case CatalogueEntry() as entry:
                values = {"body": _encoder.encode(entry.catalogue).decode(), "imported_at": record.received_at}
                row = upsert(catalogues).values(version=entry.catalogue.version, **values)
                self._connection.execute(row.on_conflict_do_update(index_elements=["version"], set_=values))
            case RulesetEntry() as entry:
                values = {"activated_at": record.received_at, "activated_seq": record.seq, "by": entry.by}
                activated = upsert(rulesets).values(version=entry.version, texts="", **values)
                self._connection.execute(activated.on_conflict_do_update(index_elements=["version"], set_=values))
                told = {"seq": record.seq, "version": entry.version, "at": record.received_at, "by": entry.by}
                self._connection.execute(upsert(activations).values(told).on_conflict_do_nothing())
            case OutcomeEntry() as entry:
                detail = {"verdict": entry.verdict, "closed": entry.closed}
                event = WarningEvent(at=entry.at or record.received_at, kind="outcome", actor="departments", detail=detail)
                add_once(self._connection, entry.warning_id, event)  # every partition of a cluster has it
            case FeedEntry() as entry:
                self._mark(record, entry)
            case TickEntry() | MovedEntry():
                pass  # moves the pipeline's time, or has its row where it comes from

    def _signal(self, record: Record, entry: SignalEntry) -> None:
        signal, resolution = entry.signal, entry.resolution
        if signal.corrects or signal.withdraws or entry.revision:
            resolution = self._outdate(entry)
        if record.received_at is not self._received:  # records that came together share it
            self._received, self._received_us = record.received_at, to_us(record.received_at)
        self._signals.append(
            (
                record.seq,
                entry.feed,
                signal.id,
                entry.revision,
                resolution.object_id,
                resolution.method,
                resolution.confidence,
                signal.source,
                signal.kind,
                to_us(signal.occurred_at),
                self._received_us,
                "withdrawn" if signal.withdraws else "active",  # taking back states no fact of its own
                _encoder.encode(entry),
            )
        )
        tally = self.feeds.get(entry.feed) or self.feeds.setdefault(entry.feed, Tally())
        tally.accepted += 1
        if entry.revision:
            tally.revisions += 1
        tally.last_received_at = record.received_at
        if tally.last_occurred_at is None or signal.occurred_at > tally.last_occurred_at:
            tally.last_occurred_at = signal.occurred_at

    def _outdate(self, entry: SignalEntry) -> Resolution:
        """Say of the rows that a signal replaces or takes back that they do; return what it counts for."""
        signal, resolution = entry.signal, entry.resolution
        for target, status in ((signal.corrects, "revised"), (signal.withdraws, "withdrawn"), (entry.revision and signal.id, "revised")):
            if target:
                self._insert()
                if not resolution.object_id:
                    resolution = self._confirmed(entry.feed, target) or resolution
                self._connection.execute(_OUTDATE, {"of_feed": entry.feed, "of_id": target, "status": status})
        return resolution

    def _confirmed(self, feed: str, target: str) -> Resolution | None:
        """Return what a person said of the content that is replaced, as the engine inherits it: nobody is asked the same twice."""
        same = (signals.c.feed == feed) & (signals.c.id == target) & (signals.c.method == "confirmed")
        object_id = self._connection.scalar(select(signals.c.object_id).where(same).order_by(signals.c.seq.desc()).limit(1))
        return None if object_id is None else Resolution(object_id=object_id, method="confirmed", confidence=1.0)

    def _rejection(self, record: Record, entry: RejectionEntry) -> None:
        columns = {name: getattr(entry, name) for name in ("feed", "batch", "position", "reason", "field", "message", "raw")}
        self._rejections.append(columns | {"seq": record.seq, "received_at": record.received_at, "status": "open", "replayed_seq": None})
        tally = self.feeds.setdefault(entry.feed, Tally())
        tally.rejected += 1
        tally.last_received_at = record.received_at

    def _mark(self, record: Record, entry: FeedEntry) -> None:
        row = upsert(feeds).values(feed=entry.feed, accepted=0, rejected=0, duplicates=0, revisions=0)
        if entry.mark == "complete":
            self.feeds.setdefault(entry.feed, Tally()).last_received_at = record.received_at
            row = row.values(complete_until=entry.until)
            until = row.excluded.complete_until
            farther = feeds.c.complete_until.is_(None) | (until > feeds.c.complete_until)  # what was complete once stays so
            changes: dict[str, object] = {"complete_until": case((farther, until), else_=feeds.c.complete_until)}
        else:
            changes = {"silent_since": record.received_at if entry.mark == "silent" else None}
            row = row.values(**changes)
        self._connection.execute(row.on_conflict_do_update(index_elements=["feed"], set_=changes))

    def _insert(self) -> None:
        """Write the rows collected so far."""
        if self._signals:
            insert_tuples(self._connection, signals, self._signals)
        if self._rejections:
            self._connection.execute(insert(rejections), self._rejections)
        self._signals, self._rejections = [], []

    def flush(self) -> None:
        """Write everything that is left."""
        self._insert()


def add_duplicates(connection: Connection, counts: Mapping[str, int]) -> None:
    """Add to the duplicate counters of feeds; they come from the appender, not from the journal, and may miss a crash's last few."""
    for feed, count in sorted(counts.items()):
        row = upsert(feeds).values(feed=feed, accepted=0, rejected=0, duplicates=count, revisions=0)
        more = {"duplicates": feeds.c.duplicates + row.excluded.duplicates}
        connection.execute(row.on_conflict_do_update(index_elements=["feed"], set_=more))


def current_catalogue(connection: Connection) -> Catalogue:
    """Return the newest imported catalogue, the empty one where there is none."""
    body = connection.scalar(select(catalogues.c.body).order_by(catalogues.c.version.desc()).limit(1))
    return Catalogue() if body is None else _catalogue.decode(body)


def store_ruleset(connection: Connection, version: str, texts: Mapping[str, str], by: str) -> None:
    """Keep the texts of a rule set under its version, before the record that activates it; again is allowed and changes nothing."""
    encoded = _encoder.encode(dict(texts)).decode()
    row = upsert(rulesets).values(version=version, texts=encoded, by=by)
    connection.execute(row.on_conflict_do_update(index_elements=["version"], set_={"texts": encoded}))


def ruleset_texts(connection: Connection, version: str) -> dict[str, str] | None:
    """Return file name → YAML text of a stored rule set, None where its texts were never stored here."""
    texts = connection.scalar(select(rulesets.c.texts).where(rulesets.c.version == version))
    return _texts.decode(texts) if texts else None


def active_ruleset(connection: Connection) -> str:
    """Return the version that was activated last, "" before the first."""
    active = select(rulesets.c.version).where(rulesets.c.activated_seq.is_not(None))
    newest = active.order_by(rulesets.c.activated_at.desc(), rulesets.c.activated_seq.desc())  # numbers of two partitions tell no order
    return connection.scalar(newest.limit(1)) or ""


def judged_by(connection: Connection, at: datetime, seq: int) -> str:
    """Return the rule set that judged record `seq` at the instant `at`; "" before the first activation.

    What time alone decided is judged before a record of the same instant.
    """
    earlier = or_(activations.c.at < at, and_(activations.c.at == at, activations.c.seq < seq))
    newest = select(activations.c.version).where(earlier).order_by(activations.c.at.desc(), activations.c.seq.desc())
    return connection.scalar(newest.limit(1)) or ""
