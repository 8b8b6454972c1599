"""Every activation of a rule set gets its row, so that a hit is explained with the texts that judged it.

What is known of the past is the last activation of each version; those stand for the earlier ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0005_activations"
down_revision = "v0004_personal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and fill in what is known."""
    op.create_table(
        "activations",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String, nullable=False),
    )
    op.execute(
        'INSERT INTO activations (seq, version, at, "by") '
        'SELECT activated_seq, version, activated_at, "by" FROM rulesets WHERE activated_seq IS NOT NULL'
    )
