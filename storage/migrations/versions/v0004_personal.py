"""The erasable tables: personal values by token, and the bytes of rejected records.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0004_personal"
down_revision = "v0003_duty_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "rejected_raw",
        sa.Column("feed", sa.String, primary_key=True),
        sa.Column("batch", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_index("rejected_raw_due", "rejected_raw", ["keep_until"])
    op.create_table(
        "personal_values",
        sa.Column("token", sa.String, primary_key=True),
        sa.Column("feed", sa.String, primary_key=True),
        sa.Column("field", sa.String, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("erased_by", sa.String, nullable=False),
    )
    op.create_index("personal_values_due", "personal_values", ["keep_until"])
