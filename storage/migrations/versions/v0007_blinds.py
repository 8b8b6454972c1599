"""What could not be decided because feeds were silent, so that who looks at an object or a rule sees it.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0007_blinds"
down_revision = "v0006_candidates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and its indexes."""
    op.create_table(
        "blinds",
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("feed", sa.String, primary_key=True),
        sa.Column("signal", sa.String, primary_key=True),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("sources", sa.Text, nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
    )
    op.create_index("blinds_by_subject", "blinds", ["subject", "at"])
    op.create_index("blinds_by_rule", "blinds", ["rule", "at"])
