"""The container files fit together; a container engine itself is not needed (and not run) here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.settings import load_settings
from tests.architecture.tree import TOP, copied_into_the_image, packages
from tests.docs.command_line import options, tree


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((TOP / name).read_text(encoding="utf-8"))
    return loaded


COMPOSE = _load("docker-compose.yml")
SERVICES = sorted(COMPOSE["services"].items())
PROFILES = {
    "small": {"fengsui", "prometheus", "grafana"},
    "cluster": {
        *("kafka-1", "kafka-2", "kafka-3", "postgres", "mosquitto", "accounts", "migrate", "topics"),
        *("edge", "api", "duty-1", "duty-2", "worker-1", "worker-2", "prometheus", "grafana-cluster"),
    },
}
ONE_SHOT = {
    name
    for _, service in SERVICES
    for name, wanted in service.get("depends_on", {}).items()
    if wanted["condition"] == "service_completed_successfully"
}
each_service = pytest.mark.parametrize(("name", "service"), SERVICES, ids=[name for name, _ in SERVICES])


@each_service
def test_an_image_is_pinned_to_a_version(name: str, service: dict[str, Any]) -> None:
    """Nobody gets another version than was tried."""
    assert re.fullmatch(r"[\w./-]+:v?\d+(\.\d+)+(-bookworm)?", service["image"]), name


@each_service
def test_a_container_has_no_privileges(name: str, service: dict[str, Any]) -> None:
    """Not root, no capabilities, a file system that cannot be written."""
    assert int(service["user"].split(":")[0]) > 0, name
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])


@each_service
def test_a_container_is_watched_and_listens_on_this_machine_only(name: str, service: dict[str, Any]) -> None:
    """Health is asked for where something goes on, and every published port is bound to 127.0.0.1."""
    if name in ONE_SHOT:
        assert service["restart"] == "on-failure"
    else:
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@each_service
def test_fengsui_is_healthy_before_rules_are_published(name: str, service: dict[str, Any]) -> None:
    """Nothing is ready by then, and who waits for health is not to wait in vain: it is whether a process answers, at its port."""
    if not service["image"].startswith("fengsui:") or name in ONE_SHOT:
        return
    port = service.get("environment", {}).get("FENGSUI_METRICS_PORT", 8080)
    assert f"'http://127.0.0.1:{port}/healthz'" in service["healthcheck"]["test"][-1], name


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_profile_is_whole(profile: str) -> None:
    """It has the services that it is said to have, and nothing of it waits for something outside of it."""
    inside = {name: service for name, service in SERVICES if profile in service["profiles"]}
    assert set(inside) == PROFILES[profile]
    for name, service in inside.items():
        for other, wanted in service.get("depends_on", {}).items():
            assert other in inside, (name, other)
            assert wanted["condition"] == "service_completed_successfully" or "healthcheck" in inside[other], (name, other)


@each_service
def test_what_fengsui_is_told_to_do_is_a_command_of_its_own(name: str, service: dict[str, Any]) -> None:
    """A role or an option that is renamed cannot leave a container behind that never starts."""
    if not service["image"].startswith("fengsui:") or "command" not in service:
        return
    words, path, command = list(service["command"]), [], tree()
    while hasattr(command, "commands"):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    given = [word for word in words if word.startswith("--")]
    assert set(given) <= options(*path), name
    assert len(words) == 2 * len(given), "every option has its value, and nothing stands beside"


def test_brokers_keep_a_record_on_three_machines_and_acknowledge_it_from_two() -> None:
    """Three voters under their own names; what the roles ask of topics is what the brokers give, and no topic comes by itself."""
    brokers = [service["environment"] for name, service in SERVICES if name.startswith("kafka-")]
    voters = ",".join(f"{number}@kafka-{number}:9093" for number in (1, 2, 3))
    for number, settings in enumerate(brokers, start=1):
        assert settings["KAFKA_NODE_ID"] == number
        assert settings["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://kafka-{number}:9092"
        assert settings["KAFKA_CONTROLLER_QUORUM_VOTERS"] == voters
        assert (settings["KAFKA_DEFAULT_REPLICATION_FACTOR"], settings["KAFKA_MIN_INSYNC_REPLICAS"]) == (3, 2)
        assert settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == settings["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
    asked = load_settings(TOP / "deploy/cluster/cluster.toml").kafka
    assert (asked.replicas, asked.min_insync, asked.reduced_durability) == (3, 2, False)
    assert asked.bootstrap == ",".join(f"kafka-{number}:9092" for number in (1, 2, 3))


def test_brokers_and_database_are_reached_from_inside_alone() -> None:
    """Neither asks Fengsui for more than a password, so neither is published or on the network that is."""
    assert all(network == {"internal": True} for name, network in COMPOSE["networks"].items() if name != "default")
    reached = {name: [who for who, service in SERVICES if name in service.get("networks", [])] for name in ("reports", "watching")}
    assert reached == {"reports": ["grafana-cluster", "postgres"], "watching": ["duty-1", "duty-2", "prometheus", "worker-1", "worker-2"]}
    for name, service in SERVICES:
        if name.startswith("kafka-") or name == "postgres":
            assert service["networks"] == (["inner", "reports"] if name == "postgres" else ["inner"])
            assert "ports" not in service


def test_a_role_is_given_the_secrets_that_its_settings_name() -> None:
    """Edge and api have all files that the shared settings name, worker and duty what they read, and no secret is left over."""
    text = (TOP / "deploy/cluster/cluster.toml").read_text()
    named = set(re.findall(r'"/run/secrets/(\w+)"', text))
    assert named <= set(COMPOSE["secrets"])
    for name, service in SERVICES:
        if name.partition("-")[0] in {"edge", "api"}:
            assert set(service["secrets"]) == named, name
        elif name.partition("-")[0] in {"worker", "duty"}:
            assert set(service["secrets"]) == named - {"sealing_key", "personal_key"}, name
    read = set(re.findall(r"/run/secrets/(\w+)", (TOP / "deploy/cluster/accounts.sql").read_text()))
    assert read < set(COMPOSE["services"]["accounts"]["secrets"])
    assert set(COMPOSE["secrets"]) == {secret for _, service in SERVICES for secret in service.get("secrets", [])}


def test_two_workers_share_snapshots_and_nothing_else() -> None:
    """A data folder has one process; the folder of snapshots is the one that the settings name and the image makes."""
    mounts = [set(COMPOSE["services"][name]["volumes"]) for name in ("worker-1", "worker-2")]
    shared = {mount for mount in mounts[0] & mounts[1] if not mount.startswith("./")}
    assert shared == {"snapshots:/snapshots"}
    assert str(load_settings(TOP / "deploy/cluster/cluster.toml").kafka.snapshots) == "/snapshots"
    assert " /data /snapshots\n" in (TOP / "deploy/Dockerfile").read_text()


@pytest.mark.service("docker-compose")
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_docker_compose_finds_nothing_wrong(profile: str) -> None:
    """`docker-compose config` of Debian takes both profiles without a word on standard error."""
    done = subprocess.run(
        ["docker-compose", "--profile", profile, "config"],
        cwd=TOP,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert PROFILES[profile] <= set(YAML(typ="safe").load(done.stdout)["services"])


@each_service
def test_what_is_mounted_exists(name: str, service: dict[str, Any]) -> None:
    """A file of the checkout is there and read-only, a volume is declared."""
    for mount in service.get("volumes", []):
        source, _, options = mount.partition(":")
        if source.startswith("./"):
            assert (TOP / source).exists(), (name, source)
            assert options.endswith(":ro"), (name, mount)
        else:
            assert source in COMPOSE["volumes"], (name, source)


@each_service
def test_secrets_come_from_files_that_git_ignores(name: str, service: dict[str, Any]) -> None:
    """No environment variable holds a secret, and no secret file can be committed."""
    for variable, value in service.get("environment", {}).items():
        assert not re.search(r"PASSWORD|TOKEN|SECRET|KEY", variable) or str(value).startswith("/run/secrets/"), (name, variable)
    for secret in service.get("secrets", []):
        file = COMPOSE["secrets"][secret]["file"]
        assert subprocess.run(["git", "-c", f"safe.directory={TOP}", "check-ignore", "--quiet", file], cwd=TOP, check=False).returncode == 0


def test_the_image_gets_every_package_and_only_what_it_copies() -> None:
    """The Dockerfile copies all packages, and .dockerignore lets them through."""
    copied = copied_into_the_image()
    let_through = {line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(packages()) <= copied
    assert copied == let_through
    assert all((TOP / path).exists() for path in copied)


@pytest.mark.service("prometheus")
def test_prometheus_accepts_its_configuration(service: Callable[[str], Path], tmp_path: Path) -> None:
    """Promtool finds nothing wrong in the scrape configuration."""
    token = tmp_path / "token"
    token.write_text("x")
    config = tmp_path / "prometheus.yml"
    config.write_text((TOP / "deploy/prometheus.yml").read_text().replace("/run/secrets/monitor_token", str(token)))
    promtool = service("prometheus").with_name("promtool")
    subprocess.run([promtool, "check", "config", config], capture_output=True, check=True)


def _scraped(job: str) -> dict[str, Any]:
    """Return how Prometheus finds the processes of a job."""
    found: dict[str, Any]
    [found] = next(one["dns_sd_configs"] for one in _load("deploy/prometheus.yml")["scrape_configs"] if one["job_name"] == job)
    return found


@pytest.mark.parametrize(("job", "role"), [("fengsui-workers", "worker"), ("fengsui-duty", "duty")])
def test_prometheus_looks_for_workers_and_duty_loops_where_they_are(job: str, role: str) -> None:
    """The name, the network and the port of a job are those of the containers; a third one is found without a change."""
    found = _scraped(job)
    for name in (f"{role}-1", f"{role}-2"):
        container = COMPOSE["services"][name]
        assert container["networks"]["watching"]["aliases"] == found["names"]
        assert container["environment"]["FENGSUI_METRICS_PORT"] == found["port"]
        assert container["environment"]["FENGSUI_HOST"] == "0.0.0.0"
    assert "watching" in COMPOSE["services"]["prometheus"]["networks"]


def test_prometheus_looks_for_the_api_where_it_is() -> None:
    """By the name of the service, on a network that both are on, at the port that it listens on."""
    found, container = _scraped("fengsui-api"), COMPOSE["services"]["api"]
    assert found["names"] == ["api"]
    assert container["command"][-2:] == ["--port", str(found["port"])]
    assert "default" in {*container["networks"]} & {*COMPOSE["services"]["prometheus"]["networks"]}
