"""`fengsui warnings`: list, show and export, through the running server."""

from __future__ import annotations

import json
import sys
from typing import Annotated
from urllib.parse import urlencode

import typer

from app.commands.options import DATA, URL, DataOption, UrlOption
from app.commands.output import Output, OutputOption, plain_errors, show

app = typer.Typer(no_args_is_help=True, help="预警 / Warnings")


@app.command("list")
def list_warnings(
    status: Annotated[str, typer.Option(help="状态 / status: open, unrouted, closed, withdrawn")] = "",
    level: Annotated[str, typer.Option(help="风险等级 / level: blue, yellow, orange, red")] = "",
    department: Annotated[str, typer.Option(help="部门编号 / department id")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多条数 / at most so many")] = 100,
    url: UrlOption = URL,
    data: DataOption = DATA,
    output: OutputOption = Output.TABLE,
) -> None:
    """列出预警，最急的在前 / List warnings, the most urgent first."""
    from app.client import Client

    query = urlencode({"status": status, "level": level, "department": department, "limit": limit})
    with plain_errors():
        page = Client.for_data(url, data).call("GET", f"/v1/warnings?{query}")
    titled = [one | {"matter": one["matter_title"], "lead": one["lead_name"]} for one in page["warnings"]]
    rows = page["warnings"] if output is Output.JSON else titled
    show(rows, ["id", "level", "subject_name", "matter", "stage", "lead", "due_at", "status"], output)


@app.command("show")
def show_warning(warning_id: str, url: UrlOption = URL, data: DataOption = DATA) -> None:
    """显示一条预警的全部经过 / Print one warning with its whole story, as JSON."""
    from app.client import Client

    with plain_errors():
        story = Client.for_data(url, data).call("GET", f"/v1/warnings/{warning_id}/explain")
    json.dump(story, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


@app.command()
def export(url: UrlOption = URL, data: DataOption = DATA) -> None:
    """逐行输出全部预警（NDJSON）/ Write all warnings as NDJSON, in the canonical form."""
    from app.client import Client

    client, after = None, ""
    with plain_errors():
        client = Client.for_data(url, data)
        while True:
            page = client.call("GET", "/v1/warnings?" + urlencode({"limit": 500, "after": after}))
            for row in page["warnings"]:
                sys.stdout.write(json.dumps(client.call("GET", f"/v1/warnings/{row['id']}"), ensure_ascii=False) + "\n")
            after = page["next"]
            if not after:
                return
