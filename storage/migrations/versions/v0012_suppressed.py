"""The tuning filter that kept a hit back is a column with an index of its own: the page of the rules counts by it.

Columns are written out here and stay as they are: later changes are later revisions.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "v0012_suppressed"
down_revision = "v0011_letters"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and bring into it what stood among the values of a hit."""
    op.add_column("hits", sa.Column("suppressed", sa.String))
    hits = sa.table("hits", *(sa.column(name) for name in ("seq", "rule", "subject", "values", "suppressed")))
    connection = op.get_bind()
    for row in connection.execute(sa.select(hits).where(hits.c["values"].contains('"suppressed"'))).all():
        values = json.loads(row.values)
        change = {"suppressed": values.pop("suppressed"), "values": json.dumps(values, ensure_ascii=False, separators=(",", ":"))}
        mine = (hits.c.seq == row.seq, hits.c.rule == row.rule, hits.c.subject == row.subject)
        connection.execute(sa.update(hits).where(*mine).values(**change))
    kept_back = sa.text("suppressed IS NOT NULL")
    op.create_index("hits_kept_back", "hits", ["at", "suppressed"], sqlite_where=kept_back, postgresql_where=kept_back)
