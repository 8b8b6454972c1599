"""Candidates for the active rule set, where a second person has to approve them, and the version that a person went back to.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0006_candidates"
down_revision = "v0005_activations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "rule_candidates",
        sa.Column("version", sa.String, primary_key=True),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_by", sa.String, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
