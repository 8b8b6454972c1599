"""How safely the log of a cluster is kept, as its edges found it on the brokers: whoever looks at the database alone reads it there."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from domain.base import Noun
from storage.dialects import upsert
from storage.tables import meta

_KEY = "log_durability"


class Durability(Noun, frozen=True, kw_only=True):
    """Machines that have each record, and how many of them had it before it was acknowledged."""

    replicas: int
    in_sync: int

    @property
    def reduced(self) -> bool:
        """Whether the loss of one machine may lose what was acknowledged, or stops the intake."""
        return self.replicas < 3 or self.in_sync < 2


def keep_durability(connection: Connection, found: Durability) -> None:
    """Keep what was found, in the place of what was found before."""
    value = msgspec.json.encode(found).decode()
    connection.execute(upsert(meta).values(key=_KEY, value=value).on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def durability(connection: Connection) -> Durability | None:
    """Return what the edge that started last found, None where there is no cluster."""
    found = connection.scalar(select(meta.c.value).where(meta.c.key == _KEY))
    return msgspec.json.decode(found, type=Durability) if found else None
