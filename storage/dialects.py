"""What SQLite and PostgreSQL spell differently, in one place: every store is written once, over these.

A statement is built once and compiled by whichever database runs it (ADR 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, String, Table, case, func, insert, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert  # SQLite's compiler reads the same clauses: the contract suite runs both
from sqlalchemy.dialects.sqlite import dialect as sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["copied", "insert_new", "insert_tuples", "json_at", "larger", "parts", "take_turns", "upsert"]

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

    The quickest way that each driver has: the type machinery between would cost more than the writing.
    """
    if connection.dialect.name == "postgresql":
        driver = connection.connection.driver_connection
        assert driver is not None, "a connection inside a transaction has its driver's"
        names = ", ".join(connection.dialect.identifier_preparer.format_column(column) for column in table.c)
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            copy.write(copied(rows))
    else:
        connection.exec_driver_sql(_insert_of(table), list(rows))


def copied(rows: Sequence[tuple[object, ...]]) -> bytes:
    r"""Return rows as PostgreSQL's COPY reads them (text format), a line each; a NUL, which it cannot hold, becomes U+2400.

    Column by column, since that is five times as quick as value by value; bytes are not among the values.

    >>> copied([(1, None, "a"), (2, 0.5, "tab\there")])
    b'1\t\\N\ta\n2\t0.5\ttab\\there\n'
    """
    lines = map("\t".join, zip(*map(_texts, zip(*rows, strict=True)), strict=True))
    return ("\n".join(lines) + "\n").encode()


def _texts(column: tuple[object, ...]) -> Iterable[str]:
    """Return the values of a column as COPY reads them."""
    kinds = set(map(type, column))
    if kinds <= {int, float}:
        return map(str, column)
    texts = [value if isinstance(value, str) else _NULL if value is None else str(value) for value in column]
    whole = "".join(texts)
    if not any(mark in whole for mark in _MARKED):
        return texts
    return [_marked(value) if isinstance(value, str) else text for value, text in zip(column, texts, strict=True)]


def _marked(text: str) -> str:
    for mark, written in _MARKED.items():
        if mark in text:
            text = text.replace(mark, written)
    return text


_NULL = "\\N"
# https://www.postgresql.org/docs/current/sql-copy.html, text format; the backslash first, since the others are written with one.
_MARKED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\u2400"}


def _insert_of(table: Table) -> str:
    text = _INSERTS.get(table.name)
    if text is None:
        text = _INSERTS.setdefault(table.name, str(insert(table).compile(dialect=sqlite())))
    return text


_INSERTS: dict[str, str] = {}
