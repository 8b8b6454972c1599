"""Who may do what in a shared PostgreSQL: roles, row-level security, and the views that dashboards read.

Declared here as a whole and put in place by every `fengsui db upgrade`, after the migrations: what stands in the database is what stands
here. All three roles cannot log in; an administrator makes accounts and gives them one:

    fengsui_service     what Fengsui's processes need: reading and writing every table, making none
    fengsui_department  what a request of a department reads as: the warnings it has a part in, and no secrets; processes step into it
    fengsui_reader      the views of the schema `reports`, for Grafana: no names, no texts
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from domain.errors import StoreUnavailable
from domain.messages import both
from storage.tables import metadata

SERVICE, DEPARTMENT, READER = "fengsui_service", "fengsui_department", "fengsui_reader"
SETTING = "fengsui.departments"  # for whom a transaction reads, joined by SEPARATOR
SEPARATOR = "\x1f"

# What a department reads of a table: the rows of warnings that it has a part in, by the column that names the warning.
OF_WARNING = {
    "warnings": "id",
    "cases": "warning_id",
    "tasks": "warning_id",
    "timers": "warning_id",
    "rungs": "warning_id",
    "outbox": "warning_id",
    "warning_events": "warning_id",
    "audit": "warning_id",
    "hits": "warning_id",
}
# ... or by another condition, under which the policies of the tables it names hold as well.
BY_CONDITION = {
    "attempts": "delivery_id IN (SELECT id FROM outbox)",
    "answers": "task_id IN (SELECT id FROM tasks) OR task_id IN (SELECT fengsui_department_warnings())",
    "endpoints": "department = ANY (fengsui_department_ids())",
}
# What tells of no single warning, and signals and objects, which warnings of whole areas cite: the application decides what it shows.
OPEN = (
    "activations", "alembic_version", "applied", "blinds", "catalogues", "departments", "feeds", "meta", "object_codes", "object_names",
    "objects", "precedents", "progress", "rejections", "rule_candidates", "rulesets", "signals",
)  # fmt: skip
# Secrets, personal values and what the engine keeps of all objects: not for a department, whatever it asks.
CLOSED = (
    "backfills", "credentials", "endpoint_secrets", "letters", "links", "owed_entries", "partition_snapshots", "personal_values",
    "rejected_raw", "sessions", "source_marks",
)  # fmt: skip

_SQL = Path(__file__).with_suffix(".sql")


def raise_walls(connection: Connection, where: str) -> None:
    """Put roles, policies and views in place, as the owner of the tables; again is harmless.

    Raises:
        StoreUnavailable: the roles are not there and this account may make none; the message has the statements for one that may.
    """
    _roles(connection, where)
    run = connection.exec_driver_sql
    for statement in _SQL.read_text(encoding="utf-8").split("\n----\n"):
        run(statement)
    run(f"GRANT USAGE ON SCHEMA public TO {SERVICE}, {DEPARTMENT}")
    run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {SERVICE}")
    run(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {SERVICE}")
    conditions = {table: f"{column} IN (SELECT fengsui_department_warnings())" for table, column in OF_WARNING.items()} | BY_CONDITION
    for table, condition in conditions.items():
        run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        for name, holder, rule in (
            ("service", SERVICE, "FOR ALL TO {} USING (true) WITH CHECK (true)"),
            ("department", DEPARTMENT, f"FOR SELECT TO {{}} USING ({condition})"),
        ):
            run(f"DROP POLICY IF EXISTS {name} ON {table}")
            run(f"CREATE POLICY {name} ON {table} {rule.format(holder)}")
    run(f"GRANT SELECT ON {', '.join([*conditions, *OPEN])} TO {DEPARTMENT}")
    run(f"REVOKE ALL ON {', '.join(CLOSED)} FROM {DEPARTMENT}")
    run(f"GRANT USAGE ON SCHEMA reports TO {READER}")
    run(f"GRANT SELECT ON ALL TABLES IN SCHEMA reports TO {READER}")


def unwalled() -> set[str]:
    """Return the tables that stand in none of the lists above: nobody decided what a department reads of them."""
    return {table.name for table in metadata.sorted_tables} - {*OF_WARNING, *BY_CONDITION, *OPEN, *CLOSED}


def _roles(connection: Connection, where: str) -> None:
    known = set(connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars())
    statements = [f"CREATE ROLE {role} NOLOGIN" for role in (SERVICE, DEPARTMENT, READER) if role not in known]
    account = connection.exec_driver_sql("SELECT quote_ident(current_user)").scalar_one()
    member = connection.exec_driver_sql(f"SELECT pg_has_role('{DEPARTMENT}', 'MEMBER')").scalar_one() if DEPARTMENT in known else False
    if not member:
        statements.append(f"GRANT {DEPARTMENT} TO {account}")
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        told = "; ".join(statements)
        raise StoreUnavailable(both("postgres.no_roles", where=where, statements=told)) from error
