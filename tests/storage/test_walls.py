"""The second wall: what a forgotten condition, a department's account or a dashboard's can read in a shared PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from dispatch.route import Routed, route
from domain.errors import StoreUnavailable
from domain.findings import WarningRaised
from storage import audit, obligations, outbox, risk, walls
from storage.database import Database
from storage.duty_tables import cases, credentials, endpoint_secrets, tasks
from storage.duty_tables import outbox as outbox_table
from storage.postgres import PostgresDatabase
from storage.scope import departments, reading_for
from storage.tables import metadata, personal_values, warnings
from tests.dispatch.timeline import CATALOGUE, Story
from tests.factories import T0, make_warning

if TYPE_CHECKING:
    from tests.postgres import PostgresServer


@pytest.fixture
def city(postgres: PostgresServer) -> Iterator[Database]:
    """Give three warnings: of one department, of another, and one that the first was only told of."""
    with postgres.open() as database:
        with database.write() as connection:
            for number, department in enumerate(("housing", "traffic", "traffic"), start=1):
                _warn(connection, f"w{number}", department)
            told = outbox.Delivery(
                id="n1", warning_id="w3", task_id="", recipient="housing", event="x", endpoint_id="e", body=b"{}", created_at=T0
            )
            outbox.add(connection, [told])
        yield database


def _warn(connection: Connection, id_: str, department: str) -> None:
    warning = make_warning(id=id_, subject=f"o-{id_}")
    risk.apply_outcomes(connection, [WarningRaised(warning=warning)])
    routed = route(warning, CATALOGUE, Story().context, T0)
    assert isinstance(routed, Routed)
    obligations.add_cases(connection, [routed.case])
    obligations.add_tasks(connection, [msgspec.structs.replace(routed.tasks[0], id=f"t-{id_}", department=department)])
    audit.append(connection, id_, T0, "system", "generated", {})


def seen(database: Database) -> dict[str, list[str]]:
    """Return what statements without any condition find."""
    asked = {"warnings": warnings.c.id, "cases": cases.c.warning_id, "tasks": tasks.c.warning_id, "outbox": outbox_table.c.warning_id}
    with database.read() as connection:
        return {name: sorted(connection.scalars(select(column))) for name, column in asked.items()}


def test_a_forgotten_condition_shows_a_department_its_own_warnings(city: Database) -> None:
    """Those in which it has a task and those of which it was told; nothing of others; outside of a request all of it."""
    everything = ["w1", "w2", "w3"]
    with reading_for("housing"):
        assert seen(city) == {"warnings": ["w1", "w3"], "cases": ["w1", "w3"], "tasks": ["w1", "w3"], "outbox": ["w3"]}
    with reading_for("traffic"):
        assert seen(city) == {"warnings": ["w2", "w3"], "cases": ["w2", "w3"], "tasks": ["w2", "w3"], "outbox": ["w3"]}
    with reading_for("housing", "traffic"):
        assert seen(city)["warnings"] == everything
    for nobody in ((), ("",), ("nobody",), ("housing' OR 'a'='a",)):
        with reading_for(*nobody):
            assert not any(seen(city).values())
    assert departments() is None
    assert seen(city)["warnings"] == everything, "the same connections serve everybody again"


def test_a_department_reads_no_secrets_and_writes_nothing(city: Database) -> None:
    """Credentials, signing secrets and personal values are refused by the database, whatever the statement."""
    for table in (credentials, endpoint_secrets, personal_values):
        with reading_for("housing"), pytest.raises(DBAPIError, match="permission denied"), city.read() as connection:
            connection.execute(select(table)).all()


def test_an_account_of_the_departments_role_is_held_without_our_help(city: Database, postgres: PostgresServer) -> None:
    """A raw connection that steps into the role and forgets the condition sees what the setting says, and nothing without one."""
    name = city.where.partition("@/")[2].partition("?")[0]
    with postgres.admin(name) as raw:
        raw.execute(f"SET ROLE {walls.DEPARTMENT}".encode())
        assert raw.execute("SELECT count(*) FROM warnings").fetchone() == (0,)
        raw.execute("SELECT set_config('fengsui.departments', 'housing', false)")
        assert raw.execute("SELECT array_agg(id ORDER BY id) FROM warnings").fetchone() == (["w1", "w3"],)
        assert raw.execute("SELECT array_agg(warning_id ORDER BY warning_id) FROM audit").fetchone() == (["w1", "w3"],)


def test_a_process_needs_not_own_the_tables(city: Database, postgres: PostgresServer) -> None:
    """An account with the service's and the department's role reads and writes everything, steps behind the wall, and makes no table."""
    name = city.where.partition("@/")[2].partition("?")[0]
    with postgres.admin(name) as admin:
        admin.execute("DROP ROLE IF EXISTS worker")
        admin.execute(f"CREATE ROLE worker LOGIN IN ROLE {walls.SERVICE}, {walls.DEPARTMENT}".encode())
    from app.clock import SystemClock  # noqa: PLC0415  its own use

    with PostgresDatabase.connect(postgres.url(name, user="worker"), SystemClock()) as database:
        with database.write() as connection:
            _warn(connection, "w4", "housing")
        assert seen(database)["warnings"] == ["w1", "w2", "w3", "w4"]
        with reading_for("housing"):
            assert seen(database)["warnings"] == ["w1", "w3", "w4"]
        with pytest.raises(DBAPIError, match="permission denied"), database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE own (id int)")


def test_a_reader_of_reports_reads_reports_alone(city: Database, postgres: PostgresServer) -> None:
    """Grafana's account sees figures and times of all departments, no table, no name, no text; and changes nothing."""
    name = city.where.partition("@/")[2].partition("?")[0]
    with postgres.admin(name) as admin:
        views = {row[0] for row in admin.execute("SELECT viewname FROM pg_views WHERE schemaname = 'reports'")}
        columns = {row[0] for row in admin.execute("SELECT column_name FROM information_schema.columns WHERE table_schema = 'reports'")}
        admin.execute(f"SET ROLE {walls.READER}".encode())
        for view in sorted(map(str, views)):
            admin.execute(f"SELECT * FROM reports.{view}".encode()).fetchall()
        raised = admin.execute("SELECT id, raised_at FROM reports.warnings ORDER BY id").fetchall()
        for statement in (
            b"SELECT * FROM warnings",
            b"SELECT * FROM credentials",
            b"DELETE FROM reports.timers",
            b"CREATE TABLE x (a int)",
        ):
            with pytest.raises(Exception, match="permission denied"):
                admin.execute(statement)
    assert views == {"warnings", "tasks", "timers", "deliveries", "feeds", "hits", "progress"}
    assert raised[0] == ("w1", make_warning().raised_at)
    assert columns.isdisjoint({"body", "subject", "object_id", "message", "text", "name", "raw", "detail"})


