"""`fengsui journal`: what the engine read, in order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import DATA, ConfigOption, DataOption
from app.commands.output import FINDINGS, USAGE, asking_services, instant, note, plain_errors, progress

if TYPE_CHECKING:
    from app.exporting import Exported
    from app.settings import Settings

app = typer.Typer(no_args_is_help=True, help="日志 / The journal")


@app.command()
def export(
    after: Annotated[int, typer.Option(min=0, help="从此序号之后，限 serve / records after this number, of a serve")] = 0,
    start: Annotated[str, typer.Option("--from", help="收到时间自（含），日期或 RFC 3339 / received from, a date or an instant")] = "",
    end: Annotated[str, typer.Option("--to", help="至（不含）/ up to, not included")] = "",
    partition: Annotated[list[int] | None, typer.Option(help="只要此分区，可多次给出，限集群 / of this partition alone")] = None,
    rules: Annotated[Path | None, typer.Option(help="启用过的各套规则写到此目录下，供 replay --rules / the rule sets go there")] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="写到此文件，写完才有 / into this file, once whole")] = None,
    data: DataOption = DATA,
    config: ConfigOption = None,
) -> None:
    """逐行输出日志（NDJSON），服务运行时也可用；集群的用 --config / Write the journal as NDJSON, or with --config a cluster's log."""
    since, until = instant("--from", start) if start else None, instant("--to", end) if end else None
    from app.exporting import export_journal, export_log, whole_file
    from app.folder import Folder, Part, is_shared
    from app.settings import load_settings
    from domain.errors import IllegalValue
    from domain.messages import both

    with asking_services(), ExitStack() as stack:
        settings, part = load_settings(config, data=data), Part(since=since, until=until)
        shared = is_shared(settings)
        if (shared and after) or (partition and not shared):
            raise IllegalValue(both("journal.not_after" if shared else "journal.no_partitions"))
        write = stack.enter_context(whole_file(out)).write if out is not None else sys.stdout.buffer.write
        told = stack.enter_context(progress())
        if shared:
            done = export_log(settings, write, part, partition or (), told)
        else:
            done = export_journal(Folder(settings), write, after, part, told)
        if rules is not None:
            _write_sets(settings, done.versions, rules)
    for line in _remarks(done):
        note(line)


def _remarks(done: Exported) -> Iterator[str]:
    """Yield what has to be known of an export beside what is in it."""
    from domain.instants import spoken
    from domain.messages import both

    if done.begins is not None:
        yield both("journal.begins", begins=spoken(done.begins))
    if done.counts_back:
        yield both("journal.counts_from_here")
    if done.unjudged:
        yield both("journal.unjudged", messages=done.unjudged)


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


def _write_sets(settings: Settings, versions: Sequence[str], target: Path) -> None:
    """Write stored rule sets as folders, numbered in the order of their first activation; existing files are written over."""
    from app.stores import look
    from domain.errors import NotFound
    from domain.messages import both
    from storage import risk

    with look(settings) as connection:
        for number, version in enumerate(versions, start=1):
            texts = risk.ruleset_texts(connection, version)
            if texts is None:
                raise NotFound(both("rules.not_stored", version=version))
            for name, text in texts.items():
                path = target / f"{number:03}-{version[:12]}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
