"""What was kept twice or in clear goes: used keys inside the cases, tokens of one-time links inside the messages.

The keys stand in `answers`; a link's token is made again when its message goes out. Deliveries learn where their present series of
attempts began, so that one that is sent again gets all of them.
"""

from __future__ import annotations

import json
import re

import sqlalchemy as sa
from alembic import op

revision = "v0003_duty_once"
down_revision = "v0002_duty"
branch_labels = None
depends_on = None

_TOKEN = re.compile(r"(/answer/)[\w-]+$")


def upgrade() -> None:
    """Add the column, then clear what is stored."""
    op.add_column("outbox", sa.Column("series_from", sa.Integer, nullable=False, server_default="0"))
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT warning_id, body FROM cases")).all():
        case = json.loads(row.body)
        if case.pop("answered", None) is not None:
            kept = json.dumps(case, ensure_ascii=False, separators=(",", ":"))
            connection.execute(sa.text("UPDATE cases SET body = :body WHERE warning_id = :id"), {"body": kept, "id": row.warning_id})
    for row in connection.execute(sa.text("SELECT id, body FROM outbox")).all():
        message = json.loads(row.body)
        links = message["data"]["links"]
        if "answer" in links:
            links["answer"] = _TOKEN.sub(r"\1", links["answer"])
            body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
            connection.execute(sa.text("UPDATE outbox SET body = :body WHERE id = :id"), {"body": body, "id": row.id})
