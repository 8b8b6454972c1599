"""`fengsui import`: registry, catalogue and departments from files, through the running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from app.commands.options import DATA, URL, DataOption, UrlOption
from app.commands.output import FINDINGS, note, plain_errors
from domain.messages import both

app = typer.Typer(no_args_is_help=True, help="导入监管对象、事项清单、部门 / Import objects, catalogue, departments")
FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV、XLSX 或 YAML 文件")]


def _send(what: str, file: Path, url: str, data: Path) -> None:
    from app.client import Client

    with plain_errors():
        path = f"/v1/import/{what}?name={quote(file.name)}"
        answer = Client.for_data(url, data).call("POST", path, file.read_bytes(), "application/octet-stream")
    for problem in answer["problems"]:
        note(f"{file}:{problem['row']} {problem['column']}: {problem['message']}")
    refused = len({problem["row"] for problem in answer["problems"] if problem["severity"] == "error"})
    remarks = sum(problem["severity"] != "error" for problem in answer["problems"])
    told = {"imported": answer["imported"], "refused": refused, "remarks": remarks, "version": answer["version"]}
    typer.echo(both("imports.done" if answer["version"] is None else "imports.done_version", **told))  # departments have no versions
    if refused:
        raise typer.Exit(FINDINGS)


@app.command()
def objects(file: FileArgument, url: UrlOption = URL, data: DataOption = DATA) -> None:
    """导入监管对象名录 / Import regulated objects (CSV or XLSX, Chinese or English headers)."""
    _send("objects", file, url, data)


@app.command()
def catalogue(file: FileArgument, url: UrlOption = URL, data: DataOption = DATA) -> None:
    """导入跨部门综合监管事项清单 / Import the item catalogue (the form of annex 1, XLSX or CSV) as a new version."""
    _send("catalogue", file, url, data)


@app.command()
def departments(file: FileArgument, url: UrlOption = URL, data: DataOption = DATA) -> None:
    """导入部门 / Import departments (YAML, CSV or XLSX)."""
    _send("departments", file, url, data)
