"""`fengsui personal`: what a person may ask for about their own information, through the running server."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.commands.options import DATA, URL, DataOption, UrlOption
from app.commands.output import plain_errors

app = typer.Typer(no_args_is_help=True, help="个人信息 / Personal information")


@app.callback()
def personal() -> None:
    """个人信息 / Personal information."""


@app.command()
def erase(
    token: Annotated[str, typer.Option(help="令牌，如 p:0123… / the token")] = "",
    value: Annotated[str, typer.Option(help="原值，如手机号码 / the value itself, such as a mobile number")] = "",
    reason: Annotated[str, typer.Option(help="依据谁的请求 / at whose request; kept in the audit trail")] = "",
    url: UrlOption = URL,
    data: DataOption = DATA,
) -> None:
    """删除一个人的个人信息（个人信息保护法第四十七条）/ Erase a personal value wherever it is held; prints what was erased, as JSON."""
    from app.client import Client

    with plain_errors():
        body = json.dumps({"token": token, "value": value, "reason": reason}).encode()
        answer = Client.for_data(url, data).call("POST", "/v1/personal/erase", body)
    typer.echo(json.dumps(answer, ensure_ascii=False))
