"""The command line: nouns first, `--help` everywhere, data on standard output, logs on standard error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from app.commands import (
    access,
    audit,
    bench,
    cluster,
    dashboards,
    database,
    demo,
    feeds,
    imports,
    journal,
    models,
    personal,
    replay,
    rule_life,
    rules,
    serve,
    warning,
)
from app.commands.options import ConfigOption
from app.commands.output import plain_errors
from app.commands.usage import refuse
from app.version import VERSION

app = typer.Typer(
    name="fengsui",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "烽燧 Fengsui — 跨部门综合监管风险监测预警：接入各部门记录，按规则和模型评分，把预警变成有时限、有回执、能升级的任务。\n\n"
        "Risk monitoring and early warning for cross-department regulation.\n\n"
        "第一次使用 / first steps:  fengsui demo   ·   fengsui serve   ·   fengsui doctor"
    ),
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("replay")(replay.replay)
app.command("edge")(cluster.edge)
app.command("worker")(cluster.worker)
app.command("duty")(cluster.duty)
app.command("api")(cluster.api)
rule_life.add_to(rules.app)
rules.app.command("publish")(cluster.publish)
app.add_typer(rules.app, name="rules")
app.add_typer(models.app, name="models")
app.add_typer(imports.app, name="import")
app.add_typer(feeds.app, name="feeds")
app.add_typer(warning.app, name="warnings")
app.add_typer(access.app, name="access")
app.add_typer(audit.app, name="audit")
app.add_typer(personal.app, name="personal")
app.add_typer(journal.app, name="journal")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(bench.app, name="bench")
app.add_typer(cluster.topics, name="topics")
app.add_typer(database.app, name="db")


def _version(asked: bool) -> None:
    """Print the version where it was asked for; a flag's callback ends the program."""
    if asked:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def options(
    *,
    asked: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="显示版本 / print the version")] = False,
) -> None:
    """Take what is asked of the program itself."""
    assert not asked, "the option's callback ends the program"


@app.command()
def doctor(
    data: Annotated[Path | None, typer.Option(help="数据目录，缺省为 data / data folder, default data")] = None,
    rules: Annotated[Path | None, typer.Option(help="规则目录，缺省为随附规则包 / folder of rule packs, default the shipped ones")] = None,
    sealing_key: Annotated[
        Path | None,
        typer.Option(
            envvar="FENGSUI_SEALING_KEY", help="封存密钥文件，缺省在数据目录 / file of the sealing key, default in the data folder"
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """检查数据目录、规则与运行环境 / Check data folder, rules and machine; exit 1 where something needs attention."""
    from app.doctor import examine
    from app.settings import load_settings

    with plain_errors():
        settings = load_settings(config, data=data, rules=rules, sealing_key=sealing_key)
        findings = examine(settings.data, settings.rules, settings.sealing_key, named=data is not None, settings=settings)
    for finding in findings:
        typer.echo(f"{'ok   ' if finding.ok else 'LOOK '} {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """显示版本 / Print the version."""
    typer.echo(VERSION)


def main() -> None:
    """Run the command line."""
    try:
        code = app(standalone_mode=False)  # which leaves it to us what to say of a command that was typed wrongly
    except TyperException as error:
        code = refuse(error)
    except typer.Abort:
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
