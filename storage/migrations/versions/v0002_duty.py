"""The tables of the obligation engine: cases, tasks, timers, deliveries, answers, audit, and who may ask.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002_duty"
down_revision = "v0001_risk"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of the obligation engine."""
    _obligations()
    _deliveries()
    _access()


def _obligations() -> None:
    op.create_table(
        "cases",
        sa.Column("warning_id", sa.String, primary_key=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("lead", sa.String, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("generated_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("cases_by_status", "cases", ["status", "due_at"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("warning_id", sa.String, nullable=False),
        sa.Column("department", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("tasks_by_department", "tasks", ["department", "stage"])
    op.create_index("tasks_by_warning", "tasks", ["warning_id"])
    op.create_table(
        "timers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("warning_id", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("fired_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("timers_by_warning", "timers", ["warning_id"])
    op.create_index("timers_due", "timers", ["state", "due_at"])
    op.create_table(
        "rungs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("warning_id", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("recipient", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("rungs_by_warning", "rungs", ["warning_id"])


def _deliveries() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("warning_id", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("recipient", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("endpoint_id", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("status", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("delivered_at", sa.BigInteger),
    )
    op.create_index("outbox_by_warning", "outbox", ["warning_id"])
    op.create_index("outbox_due", "outbox", ["state", "next_at"])
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.String, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("task_id", sa.String, primary_key=True),
        sa.Column("idempotency_key", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("warning_id", sa.String, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )


def _access() -> None:
    op.create_table(
        "precedents",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("precedents_by_matter", "precedents", ["matter"])
    op.create_table(
        "departments",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("department", sa.String, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("department", "url"),
    )
    op.create_table(
        "endpoint_secrets",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("department", sa.String, nullable=False),
        sa.Column("secret", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
    )
    op.create_index("endpoint_secrets_by_department", "endpoint_secrets", ["department"])
    op.create_table(
        "credentials",
        sa.Column("fingerprint", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("department", sa.String, nullable=False),
        sa.Column("feed", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_table(
        "sessions",
        sa.Column("fingerprint", sa.String, primary_key=True),
        sa.Column("credential", sa.String, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "links",
        sa.Column("fingerprint", sa.String, primary_key=True),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("warning_id", sa.String, nullable=False),
        sa.Column("department", sa.String, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used", sa.Boolean, nullable=False),
    )
    op.create_table(
        "owed_entries",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("entry", sa.LargeBinary, nullable=False),
    )
