"""`fengsui rules versions|rollback|pending|approve|refuse`: which set runs, and who lets it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.options import DATA, URL, DataOption, UrlOption
from app.commands.output import FINDINGS, Output, OutputOption, note, plain_errors, show
from domain.instants import parse_rfc3339, spoken
from domain.messages import both

LOOK_SECONDS = 1.0  # between two questions how far a set is
TokenOption = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="本人令牌文件，缺省为管理员的 / file with your own token, default the administrator's"),
]
VersionArgument = Annotated[str, typer.Argument(help="规则集版本号，前几位即可 / version of the set, its first characters are enough")]
ReasonOption = Annotated[str, typer.Option(help="理由，记入审计 / why; it stands in the audit trail")]


def _call(url: str, data: Path, token: Path | None, method: str, path: str, body: dict[str, str] | None = None) -> Any:
    from app.client import Client

    client = Client.for_data(url, data) if token is None else Client(url, token.read_text(encoding="utf-8").strip())
    return client.call(method, path, None if body is None else json.dumps(body).encode())


def versions(url: UrlOption = URL, data: DataOption = DATA, output: OutputOption = Output.TABLE) -> None:
    """列出启用过的规则集：何时、由谁 / The sets that were ever active: when, by whom; the last first."""
    with plain_errors():
        rows = _call(url, data, None, "GET", "/v1/rules/versions")
    show(rows, ["version", "activated_at", "by", "times", "reason", "activated_seq"], output)


def rollback(
    version: VersionArgument,
    reason: ReasonOption = "",
    url: UrlOption = URL,
    data: DataOption = DATA,
    token_file: TokenOption = None,
) -> None:
    """回到以前的规则集，规则目录不变；目录有改动时以目录为准 / Go back to a set; the folder stays, and takes over when it changes."""
    with plain_errors():
        state = _call(url, data, token_file, "POST", "/v1/rules/rollback", {"version": version, "reason": reason})
        state = _done(url, data, token_file, state)
    _tell(state)
    if state["problems"] and state["pinned"] and state["active"] != state["pinned"]["version"]:
        raise typer.Exit(FINDINGS)


def pending(url: UrlOption = URL, data: DataOption = DATA, output: OutputOption = Output.TABLE) -> None:
    """列出等待批准的规则集和它的变动 / The set that waits for a second person, and what it changes."""
    with plain_errors():
        told = _call(url, data, None, "GET", "/v1/rules/pending")
    if output is Output.JSON:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    known = told["candidate"]
    if known is None:
        note("没有等待批准的规则集 / no rule set waits" + ("" if told["needed"] else "；未开启批准 / approval is off: approve_rules"))
        return
    report = known["report"]
    tested = both("rules.tested", run=report["tests"], failed=len(report["failed"]))
    note(f"{known['version'][:12]}  {spoken(parse_rfc3339(known['found_at']))}  {known['author'] or '–'}  {tested}")
    for line in report["failed"]:
        note(f"  {line}")
    show(told["changes"], ["kind", "id", "change", "field", "old", "new", "place"], output)


def approve(
    version: VersionArgument,
    reason: ReasonOption = "",
    url: UrlOption = URL,
    data: DataOption = DATA,
    token_file: TokenOption = None,
) -> None:
    """批准等待中的规则集；提出者本人不得批准 / Approve the set that waits; its author cannot."""
    with plain_errors():
        told = _call(url, data, token_file, "POST", f"/v1/rules/pending/{version}/approve", {"reason": reason})
    if told["decision"] == "vouched":
        note("已记为由你提出，须由另一人批准 / you stand for it now; another person has to approve it")
    with plain_errors():
        _tell(_done(url, data, token_file, told))


def refuse(
    version: VersionArgument,
    reason: Annotated[str, typer.Option(help="理由 / why")],
    url: UrlOption = URL,
    data: DataOption = DATA,
    token_file: TokenOption = None,
) -> None:
    """不批准等待中的规则集，写明理由 / Refuse the set that waits, with the reason; the old one runs on."""
    with plain_errors():
        _tell(_call(url, data, token_file, "POST", f"/v1/rules/pending/{version}/refuse", {"reason": reason}))


def _done(url: str, data: Path, token: Path | None, state: dict[str, Any]) -> dict[str, Any]:
    """Wait for a set that is being put in force, telling how far that is; return how it came out."""
    told = None
    while state["preparing"]:
        now = (state["preparing"], state["told"])
        if told is None:
            note(both("rule_life.preparing", version=state["preparing"][:12]) + " · " + both("rule_life.goes_on"))
        if now != told and state["told"]:
            note(state["told"])
        told = now
        time.sleep(LOOK_SECONDS)
        state = _call(url, data, token, "GET", "/v1/rules/state")
    return state


def _tell(state: dict[str, Any]) -> None:
    typer.echo(both("rule_life.active", version=state["active"][:12]))
    if state["preparing"]:
        typer.echo(both("rule_life.preparing", version=state["preparing"][:12]))
    if state["pinned"]:
        typer.echo(both("rule_life.pinned", by=state["pinned"]["by"]))
    for problem in state["problems"]:
        note(f"{problem['file']}: {problem['message']}")


def add_to(rules: typer.Typer) -> None:
    """Put these commands beside the others of `fengsui rules`."""
    for command in (versions, rollback, pending, approve, refuse):
        rules.command()(command)
