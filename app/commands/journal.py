"""`fengsui journal`: what the engine read, in order."""

from __future__ import annotations

import sys
from errno import ENOENT
from typing import Annotated

import typer

from app.commands.options import DATA, DataOption
from app.commands.output import plain_errors

app = typer.Typer(no_args_is_help=True, help="日志 / The journal")


@app.command()
def export(
    after: Annotated[int, typer.Option(min=0, help="从此序号之后 / records after this number")] = 0,
    data: DataOption = DATA,
) -> None:
    """逐行输出日志（NDJSON），服务运行时也可用 / Write the journal as NDJSON; also beside a running serve."""
    import msgspec

    from storage.datadir import DataPaths
    from storage.journal_folder import JournalFolder

    encoder = msgspec.json.Encoder()
    with plain_errors():
        folder = DataPaths(data).journal
        if not folder.is_dir():
            raise FileNotFoundError(ENOENT, "no journal", str(folder))
        for record in JournalFolder(folder).read(after):
            sys.stdout.buffer.write(encoder.encode(record) + b"\n")
