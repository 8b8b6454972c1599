"""Snapshots of partitions stand in the database where workers share no folder, and so does what is known of a worker that died.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0013_standby"
down_revision = "v0012_suppressed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and add the columns."""
    op.create_table(
        "partition_snapshots",
        sa.Column("topic", sa.String, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("nth", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("software", sa.String, nullable=False),
        sa.Column("received_at", sa.BigInteger),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.add_column("progress", sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"))
    op.add_column("progress", sa.Column("mark", sa.Text, nullable=False, server_default=""))
