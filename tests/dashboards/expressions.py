"""Every expression of the dashboards and the alert rules, and what is wrong with one when Prometheus runs it."""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.board import Board, LabelVariable
from dashboards.build import BOARDS
from dashboards.promql import ALIVE

METRIC = re.compile(r"\bfengsui_[a-z_]+\b")
FILLED_IN = re.compile(rf" or \((?:label_replace\()?{re.escape(ALIVE)}.*$")  # what `or_zero` adds
SELECTOR = re.compile(r"\b(?:fengsui_[a-z_]+|ALERTS)\b(?:\{[^}]*\})?")
GRAFANA = {"$__rate_interval": "3s", "$__range": "10s", "$__interval": "3s"}


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression as Grafana sends it with everything chosen; `labels` are those that its panel shows."""

    place: str
    text: str
    labels: frozenset[str] = frozenset()
    over_time: bool = False


def filled(expr: str, variables: tuple[LabelVariable, ...]) -> str:
    """Return an expression with Grafana's variables put in as for "All"."""
    values = GRAFANA | {f"${variable.name}": str(variable.json()["allValue"]) for variable in variables}
    for name, value in values.items():
        expr = expr.replace(name, value)
    return expr


def of_board(board: Board) -> Iterator[Expression]:
    """Give the expressions of all panels and annotations."""
    for panel in board.panels():
        for n, query in enumerate(panel.queries):
            shown = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
            if panel.kind == "table":
                shown |= {name for name in (*panel.order, *(panel.matrix or ())) if not name.startswith("Value")}
            place = f"{board.uid}/{panel.title}/{n}"
            yield Expression(place, filled(query.expr, board.variables), frozenset(shown), over_time=not query.instant)
    for mark in board.marks:
        yield Expression(f"{board.uid}/{mark.title}", filled(mark.expr, board.variables), over_time=True)


EXPRESSIONS = [expression for board in BOARDS for expression in of_board(board)]


def unknown_metrics(expr: str, known: set[str]) -> list[str]:
    """Return the metrics that an expression names and `known` has not."""
    return sorted(set(METRIC.findall(expr)) - known)


class Prometheus:
    """The HTTP API of a running server."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str | float) -> Any:
        """Return `data` of the answer; raises ValueError with the server's words where it refuses."""
        try:
            with urllib.request.urlopen(f"{self._base}{path}?{urllib.parse.urlencode(parameters)}", timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from error

    def ready(self) -> bool:
        """Say whether it answers queries."""
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def instant(self, expr: str, **when: float) -> list[Mapping[str, Any]]:
        """Return the series of an instant query."""
        found: list[Mapping[str, Any]] = self.get("/api/v1/query", query=expr, **when)["result"]
        return found

    def trouble(self, expression: Expression) -> str:
        """Say what is wrong with an expression; "" where it gives values that its panel can show."""
        try:
            series = self.instant(expression.text)
            parts = {part: bool(self.instant(part)) for part in SELECTOR.findall(expression.text)}
            bare = self.instant(FILLED_IN.sub("", expression.text))  # the zero must not stand in for a dead part
        except ValueError as error:
            return f"refused: {error}"
        dead = [part for part, alive in parts.items() if not alive]
        if dead:
            return f"no series: {', '.join(dead)}"
        if not bare or not any(math.isfinite(float(one["value"][1])) for one in bare):
            return "empty result"
        missing = sorted(label for label in expression.labels if not any(one["metric"].get(label) for one in series))
        return f"no series has the label: {', '.join(missing)}" if missing else ""
