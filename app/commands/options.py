"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

UrlOption = Annotated[str, typer.Option(envvar="FENGSUI_URL", help="服务地址（serve 或 api）/ address of the running serve or api")]
DataOption = Annotated[
    Path, typer.Option(envvar="FENGSUI_DATA", help="数据目录，内有管理员令牌 / data folder with the administrator's token")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="serve 或集群的设置文件（TOML）/ the settings file of serve or of the cluster"),
]
MappingsOption = Annotated[Path | None, typer.Option(help="自有映射目录 / folder of further mappings")]
URL = "http://127.0.0.1:8080"
DATA = Path("data")
