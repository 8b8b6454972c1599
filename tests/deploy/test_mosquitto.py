"""The MQTT broker of the containers, run as they run it, by Debian's mosquitto."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from deploy.kafka.local import free_port
from tests.architecture.tree import TOP

PASSWORD = 'p w"o$r:d'
ACCOUNT = "mosquitto"  # of Debian's package
PATIENCE = 20.0  # seconds; a client that was refused may try for ever


class Broker(NamedTuple):
    """The port of a running broker, and the command that asks for its health."""

    port: int
    health: list[str]

    def ask(self, program: str, *arguments: str, user: str = "fengsui", password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
        """Run one of mosquitto's own clients."""
        given = ["-u", user, "-P", password] if user else []
        whole = [program, "-h", "127.0.0.1", "-p", str(self.port), *given, *arguments]
        return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=PATIENCE)

    def sick(self) -> bool:
        """Return whether the container's health check fails."""
        return subprocess.run(self.health, capture_output=True, check=False, timeout=PATIENCE).returncode != 0


def _as_compose(text: str, folder: Path, port: int) -> str:
    """Return a text of the container files with this machine's paths; two dollars are one, as compose hands it on."""
    moved = {
        "/etc/fengsui": folder,
        "/tmp/passwords": folder / "passwords",
        "/run/secrets": folder,
        "/mosquitto/data": folder / "data",
        "1883": port,
    }
    for before, after in moved.items():
        text = text.replace(before, str(after))
    return text.replace("$$", "$")


@pytest.fixture(scope="module")
def broker(service: Callable[[str], Path]) -> Iterator[Broker]:
    """Run what docker-compose.yml runs, with its paths in a folder and a free port; not as root, as which mosquitto is another account."""
    service("mosquitto")
    folder, port = Path(tempfile.mkdtemp(prefix="fengsui-mqtt-")), free_port()
    (folder / "mqtt_password").write_text(PASSWORD + "\n")
    (folder / "data").mkdir()
    (folder / "mosquitto.conf").write_text(_as_compose((TOP / "deploy/cluster/mosquitto.conf").read_text(), folder, port))
    account: list[str] = []
    if os.geteuid() == 0:
        account = ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, ACCOUNT, ACCOUNT)
    container: dict[str, Any] = YAML(typ="safe").load((TOP / "docker-compose.yml").read_text())["services"]["mosquitto"]
    entry = [_as_compose(word, folder, port) for word in (*container["entrypoint"], *container["command"])]
    found = Broker(port, [_as_compose(word, folder, port) for word in container["healthcheck"]["test"][1:]])
    with (folder / "log").open("wb") as log, subprocess.Popen([*account, *entry], stderr=log) as running:
        try:
            end = time.monotonic() + PATIENCE
            while found.sick():
                assert running.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.1)
            yield found
        finally:
            running.terminate()
    shutil.rmtree(folder)


@pytest.mark.service("mosquitto")
def test_only_who_has_the_password_gets_in(broker: Broker) -> None:
    """Neither nobody in particular, nor another name, nor another password; and the health check is one that can fail."""
    for user, password in (("", ""), ("fengsui", "wrong"), ("other", PASSWORD)):
        refused = broker.ask("mosquitto_sub", "-t", "$SYS/broker/version", "-C", "1", "-W", "1", user=user, password=password)
        assert (refused.returncode != 0, refused.stdout) == (True, "")
        assert "not authorised" in refused.stderr.lower()
    other = str(free_port())
    assert Broker(int(other), [word.replace(str(broker.port), other) for word in broker.health]).sick()


@pytest.mark.service("mosquitto")
def test_what_is_sent_while_the_subscriber_is_away_waits_for_it(broker: Broker) -> None:
    """A device sends with QoS 1; who subscribed before, with a session that stays, gets it later."""
    session = ("-t", "site/+/telemetry", "-q", "1", "-i", "reader", "-c")
    assert broker.ask("mosquitto_sub", *session, "-E").returncode == 0
    assert broker.ask("mosquitto_pub", "-t", "site/a/telemetry", "-q", "1", "-m", "gas 21%").returncode == 0
    got = broker.ask("mosquitto_sub", *session, "-C", "1", "-W", "5")
    assert (got.returncode, got.stdout) == (0, "gas 21%\n")
