"""`fengsui rules explain|why-not|diff|backtest`: why a warning stands, why a rule did not hit, and what another set would change."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from enum import StrEnum
from typing import Annotated

import typer

from app.commands.options import DATA, URL, ConfigOption, DataOption, UrlOption
from app.commands.output import FINDINGS, Output, OutputOption, asking_services, instant, note, plain_errors, progress, show, span


def explain(
    warning_id: Annotated[str, typer.Argument(help="预警编号 / id of the warning")],
    url: UrlOption = URL,
    data: DataOption = DATA,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """说明一条预警的由来：线索、数值与界限、规则原文、未计入的部分、衰减 / Say why a warning stands, from serve or from its data folder."""
    import msgspec

    from app.client import Client
    from app.explaining import why_of
    from app.folder import Folder
    from app.settings import load_settings
    from app.views.why import Why
    from app.why_text import why_lines

    with plain_errors():
        if Client.answers(url):
            told = Client.for_data(url, data).call("GET", f"/v1/warnings/{warning_id}/explain")["why"]
        else:
            note(f"{url} 无应答，读取数据目录 {data} / no serve there: read from the data folder")
            told = msgspec.to_builtins(why_of(Folder(load_settings(config, data=data)), warning_id))
    if output is Output.JSON:
        json.dump(told, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    for line in why_lines(msgspec.convert(told, Why)):
        typer.echo(line)


def why_not(
    subject: Annotated[str, typer.Option("--object", help="对象编号、代码、全称或 region:610113 / id, code or name, or an area")],
    rule: Annotated[str, typer.Option(help="规则编号 / id of the rule")],
    at: Annotated[str, typer.Option(help="截至此刻（RFC 3339），缺省为最后一条记录 / as of this instant, default the last record")] = "",
    data: DataOption = DATA,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """说明规则为何没有命中：各部分的值、差多少、被什么挡住 / Say why a rule did not hit: values, what is missing, what is in the way."""
    import msgspec

    from app.explaining import why_not as ask
    from app.folder import opened
    from app.settings import load_settings
    from app.why_text import why_not_lines

    moment = instant("--at", at) if at else None
    with asking_services(), opened(load_settings(config, data=data)) as folder, progress() as told:
        found = ask(folder, subject, rule, moment, told)
    if output is Output.JSON:
        json.dump(msgspec.to_builtins(found), sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    for line in why_not_lines(found):
        typer.echo(line)


def diff(
    old: Annotated[str, typer.Argument(help="规则目录，或存档的规则集：active、版本号 / folder, or stored set: active, version")],
    new: Annotated[str, typer.Argument(help="同上 / the same")],
    data: DataOption = DATA,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """比较两套规则，逐字段列出增、删、改 / Compare two sets field by field; exit 1 where they differ."""
    import msgspec

    from app.folder import Folder
    from app.settings import load_settings
    from rules.diff import differences

    with plain_errors():
        folder = Folder(load_settings(config, data=data))
        found = differences(folder.texts(old), folder.texts(new))
    show([msgspec.to_builtins(one) for one in found], ["id", "kind", "change", "field", "old", "new", "place"], output)
    if found:
        raise typer.Exit(FINDINGS)


class Format(StrEnum):
    """What a report looks like."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def backtest(
    start: Annotated[str, typer.Option("--from", help="自（含），日期或 RFC 3339 / from, a date or an instant")],
    end: Annotated[str, typer.Option("--to", help="至（不含），日期或 RFC 3339 / up to, not included")],
    rules: Annotated[str, typer.Option(help="新规则集：目录或版本，缺省为 serve 的规则目录 / the new set: folder or version")] = "",
    against: Annotated[str, typer.Option(help="旧规则集：active、版本或目录 / the old set: active, a version or a folder")] = "active",
    warm_up: Annotated[str, typer.Option(help="预热多久，如 90d，缺省按规则回看的长度 / default as far as the rules look back")] = "",
    data: DataOption = DATA,
    config: ConfigOption = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="text、json 或 markdown / what the report looks like")] = Format.TEXT,
) -> None:
    """在日志上试算新规则：预警增减、命中率、各部门负担 / Try a rule set on the journal, also beside a running serve."""
    since, until = instant("--from", start), instant("--to", end)  # before what takes long to load
    warming = span("--warm-up", warm_up) if warm_up else None
    import msgspec

    from app.backtest_text import report_lines
    from app.backtesting import Terms, backtest
    from app.folder import opened
    from app.settings import load_settings

    with asking_services(), ExitStack() as stack:
        settings = load_settings(config, data=data)
        terms = Terms(
            from_=since,
            to=until,
            new=rules or str(settings.rules),
            old=against,
            warm_up=warming,
        )
        folder, told = stack.enter_context(opened(settings)), stack.enter_context(progress())
        report = backtest(folder, terms, told)
    if output is Format.JSON:
        json.dump(msgspec.to_builtins(report), sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
        return
    for line in report_lines(report, markdown=output is Format.MARKDOWN):
        typer.echo(line)
