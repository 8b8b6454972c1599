"""Every expression is run by a real Prometheus that scrapes the real exposition, through the configuration that is shipped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.metrics import Metrics
from dashboards.alerts import ALERTS
from dashboards.build import BOARDS, RULES_FILE
from dashboards.promql import named, or_zero
from deploy.kafka.local import free_port
from tests.architecture.tree import TOP
from tests.dashboards.expressions import EXPRESSIONS, Expression, Prometheus
from tests.dashboards.populated import NAMELESS, NAMES, populated, served

pytestmark = pytest.mark.service("prometheus")
TOKEN = "monitor-token-of-the-test"
SCRAPES = 10  # enough for a rate over the shortest window, and for each alert to have been evaluated
PATIENCE = 120.0  # seconds
ABSENCES = {"FengsuiDown", "FengsuiNoDutyLoop"}  # alerts about what is not there, in a state in which everything is
RULE_TESTS = Path(__file__).with_name("fengsui-rules.test.yml")


def _configuration(folder: Path, port: int) -> Path:
    """Write the shipped configuration with this machine's addresses and a quicker pace."""
    (folder / "token").write_text(TOKEN)
    yaml = YAML(typ="safe")
    config: dict[str, Any] = yaml.load(TOP / "deploy/prometheus.yml")
    config["global"] |= {"scrape_interval": "400ms", "scrape_timeout": "400ms", "evaluation_interval": "400ms"}
    config["rule_files"] = [str(TOP / "dashboards/generated" / Path(pattern).name) for pattern in config["rule_files"]]
    job, *others = config["scrape_configs"]
    for other in others:
        other.pop("dns_sd_configs")  # the names of containers
        other["static_configs"] = [{"targets": ["127.0.0.1:1"]}]  # where nobody answers
    for one in config["scrape_configs"]:
        if "authorization" in one:
            one["authorization"]["credentials_file"] = str(folder / "token")
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    path = folder / "prometheus.yml"
    yaml.dump(config, path)
    return path


