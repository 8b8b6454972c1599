"""When feeds were heard last, as edges note it, and which process of several does what only one has to do.

Rows of signals come later than the signals: a feed whose records wait in the log is not silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from storage.dialects import insert_new, upsert
from storage.tables import from_us, meta, to_us

_HEARD, _OFFICE = "heard/", "office/"


def note_heard(connection: Connection, feeds: Mapping[str, datetime]) -> None:
    """Note that feeds were heard; what was noted later stays."""
    known = heard(connection)
    for feed, at in sorted(feeds.items()):
        if feed not in known or known[feed] < at:
            value = str(to_us(at))
            row = upsert(meta).values(key=_HEARD + feed, value=value)
            connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def heard(connection: Connection) -> dict[str, datetime]:
    """Return when each feed was heard last, by feed."""
    rows = connection.execute(select(meta.c.key, meta.c.value).where(meta.c.key.startswith(_HEARD, autoescape=True)))
    return {row.key.removeprefix(_HEARD): from_us(int(row.value)) for row in rows}


def hold_office(connection: Connection, office: str, owner: str, now: datetime, until: datetime) -> bool:
    """Take an office, or keep it, up to `until`; return False where somebody else has it now.

    Whoever dies in office leaves it vacant at the end of the time; whoever looks first then has it.
    """
    key, mine = _OFFICE + office, f"{to_us(until)} {owner}"
    if insert_new(connection, meta, {"key": key, "value": mine}):
        return True
    held = connection.scalar(select(meta.c.value).where(meta.c.key == key).with_for_update())
    ends, _, holder = str(held).partition(" ")
    if holder != owner and from_us(int(ends)) > now:
        return False
    connection.execute(meta.update().where(meta.c.key == key).values(value=mine))
    return True
