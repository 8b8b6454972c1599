"""What Grafana needs of a dashboard's JSON, and that the committed files are what the code writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from app.metrics import GAUGES
from dashboards import duty, engine
from dashboards.alerts import ALERTS
from dashboards.board import PROMETHEUS_UID, Board, Row
from dashboards.build import BOARDS, RULES_FILE, files, write
from dashboards.panels import LEVEL_COLOURS, Panel, Query
from domain.levels import DEFAULT_LEVELS
from domain.ports import Receipt
from domain.tasks import Timer
from rules.ruleset import Rule
from tests.architecture.tree import TOP
from tests.dashboards.expressions import EXPRESSIONS, unknown_metrics
from tests.dashboards.populated import populated

Json = dict[str, Any]
GENERATED = TOP / "dashboards/generated"
VARIABLE = re.compile(r"\$\{?([A-Za-z]\w*)")
GRAFANA_KIND = {"stat", "timeseries", "bargauge", "table", "row"}
each_board = pytest.mark.parametrize("board", BOARDS, ids=[board.uid for board in BOARDS])


def _load(board: Board) -> Json:
    loaded: Json = json.loads(files()[f"{board.uid}.json"])
    return loaded


def _covers(one: Json, other: Json) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    return bool(a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def problems(board: Json) -> list[str]:
    """Return what Grafana would show wrongly, or not at all."""
    panels = board["panels"]
    variables = {variable["name"] for variable in board["templating"]["list"]}
    found = [f"id {one['id']} twice" for n, one in enumerate(panels) if one["id"] in {other["id"] for other in panels[:n]}]
    found += [f"{one['title']} covers {other['title']}" for one, other in combinations(panels, 2) if _covers(one, other)]
    for panel in panels:
        where, place = panel["title"], panel["gridPos"]
        if panel["type"] not in GRAFANA_KIND:
            found.append(f"{where}: type {panel['type']}")
        if not (place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["w"] > 0 and place["h"] > 0):
            found.append(f"{where}: outside of the grid")
        targets = panel.get("targets", [])
        if panel["type"] != "row" and not targets:
            found.append(f"{where}: no query")
        if len({target["refId"] for target in targets}) != len(targets):
            found.append(f"{where}: refId twice")
        found += [f"{where}: datasource" for part in (panel, *targets) if targets and part["datasource"]["uid"] != "${datasource}"]
        used = {name for name in VARIABLE.findall(json.dumps(panel)) if not name.startswith("__")}
        found += [f"{where}: unknown variable {name}" for name in sorted(used - variables)]
        steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
        if steps and (steps[0]["value"] is not None or any(a["value"] >= b["value"] for a, b in pairwise(steps[1:]))):
            found.append(f"{where}: thresholds out of order")
    return found


@each_board
def test_grafana_can_show_a_dashboard(board: Board) -> None:
    """Ids and places are unique, every query has its source, every variable exists."""
    written = _load(board)
    assert problems(written) == []
    assert written["uid"] == board.uid
    assert written["schemaVersion"] >= 39


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda panel: panel.update(id=1), "twice"),
        (lambda panel: panel["gridPos"].update(y=0), "covers"),
        (lambda panel: panel["gridPos"].update(x=23), "outside"),
        (lambda panel: panel.update(targets=[]), "no query"),
        (lambda panel: panel["targets"][0].update(expr="up{x=~'$nobody'}"), "unknown variable nobody"),
        (lambda panel: panel["targets"][0].update(datasource={"uid": "other"}), "datasource"),
        (lambda panel: panel["targets"].append(panel["targets"][0]), "refId"),
    ],
)
def test_the_check_of_a_dashboard_finds_planted_faults(damage: Any, told: str) -> None:
    """Each fault that Grafana would show wrongly is told."""
    written = _load(BOARDS[0])
    damage(next(panel for panel in written["panels"] if panel["type"] == "stat"))
    assert told in "; ".join(problems(written))


def test_panels_flow_into_the_next_line_without_covering_each_other() -> None:
    """A panel that does not fit beside the others goes below the tallest of them."""
    panels = tuple(
        Panel(kind="stat", title=str(n), about=("", ""), queries=(Query(expr="up"),), width=w, height=h)
        for n, (w, h) in enumerate([(10, 4), (10, 9), (10, 4), (24, 2)])
    )
    board = Board(uid="u", title="t", about=("", ""), rows=(Row(title="r", panels=panels), Row(title="s", panels=panels[:1])))
    places = [tuple(panel["gridPos"].values()) for panel in board.json("http://c")["panels"]]
    assert places == [(0, 0, 24, 1), (0, 1, 10, 4), (10, 1, 10, 9), (0, 10, 10, 4), (0, 14, 24, 2), (0, 16, 24, 1), (0, 17, 10, 4)]


def test_uids_never_change() -> None:
    """A bookmark of a dashboard outlives an upgrade."""
    assert [board.uid for board in BOARDS] == ["fengsui-duty", "fengsui-engine", "fengsui-cluster"]


@each_board
def test_a_panel_speaks_chinese_first_and_english_too(board: Board) -> None:
    """Titles are Chinese, descriptions are Chinese and then English."""
    for panel in board.panels():
        chinese, english = panel.about
        assert re.search(r"[一-鿿]", panel.title), panel.title
        assert re.search(r"[一-鿿]", chinese), panel.title
        assert re.fullmatch(r"[\x20-\x7e]+", english), panel.title
    for text in (text for alert in ALERTS for text in (alert.title, alert.summary, alert.action)):
        assert re.search(r"[一-鿿]", text[0]), text
        assert re.fullmatch(r"[\x20-\x7e]+", text[1]), text


@each_board
def test_links_lead_to_the_console(board: Board) -> None:
    """Every link of a panel begins with the console's address, which a reader may change."""
    urls = re.findall(r'"url": "([^"]+)"', json.dumps(_load(board)))
    assert urls
    assert all(url.startswith("${console:raw}/warnings") for url in urls)


