"""A dashboard: variables, annotations and rows of panels, laid out from left to right so that none covers another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.panels import CONSOLE, SOURCE, Json, Panel

SCHEMA_VERSION = 41  # Grafana 11.6 and 12; older ones from 10 on read it, newer ones migrate it when they load it
COLUMNS = 24
TAG = "fengsui"
PROMETHEUS_UID = "prometheus"  # deploy/grafana/provisioning/datasources


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelVariable:
    """A choice of some or all values that `label` has in `metric`."""

    name: str
    title: str
    metric: str
    label: str

    def json(self) -> Json:
        """Return Grafana's form; nothing chosen means all, also series that lack the label."""
        query = f"label_values({self.metric}, {self.label})"
        return {
            "type": "query",
            "name": self.name,
            "label": self.title,
            "datasource": SOURCE,
            "definition": query,
            "query": {"qryType": 1, "query": query, "refId": f"Variable-{self.name}"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
            "regex": "",
            "hide": 0,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Vertical lines wherever `expr` is above 0."""

    title: str
    expr: str
    text: str
    colour: str = "purple"

    def json(self) -> Json:
        """Return Grafana's form."""
        return {
            "name": self.title,
            "datasource": SOURCE,
            "enable": True,
            "hide": False,
            "expr": self.expr,
            "step": "60s",
            "iconColor": self.colour,
            "titleFormat": self.title,
            "textFormat": self.text,
            "useValueForTime": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard; `uid` is a part of its address and never changes. `about` is (Chinese, English)."""

    uid: str
    title: str
    about: tuple[str, str]
    rows: tuple[Row, ...]
    variables: tuple[LabelVariable, ...] = ()
    marks: tuple[Marks, ...] = ()
    since: str = "now-24h"

    def panels(self) -> list[Panel]:
        """Return the panels in reading order."""
        return [panel for row in self.rows for panel in row.panels]

    def json(self, console: str) -> Json:
        """Return the dashboard; `console` is the address of Fengsui's console as the reader's browser reaches it, without a slash."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": "\n\n".join(self.about),
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "weekStart": "monday",
            "fiscalYearStartMonth": 0,
            "annotations": {"list": [mark.json() for mark in self.marks]},
            "templating": {"list": [_source_variable(), _console_variable(console), *(one.json() for one in self.variables)]},
            "links": _links(),
            "panels": self._grid(),
        }

    def _grid(self) -> list[Json]:
        placed: list[Json] = []
        y = 0
        for row in self.rows:
            heading = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            placed.append({"id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": heading, "panels": []})
            y, x, tallest = y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, tallest = 0, y + tallest, 0
                placed.append(panel.json(len(placed) + 1, x, y))
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest
        return placed


def _source_variable() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "数据来源",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": PROMETHEUS_UID},
        "options": [],
        "regex": "",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }


def _console_variable(console: str) -> Json:
    chosen: Any = {"text": console, "value": console}
    return {
        "type": "textbox",
        "name": "console",
        "label": "控制台地址",
        "query": console,
        "current": chosen,
        "options": [chosen | {"selected": True}],
        "hide": 0,
    }


def _links() -> list[Json]:
    shared: Json = {"asDropdown": False, "icon": "external link", "tags": [], "tooltip": ""}
    return [
        shared
        | {"type": "link", "title": "预警列表", "url": f"{CONSOLE}/warnings", "targetBlank": True, "includeVars": False, "keepTime": False},
        shared
        | {
            "type": "dashboards",
            "title": "烽燧",
            "tags": [TAG],
            "url": "",
            "icon": "dashboard",
            "targetBlank": False,
            "includeVars": True,
            "keepTime": True,
        },
    ]
