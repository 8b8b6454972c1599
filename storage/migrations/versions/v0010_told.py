"""What a department was told of is found by an index: every page of it asks.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

from alembic import op

revision = "v0010_told"
down_revision = "v0009_leases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("outbox_by_recipient", "outbox", ["recipient", "warning_id"])