def test_the_console_s_address_is_put_in_without_its_slash() -> None:
    """Another address of the console stands in both dashboards."""
    written = files("https://fengsui.example.gov.cn/")
    for board in BOARDS:
        variable = {one["name"]: one for one in json.loads(written[f"{board.uid}.json"])["templating"]["list"]}["console"]
        assert variable["query"] == "https://fengsui.example.gov.cn"


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "javascript:alert(1)", "http://", "https://c/?a=1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """A link that could lead nowhere, or run a script, is never written."""
    with pytest.raises(ValueError, match="http://"):
        files(address)


def test_the_committed_files_are_what_the_code_writes(tmp_path: Path) -> None:
    """Nobody edits a generated file, and nobody forgets to write it anew (`python -m dashboards build --out dashboards/generated`)."""
    written = write(tmp_path)
    assert sorted(path.name for path in GENERATED.iterdir()) == [path.name for path in written]
    for path in written:
        assert path.read_text(encoding="utf-8") == (GENERATED / path.name).read_text(encoding="utf-8"), path.name


def test_the_command_writes_the_files_and_prints_their_paths(tmp_path: Path) -> None:
    """`python -m dashboards build --out DIR` makes the folder; a wrong address is a usage error."""
    command = [sys.executable, "-m", "dashboards", "build", "--out", str(tmp_path / "new")]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(path) for path in sorted((tmp_path / "new").iterdir())]
    refused = subprocess.run([*command, "--console", "nowhere"], cwd=TOP, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "'nowhere'" in refused.stderr


def known_metrics() -> set[str]:
    """Return the names that Fengsui exposes."""
    exposition = populated().exposition().decode()
    return {sample.name for family in text_string_to_metric_families(exposition) for sample in family.samples}


def test_every_metric_of_an_expression_exists() -> None:
    """Dashboards, variables and alert rules name only what Fengsui exposes."""
    known = known_metrics()
    named = {expression.place: expression.text for expression in EXPRESSIONS}
    named |= {alert.name: alert.expr for alert in ALERTS}
    named |= {variable.name: variable.metric for board in BOARDS for variable in board.variables}
    assert {place: unknown_metrics(expr, known) for place, expr in named.items() if unknown_metrics(expr, known)} == {}
    assert unknown_metrics("sum(fengsui_tasks_overdeu) / fengsui_objects", known) == ["fengsui_tasks_overdeu"]


def test_every_metric_is_looked_at() -> None:
    """What is exposed stands in a panel: a number that nobody sees is not worth its cost."""
    seen = {name for expression in EXPRESSIONS for name in re.findall(r"fengsui_[a-z_]+", expression.text)}
    assert sorted(GAUGES.keys() - seen) == []
    counters = {name for name in known_metrics() if name.endswith("_total")}
    assert sorted(counters - seen) == []


def _literals(struct: type, name: str) -> set[str]:
    return set(get_args(get_type_hints(struct)[name]))


def test_every_value_that_a_label_can_have_is_called_by_its_chinese_name() -> None:
    """Nobody on duty has to read `pause_end`."""
    assert set(duty.TIMER_KINDS) == _literals(Timer, "what")
    assert set(engine.RECORD_OUTCOMES) == _literals(Receipt, "status")
    assert set(engine.RULE_STATES) == _literals(Rule, "status")
    assert set(LEVEL_COLOURS) == set(DEFAULT_LEVELS.names())


def test_grafana_s_and_prometheus_provisioning_fit_the_generated_files() -> None:
    """The data source has the uid that the dashboards choose; what is mounted is where the configuration looks."""
    yaml = YAML(typ="safe")
    source = yaml.load(TOP / "deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]
    assert (source["uid"], source["type"]) == (PROMETHEUS_UID, "prometheus")
    provider = yaml.load(TOP / "deploy/grafana/provisioning/dashboards/fengsui.yaml")["providers"][0]
    services = yaml.load(TOP / "docker-compose.yml")["services"]
    assert f"./dashboards/generated:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    rules = yaml.load(TOP / "deploy/prometheus.yml")["rule_files"]
    assert rules == ["rules/*.yml"]
    assert "./dashboards/generated:/etc/prometheus/rules:ro" in services["prometheus"]["volumes"]
    assert (GENERATED / RULES_FILE).match("*.yml")


def test_the_guide_explains_every_panel_and_every_alert() -> None:
    """docs/dashboards.md has a line for each panel and a heading for each alert, where its runbook link leads."""
    guide = (TOP / "docs/dashboards.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| ([^|]+?) \|", guide, re.MULTILINE))
    assert [panel.title for board in BOARDS for panel in board.panels() if panel.title not in rows] == []
    headings = re.findall(r"^### (\w+)", guide, re.MULTILINE)
    assert headings == [alert.name for alert in ALERTS]
