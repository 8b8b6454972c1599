"""`fengsui models`: a detector on a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import USAGE, note

app = typer.Typer(no_args_is_help=True, help="异常检测模型 / Anomaly detectors")


@app.command()
def score(
    source: Annotated[Path, typer.Option("--input", exists=True, dir_okay=False, help="CSV 文件 / CSV file")],
    time: Annotated[str, typer.Option(help="时间列 / column of the time")],
    value: Annotated[str, typer.Option(help="数值列 / column of the value")],
    out: Annotated[Path, typer.Option(help="结果 CSV / where the scores go")],
    key: Annotated[str, typer.Option(help="序列列，可省略 / column that names the series")] = "",
    detector: Annotated[str, typer.Option(help="检测器 / detector")] = "fast",
) -> None:
    """给一列数值逐点评分 / Score a series point by point: time, value, score in [0, 1], expected value, reason."""
    from models.evaluate import score_csv

    try:
        with source.open(encoding="utf-8-sig", newline="") as lines, out.open("w", encoding="utf-8", newline="") as target:
            target.writelines(score_csv(lines, time=time, value=value, key=key, detector=detector))
    except UnicodeDecodeError as error:
        out.unlink(missing_ok=True)
        note(f"{source} 不是 UTF-8 编码，请另存为 UTF-8 / not UTF-8, save it as UTF-8")
        raise typer.Exit(USAGE) from error
    except ValueError as error:
        out.unlink(missing_ok=True)
        note(str(error))
        raise typer.Exit(USAGE) from error
    typer.echo(str(out))
