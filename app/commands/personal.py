"""`fengsui personal`: what a person may ask for about their own information, through the running server."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from app.commands.options import DATA, URL, DataOption, UrlOption
from app.commands.output import plain_errors
from domain.messages import both

app = typer.Typer(no_args_is_help=True, help="个人信息 / Personal information")


@app.callback()
def personal() -> None:
    """个人信息 / Personal information."""


@app.command()
def erase(
    token: Annotated[str, typer.Option(help="令牌，如 p:0123… / the token")] = "",
    value: Annotated[
        str, typer.Option(help="原值；写 - 则从标准输入读一行，不留在命令历史里 / the value; - reads one line of standard input")
    ] = "",
    reason: Annotated[
        str, typer.Option(help="依据，写案卷号，不写姓名：长期留痕 / at whose request: a file number, no name, since it is kept for good")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="确实删除；否则只列出将删除的内容 / erase; without it what would go is printed")
    ] = False,
    url: UrlOption = URL,
    data: DataOption = DATA,
) -> None:
    """删除一个人的个人信息（个人信息保护法第四十七条）/ Erase a personal value where it is held; prints what goes, as JSON."""
    from app.client import Client

    if value == "-":
        value = sys.stdin.readline().strip()
    with plain_errors():
        body = json.dumps({"token": token, "value": value, "reason": reason, "preview": not yes}).encode()
        answer = Client.for_data(url, data).call("POST", "/v1/personal/erase", body)
    typer.echo(json.dumps(answer, ensure_ascii=False))
    if not yes:
        typer.echo(both("personal.preview"), err=True)
