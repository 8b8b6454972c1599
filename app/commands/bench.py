"""`fengsui bench`: measure this machine. The benchmarks are part of a checkout, not of what is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import USAGE, Output, OutputOption, note

app = typer.Typer(no_args_is_help=True, help="性能基准 / Benchmarks")
TOP = Path(__file__).parents[2]


@app.callback()
def bench() -> None:
    """性能基准 / Measure this machine."""


@app.command()
def riskbench(
    signals: Annotated[
        int, typer.Option(min=1000, help="信号条数；速率为该数与其十分之一之间的边际值 / signals of the large run")
    ] = 2_000_000,
    rules: Annotated[list[int] | None, typer.Option(help="规则条数，可多次给出，缺省 20 和 100 / sizes of rule sets")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="轮数，取中位数 / turns, of which the median is shown")] = 3,
    warnings: Annotated[
        int | None, typer.Option(min=0, help="记分规则的信号条数，缺省同 --signals，0 为不测 / signals of the runs with points")
    ] = None,
    *,
    sixty: Annotated[int, typer.Option(min=0, help="60 个指标的规则包的信号条数 / signals of the pack with 60 indicators")] = 1_500,
    slope: Annotated[bool, typer.Option(help="同时测量规则、对象增多的代价 / measure what more rules and objects cost")] = True,
    output: OutputOption = Output.TABLE,
    plant: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """RiskBench：命中与手写参考逐条比对，并给出速度比 / Hits compared one by one with the plain reference; exit 1 where one differs."""
    if not (TOP / "benchmarks" / "riskbench" / "bench.py").is_file():
        note("基准程序只随源码提供，请在源码目录中运行 / the benchmarks come with a checkout only")
        raise typer.Exit(USAGE)
    numbers = {"--signals": signals, "--repeat": repeat, "--warnings": signals if warnings is None else warnings, "--sixty": sixty}
    arguments = [word for name, number in numbers.items() for word in (name, str(number))]
    arguments += [word for count in rules or () for word in ("--rules", str(count))]
    arguments += ["--slope" if slope else "--no-slope", "--output", output.value, "--plant", plant]
    command = [sys.executable, "-m", "benchmarks.riskbench.bench", *arguments]
    raise typer.Exit(subprocess.run(command, cwd=TOP, check=False).returncode)  # noqa: S603  # our own module
