"""`deploy/cluster/accounts.sql` on a real PostgreSQL: who may log in, and what each account may and may not do then."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from app.cli import app
from storage import walls
from tests.architecture.tree import TOP

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

PASSWORDS = {
    "beacons": ("postgres_owner_password", 'o\'wner \\ "of" $the :tables'),
    "watch": ("postgres_watch_password", "w-2"),
    "grafana": ("postgres_grafana_password", "g-3"),
}


@pytest.fixture(scope="module")
def server(service: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Give a server on which accounts.sql ran twice and the tables were made: one of its own, since roles are the whole server's."""
    programs = service("postgresql").parent
    from tests.postgres import PostgresServer  # noqa: PLC0415  it brings the driver, which most tests do without

    secrets = tmp_path_factory.mktemp("secrets")
    for file, password in PASSWORDS.values():
        (secrets / file).write_text(password + "\n")
    script = secrets / "accounts.sql"
    script.write_text((TOP / "deploy/cluster/accounts.sql").read_text().replace("/run/secrets", str(secrets)))
    with PostgresServer(programs) as server:
        for _ in range(2):
            done = subprocess.run(
                ["psql", "--no-psqlrc", f"--host={server.folder}", f"--port={server.port}", "--username=admin", "--dbname=postgres",
                 f"--file={script}"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
        upgrade = ["db", "upgrade", "--database-url", server.tcp_url("beacons", user="beacons"), "--password-file"]
        done = CliRunner().invoke(app, [*upgrade, str(secrets / PASSWORDS["beacons"][0])])
        assert done.exit_code == 0, done.output
        yield server


def _log_in(server: PostgresServer, account: str, password: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    given = PASSWORDS[account][1] if password is None else password
    return psycopg.connect(
        host="127.0.0.1", port=server.port, user=account, password=given, dbname="beacons", autocommit=True, connect_timeout=60
    )


@pytest.mark.parametrize("account", sorted(PASSWORDS))
def test_an_account_needs_the_password_of_its_file(server: PostgresServer, account: str) -> None:
    """The password is the file's, whatever signs stand in it, and another one opens nothing; none of them rules the server."""
    with _log_in(server, account) as connection:
        found = connection.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert found.fetchone() == (False,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _log_in(server, account, "another")


def test_the_roles_themselves_cannot_log_in(server: PostgresServer) -> None:
    """What stands in `storage.walls` is what accounts are given, and never an account."""
    with server.admin() as admin:
        found = admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'fengsui%' AND NOT rolcanlogin ORDER BY 1").fetchall()
    assert {walls.SERVICE, walls.DEPARTMENT, walls.READER} == {name for (name,) in found}


def test_processes_read_and_write_and_change_no_table(server: PostgresServer) -> None:
    """`watch` is enough for every role of a cluster, and a stolen password of it leaves tables, walls and accounts as they are."""
    with _log_in(server, "watch") as connection:
        connection.execute("INSERT INTO meta (key, value) VALUES ('test', '1')")
        connection.execute("DELETE FROM meta WHERE key = 'test'")
        for statement in (
            b"CREATE TABLE own (a int)",
            b"DROP TABLE audit",
            b"TRUNCATE audit",
            b"ALTER TABLE warnings DISABLE ROW LEVEL SECURITY",
            b"DROP POLICY department ON warnings",
            b"CREATE ROLE other",
            b"SET ROLE beacons",
            b"COPY meta TO PROGRAM 'cat'",
            b"SELECT rolpassword FROM pg_authid",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        connection.execute("GRANT SELECT ON credentials TO fengsui_reader")  # a warning, and nothing is granted
        assert connection.execute("SELECT has_table_privilege('fengsui_reader', 'credentials', 'SELECT')").fetchone() == (False,)


def test_grafana_sees_the_views_and_nothing_else(server: PostgresServer) -> None:
    """Of everything that can be selected from outside of the catalogue, the account sees the views of `reports`; it can change nothing."""
    with _log_in(server, "grafana") as connection:
        seen = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog',"
            " 'information_schema') AND has_table_privilege(quote_ident(table_schema) || '.' || quote_ident(table_name), 'SELECT')"
        ).fetchall()
        views = {name for (name,) in seen}
        assert views == {f"reports.{name}" for name in re.findall(r"^CREATE VIEW reports\.(\w+)", walls._SQL.read_text(), re.MULTILINE)}
        for view in sorted(map(str, views)):
            connection.execute(f"SELECT * FROM {view}".encode()).fetchall()
        for statement in (b"SELECT * FROM credentials", b"SELECT * FROM warnings", b"SELECT * FROM personal_values", b"SET ROLE watch"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE own (a int)")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)


def test_grafanas_data_source_is_that_account(server: PostgresServer) -> None:
    """User, database and password file are those that accounts.sql makes; the containers give it that file; Prometheus is as in `small`."""
    yaml = YAML(typ="safe")
    prometheus, source = yaml.load(TOP / "deploy/cluster/datasources/fengsui.yaml")["datasources"]
    assert [prometheus] == yaml.load(TOP / "deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    services = yaml.load(TOP / "docker-compose.yml")["services"]
    host, port = source["url"].split(":")
    assert (host in services, port) == (True, "5432")
    assert source["uid"] != prometheus["uid"]
    secret = PASSWORDS[source["user"]][0]
    assert source["secureJsonData"]["password"] == f"$__file{{/run/secrets/{secret}}}"
    assert secret in services["grafana-cluster"]["secrets"]
    assert "password" not in source["jsonData"]
    with psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user=source["user"],
        password=PASSWORDS[source["user"]][1],
        dbname=source["jsonData"]["database"],
    ) as connection:
        asked = "SELECT lead, count(*) FROM reports.warnings WHERE status = 'open' AND due_at < now() GROUP BY lead"
        assert asked in (TOP / "docs/deployment.md").read_text(encoding="utf-8"), "what the page shows"
        assert connection.execute(asked).fetchall() == []
