"""`fengsui feeds`: mappings tried on files without a server; counters and rejections of a running one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import DATA, URL, DataOption, MappingsOption, UrlOption
from app.commands.output import FINDINGS, USAGE, Output, OutputOption, note, plain_errors, show

app = typer.Typer(no_args_is_help=True, help="数据源与映射 / Feeds and their mappings")


@app.command("list")
def list_feeds(mappings: MappingsOption = None, output: OutputOption = Output.TABLE) -> None:
    """列出全部映射 / List all mappings."""
    from app.pipelines import load_mappings

    with plain_errors():
        found = load_mappings(mappings)
    rows = [{"feed": one.feed, "title": one.title, "source": one.source, "revisions": one.revisable} for one in found.values()]
    show(rows, ["feed", "title", "source", "revisions"], output)


@app.command("test")
def try_mapping(
    feed: Annotated[str, typer.Argument(help="数据源 / feed")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="样例文件 / sample file")],
    mappings: MappingsOption = None,
    shown: Annotated[int, typer.Option(help="最多显示的拒收条数 / rejections to print")] = 20,
) -> None:
    """用样例文件试映射，不入库 / Try a mapping on a file; nothing is stored. Exit 1 where a record is rejected."""
    from app.clock import SystemClock
    from app.pipelines import load_mappings
    from connectors.inbound.decode import decode
    from connectors.inbound.mapping import Mapped, Rejected, Skipped, apply

    with plain_errors():
        found = load_mappings(mappings)
    if feed not in found:
        note(f"没有数据源 {feed!r} / unknown feed; legal: {', '.join(sorted(found))}")
        raise typer.Exit(USAGE)
    mapping = found[feed]
    results = list(apply(mapping, decode(file.read_bytes(), file.name, mapping.shape), SystemClock().now(), b"a key for trying only"))
    rejected = [one for one in results if isinstance(one, Rejected)]
    for one in rejected[:shown]:
        typer.echo(f"{file}:{one.position} {one.reason} {one.field}: {one.message}")
    mapped = [one for one in results if isinstance(one, Mapped)]
    skipped = sum(isinstance(one, Skipped) for one in results)
    kinds: dict[str, int] = {}
    for result in mapped:
        kinds[result.signal.kind] = kinds.get(result.signal.kind, 0) + 1
    typer.echo(f"{len(results)} records: {len(mapped)} mapped, {len(rejected)} rejected, {skipped} skipped")
    for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
        typer.echo(f"  {kind:<28}{count:>8}")
    if rejected:
        raise typer.Exit(FINDINGS)


@app.command()
def status(url: UrlOption = URL, data: DataOption = DATA, output: OutputOption = Output.TABLE) -> None:
    """各数据源的状态、计数与最近时间 / State, counters and last times of every feed."""
    from app.client import Client

    with plain_errors():
        rows = Client.for_data(url, data).call("GET", "/v1/feeds")
    columns = ["feed", "state", "accepted", "rejected", "duplicates", "revisions", "last_received_at", "last_occurred_at", "silent_since"]
    show(rows, columns, output)


@app.command()
def rejections(
    feed: Annotated[str, typer.Argument(help="数据源 / feed")],
    reason: Annotated[str, typer.Option(help="原因代码 / reason code")] = "",
    url: UrlOption = URL,
    data: DataOption = DATA,
    output: OutputOption = Output.TABLE,
) -> None:
    """列出拒收记录及原因 / List rejected records with their reasons."""
    from app.client import Client

    with plain_errors():
        rows = Client.for_data(url, data).call("GET", f"/v1/feeds/{feed}/rejections?limit=1000&reason={reason}")
    show(rows, ["seq", "position", "reason", "field", "message"], output)


@app.command()
def replay(
    feed: Annotated[str, typer.Argument(help="数据源 / feed")],
    url: UrlOption = URL,
    data: DataOption = DATA,
) -> None:
    """映射修正后重放拒收记录 / Take the open rejections of a feed again, after its mapping was mended."""
    from app.client import Client

    with plain_errors():
        answer = Client.for_data(url, data).call("POST", f"/v1/feeds/{feed}/rejections/replay")
    typer.echo(
        f"{answer['records']} records: {answer['accepted']} accepted, {answer['duplicates']} known, {answer['rejected']} rejected again"
    )
    if answer["rejected"]:
        raise typer.Exit(FINDINGS)


@app.command()
def quarantine(url: UrlOption = URL, data: DataOption = DATA, output: OutputOption = Output.TABLE) -> None:
    """列出因程序出错而搁置的记录与文件 / List records and files that were set aside after a defect. Exit 1 where there are any."""
    from app.client import Client

    with plain_errors():
        found = Client.for_data(url, data).call("GET", "/v1/quarantine")
    rows = [{"what": "record", "which": one["seq"], "at": one["received_at"], "why": one["type"], **one} for one in found["records"]]
    rows += [{"what": "file", "which": one["file"], **one} for one in found["files"]]
    show(rows, ["what", "feed", "which", "at", "why"], output)
    if rows:
        raise typer.Exit(FINDINGS)
