"""What the partitions of a cluster know of the rules that they judge by, for whoever shows how the rules fare.

One row for each partition, written by its worker: since when each rule knows the whole of what it reads, and what came too late for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from domain.base import Noun
from storage.dialects import upsert
from storage.tables import meta

_KNOWN: Final = "rules_known/"


class Known(Noun, frozen=True, kw_only=True):
    """Of one partition: `complete` is `Pipeline.complete_from`, `too_late` what `Pipeline.too_late` is, both by rule, of set `version`."""

    version: str
    complete: Mapping[str, datetime]
    too_late: Mapping[str, tuple[int, datetime]]


def keep_known(connection: Connection, topic: str, partition: int, known: Known) -> None:
    """Keep what a partition knows, in the place of what it knew before."""
    key, value = f"{_KNOWN}{topic}/{partition}", msgspec.json.encode(known).decode()
    connection.execute(upsert(meta).values(key=key, value=value).on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def known_of(connection: Connection, version: str) -> list[Known]:
    """Return what the partitions know that judge by a rule set, in the order of their names."""
    rows = connection.scalars(select(meta.c.value).where(meta.c.key.startswith(_KNOWN, autoescape=True)).order_by(meta.c.key))
    return [known for known in (msgspec.json.decode(row, type=Known) for row in rows) if known.version == version]
