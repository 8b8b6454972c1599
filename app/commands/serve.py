"""`fengsui serve`: the whole of it in one process."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.commands.output import note, plain_errors
from domain.messages import both


def serve(
    data: Annotated[Path | None, typer.Option(help="数据目录，缺省 ./data / data folder")] = None,
    rules: Annotated[Path | None, typer.Option(help="规则目录，缺省为随附规则包 / folder of rule packs")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML 设置文件 / settings file")] = None,
    host: Annotated[str | None, typer.Option(help="监听地址，缺省 127.0.0.1 / address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="监听端口，缺省 8080 / port to listen on")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="详细日志 / debug logs")] = False,
) -> None:
    """启动服务：接入、研判、派单、控制台 / Run intake, engine, duty loop and console until interrupted."""
    from app.logs import configure
    from app.settings import load_settings

    with plain_errors():
        settings = load_settings(config, data=data, rules=rules, host=host, port=port)
    configure(verbose=verbose)
    from app.server import TURN, Server

    sys.setswitchinterval(TURN)
    from app.wiring import Application

    with plain_errors(), Application(settings) as application:
        note(f"烽燧 Fengsui  {application.settings.base_url}/   令牌文件 / token: {settings.data / 'admin-token'}")
        if not application.services.rulebook.active:
            note(f"{both('console.no_rules_active')}: fengsui rules check {settings.rules}")
        Server(application).run()
    gc.freeze()  # everything is closed; looking for circles in what is about to go takes seconds where there is a lot
