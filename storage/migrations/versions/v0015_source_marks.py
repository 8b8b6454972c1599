"""What is known of a message of another system's topic that brought an edge down, for whichever edge reads that topic next.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0015_source_marks"
down_revision = "v0014_backfills"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_marks",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("takeovers", sa.Integer, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
    )
