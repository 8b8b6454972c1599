"""`fengsui replay`: recorded signals or a journal export through the same pipeline and the same commit, as fast as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.output import instant, plain_errors

if TYPE_CHECKING:  # what is heavy is imported where it is used
    from domain.findings import Outcome
    from domain.records import Record
    from domain.signals import Signal


def replay(
    signals: Annotated[list[Path], typer.Option(exists=True, dir_okay=False, help="信号 NDJSON，或 journal export 的输出；可多次给出")],
    out: Annotated[Path, typer.Option(help="预警 NDJSON / where the warnings go")],
    rules: Annotated[Path | None, typer.Option(help="规则目录，缺省为随附规则包 / folder of packs")] = None,
    objects: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="监管对象 CSV、XLSX / objects")] = None,
    catalogue: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="事项清单 CSV、XLSX / catalogue")] = None,
    departments: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="部门 YAML、CSV、XLSX / departments")] = None,
    hits: Annotated[Path | None, typer.Option(help="规则命中 NDJSON / where the rule hits go")] = None,
    summary: Annotated[Path | None, typer.Option(help="汇总 JSON / where the summary goes")] = None,
    until: Annotated[str, typer.Option(help="其后时间继续到此刻（RFC 3339）/ let time run on until then")] = "",
) -> None:
    """重放信号，得到与服务运行时相同的预警 / Replay signals: the same hits, warnings and ids as a running serve."""
    from app.replaying import Replaying

    end = instant("--until", until) if until else None
    with plain_errors(), ExitStack() as stack:
        target = stack.enter_context(hits.open("w", encoding="utf-8")) if hits else None

        def on_outcomes(found: Sequence[Outcome]) -> None:
            if target is not None:
                target.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in _hits(found))

        run = Replaying(rules, objects=objects, catalogue=catalogue, departments=departments, on_outcomes=on_outcomes)
        done = run.play(_given(signals), until=end)
        count = 0
        with out.open("w", encoding="utf-8") as lines:
            for warning in run.warnings():
                lines.write(json.dumps(warning, ensure_ascii=False) + "\n")
                count += 1
        told = {
            "records": done.records,
            "signals": done.signals,
            "warnings": count,
            "ended": done.ended.isoformat() if done.ended else None,
        }
        if summary is not None:
            summary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{done.signals:,} signals, {count:,} warnings\n")


def _hits(found: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    from domain.findings import RuleBlind, RuleHit

    for one in found:
        if isinstance(one, RuleHit):
            yield {"signal": one.signal, "object_id": one.object_id, "rule": one.rule}
        elif isinstance(one, RuleBlind):
            yield {"signal": one.signal, "object_id": one.object_id, "rule": one.rule, "blind": list(one.sources)}


def _given(files: Sequence[Path]) -> Iterator[tuple[str, Signal, datetime | None] | Record]:
    """Yield the signals or journal records of files, in their order; raises FileProblems at the first line that is neither."""
    import msgspec

    from connectors.inbound.canonical import read_signal
    from domain.errors import FileProblems, Problem, SignalRejected
    from domain.instants import parse_rfc3339
    from domain.records import Record

    record = msgspec.json.Decoder(Record)
    for file in files:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    if line.lstrip().startswith(b'{"seq"'):
                        yield record.decode(line)
                        continue
                    values = msgspec.json.decode(line)
                    feed, received = values.pop("feed", file.stem), values.pop("received_at", None)
                    at = parse_rfc3339(received) if received else None
                    yield feed, read_signal(values, at or FAR), at
                except (msgspec.MsgspecError, SignalRejected, ValueError, AttributeError) as error:
                    problem = Problem(file=str(file), line=number, column=0, message=str(error))
                    raise FileProblems([problem]) from error


FAR = datetime.fromisoformat("9000-01-01T00:00:00+00:00")  # a replayed signal without a time of receipt is never in the future
