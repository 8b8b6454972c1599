"""The tables of the risk side.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0001_risk"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of the risk side."""
    _registry()
    _signals()
    _findings()


def _registry() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "applied",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "objects",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("code_valid", sa.Boolean),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("industry", sa.String, nullable=False),
        sa.Column("credit", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("objects_by_region", "objects", ["region", "type"])
    op.create_table(
        "object_names",
        sa.Column("normalised", sa.String, primary_key=True),
        sa.Column("object_id", sa.String, primary_key=True),
    )
    op.create_index("object_names_by_object", "object_names", ["object_id"])
    op.create_table(
        "object_codes",
        sa.Column("code", sa.String, primary_key=True),
        sa.Column("object_id", sa.String, primary_key=True),
    )
    op.create_index("object_codes_by_object", "object_codes", ["object_id"])
    op.create_table(
        "catalogues",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("imported_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rulesets",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("texts", sa.Text, nullable=False),
        sa.Column("activated_at", sa.BigInteger),
        sa.Column("activated_seq", sa.BigInteger),
        sa.Column("by", sa.String, nullable=False),
    )


def _signals() -> None:
    op.create_table(
        "signals",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("feed", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("object_id", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("signals_by_key", "signals", ["feed", "id"])
    op.create_index("signals_by_object", "signals", ["object_id", "occurred_at"])
    op.create_index(
        "signals_unresolved",
        "signals",
        ["object_id", "seq"],
        sqlite_where=sa.text("object_id = ''"),
        postgresql_where=sa.text("object_id = ''"),
    )
    op.create_table(
        "rejections",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("feed", sa.String, nullable=False),
        sa.Column("batch", sa.String, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("field", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("replayed_seq", sa.BigInteger),
    )
    op.create_index("rejections_by_feed", "rejections", ["feed", "status", "seq"])
    op.create_index("rejections_by_reason", "rejections", ["reason", "status", "seq"])
    op.create_table(
        "feeds",
        sa.Column("feed", sa.String, primary_key=True),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sa.Column("revisions", sa.BigInteger, nullable=False),
        sa.Column("last_received_at", sa.BigInteger),
        sa.Column("last_occurred_at", sa.BigInteger),
        sa.Column("complete_until", sa.BigInteger),
        sa.Column("silent_since", sa.BigInteger),
    )


def _findings() -> None:
    op.create_table(
        "warnings",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("object_id", sa.String, nullable=False),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("sector", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("current_level", sa.String, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("raised_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("episode", sa.Integer, nullable=False),
        sa.Column("ruleset", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("coverage", sa.Float, nullable=False),
        sa.Column("namespace", sa.String, nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("risk_state", sa.String, nullable=False),
        sa.Column("ended_reason", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("warnings_by_object", "warnings", ["object_id", "raised_at"])
    op.create_index("warnings_by_state", "warnings", ["risk_state", "level", "raised_at"])
    op.create_index("warnings_by_subject", "warnings", ["subject", "matter", "risk_state"])
    op.create_table(
        "warning_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("warning_id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("warning_events_by_warning", "warning_events", ["warning_id", "id"])
    op.create_table(
        "hits",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("warning_id", sa.String),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("values", sa.Text, nullable=False),
    )
    op.create_index("hits_by_rule", "hits", ["rule", "at"])
    op.create_index("hits_by_subject", "hits", ["subject", "at"])
    op.create_index("hits_by_warning", "hits", ["warning_id"])
