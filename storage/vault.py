"""What may be erased: personal values by token, and the bytes of rejected records, both sealed and each with its end.

What came in is written here before anything of it is journalled, and synced. A crash in between leaves values that no token names,
which retention erases as it does the others; a token without its value does not come about. What was erased leaves its row, so that a
token is shown as erased and not as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy import Connection, and_, func, or_, select, update

from domain.base import Noun
from domain.instants import SHANGHAI
from domain.personal import KeptRaw, PersonalValue
from storage.crashpoints import reach
from storage.database import Database
from storage.dialects import larger, upsert
from storage.intake_reads import Rejection
from storage.sealing import Seal
from storage.tables import personal_values, rejected_raw

RETENTION = "retention"  # who erased what nobody asked to erase

_NEW_VALUE = upsert(personal_values)
_KEEP_VALUE = _NEW_VALUE.on_conflict_do_update(
    index_elements=["token", "feed"],
    set_={
        "sealed": func.coalesce(personal_values.c.sealed, _NEW_VALUE.excluded.sealed),
        "last_seen": larger(personal_values.c.last_seen, _NEW_VALUE.excluded.last_seen),
        "keep_until": larger(personal_values.c.keep_until, _NEW_VALUE.excluded.keep_until),
        "erased_at": None,
        "erased_by": "",
    },
)
_NEW_RAW = upsert(rejected_raw)
_KEEP_RAW = _NEW_RAW.on_conflict_do_update(
    index_elements=["feed", "batch", "position"],
    set_={
        "sealed": _NEW_RAW.excluded.sealed,
        "keep_until": larger(rejected_raw.c.keep_until, _NEW_RAW.excluded.keep_until),
        "deleted_at": None,
    },
)


class Held(Noun, frozen=True, kw_only=True):
    """What is held behind a token for one feed; `value` is None once it is erased."""

    token: str
    feed: str
    field: str
    value: str | None
    erased_at: datetime | None


class Vault:
    """Keeps, opens and erases; safe to use from several threads."""

    def __init__(self, database: Database, seal: Seal, retention: Callable[[str], timedelta]) -> None:
        """`retention` says how long a feed's values are kept after they were last received."""
        self._database = database
        self._seal = seal
        self._retention = retention
        self._seen: dict[tuple[str, str], date] = {}  # (feed, token) → day on which its row was last written, for most of today's
        self._uncut = True  # whether the write-ahead log may hold what was erased, of the life before too

    def keep(self, feed: str, now: datetime, values: Iterable[PersonalValue], rejected: Sequence[KeptRaw]) -> None:
        """Keep what arrived at `now`, on the disk when this returns; a value that came today already costs a look at a dictionary.

        Raises:
            StoreUnavailable: the disk does not take it; nothing is kept.
        """
        seen, today = self._seen, now.astimezone(SHANGHAI).date()  # one that was erased meanwhile is forgotten with the whole of `seen`
        fresh = {one.token: one for one in values if seen.get((feed, one.token)) != today}
        if not fresh and not rejected:
            return
        until = now + self._retention(feed)
        rows = [
            {
                "token": one.token,
                "feed": feed,
                "field": one.field,
                "sealed": self._seal.close(one.value.encode("utf-8", "surrogatepass"), _about_value(one.token, feed)),
                "first_seen": now,
                "last_seen": now,
                "keep_until": until,
                "erased_at": None,
                "erased_by": "",
            }
            for one in fresh.values()
        ]
        raws = [
            {
                "feed": feed,
                "batch": one.batch,
                "position": one.position,
                "sealed": self._seal.close(one.raw, _about_raw(feed, one.batch, one.position)),
                "keep_until": until,
                "deleted_at": None,
            }
            for one in rejected
        ]
        with self._database.write() as connection:
            if rows:
                connection.execute(_KEEP_VALUE, rows)
            if raws:
                connection.execute(_KEEP_RAW, raws)
        reach("vault.after_keep")
        if len(seen) > 200_000:
            seen.clear()
        seen.update(((feed, token), today) for token in fresh)

    def holders(self, connection: Connection, token: str) -> dict[str, bool]:
        """Return the feeds that told the value behind a token, each with whether it is still kept."""
        query = select(personal_values.c.feed, personal_values.c.sealed.is_not(None)).where(personal_values.c.token == token)
        return {row[0]: bool(row[1]) for row in connection.execute(query)}

    def held(self, connection: Connection, token: str, feeds: Collection[str]) -> list[Held]:
        """Return what `feeds` told behind a token, the newest first.

        Raises:
            StoreCorrupt: a value does not open.
        """
        rows = connection.execute(
            select(personal_values)
            .where(personal_values.c.token == token, personal_values.c.feed.in_(sorted(feeds)))
            .order_by(personal_values.c.last_seen.desc(), personal_values.c.feed)
        )
        return [
            Held(
                token=row.token,
                feed=row.feed,
                field=row.field,
                value=None if row.sealed is None else self._plain(row.sealed, row.token, row.feed),
                erased_at=row.erased_at,
            )
            for row in rows
        ]

    def _plain(self, sealed: bytes, token: str, feed: str) -> str:
        return self._seal.open(sealed, _about_value(token, feed)).decode("utf-8", "surrogatepass")

    def opened(self, rejection: Rejection) -> Rejection:
        """Return a rejection with its raw bytes where they are still kept; `raw_deleted_at` says since when they are not.

        Raises:
            StoreCorrupt: they do not open.
        """
        if rejection.raw or rejection.sealed is None:  # the journal's own rejections may share batch and position with another
            return msgspec.structs.replace(rejection, sealed=None, raw_deleted_at=None if rejection.raw else rejection.raw_deleted_at)
        about = _about_raw(rejection.feed, rejection.batch, rejection.position)
        return msgspec.structs.replace(rejection, raw=self._seal.open(rejection.sealed, about), sealed=None)

    def erase(self, connection: Connection, token: str, now: datetime, by: str) -> int:
        """Erase what is held behind a token; return of how many feeds that was. Call `forget` after the transaction."""
        kept = and_(personal_values.c.token == token, personal_values.c.sealed.is_not(None))
        return connection.execute(update(personal_values).where(kept).values(sealed=None, erased_at=now, erased_by=by)).rowcount

    def delete_raw(self, connection: Connection, rejection: Rejection, now: datetime) -> None:
        """Delete the kept bytes of one rejection."""
        same = and_(
            rejected_raw.c.feed == rejection.feed, rejected_raw.c.batch == rejection.batch, rejected_raw.c.position == rejection.position
        )
        connection.execute(update(rejected_raw).where(same).values(sealed=None, deleted_at=now))

    def expire(self, now: datetime) -> tuple[int, int]:
        """Erase what is over its end at `now`; return how many values and how many raw records that were."""
        over_values = and_(personal_values.c.keep_until <= now, personal_values.c.sealed.is_not(None))
        over_raws = and_(rejected_raw.c.keep_until <= now, rejected_raw.c.sealed.is_not(None))
        with self._database.read() as connection:  # most of the time there is nothing, which needs no writing
            due = connection.scalar(
                select(or_(select(personal_values).where(over_values).exists(), select(rejected_raw).where(over_raws).exists()))
            )
        if not due:
            return 0, 0
        with self._database.write() as connection:
            erased = update(personal_values).where(over_values).values(sealed=None, erased_at=now, erased_by=RETENTION)
            values = connection.execute(erased).rowcount
            raws = connection.execute(update(rejected_raw).where(over_raws).values(sealed=None, deleted_at=now)).rowcount
        self.forget()
        return values, raws

    def forget(self) -> bool:
        """After an erasure: take nothing for kept any more, and cut the log as `cut` does."""
        self._seen = {}
        self._uncut = True
        return self.cut()

    def cut(self) -> bool:
        """Leave nothing of what was erased in the write-ahead log; return False while a reader holds it: retention tries again."""
        if self._uncut:
            self._uncut = not self._database.sweep()
        return not self._uncut


def _about_value(token: str, feed: str) -> str:
    return f"personal {feed} {token}"


def _about_raw(feed: str, batch: str, position: int) -> str:
    return f"rejected {feed} {batch} {position}"
