"""The tutorial and the page on the first rule are typed as they stand, against a real `serve`, in an empty home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.kafka.local import free_port
from tests.architecture.tree import TOP
from tests.docs.fences import fences, missing, steps

PAGES = ("tutorial", "first-rule")
SECONDS = 600.0
MARK = "@@ step "
# The reader has port 8080 for himself, the test takes a free one: what talks to serve is told where it is.
FENGSUI = """#!{python}
import sys
sys.path.insert(0, "{top}")
import typer
from app.cli import app
command, context = typer.main.get_command(app), None
for word in sys.argv[1:]:
    if word.startswith("-") or word not in getattr(command, "commands", {{}}):
        break
    command = command.commands[word]
known = {{option for one in command.params for option in one.opts}}
sys.argv += [*(["--url", "http://127.0.0.1:{port}"] if "--url" in known else []), *(["--port", "{port}"] if "--port" in known else [])]
app()
"""


def _program(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    path.chmod(0o755)


def _checkout(folder: Path, port: int) -> Path:
    """Return a folder that looks to the reader like the checkout after `make setup`."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("docs", "rules"):
        (folder / name).symlink_to(TOP / name)
    _program(programs / "fengsui", FENGSUI.format(python=sys.executable, top=TOP, port=port))
    _program(programs / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    return folder


def _type(page: Path, folder: Path) -> tuple[int, list[str]]:
    """Run the page's commands in one shell; return its exit status and what each step printed."""
    port, receiver = free_port(), free_port()
    lines = ["set -e -o pipefail"]
    for number, (fence, _) in enumerate(steps(page)):
        lines += [f"echo '{MARK}{number}'", fence.content.replace(":8080", f":{port}").replace("9090", str(receiver))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FENGSUI_")}
    environment |= {"HOME": str(folder / "home"), "COLUMNS": "200", "TZ": "Asia/Shanghai"}
    (folder / "home").mkdir()
    log = folder / "printed"
    with log.open("wb") as printed:
        shell = subprocess.Popen(
            ["bash", "-c", "\n".join(lines)],
            cwd=_checkout(folder / "checkout", port),
            env=environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = shell.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            status = -1
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # serve and receiver too, where a step failed before it ends them
            shell.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    return status, [part.partition("\n")[2] for part in text.split(MARK)[1:]]


@pytest.mark.service("curl")
@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_runs_and_prints_what_the_page_says(name: str, tmp_path: Path) -> None:
    """From an empty folder to the page's end, be it a closed warning or a rule that warns, as the page tells it."""
    page = TOP / "docs" / f"{name}.md"
    status, printed = _type(page, tmp_path)
    told = steps(page)
    for (fence, expected), text in zip(told, printed, strict=False):
        assert missing(expected, text) == [], f"{page.name}:{fence.line} printed:\n{text}"
    assert (status, len(printed)) == (0, len(told)), f"ended at {page.name}:{told[len(printed) - 1][0].line}:\n{printed[-1]}"


@pytest.mark.parametrize("name", PAGES)
def test_both_languages_have_the_same_blocks(name: str) -> None:
    """What is tested of one page holds for the other."""
    english, chinese = ([(one.language, one.content) for one in fences(TOP / "docs" / f"{name}{tongue}.md")] for tongue in ("", ".zh-CN"))
    assert english == chinese


@pytest.mark.parametrize(("expected", "absent"), [("b\na", ["a"]), ("a b", []), ("", []), ("z", ["z"])])
def test_what_a_page_promises_is_looked_for_in_order(expected: str, absent: list[str]) -> None:
    """A line that is not printed, or not after the one before it, is found missing."""
    assert missing(expected, "a   b\nc") == absent
