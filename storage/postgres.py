"""PostgreSQL under `storage.database`: the same stores for several processes at once (ADR 10).

Transactions are READ COMMITTED and run side by side; reads are REPEATABLE READ and read-only. Nothing is migrated at a start:
`fengsui db upgrade` does that, once, as the owner of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.errors import StoreCorrupt, StoreUnavailable
from domain.messages import both
from domain.ports import Clock
from storage.database import Database
from storage.migrate import migrate, newest, standing
from storage.scope import departments
from storage.tables import from_us
from storage.walls import DEPARTMENT, SEPARATOR, SETTING, raise_walls

WRITERS = 8
READERS = 16
TURNS = 4  # taken or waited for at once: they must not use up the connections that whoever has the turn writes with
POOL_SECONDS = 5.0  # for which a caller waits for a connection
CONNECT_SECONDS = 5
LOCK_SECONDS = 10  # a transaction that waits longer for another one's row gives up and is done again
IDLE_SECONDS = 30  # a process that stands still inside a transaction loses it, and with it its row locks: somebody else goes on
SKEW = timedelta(seconds=5)  # by which this machine's clock may differ from the database's
# How soon the server notices that a machine is gone, and lets go of the rows that it held: it would wait for two hours.
_KEEPALIVES = ("SET tcp_keepalives_idle = 10", "SET tcp_keepalives_interval = 5", "SET tcp_keepalives_count = 3")
_UPGRADE_LOCK = 0x46656E67  # one `db upgrade` at a time
_CREATE = "createdb --encoding=UTF8 --locale=C.UTF-8 --template=template0 NAME"
_COLLATIONS = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})  # in which text sorts as it does in SQLite and in Python

# SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html) by what the caller does next: do the same again.
_UNAVAILABLE_CLASSES = ("08", "53", "57P", "58")  # connection, resources, shutdown, system
_UNAVAILABLE = frozenset(
    {
        "25006",  # a standby: nothing can be written
        "25P03",  # stood still inside a transaction
        "40001",  # serialization
        "40P01",  # deadlock
        "55P03",  # lock time-out
        "57014",  # statement time-out
    }
)
_CORRUPT = frozenset({"XX001", "XX002"})
_READ_ONLY = "25006"
_LOCK_TIMEOUT = "55P03"
_TAKE_TURN = text("SELECT pg_advisory_lock(hashtextextended(:what, 0))")
_END_TURN = text("SELECT pg_advisory_unlock(hashtextextended(:what, 0))")
_STEP_IN = text(f"SELECT set_config('role', '{DEPARTMENT}', true), set_config('{SETTING}', :departments, true)")  # to the transaction's end


class _Text(StrDumper):
    """Text as PostgreSQL can hold it: a NUL, which it cannot, becomes U+2400; the noun in the row's `body` keeps what was sent."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\u2400") if "\0" in obj else obj)


