"""Leases know whose they are, so that several duty loops share one outbox and one list of owed entries.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0009_leases"
down_revision = "v0008_progress"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("outbox", sa.Column("lease_owner", sa.String, nullable=False, server_default=""))
    op.add_column("owed_entries", sa.Column("lease_owner", sa.String, nullable=False, server_default=""))
    op.add_column("owed_entries", sa.Column("lease_until", sa.BigInteger))
