"""What no query asks for of a signal stands in its `body` alone: each column costs as much as it holds, at every signal.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0016_signals"
down_revision = "v0015_source_marks"
branch_labels = None
depends_on = None

NOT_ASKED_FOR = ("matter", "region", "severity", "value", "unit", "text")


def upgrade() -> None:
    """Drop the columns; SQLite copies the table for that, once for all of them."""
    unresolved = sa.text("object_id = ''")
    op.drop_index("signals_unresolved", "signals")  # made anew: the copy would forget its condition
    with op.batch_alter_table("signals") as signals:
        for name in NOT_ASKED_FOR:
            signals.drop_column(name)
    op.create_index("signals_unresolved", "signals", ["object_id", "seq"], sqlite_where=unresolved, postgresql_where=unresolved)
