"""`fengsui demo`: the whole loop on one machine, from generated records to closed warnings."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from app.commands.output import USAGE, note


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="跑完即退出，不保留控制台 / end after the run")] = False,
    summary: Annotated[Path | None, typer.Option(help="结果写入此 JSON 文件 / write the summary to this file")] = None,
    seed: Annotated[int, typer.Option(help="城市的种子 / seed of the city")] = 1,
    port: Annotated[int, typer.Option(help="控制台端口 / port of the console; headless takes a free one")] = 8080,
    verbose: Annotated[bool, typer.Option("--verbose", help="详细日志 / logs of the application")] = False,
) -> None:
    """演示：一座虚构城市的一个月，从记录到办结 / One month of an invented city, from records to closed warnings."""
    import logging
    import signal

    import structlog

    from app.demo.run import Month, remove, scratch_folder
    from domain.errors import FengsuiError

    level = logging.INFO if verbose else logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level), logger_factory=structlog.PrintLoggerFactory())
    if summary is not None and not summary.absolute().parent.is_dir():  # said now, not after the run
        note(f"找不到目录 / no such folder: {summary.absolute().parent}")
        raise typer.Exit(USAGE)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever stops it wants its data gone too
    data = scratch_folder()
    try:
        month = Month(seed, data, port=0 if headless else port, progress=(bar := _Bar()))
    except (OSError, FengsuiError) as error:
        remove(data)
        note(f"无法启动 / cannot start: {error}")
        raise typer.Exit(USAGE) from error
    try:
        with bar:
            bar.begin(month.plan.world.start, month.plan.world.end + timedelta(days=10))
            result = month.run()
        _tell(result)
        if summary is not None:
            summary.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if not headless:
            token = (data / "admin-token").read_text().strip()
            note(f"\n控制台 / console  {month.application.settings.base_url}/\n令牌 / token      {token}\nCtrl-C 结束 / to end")
            _wait()
    except KeyboardInterrupt:
        note("已中断 / interrupted")
        raise typer.Exit(130) from None
    finally:
        month.close()
        remove(data)
    if result["lost"]:
        raise typer.Exit(1)


COUNTS = ("accepted", "rejected", "duplicates", "revisions", "skipped")


class _Bar:
    """Progress over virtual time; on a terminal a bar, else one line per virtual day."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.fields[day]}"), BarColumn(), TextColumn("{task.fields[records]:>8,} 条 records"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console) if console.is_terminal else None
        self._task: Any = None
        self._start: datetime | None = None
        self._day = ""

    def begin(self, start: datetime, end: datetime) -> None:
        """Say from when to when the run goes."""
        self._start = start
        if self._progress is not None:
            self._task = self._progress.add_task("", total=(end - start).total_seconds(), day=f"{start:%m-%d}", records=0)

    def __call__(self, now: datetime, records: int) -> None:
        assert self._start is not None, "begin first"
        day = f"{now.astimezone(self._start.tzinfo):%m-%d}"
        if self._progress is not None:
            self._progress.update(self._task, completed=(now - self._start).total_seconds(), day=day, records=records)
        elif day != self._day:
            note(f"{day}  {records:,} records")
        self._day = day

    def __enter__(self) -> Self:
        (self._progress or nullcontext()).__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        (self._progress or nullcontext()).__exit__(*reason)  # type: ignore[arg-type]  # handed on as they came


def _wait() -> None:
    import threading

    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        note("再见 / bye")


def _tell(result: dict[str, Any]) -> None:
    """Print what happened, for people."""
    incidents, stages, deliveries = result["incidents"], result["stages"], result["deliveries"]
    lines = [
        ("记录 records", f"{result['records']:,}：{_pairs({name: result[name] for name in COUNTS})}"),
        ("拒收原因 by reason", _pairs(result["rejections_by_reason"])),
        ("监管对象 objects", f"{result['objects']:,}"),
        ("预警 warnings", f"{result['warnings']}：{_pairs(result['warnings_by_level'])}"),
        ("任务 tasks", f"{result['tasks']}：{_pairs(result['tasks_by_department'])}"),
        ("阶段 stages", _pairs(stages)),
        ("升级 escalations", f"{result['escalations']}：{_pairs(result['escalations_by_act'])}"),
        ("按时率 on time", f"{result['on_time_rate']:.1%}"),
        ("送达 deliveries", _pairs(deliveries)),
        ("事件 incidents", _pairs({name: incidents[name] for name in ("planted", "found", "missed", "false", "worst_false_day")})),
        ("丢失 lost", str(result["lost"])),
        ("用时 seconds", str(result["wall_seconds"])),
    ]  # fmt: skip
    for title, words in lines:
        typer.echo(f"{title:<22}{words}")


def _pairs(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count}" for name, count in counts.items() if count) or "–"
