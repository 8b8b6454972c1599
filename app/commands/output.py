"""How commands speak: data on standard output (a table for people, JSON for machines), everything else on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from domain.errors import FengsuiError
from domain.instants import parse_rfc3339, spoken
from domain.messages import CATALOGUE, both

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
# Columns whose values are codes with a title, and the areas of the catalogue that have it.
_CODED = {"level": ("level",), "stage": ("stage",), "status": ("stage", "rule_status"), "change": ("change",), "kind": ("piece",)}
FINDINGS, USAGE = 1, 2  # exit codes; 0 is ok


class Output(StrEnum):
    """What standard output looks like."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table 供人阅读，json 供程序读取 / for people or for programs")]


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], output: Output) -> None:
    """Print rows: as a table of `columns`, or whole as a JSON array."""
    if output is Output.JSON:
        json.dump(list(rows), sys.stdout, ensure_ascii=False, indent=1, default=str)
        sys.stdout.write("\n")
        return
    from rich.console import Console  # 60 ms that --help does not pay
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(
            both(f"column.{column}") if f"column.{column}" in CATALOGUE else column, no_wrap=place == 0
        )  # an id that is cut names nothing
    for row in rows:
        table.add_row(*(_titled(column, row[column]) for column in columns))
    terminal = sys.stdout.isatty()
    # A message may hold :words: and [brackets] of its own; a pipe has no right margin.
    Console(emoji=False, markup=False, highlight=terminal, width=None if terminal else 10_000).print(table)


def _titled(column: str, value: Any) -> str:
    """Return a value of a column as people read it: a code by its title in both languages."""
    keys = (f"{area}.{value}" for area in _CODED.get(column, ()))
    key = next((key for key in keys if key in CATALOGUE), None)
    return cell(value) if key is None else both(key)


def cell(value: Any) -> str:
    """Return a value as people read it: a time to the minute, in Asia/Shanghai; JSON output has it exactly."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        return spoken(parse_rfc3339(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def note(message: str) -> None:
    """Tell the person at the terminal something that is not data."""
    typer.echo(message, err=True)


def instant(option: str, written: str) -> datetime:
    """Return the instant that was written for an option, of a date its beginning in Asia/Shanghai; anything else ends with exit code 2."""
    try:
        return parse_rfc3339(f"{written}T00:00:00+08:00" if _DATE.fullmatch(written) else written)
    except ValueError as error:
        note(both("option.instant", option=option, read=written))
        raise typer.Exit(USAGE) from error


def span(option: str, written: str) -> timedelta:
    """Return the length of time that was written for an option, as in rule files; anything else ends with exit code 2."""
    from rules.documents import DURATION
    from rules.durations import duration

    try:
        if re.fullmatch(DURATION, written):
            return duration(written)
    except ValueError as error:
        note(f"{option}: {error}")
        raise typer.Exit(USAGE) from error
    note(f"{option}: {written}；应如 / write it like 36h, 90d, 30天")
    raise typer.Exit(USAGE)


@contextmanager
def progress() -> Iterator[Callable[[int, int], object]]:
    """Give what shows how far a long command is, `(done, all)`: a bar on a terminal's standard error, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an error that Fengsui raised on purpose into its message and exit code 2, without a traceback."""
    try:
        yield
    except FengsuiError as error:
        note(str(error))
        raise typer.Exit(USAGE) from error
    except FileNotFoundError as error:
        note(f"找不到文件 / no such file: {error.filename or error}")
        raise typer.Exit(USAGE) from error
    except OSError as error:
        if error.filename is None:
            raise  # no file that somebody named: a defect, to be seen whole
        note(f"{error.filename} 不能读写：{error.strerror} / cannot be read or written: check path, owner and rights")
        raise typer.Exit(USAGE) from error


@contextmanager
def asking_services() -> Iterator[None]:
    """Tell errors plainly where a command asks what services hold, of a cluster too; what their parts log is left out but for warnings."""
    from app.logs import only_warnings

    with plain_errors(), needs_extra(), only_warnings():
        yield


@contextmanager
def needs_extra() -> Iterator[None]:
    """Say what to install where the extra `kafka` is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"aiokafka", "faust", "kafka", "mode"}:
            raise
        note(both("kafka.extra"))
        raise typer.Exit(USAGE) from error
