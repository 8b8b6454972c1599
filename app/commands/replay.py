"""`fengsui replay`: recorded signals or a journal export through the same pipeline and the same commit, as fast as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import MappingsOption
from app.commands.output import USAGE, instant, note, plain_errors

if TYPE_CHECKING:  # what is heavy is imported where it is used
    from app.replaying import Replaying
    from domain.findings import Outcome
    from domain.records import Record
    from domain.signals import Signal
    from streams.runtimes.replay import Summary


class Engine(StrEnum):
    """Which engine a replay may use."""

    AUTO = "auto"
    PYTHON = "python"


def replay(
    signals: Annotated[list[Path], typer.Option(exists=True, dir_okay=False, help="信号 NDJSON，或 journal export 的输出；可多次给出")],
    out: Annotated[Path, typer.Option(help="预警 NDJSON / where the warnings go")],
    rules: Annotated[
        list[Path] | None, typer.Option(help="规则目录，缺省为随附规则包；日志中启用过的各套，可多次给出 / folder of packs")
    ] = None,
    objects: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="监管对象 CSV、XLSX / objects")] = None,
    catalogue: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="事项清单 CSV、XLSX / catalogue")] = None,
    departments: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="部门 YAML、CSV、XLSX / departments")] = None,
    mappings: MappingsOption = None,
    hits: Annotated[Path | None, typer.Option(help="规则命中 NDJSON / where the rule hits go")] = None,
    summary: Annotated[Path | None, typer.Option(help="汇总 JSON / where the summary goes")] = None,
    until: Annotated[str, typer.Option(help="其后时间继续到此刻（RFC 3339）/ let time run on until then")] = "",
    engine: Annotated[
        Engine, typer.Option(help="auto 能用编译内核时用之 / the compiled kernel where it can be; python 只用 Python 引擎")
    ] = Engine.AUTO,
    engine_only: Annotated[
        bool,
        typer.Option(
            "--engine-only",
            help="只跑规则、融合与预警：不做夜间比对，不派发，不用数据库；--out 为每条预警的最后状态 / "
            "rules, fusion and raising alone, nothing is routed; --out has the last state of each warning",
        ),
    ] = False,
) -> None:
    """重放信号，得到与服务运行时相同的预警 / Replay signals: the same hits, warnings and ids as a running serve."""
    from app.replaying import Replaying
    from streams.runtimes.collector import settle_collector

    settle_collector()
    if engine_only and departments is not None:
        note("--engine-only 不派发，不能与 --departments 同用 / routes nothing: leave out --departments")
        raise typer.Exit(USAGE)
    end = instant("--until", until) if until else None
    with plain_errors():
        run = Replaying(
            rules or (), objects=objects, catalogue=catalogue, departments=departments, mappings=mappings, engine_only=engine_only
        )
        reason = "" if engine is Engine.AUTO else "--engine python"
        done = None
        if not reason:
            done, reason = _by_columns(run, signals, hits, end)
        if done is None:
            with ExitStack() as stack:
                target = stack.enter_context(hits.open("w", encoding="utf-8")) if hits else None

                def on_outcomes(found: Sequence[Outcome]) -> None:
                    if target is not None:
                        target.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in _hits(found))

                done = run.play(lambda: _given(signals), until=end, on_outcomes=on_outcomes)
        count = 0
        with out.open("wb") as written:
            for line in run.lines():
                written.write(line)
                count += 1
        told = {
            "records": done.records,
            "signals": done.signals,
            "outcomes": done.outcomes,
            "warnings": count,
            "ended": done.ended.isoformat() if done.ended else None,
            "engine": "python" if reason else "kernel",
            "engine_reason": reason,
            "reached": done.reached,
        }
        if summary is not None:
            summary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{done.signals:,} signals, {count:,} warnings\n")


def _by_columns(run: Replaying, signals: Sequence[Path], hits: Path | None, until: datetime | None) -> tuple[Summary | None, str]:
    """Replay through the compiled kernel; else return None and why not."""
    from app.columnar import NeedsPipeline
    from app.lines import signal_of_line

    reason = run.why_not_columnar(signals, until)
    if reason:
        return None, reason
    with ExitStack() as stack:
        target = stack.enter_context(hits.open("wb")) if hits else None
        try:
            return run.play_columns(signals, signal_of_line, target.write if target is not None else len, note), ""
        except NeedsPipeline as why:
            return None, str(why)


def _hits(found: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    from domain.findings import RuleBlind, RuleHit

    for one in found:
        if isinstance(one, RuleHit):
            kept_back = {"suppressed": one.suppressed} if one.suppressed else {}
            yield {"signal": one.signal, "object_id": one.object_id, "rule": one.rule} | kept_back
        elif isinstance(one, RuleBlind):
            yield {"signal": one.signal, "object_id": one.object_id, "rule": one.rule, "blind": list(one.sources)}


def _given(files: Sequence[Path]) -> Iterator[tuple[str, Signal, datetime | None] | Record]:
    """Yield the signals or journal records of files, in their order; raises FileProblems at the first line that is neither."""
    from app.lines import read_line

    for file in files:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield read_line(line, file, number)
