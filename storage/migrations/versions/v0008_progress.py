"""How far each partition is in a cluster, and whose it is.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0008_progress"
down_revision = "v0007_blinds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "progress",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("offset_done", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("assigned_at", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.BigInteger),
    )
