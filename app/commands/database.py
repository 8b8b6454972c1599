"""`fengsui db`: the tables of a shared PostgreSQL are brought up to date by hand, once, by whoever owns them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import ConfigOption
from app.commands.output import FINDINGS, USAGE, Output, OutputOption, note, plain_errors, show

if TYPE_CHECKING:
    from app.settings import Settings

app = typer.Typer(no_args_is_help=True, help="数据库的表 / Tables of the database")

AddressOption = Annotated[
    str | None, typer.Option("--database-url", help="PostgreSQL：postgresql://用户@主机/库，不含口令 / address without a password")
]
PasswordOption = Annotated[Path | None, typer.Option("--password-file", help="只含口令的文件 / file with the password, and nothing else")]
COLUMNS = ("what", "ok", "detail")


@app.command()
def status(
    config: ConfigOption = None,
    database_url: AddressOption = None,
    password_file: PasswordOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """显示表的版本与时钟差 / Show the revision of the tables and the difference of the clocks; exit 1 where `serve` would refuse it."""
    settings = _settings(config, database_url, password_file)
    from app.clock import SystemClock
    from storage import postgres
    from storage.migrate import newest

    clock = SystemClock()
    with plain_errors(), postgres.PostgresDatabase.looking(settings.database_url, password_file=settings.database_password_file) as found:
        ahead = postgres.clock_difference(found, clock).total_seconds()
        wrong = postgres.troubles(found, clock, postgres.shown(settings.database_url))
    fine = {"text": "UTF-8", "tables": newest(), "clock": f"{ahead:+.3f} s"}
    rows = [{"what": what, "ok": not trouble, "detail": trouble or fine[what]} for what, trouble in wrong.items()]
    show(rows, COLUMNS, output)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(FINDINGS)


@app.command()
def upgrade(config: ConfigOption = None, database_url: AddressOption = None, password_file: PasswordOption = None) -> None:
    """把表升级到本版本，可重复执行 / Bring the tables up to this version, as their owner; again is harmless."""
    settings = _settings(config, database_url, password_file)
    from storage.postgres import PostgresDatabase

    with plain_errors():
        done = PostgresDatabase.upgrade(settings.database_url, password_file=settings.database_password_file)
    for revision in done:
        typer.echo(revision)
    note(f"{len(done)} 个版本已执行 / revisions run" if done else "已是最新 / up to date already")


def _settings(config: Path | None, database_url: str | None, password_file: Path | None) -> Settings:
    """Return the settings, which name a PostgreSQL."""
    from app.settings import load_settings

    with plain_errors():
        settings = load_settings(config, database_url=database_url, database_password_file=password_file)
    if not settings.database_url:
        note(
            "未指定 PostgreSQL：请给出 --database-url 或 FENGSUI_DATABASE_URL；数据目录中的 SQLite 由 serve 启动时升级 / "
            "no PostgreSQL is named: give --database-url; the SQLite file of a data folder is upgraded by serve itself"
        )
        raise typer.Exit(USAGE)
    return settings
