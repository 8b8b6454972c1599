"""Writes the dashboards and the alert rules as the files that Grafana and Prometheus read."""

from __future__ import annotations

import io
import json
from pathlib import Path
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from dashboards.alerts import rule_file
from dashboards.board import Board
from dashboards.cluster import CLUSTER
from dashboards.duty import DUTY
from dashboards.engine import ENGINE
from domain.messages import text

BOARDS: tuple[Board, ...] = (DUTY, ENGINE, CLUSTER)
RULES_FILE = "fengsui-rules.yml"
DEFAULT_CONSOLE = "http://127.0.0.1:8080"
_HEADING = "# Generated from dashboards/alerts.py by `python -m dashboards build`; change it there.\n"


def files(console: str = DEFAULT_CONSOLE) -> dict[str, str]:
    """Return file name → content, sorted by name; the same for the same `console`.

    Args:
        console: address of Fengsui's console as the readers' browsers reach it (`http://…` or `https://…`); links lead there.

    Raises:
        ValueError: `console` is no such address.
    """
    parts = urlsplit(console)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(text("dashboards.bad_console", given=console))
    address = console.rstrip("/")
    written = {f"{board.uid}.json": json.dumps(board.json(address), ensure_ascii=False, indent=2) + "\n" for board in BOARDS}
    written[RULES_FILE] = _HEADING + _yaml(rule_file())
    return dict(sorted(written.items()))


def write(folder: Path, console: str = DEFAULT_CONSOLE) -> list[Path]:
    """Write all files to `folder`, which is made where it is missing, and return their paths; other files there stay.

    Raises:
        ValueError: `console` is not an http(s) address.
        OSError: the folder cannot be written.
    """
    contents = files(console)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths


def _yaml(value: object) -> str:
    yaml = YAML()
    yaml.width = 10_000  # one line per text: a folded expression is hard to search for
    target = io.StringIO()
    yaml.dump(value, target)
    return target.getvalue()
