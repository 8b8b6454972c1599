"""SQL tables of the risk side: what the journal said, as rows that pages and queries read.

Everything in here can be made again from the journal, except what people decided about rejections (`status`) and what may be erased
(`personal_values`, `rejected_raw`). A noun is stored whole in `body` (JSON); the columns beside it are what queries filter and order by.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text, text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from domain.instants import EPOCH

metadata = MetaData()

_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970-01-01T00:00Z; exact.

    Raises:
        ValueError: `moment` has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"time {moment.isoformat()} has no zone; only aware times are stored")
    return (moment - EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the UTC instant of `microseconds` since the epoch."""
    return EPOCH + timedelta(microseconds=microseconds)


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as integer microseconds since the epoch: order and arithmetic are the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  the base class's signature
        """Return the integer of an aware time; raises ValueError for one without a zone."""
        return None if value is None else to_us(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the base class's signature
        """Return the instant in UTC."""
        return None if value is None else from_us(value).astimezone(UTC)


meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

applied = Table(  # one row: outcomes of records up to `position` are in the tables
    "applied",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

progress = Table(  # in a cluster: outcomes of messages up to `offset_done` of each partition are in the tables
    "progress",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # of the last assignment: who has an older one may write nothing
    Column("offset_done", BigInteger, nullable=False),  # -1: nothing yet
    Column("owner", String, nullable=False),
    Column("assigned_at", Instant, nullable=False),
    Column("moved_at", Instant),
    Column("takeovers", Integer, nullable=False, server_default="0"),  # since one worked on it that let go of it in order
    Column("mark", Text, nullable=False, server_default=""),  # of the poison guard
)

partition_snapshots = Table(  # in a cluster without a shared folder: the state behind the message at `offset`, in pieces
    "partition_snapshots",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("nth", Integer, primary_key=True, autoincrement=False),
    Column("software", String, nullable=False),
    Column("received_at", Instant),
    Column("body", LargeBinary, nullable=False),
)

source_marks = Table(  # in a cluster: what is known of messages of other systems' topics that brought an edge down
    "source_marks",
    metadata,
    Column("source", String, primary_key=True),  # consumer group, topic, brokers
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # of the edge that has it: who has an older one may write nothing
    Column("takeovers", Integer, nullable=False),  # since an edge let go of it in order
    Column("mark", Text, nullable=False),  # of the poison guard
)

letters = Table(  # in a cluster: messages that follow from what is committed, until the brokers have them; sent in the order of `id`
    "letters",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("topic", String, nullable=False),  # whose partition wrote it
    Column("partition", Integer, nullable=False),
    Column("to", String, nullable=False),  # the topic's name without the deployment's prefix
    Column("to_partition", Integer, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("letters_by_partition", "topic", "partition", "id"),
)

objects = Table(
    "objects",
    metadata,
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("code", String, nullable=False),
    Column("code_valid", Boolean),
    Column("region", String, nullable=False),
    Column("industry", String, nullable=False),
    Column("credit", String, nullable=False),
    Column("body", Text, nullable=False),  # domain.objects.RegulatedObject
    Column("version", Integer, nullable=False),  # the registry's version that wrote it
    Index("objects_by_region", "region", "type"),
)

object_names = Table(
    "object_names",
    metadata,
    Column("normalised", String, primary_key=True),  # domain.names.normalise_name
    Column("object_id", String, primary_key=True),
    Index("object_names_by_object", "object_id"),
)

object_codes = Table(
    "object_codes",
    metadata,
    Column("code", String, primary_key=True),  # domain.names.normalise_code
    Column("object_id", String, primary_key=True),
    Index("object_codes_by_object", "object_id"),
)

signals = Table(
    "signals",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("feed", String, nullable=False),
    Column("id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("object_id", String, nullable=False),  # "": unresolved
    Column("method", String, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("status", String, nullable=False),  # active revised withdrawn
    Column("body", Text, nullable=False),  # domain.records.SignalEntry, as journalled: the columns hold what queries ask for
    Index("signals_by_object", "object_id", "occurred_at"),
    Index("signals_by_key", "feed", "id"),
    Index("signals_unresolved", "object_id", "seq", sqlite_where=text("object_id = ''"), postgresql_where=text("object_id = ''")),
)

rejections = Table(
    "rejections",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("feed", String, nullable=False),
    Column("batch", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("field", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("status", String, nullable=False),  # open replayed dismissed
    Column("replayed_seq", BigInteger),
    Index("rejections_by_feed", "feed", "status", "seq"),
    Index("rejections_by_reason", "reason", "status", "seq"),
)

rejected_raw = Table(  # the bytes of rejected records, which the journal does not hold: they name people in clear
    "rejected_raw",
    metadata,
    Column("feed", String, primary_key=True),
    Column("batch", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("sealed", LargeBinary),  # null: deleted
    Column("keep_until", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index("rejected_raw_due", "keep_until"),
)

personal_values = Table(  # the one place of personal values; everywhere else stand tokens
    "personal_values",
    metadata,
    Column("token", String, primary_key=True),
    Column("feed", String, primary_key=True),
    Column("field", String, nullable=False),
    Column("sealed", LargeBinary),  # null: erased
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),  # to the day: of the first record of that day
    Column("keep_until", Instant, nullable=False),
    Column("erased_at", Instant),
    Column("erased_by", String, nullable=False),  # "" while it is kept, else `retention` or who asked
    Index("personal_values_due", "keep_until"),
)

feeds = Table(
    "feeds",
    metadata,
    Column("feed", String, primary_key=True),
    Column("accepted", BigInteger, nullable=False),  # revisions included
    Column("rejected", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("revisions", BigInteger, nullable=False),
    Column("last_received_at", Instant),
    Column("last_occurred_at", Instant),
    Column("complete_until", Instant),
    Column("silent_since", Instant),
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # domain.catalogue.Catalogue
    Column("imported_at", Instant, nullable=False),
)

rulesets = Table(
    "rulesets",
    metadata,
    Column("version", String, primary_key=True),
    Column("texts", Text, nullable=False),  # JSON: file name → YAML text
    Column("activated_at", Instant),  # the last time; null: stored, never active
    Column("activated_seq", BigInteger),
    Column("by", String, nullable=False),
)

activations = Table(  # which rule set judged a record: the last one with a smaller `seq`
    "activations",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("version", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

rule_candidates = Table(  # sound sets that a second person was asked about
    "rule_candidates",
    metadata,
    Column("version", String, primary_key=True),
    Column("author", String, nullable=False),  # "": came by the folder, nobody stands for it yet
    Column("found_at", Instant, nullable=False),
    Column("state", String, nullable=False),  # pending approved refused replaced
    Column("decided_by", String, nullable=False),
    Column("decided_at", Instant),
    Column("reason", Text, nullable=False),
    Column("report", Text, nullable=False),  # JSON object
)

warnings = Table(
    "warnings",
    metadata,
    Column("id", String, primary_key=True),
    Column("subject", String, nullable=False),
    Column("object_id", String, nullable=False),
    Column("matter", String, nullable=False),
    Column("sector", String, nullable=False),
    Column("region", String, nullable=False),
    Column("level", String, nullable=False),
    Column("current_level", String, nullable=False),
    Column("score", Float, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("ruleset", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("coverage", Float, nullable=False),
    Column("namespace", String, nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("risk_state", String, nullable=False),  # open ended
    Column("ended_reason", String, nullable=False),
    Column("body", Text, nullable=False),  # domain.findings.EarlyWarning
    Index("warnings_by_subject", "subject", "matter", "risk_state"),
    Index("warnings_by_object", "object_id", "raised_at"),
    Index("warnings_by_state", "risk_state", "level", "raised_at"),
)

warning_events = Table(  # the risk side of a warning's story
    "warning_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("warning_id", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String, nullable=False),  # raised joined level_raised level_fell corrected rescored inferred ended outcome
    Column("actor", String, nullable=False),
    Column("detail", Text, nullable=False),  # JSON object
    Index("warning_events_by_warning", "warning_id", "id"),
)

hits = Table(
    "hits",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("rule", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("shadow", Boolean, nullable=False),  # of a rule on trial
    Column("warning_id", String),  # null: the rule raises nothing
    Column("message", Text, nullable=False),
    Column("values", Text, nullable=False),  # JSON object
    Column("suppressed", String),  # the tuning filter that kept it back, null: it counts
    Index("hits_by_subject", "subject", "at"),
    Index("hits_by_rule", "rule", "at"),
    Index("hits_by_warning", "warning_id"),
    Index(
        "hits_kept_back", "at", "suppressed", sqlite_where=text("suppressed IS NOT NULL"), postgresql_where=text("suppressed IS NOT NULL")
    ),
)

blinds = Table(  # what could not be decided, since feeds were silent
    "blinds",
    metadata,
    Column("rule", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("at", Instant, primary_key=True, autoincrement=False),
    Column("feed", String, primary_key=True),
    Column("signal", String, primary_key=True),
    Column("matter", String, nullable=False),
    Column("sources", Text, nullable=False),  # JSON list
    Column("shadow", Boolean, nullable=False),
    Index("blinds_by_subject", "subject", "at"),
    Index("blinds_by_rule", "rule", "at"),
)

backfills = Table(  # of activations that count back in a cluster; they only save time
    "backfills",
    metadata,
    Column("name", String, primary_key=True),  # version of the rule set / partition
    Column("nth", Integer, primary_key=True, autoincrement=False),
    Column("part", LargeBinary, nullable=False),
)
