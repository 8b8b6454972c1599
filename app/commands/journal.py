"""`fengsui journal`: what the engine read, in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from errno import ENOENT
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import DATA, DataOption
from app.commands.output import FINDINGS, USAGE, instant, note, plain_errors

app = typer.Typer(no_args_is_help=True, help="日志 / The journal")


@app.command()
def export(
    after: Annotated[int, typer.Option(min=0, help="从此序号之后 / records after this number")] = 0,
    rules: Annotated[Path | None, typer.Option(help="启用过的各套规则写到此目录下，供 replay --rules / the rule sets go there")] = None,
    data: DataOption = DATA,
) -> None:
    """逐行输出日志（NDJSON），服务运行时也可用 / Write the journal as NDJSON; also beside a running serve."""
    import msgspec

    from domain.errors import NotFound
    from domain.messages import both
    from domain.records import RulesetEntry
    from storage.datadir import DataPaths
    from storage.journal_folder import JournalFolder

    encoder = msgspec.json.Encoder()
    with plain_errors():
        folder = DataPaths(data).journal
        if not folder.is_dir():
            raise FileNotFoundError(ENOENT, "no journal", str(folder))
        if not any(folder.iterdir()):  # a role of a cluster has the folder, and keeps nothing there
            raise NotFound(both("journal.none", folder=folder))
        versions: dict[str, None] = {}
        for record in JournalFolder(folder).read(after):
            sys.stdout.buffer.write(encoder.encode(record) + b"\n")
            if isinstance(record.entry, RulesetEntry):
                versions[record.entry.version] = None
        if rules is not None:
            _write_sets(DataPaths(data).database, list(versions), rules)


@app.command()
def forget(
    before: Annotated[str, typer.Option(help="整个早于此时的日志文件，日期或 RFC 3339 / files wholly older than this date or instant")],
    archive: Annotated[Path | None, typer.Option(file_okay=False, help="移往此目录 / move them to this folder")] = None,
    no_archive: Annotated[bool, typer.Option("--no-archive", help="不留副本，直接删除 / delete them, keep no copy")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="照办；缺省只说明会舍弃什么 / do it; by default it only says what would go")] = False,
    data: DataOption = DATA,
) -> None:
    """舍弃旧日志，须先停止 serve；日志从不自动缩短 / Shorten the journal of a stopped serve; it never shortens itself."""
    from app.forgetting import forget as do_forget
    from app.forgetting import plan
    from domain.messages import both
    from storage.datadir import DataDir, DataPaths

    moment = instant("--before", before)
    with plain_errors():
        if not DataPaths(data).journal.is_dir():
            raise FileNotFoundError(ENOENT, "no journal", str(DataPaths(data).journal))
        with DataDir(data) as folder:
            wanted = plan(folder.paths, moment)
            told: dict[str, object] = {
                "first": wanted.first,
                "last": wanted.last,
                "segments": len(wanted.segments),
                "next": wanted.last + 1,
            }
            told["mib"] = f"{wanted.bytes / 2**20:.1f}"
            if not wanted.segments:
                typer.echo(both("journal.keeps_all"))
            elif not yes or (archive is None) == (not no_archive):
                note(both("journal.would_forget", **told))
                raise typer.Exit(USAGE if yes else FINDINGS)
            else:
                do_forget(folder.paths, wanted, archive)
                typer.echo(both("journal.forgotten", **told))


def _write_sets(database: Path, versions: Sequence[str], target: Path) -> None:
    """Write stored rule sets as folders, numbered in the order of their first activation; existing files are written over."""
    from domain.errors import NotFound
    from storage import risk
    from storage.database import Database

    with Database.look(database) as connection:
        for number, version in enumerate(versions, start=1):
            texts = risk.ruleset_texts(connection, version)
            if texts is None:
                raise NotFound(f"规则集 {version} 没有存档 / rule set {version} is not stored: restore the data folder")
            for name, text in texts.items():
                path = target / f"{number:03}-{version[:12]}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
