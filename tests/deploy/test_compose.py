"""The container files fit together; a container engine itself is not needed (and not run) here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.architecture.tree import TOP, packages


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((TOP / name).read_text(encoding="utf-8"))
    return loaded


COMPOSE = _load("docker-compose.yml")
SERVICES = sorted(COMPOSE["services"].items())
each_service = pytest.mark.parametrize(("name", "service"), SERVICES, ids=[name for name, _ in SERVICES])


@each_service
def test_an_image_is_pinned_to_a_version(name: str, service: dict[str, Any]) -> None:
    """Nobody gets another version than was tried."""
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"]), name


@each_service
def test_a_container_has_no_privileges(name: str, service: dict[str, Any]) -> None:
    """Not root, no capabilities, a file system that cannot be written."""
    assert int(service["user"].split(":")[0]) > 0, name
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])


@each_service
def test_a_container_is_watched_and_listens_on_this_machine_only(name: str, service: dict[str, Any]) -> None:
    """Health is asked for, and every published port is bound to 127.0.0.1."""
    assert service["healthcheck"]["test"][0] == "CMD", name
    assert service["profiles"] == ["small"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@each_service
def test_what_is_mounted_exists(name: str, service: dict[str, Any]) -> None:
    """A file of the checkout is there and read-only, a volume is declared."""
    for mount in service["volumes"]:
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
    copied = {
        word.rstrip("/")
        for line in (TOP / "deploy/Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
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
