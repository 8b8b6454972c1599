"""`fengsui dashboards`: the Grafana dashboards and Prometheus rules as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import plain_errors

app = typer.Typer(no_args_is_help=True, help="Grafana 看板与 Prometheus 规则 / Dashboards and alerting rules")


@app.command()
def build(out: Annotated[Path, typer.Option(help="目标目录 / folder to write to")] = Path("dashboards/generated")) -> None:
    """生成看板与规则文件 / Write the dashboards and rules."""
    from dashboards.build import write

    with plain_errors():
        for path in write(out):
            typer.echo(str(path))
