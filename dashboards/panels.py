"""Panels of a Grafana dashboard as typed builders; `json` gives what Grafana 11 and later reads (schema version 41).

A title is what a duty officer asks about, in Chinese; the description says the same in both languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboards.promql import quantile
from domain.levels import DEFAULT_LEVELS
from domain.messages import text

Json = dict[str, Any]
Kind = Literal["stat", "timeseries", "bargauge", "table"]
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
CONSOLE = "${console:raw}"  # the variable with the console's address, not escaped
Steps = tuple[tuple[float, str], ...]

LEVEL_COLOURS = {"blue": "blue", "yellow": "yellow", "orange": "orange", "red": "red"}
BAD_FROM_ONE: Steps = ((1, "red"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression. `instant` asks for the latest value only, as a table's queries do; `legend` is a Grafana template."""

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link from a value to a page of the console; `path` begins with a slash and may hold Grafana's data variables."""

    title: str
    path: str

    def json(self) -> Json:
        """Return Grafana's form; it opens in a new tab, so that the wall display stays."""
        return {"title": self.title, "url": CONSOLE + self.path, "targetBlank": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a field is shown: by its name as Grafana sees it (a label, `Value #A`, or a legend)."""

    title: str = ""
    unit: str = ""
    colour: str = ""
    steps: Steps = ()
    hidden: bool = False
    link: Link | None = None
    texts: Mapping[str, str] = field(default_factory=dict)  # value → what is shown for it

    def properties(self) -> list[Json]:
        """Return the properties of a field override."""
        found: list[Json] = []
        if self.title:
            found.append({"id": "displayName", "value": self.title})
        if self.unit:
            found.append({"id": "unit", "value": self.unit})
        if self.colour:
            found.append({"id": "color", "value": {"mode": "fixed", "fixedColor": self.colour}})
        if self.steps:
            found += [
                {"id": "thresholds", "value": _thresholds(self.steps)},
                {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            ]
        if self.hidden:
            found.append({"id": "custom.hidden", "value": True})
        if self.link:
            found.append({"id": "links", "value": [self.link.json()]})
        if self.texts:
            found.append({"id": "mappings", "value": _mappings(self.texts)})
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; `width` of 24 columns, `height` in rows of about 30 px. `about` is (Chinese, English)."""

    kind: Kind
    title: str
    about: tuple[str, str]
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    unit: str = "short"
    decimals: int | None = None
    steps: Steps = ()
    low: str = "green"  # colour below the first step
    largest: float | None = None
    stacked: bool = False
    bars: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)  # value → what is shown for it
    nothing: str = "无数据"  # shown where there is no series
    link: Link | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    order: tuple[str, ...] = ()  # a table's columns from the left
    matrix: tuple[str, str] | None = None  # (row label, column label): one row and column per value

    def json(self, number: int, x: int, y: int) -> Json:
        """Return the panel with its id at a place of the grid."""
        table = self.kind == "table"
        targets = [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "format": "table" if table else "time_series",
                "instant": query.instant,
                "range": not query.instant,
            }
            for n, query in enumerate(self.queries)
        ]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": "\n\n".join(self.about),
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": targets,
            "fieldConfig": {
                "defaults": self._defaults(),
                "overrides": [
                    {"matcher": {"id": "byName", "options": name}, "properties": column.properties()}
                    for name, column in self.columns.items()
                ],
            },
            "options": self._options(),
            "transformations": self._transformations() if table else [],
        }

    def _defaults(self) -> Json:
        found: Json = {
            "unit": self.unit,
            "color": {"mode": "thresholds" if self.steps or self.kind != "timeseries" else "palette-classic"},
            "thresholds": _thresholds(self.steps, self.low),
            "mappings": _mappings(self.texts),
            "noValue": self.nothing,
        }
        if self.decimals is not None:
            found["decimals"] = self.decimals
        if self.largest is not None:
            found |= {"min": 0, "max": self.largest}
        if self.link:
            found["links"] = [self.link.json()]
        if self.kind == "timeseries":
            found["color"] = {"mode": "palette-classic"}
            found["min"] = 0
            found["custom"] = {
                "drawStyle": "bars" if self.bars else "line",
                "lineWidth": 1,
                "fillOpacity": 60 if self.bars else 10,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "line" if self.steps else "off"},
            }
        return found

    def _options(self) -> Json:
        last: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        match self.kind:
            case "stat":
                several = len(self.queries) > 1 or bool(self.columns)
                return {
                    "reduceOptions": last,
                    "colorMode": "background",
                    "graphMode": "none",
                    "justifyMode": "center",
                    "orientation": "auto",
                    "textMode": "value_and_name" if several else "value",
                }
            case "bargauge":
                return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True}
            case "timeseries":
                return {
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }
            case "table":
                return {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}}

    def _transformations(self) -> list[Json]:
        if self.matrix:
            row, column = self.matrix
            options: Json = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "zero"}
            return [{"id": "groupingToMatrix", "options": options}]
        places = {name: n for n, name in enumerate(self.order)}
        organize: Json = {"excludeByName": {"Time": True, "__name__": True}, "indexByName": places, "renameByName": {}}
        return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]


def _mappings(texts: Mapping[str, str]) -> list[Json]:
    options = {value: {"text": shown, "index": n} for n, (value, shown) in enumerate(texts.items())}
    return [{"type": "value", "options": options}] if options else []


def _thresholds(steps: Steps, low: str = "green") -> Json:
    return {"mode": "absolute", "steps": [{"color": low, "value": None}, *({"color": c, "value": v} for v, c in steps)]}


def level_columns() -> dict[str, Column]:
    """Return how each risk level of the default scale is called and coloured, the highest first."""
    return {
        level.name: Column(title=text(f"level.{level.name}"), colour=LEVEL_COLOURS[level.name]) for level in reversed(DEFAULT_LEVELS.levels)
    }


def titles(names: Mapping[str, str]) -> dict[str, Column]:
    """Return columns that only bear a title: field name → title."""
    return {name: Column(title=title) for name, title in names.items()}


def figure(title: str, about: tuple[str, str], expr: str, *, width: int = 4, **more: Any) -> Panel:
    """Return one number, by default in the width that a row of six has; `more` are fields of `Panel`."""
    return Panel(kind="stat", title=title, about=about, queries=(Query(expr=expr),), width=width, height=5, **more)


def quantiles(histogram: str) -> tuple[Query, ...]:
    """Return the queries for a histogram's median, 95th and 99th percentile."""
    return tuple(Query(expr=quantile(share, histogram), legend=f"{share:.0%}") for share in (0.5, 0.95, 0.99))
