"""What SQLite and PostgreSQL spell differently, in one place: every store is written once, over these.

A statement is built once and compiled by whichever database runs it (ADR 10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, String, Table, case, func, insert, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite's compiler reads the same clauses: the contract suite runs both
from sqlalchemy.dialects.sqlite import dialect as sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["copied", "insert_new", "insert_rows", "insert_tuples", "json_at", "larger", "parts", "take_turns", "upsert"]

T = TypeVar("T")
_PART = 500


def larger(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the larger of two values that are not null."""
    return case((one >= other, one), else_=other)


class json_at(FunctionElement[str]):  # noqa: N801  reads as the SQL function it is
    """The text at a path of names in a column that holds JSON, null where there is none: `json_at(rungs.c.body, "recipient", "name")`."""

    type = String()
    inherit_cache = True
    name = "json_at"

    def __init__(self, column: ColumnElement[str], *path: str) -> None:
        super().__init__(column, *path)


@compiles(json_at, "sqlite")
def _json_at_sqlite(element: json_at, compiler: SQLCompiler, **options: Any) -> str:
    column, *path = element.clauses
    steps = " || '.' || ".join(compiler.process(step, **options) for step in path)
    return f"json_extract({compiler.process(column, **options)}, '$.' || {steps})"


@compiles(json_at, "postgresql")
def _json_at_postgresql(element: json_at, compiler: SQLCompiler, **options: Any) -> str:
    column, *path = element.clauses
    steps = ", ".join(compiler.process(step, **options) for step in path)
    return f"(CAST({compiler.process(column, **options)} AS json) #>> ARRAY[{steps}])"


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Write a row unless one with its key is there; return whether it was written."""
    statement = _new_row(table)
    # Asked for expressly: after an INSERT, only SQLite's driver still knows the count once the cursor is closed.
    return connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount == 1


@cache
def _new_row(table: Table) -> Insert:
    return upsert(table).on_conflict_do_nothing()


def take_turns(connection: Connection, what: str) -> None:
    """Let transactions that name the same thing follow one another to their ends; in SQLite all of them do anyway.

    For few things per transaction, which have no row of their own to lock: the server's table of such locks is small.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `values` in parts that are not too many for one statement's `IN (...)`."""
    for start in range(0, len(values), _PART):
        yield values[start : start + _PART]


def insert_tuples(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Write many rows at once, as tuples in the order of the table's columns, in the values of the database (instants as microseconds).

    The last column is a text that holds JSON, given as an encoder makes it: bytes in UTF-8. It is the quickest way that each driver has:
    the type machinery between would cost more than the writing.
    """
    if connection.dialect.name == "postgresql":
        driver = connection.connection.driver_connection
        assert driver is not None, "a connection inside a transaction has its driver's"
        names = ", ".join(connection.dialect.identifier_preparer.format_column(column) for column in table.c)
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            copy.write(copied(rows))
    else:
        connection.exec_driver_sql(_insert_of(table), [(*row[:-1], str(row[-1], "utf-8")) for row in rows])  # type: ignore[call-overload]  # bytes


def copied(rows: Sequence[tuple[Any, ...]]) -> bytes:
    r"""Return rows as PostgreSQL's COPY reads them (text format), a line each; a NUL, which it cannot hold, becomes U+2400.

    The last value is JSON in UTF-8; the others are numbers and text. What needs no marks, which is nearly everything, is looked through as
    a whole: that is several times as quick as value by value.

    >>> copied([(1, "a", b"{}"), (0.5, "tab\there", b'"\\n"')])
    b'1\ta\t{}\n0.5\ttab\\there\t"\\\\n"\n'
    """
    tabs = len(rows[0]) - 1
    form = "%s\t" * tabs
    heads = [form % row[:-1] for row in rows]
    whole = "\n".join(heads)
    if not _plain(whole, len(rows) * tabs, len(rows) - 1):
        whole = "\n".join([head if _plain(head, tabs, 0) else _head(row) for head, row in zip(heads, rows, strict=True)])
    bodies = [body.replace(b"\\", b"\\\\") if b"\\" in body else body for body in [row[-1] for row in rows]]
    return b"\n".join([head + body for head, body in zip(whole.encode().split(b"\n"), bodies, strict=True)]) + b"\n"


def _plain(text: str, tabs: int, ends: int) -> bool:
    """Tell whether text has as many marks as are between values, and none inside them."""
    return text.count("\t") == tabs and text.count("\n") == ends and "\\" not in text and "\r" not in text and "\0" not in text


def _head(row: tuple[Any, ...]) -> str:
    """Return all values but the last with their marks."""
    values = [_marked(value) if isinstance(value, str) else str(value) for value in row[:-1]]
    return "\t".join([*values, ""])


def _marked(text: str) -> str:
    for mark, written in _MARKED.items():
        if mark in text:
            text = text.replace(mark, written)
    return text


# https://www.postgresql.org/docs/current/sql-copy.html, text format; the backslash first, since the others are written with one.
_MARKED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\u2400"}


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows, each with the same names, in the values of the database (instants as microseconds), but those whose key is there.

    It is one statement for all: PostgreSQL's driver would send one for each, which costs ten times as much as the row.
    """
    names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in rows[0])
    if connection.dialect.name == "postgresql":
        read = f"json_populate_recordset(CAST(NULL AS {table.name}), CAST(%s AS json)) WITH ORDINALITY"
        # What the database numbers itself is numbered in this order.
        source = f"SELECT {names} FROM {read} ORDER BY ordinality"  # noqa: S608  names of our own tables and columns
        given: Any = (_as_json(rows),)
    else:
        source = f"VALUES ({', '.join('?' * len(rows[0]))})"
        given = [tuple(row.values()) for row in rows]
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) {source} ON CONFLICT DO NOTHING", given)


def _as_json(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as PostgreSQL reads them from JSON: bytes in hexadecimal digits, and U+2400 for a NUL, which it cannot hold."""
    plain = [{name: "\\x" + value.hex() if isinstance(value, bytes) else value for name, value in row.items()} for row in rows]
    written = msgspec.json.encode(plain).decode()
    if "\\u0000" not in written:
        return written
    held = [{name: value.replace("\0", "\u2400") if isinstance(value, str) else value for name, value in row.items()} for row in plain]
    return msgspec.json.encode(held).decode()


def _insert_of(table: Table) -> str:
    text = _INSERTS.get(table.name)
    if text is None:
        text = _INSERTS.setdefault(table.name, str(insert(table).compile(dialect=sqlite())))
    return text


_INSERTS: dict[str, str] = {}