def test_somebody_decided_about_every_table(postgres: PostgresServer) -> None:
    """A table that is added has its place in the walls, and each one with a policy is behind it."""
    assert walls.unwalled() == set()
    assert {*walls.OF_WARNING, *walls.BY_CONDITION, *walls.OPEN, *walls.CLOSED} - {"alembic_version"} == set(metadata.tables)
    name = postgres.fresh().partition("@/")[2].partition("?")[0]
    with postgres.admin(name) as admin:
        held = {row[0] for row in admin.execute("SELECT relname FROM pg_class WHERE relrowsecurity")}
    assert held == {*walls.OF_WARNING, *walls.BY_CONDITION}


def test_an_owner_that_may_make_no_roles_is_told_what_to_ask_for(postgres: PostgresServer) -> None:
    """Nothing is half done, and the message has the statements for the administrator."""
    postgres.fresh()  # by another owner, who made the roles
    with postgres.admin() as admin:
        admin.execute("DROP ROLE IF EXISTS modest")
        admin.execute("CREATE ROLE modest LOGIN")
    name = postgres.empty()
    with postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE {name} OWNER TO modest".encode())
    with pytest.raises(StoreUnavailable, match=f"GRANT {walls.DEPARTMENT} TO modest"):
        PostgresDatabase.upgrade(postgres.url(name, user="modest"))
    with postgres.admin(name) as admin:
        admin.execute(f"GRANT {walls.DEPARTMENT} TO modest".encode())
    assert PostgresDatabase.upgrade(postgres.url(name, user="modest"))
    with PostgresDatabase.looking(postgres.url(name, user="modest")) as connection:
        assert connection.scalar(select(func.count()).select_from(warnings)) == 0


def test_a_new_process_has_no_scope() -> None:
    """Who reads for nobody in particular reads for everybody: duty loops, engines, commands."""
    assert departments() is None
