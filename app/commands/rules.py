"""`fengsui rules`: the life of a rule, from the check of its text to why it raised a warning."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.life import backtest, diff, explain, why_not
from app.commands.options import DATA, URL, DataOption, MappingsOption, UrlOption
from app.commands.output import FINDINGS, Output, OutputOption, cell, note, plain_errors, show
from domain.errors import FileProblems

app = typer.Typer(no_args_is_help=True, help="规则包 / Rule packs")
app.command()(explain)
app.command("why-not")(why_not)
app.command()(diff)
app.command()(backtest)
KnownOption = Annotated[Path, typer.Option(help="数据目录：按其中已导入的部门与事项核对 / its departments and items are compared with")]
FolderArgument = Annotated[Path | None, typer.Argument(help="规则目录，缺省为随附规则包 / folder of packs, default the shipped ones")]


def _texts(folder: Path | None) -> dict[str, str]:
    from app.rule_folder import read_folder
    from app.settings import SHIPPED_PACKS

    chosen = folder or SHIPPED_PACKS
    if not chosen.exists():
        raise FileNotFoundError(chosen)
    return read_folder(chosen)


@app.command()
def check(folder: FolderArgument = None, mappings: MappingsOption = None, data: KnownOption = DATA) -> None:
    """检查规则包，一次列出全部问题 / Check packs: all problems at once as file:line:column; exit 1 where there is an error."""
    from app.clock import SystemClock
    from app.pipelines import feed_delays, load_mappings
    from app.settings import SHIPPED_PACKS
    from app.surroundings import surroundings
    from app.unread import unread
    from domain.instants import SHANGHAI
    from domain.messages import both, text
    from rules import load
    from streams.kernel.placement import place

    with plain_errors():
        try:
            texts, delays = _texts(folder), feed_delays(load_mappings(mappings))
        except FileProblems as error:
            note(str(error))
            raise typer.Exit(FINDINGS) from error
    ruleset, problems = load.check(
        texts, feed_delays=delays, today=SystemClock().now().astimezone(SHANGHAI).date(), around=surroundings(data)
    )
    found = [*problems, *unread(folder or SHIPPED_PACKS)]
    for problem in sorted(found, key=lambda each: each.severity):  # what forbids the use comes first
        typer.echo(f"{problem}" + ("" if problem.severity == "error" else "  [提示 warning]"))
    if ruleset is None:
        raise typer.Exit(FINDINGS)
    counted = {"files": len(texts), "rules": len(ruleset.rules), "indicators": len(ruleset.indicators)}
    typer.echo(both("rules.checked", **counted, version=ruleset.version[:12]))
    placement = place(ruleset)
    typer.echo(text("kernel.placed", kernel=len(placement.rules), python=len(placement.reasons)))
    for reason in placement.reasons:
        typer.echo(f"  {reason}")


@app.command("test")
def run_tests(folder: FolderArgument = None) -> None:
    """运行规则文件内的测试 / Run the tests inside the rule files; a failing one shows the indicators step by step."""
    from domain.messages import both
    from models.registry import REGISTRY
    from rules.load import load_rules
    from streams.ruletest import run_cases

    with plain_errors():
        ruleset = load_rules(_texts(folder))
    run, failed = 0, 0
    for result in run_cases(ruleset, REGISTRY):
        run += 1
        if not result.passed:
            failed += 1
            typer.echo(f"{result.case.file}:{result.case.line} {result.case.rule}: {result.case.name}\n{result.explanation}\n")
    typer.echo(both("rules.tested", run=run, failed=failed))
    if failed:
        raise typer.Exit(FINDINGS)


class Kind(StrEnum):
    """Which of the files of a rules folder."""

    PACK = "pack"
    OVERRIDE = "override"
    TUNING = "tuning"


@app.command()
def schema(
    of: Annotated[
        Kind, typer.Option(help="pack 规则包；override 区域参数；tuning 调优 / which of the files of a rules folder")
    ] = Kind.PACK,
) -> None:
    """输出规则文件的 JSON Schema / Print the JSON Schema for editors."""
    from rules.schema import schema as json_schema

    json.dump(json_schema(of.value), sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


@app.command("list")
def list_rules(folder: FolderArgument = None, output: OutputOption = Output.TABLE) -> None:
    """列出规则与推断 / List the rules and inferences of a folder."""
    from domain.messages import text
    from rules.load import load_rules
    from streams.kernel.placement import place

    with plain_errors():
        ruleset = load_rules(_texts(folder))
    places = {each.rule: each.reason for each in place(ruleset).placed}
    rows = [
        {
            "id": rule.id,
            "title": rule.title,
            "sector": rule.sector,
            "status": rule.status,
            "points": rule.points,
            "runs": _runs(places.get(rule.id)),
            "basis": list(rule.basis),
        }
        for rule in ruleset.rules
    ]
    rows += [
        {
            "id": each.id,
            "title": each.title,
            "sector": each.sector,
            "status": each.status,
            "points": "",  # it changes no score
            "runs": text("rules.an_inference"),
            "basis": list(each.basis),
        }
        for each in ruleset.inferences
    ]
    show(rows, ["id", "title", "sector", "status", "points", "runs", "basis"], output)


def _runs(reason: str | None) -> str:
    """Return where a rule runs; None for one that does not."""
    return "" if reason is None else f"python: {reason}" if reason else "kernel"


@app.command()
def depends(
    on: Annotated[
        str,
        typer.Option("--on", help="依据、事项、数据源、指标、预案、@名单、规则 / basis, matter, feed, indicator, plan, list, rule"),
    ],
    folder: FolderArgument = None,
    catalogue: Annotated[Path | None, typer.Option(help="事项清单，用于按事项名称或 14 位编码查 / catalogue, to ask by item")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """列出受影响的规则：法规、事项或数据源变动时先看这里 / Which rules depend on something that changes; exit 1 where none does."""
    import msgspec

    from connectors.inbound.catalogue import read_catalogue
    from connectors.inbound.mapping_load import load_folder
    from rules.depends import dependents
    from rules.load import load_rules

    with plain_errors():
        ruleset = load_rules(_texts(folder))
        known = read_catalogue(catalogue.read_bytes(), catalogue.name).catalogue if catalogue is not None else None
        found = dependents(ruleset, on, catalogue=known, sources={name: each.source for name, each in load_folder().items()})
    show([msgspec.to_builtins(each) for each in found], ["rule", "title", "status", "how", "file", "line"], output)
    if not found:
        note(f"没有规则依赖 {on} / no rule depends on {on}")
        raise typer.Exit(FINDINGS)


@app.command()
def status(url: UrlOption = URL, data: DataOption = DATA, output: OutputOption = Output.TABLE) -> None:
    """运行中的规则及其健康状况，以及推断 / The active rules and their health, and the inferences, from the running server."""
    from app.client import Client
    from domain.instants import parse_rfc3339, spoken
    from domain.messages import both

    with plain_errors():
        client = Client.for_data(url, data)
        answer, waiting = client.call("GET", "/v1/rules"), client.call("GET", "/v1/rules/pending")["candidate"]
        state = client.call("GET", "/v1/rules/state")
    if waiting is not None:
        note(both("rule_life.waits", version=waiting["version"][:12], at=spoken(parse_rfc3339(waiting["found_at"]))))
    if state["preparing"]:
        note(both("rule_life.preparing", version=state["preparing"][:12]))
        if state["told"]:
            note(state["told"])
    for problem in answer["problems"]:
        note(f"{problem['file']}:{problem['line']}:{problem['column']} {problem['message']}")
    for case in answer["failing"]:
        note(both("rules.test_fails", test=case))
    rules, inferences = [one | {"what": "rule"} for one in answer["rules"]], [one | {"what": "inference"} for one in answer["inferences"]]
    if output is Output.JSON:
        show([*rules, *inferences], (), output)
    else:
        note(both("rule_life.active", version=answer["version"][:12]))
        rows = [rule | {"health": [_ailment(one) for one in rule["health"]], "trial": _trial(rule["trial"])} for rule in rules]
        show(rows, ["id", "title", "status", "hits_day", "hits_month", "blind_month", "last_hit", "health", "trial"], output)
    if inferences and output is Output.TABLE:
        typer.echo()
        show([one | {"inference": one["id"]} for one in inferences], ["inference", "title", "status", "standing", "plan"], output)
    if answer["problems"] or answer["failing"]:
        raise typer.Exit(FINDINGS)


def _ailment(one: dict[str, str]) -> str:
    from domain.messages import text

    told = one["detail"].split(", ") if one["kind"] in {"blind", "starved"} else []
    return f"{text('ailment.' + one['kind'])} {'、'.join(text(f'source.{each}') for each in told) or cell(one['detail'])}".rstrip()


def _trial(trial: dict[str, Any] | None) -> str:
    from domain.messages import text

    return "" if trial is None else text("console.trial", **trial)
