"""PostgreSQL as a database of Fengsui's: what is refused at the start and how, and what happens when the server goes away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from app.cli import app
from app.clock import SystemClock
from domain.errors import StoreUnavailable
from storage.database import Database
from storage.migrate import newest
from storage.postgres import PostgresDatabase, address, shown
from storage.tables import meta

if TYPE_CHECKING:
    from tests.postgres import PostgresServer


class Shifted:
    """A machine whose clock is wrong."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return SystemClock().now() + self._by


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Give a database and close it."""
    with PostgresDatabase.connect(url, SystemClock()) as database:
        yield database


def test_a_database_without_tables_says_how_to_make_them(postgres: PostgresServer) -> None:
    """The first start of all is refused with the command, and after it the start is fine; the command may be repeated."""
    url = postgres.url(postgres.empty())
    with pytest.raises(StoreUnavailable, match=r"no tables yet.*fengsui db upgrade"), opened(url):
        pass
    assert PostgresDatabase.upgrade(url)[-1] == newest()
    assert PostgresDatabase.upgrade(url) == []
    with opened(url) as database, database.read() as connection:
        assert connection.scalars(select(meta.c.key)).all() == []


BEHIND = f"v0007_blinds, this version needs {newest()}: run `fengsui db upgrade`"


@pytest.mark.parametrize(("held", "told"), [("v0007_blinds", BEHIND), ("v9999_future", "newer")])
def test_tables_of_another_version_are_refused(postgres: PostgresServer, held: str, told: str) -> None:
    """One migration behind or one ahead: nothing is written, and the message says on which side to act."""
    url = postgres.fresh()
    name = url.partition("@/")[2].partition("?")[0]
    with postgres.admin(name) as admin:
        admin.execute("UPDATE alembic_version SET version_num = %s", (held,))
    with pytest.raises(StoreUnavailable, match=told), opened(url):
        pass


def test_a_newer_database_is_not_upgraded_backwards(postgres: PostgresServer) -> None:
    """The command refuses as the start does."""
    url = postgres.fresh()
    with postgres.admin(url.partition("@/")[2].partition("?")[0]) as admin:
        admin.execute("UPDATE alembic_version SET version_num = 'v9999_future'")
    with pytest.raises(StoreUnavailable, match=r"v9999_future.*install the newer one again"):
        PostgresDatabase.upgrade(url)


def test_a_database_that_sorts_otherwise_is_refused(postgres: PostgresServer) -> None:
    """Another collation would give every list another order; the message has the command that makes the right one."""
    name = postgres.empty(options="TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'zh' LOCALE 'C.UTF-8'")
    with pytest.raises(StoreUnavailable, match=r"createdb .*--locale=C\.UTF-8"):
        PostgresDatabase.upgrade(postgres.url(name))


@pytest.mark.parametrize(("by", "told"), [(timedelta(seconds=6), "6.0 s ahead of"), (timedelta(seconds=-60), "60.0 s behind")])
def test_a_clock_that_is_not_the_databases_is_refused(postgres: PostgresServer, by: timedelta, told: str) -> None:
    """What is due would be early or late, and leases would overlap; a small difference is fine."""
    url = postgres.fresh()
    with pytest.raises(StoreUnavailable, match=rf"{told}.*NTP"):
        PostgresDatabase.connect(url, Shifted(by))
    PostgresDatabase.connect(url, Shifted(timedelta(seconds=2))).close()


def test_a_password_comes_from_its_file_and_is_never_told(postgres: PostgresServer, tmp_path: Path) -> None:
    """With the file the door opens; without it, with a wrong one, or with one inside the address, no message repeats a secret."""
    from tests.postgres import PASSWORD  # noqa: PLC0415  it brings the driver

    name = postgres.url(postgres.empty()).partition("@/")[2].partition("?")[0]
    url, right, wrong = postgres.tcp_url(name), tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"{PASSWORD}\n")
    wrong.write_text("guess-me-not\n")
    assert PostgresDatabase.upgrade(url, password_file=right)[-1] == newest()
    for given, file in (
        (url, wrong),
        (url, None),
        (url, tmp_path / "missing"),
        (url.replace("fengsui@", "fengsui:s3cret-canary@"), None),
        (f"{url}?password=s3cret-canary", None),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            PostgresDatabase.connect(given, SystemClock(), password_file=file)
        said = f"{caught.value!r} {caught.value.__cause__!r}"
        assert not [secret for secret in ("s3cret-canary", PASSWORD, "guess-me-not") if secret in said]
    assert PASSWORD not in shown(address(url, right))


@pytest.mark.parametrize("url", ["mysql://a@b/c", "nonsense", "sqlite:///x.db"])
def test_another_address_is_refused_with_an_example(url: str) -> None:
    """What is no PostgreSQL says how one is written."""
    with pytest.raises(StoreUnavailable, match="postgresql://fengsui@"):
        address(url)


def test_a_server_that_goes_away_is_unavailable_and_comes_back(postgres: PostgresServer) -> None:
    """Killed inside a transaction or between two: StoreUnavailable, nothing of the block is kept, and the next one works."""
    with opened(postgres.fresh()) as database:
        with database.write() as connection:
            connection.execute(insert(meta).values(key="before", value=""))

        def interrupted() -> None:
            with database.write() as connection:
                connection.execute(insert(meta).values(key="lost", value=""))
                postgres.stop()
                connection.execute(insert(meta).values(key="lost too", value=""))

        with pytest.raises(StoreUnavailable, match="see that the server runs"):
            interrupted()
        with pytest.raises(StoreUnavailable), database.read() as connection:
            connection.scalars(select(meta.c.key)).all()
        postgres.start()
        with database.write() as connection:
            connection.execute(insert(meta).values(key="after", value=""))
        with database.read() as connection:
            assert connection.scalars(select(meta.c.key).order_by(meta.c.key)).all() == ["after", "before"]


def test_a_nul_is_kept_as_its_picture(postgres: PostgresServer) -> None:
    """PostgreSQL cannot hold it; the row says where it was."""
    with postgres.open() as database:
        with database.write() as connection:
            connection.execute(insert(meta).values(key="a\0b", value=""))
        with database.read() as connection:
            assert connection.scalars(select(meta.c.key)).all() == ["a\u2400b"]


def test_transactions_that_wait_for_each_other_are_unavailable(postgres: PostgresServer) -> None:
    """One of two is ended by the server and told to do it again; the other one's work is kept."""
    import threading  # noqa: PLC0415  only here

    with postgres.open() as database:
        with database.write() as connection:
            connection.execute(insert(meta), [{"key": key, "value": ""} for key in "ab"])
        met, failed = threading.Barrier(2), list[StoreUnavailable]()

        def change(first: str, second: str) -> None:
            try:
                with database.write() as connection:
                    connection.execute(meta.update().where(meta.c.key == first).values(value=first + second))
                    met.wait(10)
                    connection.execute(meta.update().where(meta.c.key == second).values(value=first + second))
            except StoreUnavailable as error:
                failed.append(error)

        threads = [threading.Thread(target=change, args=pair) for pair in ("ab", "ba")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(failed) == 1
        assert "deadlock" in str(failed[0])
        with database.read() as connection:
            assert len(set(connection.scalars(select(meta.c.value)))) == 1


def test_the_commands_upgrade_and_tell(postgres: PostgresServer, tmp_path: Path) -> None:
    """`db status` says what a start would refuse and ends with 1, `db upgrade` mends it, then it ends with 0."""
    config = tmp_path / "fengsui.toml"
    config.write_text(f'database_url = "{postgres.url(postgres.empty())}"\n')
    run = CliRunner()
    before = run.invoke(app, ["db", "status", "--config", str(config), "--output", "json"])
    assert before.exit_code == 1
    assert {row["what"]: row["ok"] for row in json.loads(before.stdout)} == {"text": True, "tables": False, "clock": True}
    done = run.invoke(app, ["db", "upgrade", "--config", str(config)])
    assert (done.exit_code, done.stdout.split()[-1]) == (0, newest())
    after = run.invoke(app, ["db", "status", "--config", str(config)])
    assert after.exit_code == 0
    assert newest() in after.stdout
    again = run.invoke(app, ["db", "upgrade", "--config", str(config)])
    assert (again.exit_code, again.stdout) == (0, "")


def test_the_commands_need_an_address() -> None:
    """The data folder's own file is no business of theirs."""
    done = CliRunner().invoke(app, ["db", "upgrade"])
    assert done.exit_code == 2
    assert "--database-url" in done.stderr


def test_clocks_that_go_apart_later_stop_the_duty_loop(postgres: PostgresServer) -> None:
    """The check at the start is repeated: a machine whose clock was set meanwhile fires nothing, and goes on once it is set right."""
    with postgres.open() as database:
        database.check_clock(SystemClock())
        with pytest.raises(StoreUnavailable, match="NTP"):
            database.check_clock(Shifted(timedelta(minutes=1)))
        database.check_clock(SystemClock())
    with Database.in_memory() as alone:
        alone.check_clock(Shifted(timedelta(days=1)))