class Postgres:
    """A PostgreSQL database as `storage.database.Kind`."""

    shares_connection = False

    def __init__(self, url: URL) -> None:
        """Connect with `url`, whose password is never shown; nothing is asked of the server yet."""
        self.where = shown(url)
        self._writers = _engine(url, WRITERS, f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        self._readers = _engine(
            url, READERS, "SET default_transaction_read_only = on", "SET default_transaction_isolation = 'repeatable read'"
        )

        self._turns = _engine(url, TURNS)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection inside a transaction."""
        with self._writers.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that cannot write and sees one committed state throughout; of a request's departments, where it has any."""
        of = departments()
        with self._readers.connect() as connection, connection.begin():
            if of is not None:
                connection.execute(_STEP_IN, {"departments": SEPARATOR.join(of)})
            yield connection

    @contextmanager
    def turn(self, what: str) -> Iterator[None]:
        """Hold a lock of that name for a session of its own; the server lets go of it where the connection is lost.

        Raises:
            StoreUnavailable: others took too long, and nothing was done; or, once all was done, the turn turns out to have been lost.
        """
        with self._turns.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            try:
                connection.execute(_TAKE_TURN, {"what": what})
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCK_TIMEOUT:
                    raise
                raise StoreUnavailable(both("store.turn_taken", where=self.where, what=what, seconds=LOCK_SECONDS)) from error
            try:
                yield
            finally:
                trouble = self._end_turn(connection, what)
        if trouble:  # an error of the block itself counts for more, and is on its way already
            raise StoreUnavailable(both("postgres.turn_lost", where=self.where, what=what, error=trouble))

    def _end_turn(self, connection: Connection, what: str) -> str:
        """Let others have their turn; return why it had ended already, "" where it had not.

        A connection that cannot say so is closed, or it would keep the turn for as long as it stays in the pool.
        """
        try:
            held = connection.scalar(_END_TURN, {"what": what})
        except DBAPIError as error:
            connection.invalidate()
            return _one_line(error)
        return "" if held else "pg_advisory_unlock: false"

    def translated(self, error: Exception, *, reading: bool) -> Exception:
        """Return what the caller of a door should see."""
        if isinstance(error, PoolTimeout):
            return StoreUnavailable(both("postgres.busy", where=self.where))
        if not isinstance(error, DBAPIError):
            return error
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in _CORRUPT:
            return StoreCorrupt(both("store.damaged", where=self.where, error=error.orig))
        lost = isinstance(error, OperationalError) and not state  # the driver's own: no connection, or none any more
        if lost or ((state.startswith(_UNAVAILABLE_CLASSES) or state in _UNAVAILABLE) and not (reading and state == _READ_ONLY)):
            return StoreUnavailable(both("postgres.away", where=self.where, error=_one_line(error)))
        return error

    def sweep(self) -> bool:
        """Let the rows that erasure left behind be overwritten; what was in them is sealed, so no key, no value."""
        with self._writers.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM personal_values, rejected_raw")
        return True

    def check_clock(self, clock: Clock) -> None:
        """Raise StoreUnavailable where `clock` and the server's differ by more than `SKEW`."""
        with self._readers.connect() as connection, connection.begin():
            check_clock(connection, clock, self.where)

    def close(self) -> None:
        """Give the connections back."""
        self._turns.dispose()
        self._readers.dispose()
        self._writers.dispose()


class PostgresDatabase(Database):
    """`storage.database.Database` on PostgreSQL."""

    @classmethod
    def connect(cls, url: str, clock: Clock, *, password_file: Path | None = None) -> Self:
        """Connect to a database whose tables are those of this version.

        Raises:
            StoreUnavailable: it does not answer, its tables are older or newer, it sorts text in another way, or `clock` and its own
                differ by more than `SKEW`; the message says what to do.
        """
        with ExitStack() as stack:
            database = cls(Postgres(address(url, password_file)))
            stack.callback(database.close)
            with database.read() as connection:
                check_text(connection, database.where)
                check_revision(connection, database.where)
                check_clock(connection, clock, database.where)
            stack.pop_all()
        return database

    @classmethod
    def upgrade(cls, url: str, *, password_file: Path | None = None) -> list[str]:
        """Bring tables, roles and views up to date and return the revisions that were run, oldest first; one process at a time.

        Raises:
            StoreUnavailable: it does not answer, a newer Fengsui made its tables, or it sorts text in another way.
        """
        with cls(Postgres(address(url, password_file))) as database, database.write() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            check_text(connection, database.where)
            done = migrate(connection, database.where)
            raise_walls(connection, database.where)
            return done

    @classmethod
    @contextmanager
    def looking(cls, url: str, *, password_file: Path | None = None) -> Iterator[Connection]:
        """Give a connection that only reads, whatever the tables are.

        Raises:
            StoreUnavailable: it does not answer.
        """
        with cls(Postgres(address(url, password_file))) as database, database.read() as connection:
            yield connection


def address(url: str, password_file: Path | None = None) -> URL:
    """Return the address of a database, with the password of `password_file`.

    Raises:
        StoreUnavailable: it is no PostgreSQL address, holds a password itself, or the file cannot be read; no secret is repeated.
    """
    try:
        found = make_url(url)
    except ArgumentError as error:
        raise StoreUnavailable(both("postgres.no_address", given="?")) from error  # it is not repeated: there may be a password in it
    if found.drivername not in {"postgresql", "postgres"}:
        raise StoreUnavailable(both("postgres.no_address", given=f"{found.drivername}://"))
    if found.password is not None or "password" in found.query:
        raise StoreUnavailable(both("postgres.password_in_address"))
    if password_file is not None:
        try:
            found = found.set(password=password_file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise StoreUnavailable(both("postgres.password_file", file=password_file, error=reason)) from error
    return found.set(drivername="postgresql+psycopg")


def clock_difference(connection: Connection, clock: Clock) -> timedelta:
    """Return by how much this machine's clock is ahead of the database's, negative where it is behind."""
    before = clock.now()
    said: int = connection.exec_driver_sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").scalar_one()
    return _middle(before, clock.now()) - from_us(said)


def check_clock(connection: Connection, clock: Clock, where: str) -> None:
    """Refuse a machine whose clock is not the database's: what is due would be early or late, and leases would not mean the same.

    Raises:
        StoreUnavailable: they differ by more than `SKEW`.
    """
    ahead = clock_difference(connection, clock)
    if abs(ahead) > SKEW:
        told: dict[str, object] = {"where": where, "by": f"{abs(ahead).total_seconds():.1f}", "most": SKEW.seconds}
        raise StoreUnavailable(both("postgres.clock_ahead", **told) if ahead > timedelta(0) else both("postgres.clock_behind", **told))


def _middle(one: datetime, other: datetime) -> datetime:
    return one + (other - one) / 2


def troubles(connection: Connection, clock: Clock, where: str) -> dict[str, str]:
    """Return why a process of this version would refuse the database, by what was looked at: text, tables, clock; "" where it would not."""
    checks = (("text", partial(check_text, connection, where)), ("tables", partial(check_revision, connection, where)))
    found: dict[str, str] = {}
    for what, check in (*checks, ("clock", partial(check_clock, connection, clock, where))):
        try:
            check()
        except StoreUnavailable as error:
            found[what] = str(error)
        else:
            found[what] = ""
    return found


def check_text(connection: Connection, where: str) -> None:
    """Refuse a database that keeps or sorts text in another way than SQLite and Python do.

    Raises:
        StoreUnavailable: it does; the message says how to make one that does not.
    """
    query = (
        "SELECT pg_encoding_to_char(encoding), CASE to_jsonb(d)->>'datlocprovider' WHEN 'i' THEN 'ICU' ELSE datcollate END "
        "FROM pg_database d WHERE datname = current_database()"  # datlocprovider is there from version 15 on
    )
    encoding, collation = connection.exec_driver_sql(query).one()
    if encoding != "UTF8" or collation not in _COLLATIONS:
        raise StoreUnavailable(both("postgres.text", where=where, encoding=encoding, collation=collation, command=_CREATE))


def check_revision(connection: Connection, where: str) -> None:
    """Refuse tables of another version than this one's.

    Raises:
        StoreUnavailable: they are older, newer, or not there; the message says what to do.
    """
    held = standing(connection)
    if held == newest():
        return
    if held is None:
        raise StoreUnavailable(both("postgres.newer", where=where, own=newest()))
    if not held:
        raise StoreUnavailable(both("postgres.empty", where=where, own=newest()))
    raise StoreUnavailable(both("postgres.older", where=where, held=held, own=newest()))


def _engine(url: URL, size: int, *settings: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": "fengsui"},
    )

    def prepare(driver: psycopg.Connection[Any], _: object) -> None:
        driver.adapters.register_dumper(str, _Text)
        with driver.cursor() as cursor:
            for setting in ("SET TIME ZONE 'UTC'", f"SET lock_timeout = '{LOCK_SECONDS}s'", *_KEEPALIVES, *settings):
                cursor.execute(setting)
        driver.commit()

    event.listen(engine, "connect", prepare)
    return engine


def shown(url: URL | str) -> str:
    """Return an address without its password, as a message may name it."""
    return make_url(url).set(drivername="postgresql", password=None).render_as_string(hide_password=True)


def _one_line(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())
