"""`fengsui access`: tokens, endpoints and signing secrets, through the running server."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.commands.options import DATA, URL, DataOption, UrlOption
from app.commands.output import Output, OutputOption, note, plain_errors, show
from domain.principals import ROLES

app = typer.Typer(no_args_is_help=True, help="凭据、接收地址与签名密钥 / Credentials, endpoints and signing secrets")
GRANTED = tuple(role for role in ROLES if role != "link")


@app.command("list")
def list_access(url: UrlOption = URL, data: DataOption = DATA, output: OutputOption = Output.TABLE) -> None:
    """列出凭据 / List credentials; the tokens themselves are stored nowhere."""
    from app.client import Client

    with plain_errors():
        rows = Client.for_data(url, data).call("GET", "/v1/access")
    show(rows, ["fingerprint", "name", "role", "department", "feed", "created_at", "revoked_at"], output)


@app.command()
def grant(
    name: Annotated[str, typer.Argument(help="谁使用它 / who uses it")],
    role: Annotated[str, typer.Option(help="角色 / role: " + ", ".join(GRANTED))],
    department: Annotated[str, typer.Option(help="部门编号 / department id, for department roles")] = "",
    feed: Annotated[str, typer.Option(help="数据源 / feed, for the role feed")] = "",
    url: UrlOption = URL,
    data: DataOption = DATA,
) -> None:
    """新建凭据并显示一次令牌 / Make a credential and print its token, once."""
    from app.client import Client
    from app.views.filters import check_value

    with plain_errors():
        check_value("--role", role, GRANTED)
        body = json.dumps({"name": name, "role": role, "department": department, "feed": feed}).encode()
        answer = Client.for_data(url, data).call("POST", "/v1/access", body)
    note(f"{answer['fingerprint']}：令牌只显示这一次 / shown only this once")
    typer.echo(answer["token"])


@app.command()
def revoke(fingerprint: str, url: UrlOption = URL, data: DataOption = DATA) -> None:
    """吊销凭据，立即生效 / Revoke a credential at once."""
    from app.client import Client

    with plain_errors():
        Client.for_data(url, data).call("DELETE", f"/v1/access/{fingerprint}")
    typer.echo(f"revoked {fingerprint}")


@app.command()
def endpoint(
    department: Annotated[str, typer.Argument(help="部门编号 / department id")],
    address: Annotated[str, typer.Argument(help="接收预警的地址 / where it receives webhooks")],
    url: UrlOption = URL,
    data: DataOption = DATA,
) -> None:
    """登记接收地址；首次登记时显示签名密钥 / Register where a department receives webhooks; prints its signing secret the first time."""
    from app.client import Client

    with plain_errors():
        answer = Client.for_data(url, data).call("PUT", f"/v1/departments/{department}/endpoint", json.dumps({"url": address}).encode())
    if answer["secret"]:
        note("签名密钥只显示这一次，请交给该部门 / shown only this once; hand it to the department")
        typer.echo(answer["secret"])


@app.command()
def rotate(department: str, url: UrlOption = URL, data: DataOption = DATA) -> None:
    """更换签名密钥，旧密钥再有效 24 小时 / Rotate the signing secret; the old one stays valid for 24 hours."""
    from app.client import Client

    with plain_errors():
        answer = Client.for_data(url, data).call("POST", f"/v1/departments/{department}/secret")
    typer.echo(answer["secret"])