def _until(true: Callable[[], bool], running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def prometheus(service: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Start a server and wait until it has scraped often enough."""
    folder = tmp_path_factory.mktemp("prometheus")
    with served(populated(), TOKEN) as target, (folder / "log").open("wb") as log:
        config, port = _configuration(folder, target), free_port()
        command = [
            service("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            server = Prometheus(port)
            _until(server.ready, running, folder / "log")
            enough = f"count_over_time(fengsui_build_info[1m]) >= {SCRAPES}"
            _until(lambda: bool(server.instant(enough)), running, folder / "log")
            yield server
        finally:
            running.terminate()
            running.wait(10)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=[expression.place for expression in EXPRESSIONS])
def test_a_panel_has_values(prometheus: Prometheus, expression: Expression) -> None:
    """No panel is dead: its expression parses, runs and gives series with the labels that the panel shows."""
    assert prometheus.trouble(expression) == ""
    if expression.over_time:
        now = time.time()  # noqa: TID251  the server's own clock is the wall clock
        assert prometheus.get("/api/v1/query_range", query=expression.text, start=now - 3, end=now, step=1)["result"]


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (Expression("", "sum(fengsui_tasks_overdeu)"), "no series: fengsui_tasks_overdeu"),
        (Expression("", or_zero("sum(fengsui_tasks_overdeu)")), "no series: fengsui_tasks_overdeu"),
        (Expression("", or_zero("sum(fengsui_tasks_overdue > 1000)")), "empty result"),
        (Expression("", or_zero("sum(fengsui_tasks_overdue > 1000)", "name", "无")), "empty result"),
        (Expression("", 'fengsui_feed_silent{source="iot-json"}'), "no series: fengsui_feed_silent{source"),
        (Expression("", "sum by (source) (fengsui_feed_silent)", frozenset({"source"})), "no series has the label: source"),
        (Expression("", "sum(rate(fengsui_objects[0s]))"), "refused"),
        (Expression("", "sum(fengsui_objects"), "refused"),
    ],
)
def test_a_wrong_expression_is_found(prometheus: Prometheus, planted: Expression, told: str) -> None:
    """A planted wrong name, label or window makes the check fail, also where a zero is filled in."""
    assert told in prometheus.trouble(planted)


def test_a_variable_has_something_to_choose(prometheus: Prometheus) -> None:
    """Each drop-down list has values."""
    for variable in (variable for board in BOARDS for variable in board.variables):
        parameters = {"match[]": variable.metric}
        assert prometheus.get(f"/api/v1/label/{variable.label}/values", **parameters), variable.name


def test_a_department_is_called_by_its_name_or_else_by_its_id(prometheus: Prometheus) -> None:
    """The directory's name stands in a legend; a department that the directory lost is still shown."""
    series = prometheus.instant(named("sum by (department) (fengsui_tasks_overdue)"))
    assert {one["metric"]["department"]: one["metric"]["name"] for one in series} == NAMES | {NAMELESS: NAMELESS}


def test_none_is_said_only_while_fengsui_is_scraped(prometheus: Prometheus) -> None:
    """Where nothing is open a panel says 0, under a name; before Fengsui was there it says nothing at all."""
    (zero,) = prometheus.instant(or_zero("sum by (level) (fengsui_warnings_open > 1000)", "level", "none"))
    assert (zero["metric"], zero["value"][1]) == ({"level": "none"}, "0")
    long_ago = time.time() - 3600  # noqa: TID251  the server's own clock is the wall clock
    assert prometheus.instant(or_zero("sum(fengsui_tasks_overdue)"), time=long_ago) == []


@pytest.mark.parametrize("alert", ALERTS, ids=[alert.name for alert in ALERTS])
def test_an_alert_s_expression_runs_and_is_true_in_the_bad_state_that_is_served(prometheus: Prometheus, alert: Any) -> None:
    """Prometheus evaluates each rule without error; where Fengsui was not there yet, it says that it is down."""
    if alert.name in ABSENCES:
        assert not prometheus.instant(alert.expr)
        missing = alert.expr.replace("fengsui_duty_leases", "fengsui_nothing")
        long_ago = time.time() - 3600  # noqa: TID251  the server's own clock is the wall clock
        assert prometheus.instant(missing, **({"time": long_ago} if missing == alert.expr else {}))
    else:
        assert prometheus.trouble(Expression(alert.name, alert.expr)) == ""
    (group,) = prometheus.get("/api/v1/rules")["groups"]
    rule = {rule["name"]: rule for rule in group["rules"]}[alert.name]
    assert (rule["health"], rule.get("lastError", "")) == ("ok", "")
    assert bool(rule["alerts"]) == (alert.name not in ABSENCES)
    assert all("<error" not in text for one in rule["alerts"] for text in one["annotations"].values())


def _promtool(service: Callable[[str], Path], *arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    program = service("prometheus").with_name("promtool")
    return subprocess.run([program, *map(str, arguments)], input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("metrics", [Metrics(), populated()], ids=["empty", "populated"])
def test_promtool_finds_nothing_wrong_in_the_exposition(service: Callable[[str], Path], metrics: Metrics) -> None:
    """`promtool check metrics` says nothing, before the first record and after many."""
    done = _promtool(service, "check", "metrics", text=metrics.exposition().decode())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_promtool_finds_a_planted_bad_name(service: Callable[[str], Path]) -> None:
    """The check above can fail."""
    text = populated().exposition().decode().replace("fengsui_timers_pending", "fengsuiTimersPending")
    done = _promtool(service, "check", "metrics", text=text)
    assert done.returncode != 0
    assert "fengsuiTimersPending" in done.stdout + done.stderr


def test_promtool_accepts_the_alert_rules_and_the_configuration_that_loads_them(service: Callable[[str], Path], tmp_path: Path) -> None:
    """`promtool check rules` and `check config` with the rules in place."""
    rules = TOP / "dashboards/generated" / RULES_FILE
    checked = _promtool(service, "check", "rules", rules)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(ALERTS)} rules found" in checked.stdout
    configured = _promtool(service, "check", "config", _configuration(tmp_path, 8080))
    assert configured.returncode == 0, configured.stderr
    assert f"{len(ALERTS)} rules found" in configured.stdout


def test_each_alert_fires_when_it_should_and_is_quiet_else(service: Callable[[str], Path]) -> None:
    """`promtool test rules` plays the bad states and a healthy day; each alert has its test."""
    done = _promtool(service, "test", "rules", RULE_TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    tests = RULE_TESTS.read_text(encoding="utf-8")
    assert [alert.name for alert in ALERTS if tests.count(alert.name) < 2] == []


def test_a_changed_threshold_makes_the_rules_tests_fail(service: Callable[[str], Path], tmp_path: Path) -> None:
    """The rules' tests can fail: a planted wrong threshold is found."""
    rules = (TOP / "dashboards/generated" / RULES_FILE).read_text(encoding="utf-8")
    (tmp_path / RULES_FILE).write_text(rules.replace("max(fengsui_timers_late_seconds) > 60", "max(fengsui_timers_late_seconds) > 6000"))
    tests = RULE_TESTS.read_text(encoding="utf-8").replace("../../dashboards/generated/", "")
    (tmp_path / RULE_TESTS.name).write_text(tests, encoding="utf-8")
    done = _promtool(service, "test", "rules", tmp_path / RULE_TESTS.name)
    assert done.returncode != 0
    assert "FengsuiTimersLate" in done.stdout + done.stderr
