"""Tables of the obligation engine: cases, tasks, timers, rungs, deliveries, answers, audit, and who may ask.

A noun is stored whole in `body` (JSON); the columns beside it are what queries filter and order by, written from the same noun.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from storage.tables import Instant, metadata

cases = Table(
    "cases",
    metadata,
    Column("warning_id", String, primary_key=True),
    Column("status", String, nullable=False),  # open closed withdrawn unrouted
    Column("version", Integer, nullable=False),
    Column("level", String, nullable=False),
    Column("matter", String, nullable=False),
    Column("region", String, nullable=False),
    Column("lead", String, nullable=False),
    Column("due_at", Instant),
    Column("generated_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("body", Text, nullable=False),
    Index("cases_by_status", "status", "due_at"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("warning_id", String, nullable=False),
    Column("department", String, nullable=False),
    Column("role", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("tasks_by_warning", "warning_id"),
    Index("tasks_by_department", "department", "stage"),
)

timers = Table(
    "timers",
    metadata,
    Column("id", String, primary_key=True),
    Column("warning_id", String, nullable=False),
    Column("task_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("what", String, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("state", String, nullable=False),  # pending fired cancelled
    Column("fired_at", Instant),
    Column("body", Text, nullable=False),
    Index("timers_due", "state", "due_at"),
    Index("timers_by_warning", "warning_id"),
)

rungs = Table(
    "rungs",
    metadata,
    Column("id", String, primary_key=True),
    Column("warning_id", String, nullable=False),
    Column("task_id", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Index("rungs_by_warning", "warning_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String, primary_key=True),  # the webhook-id: one over all attempts
    Column("warning_id", String, nullable=False),
    Column("task_id", String, nullable=False),
    Column("recipient", String, nullable=False),  # department
    Column("event", String, nullable=False),
    Column("endpoint_id", String, nullable=False),  # "" is the department's inbox in the console
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("state", String, nullable=False),  # waiting sent dead cancelled
    Column("attempt", Integer, nullable=False),
    Column("series_from", Integer, nullable=False, server_default="0"),  # attempts made before it was sent again
    Column("next_at", Instant),
    Column("lease_until", Instant),
    Column("lease_owner", String, nullable=False, server_default=""),  # whose attempt is under way, "" where none is
    Column("status", Integer),  # of the last attempt, 0 where no answer came
    Column("detail", Text, nullable=False),
    Column("delivered_at", Instant),
    Index("outbox_due", "state", "next_at"),
    Index("outbox_by_warning", "warning_id"),
    Index("outbox_by_recipient", "recipient", "warning_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", String, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("status", Integer, nullable=False),
    Column("detail", Text, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("task_id", String, primary_key=True),
    Column("idempotency_key", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("action", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("status", Integer, nullable=False),  # HTTP status of the reply, repeated to whoever repeats the answer
    Column("reply", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("warning_id", String, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("what", String, nullable=False),
    Column("detail", Text, nullable=False),  # canonical JSON
    Column("previous", String, nullable=False),  # hash of entry n - 1, "" for the first
    Column("hash", String, nullable=False),
)

precedents = Table(  # rulings (改派裁定) on who is competent; later warnings follow them
    "precedents",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("matter", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("precedents_by_matter", "matter"),
)

departments = Table(
    "departments",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("body", Text, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", String, primary_key=True),
    Column("department", String, nullable=False),
    Column("url", Text, nullable=False),
    Column("state", String, nullable=False),  # active disabled
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("department", "url"),
)

endpoint_secrets = Table(
    "endpoint_secrets",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("department", String, nullable=False),
    Column("secret", String, nullable=False),  # needed in clear to sign; the data folder is readable by its owner alone
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Index("endpoint_secrets_by_department", "department"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("department", String, nullable=False),
    Column("feed", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)

sessions = Table(
    "sessions",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("credential", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

links = Table(
    "links",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("task_id", String, nullable=False),
    Column("warning_id", String, nullable=False),
    Column("department", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used", Boolean, nullable=False),
)

# Journal entries that follow from a transaction here (a verdict, a closure): written with it, submitted after it under a lease, deleted
# once synced. A crash in between submits twice, which the pipeline takes once.
owed_entries = Table(
    "owed_entries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("entry", LargeBinary, nullable=False),
    Column("lease_owner", String, nullable=False, server_default=""),
    Column("lease_until", Instant),
)
