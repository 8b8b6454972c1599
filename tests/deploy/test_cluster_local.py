"""`make cluster-local`: the processes of a cluster without Docker, from nothing to Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from app.settings import load_settings
from deploy.cluster_local import configuration
from tests.architecture.tree import TOP

SIGNAL = {
    "id": "XH-1",
    "source": "complaint",
    "kind": "food.hygiene",
    "object": {"code": "91610191MA7TUT1R23", "name": "朝露餐厅"},
    "occurred_at": "2026-03-02T12:10:00+08:00",
}


def _script(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.cluster_local", *arguments]


@pytest.mark.service("kafka", "postgresql")
def test_a_cluster_takes_a_signal_outlives_a_killed_worker_and_ends_at_one_interrupt(tmp_path: Path) -> None:
    """It says where the edge listens, the edge answers 202 from the first moment, a killed worker comes back, nothing is left behind."""
    folder = tmp_path / "cluster"
    command = _script("--folder", str(folder), "--brokers", "1", "--workers", "1", "--partitions", "2", "--port", "0")
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        try:
            told = ""
            for line in cluster.stdout:
                told += line
                if line.startswith("ready"):
                    break
            found = re.search(r"^edge +(http://\S+) +token: (\S+)$", told, re.MULTILINE)
            assert found, told
            token = Path(found[2]).read_text().strip()
            request = urllib.request.Request(
                f"{found[1]}/v1/signals",
                data=json.dumps(SIGNAL).encode(),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert answer.status == 202
            workers = subprocess.run(["pgrep", "--full", f"worker .*{folder}/worker-1"], capture_output=True, text=True, check=True)
            subprocess.run(["kill", "-KILL", *workers.stdout.split()], check=True)
            assert "worker-1 ended with -9 and is started anew" in cluster.stdout.readline()
        finally:
            cluster.send_signal(signal.SIGINT)
            rest = cluster.stdout.read()
    assert cluster.returncode == 0, rest
    assert subprocess.run(["pgrep", "--full", str(folder)], capture_output=True, check=False).returncode == 1, "something still runs"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    """Brokers and database begin empty, so older data beside them would be mistaken for theirs."""
    (tmp_path / "kept").write_text("x")
    done = subprocess.run(_script("--folder", str(tmp_path)), cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(("brokers", "replicas", "reduced"), [(1, 1, True), (3, 3, False), (5, 3, False)])
def test_the_settings_file_is_one_that_the_roles_take(tmp_path: Path, brokers: int, replicas: int, reduced: bool) -> None:
    """Fewer than three brokers are said to be so; nothing else lowers what is kept."""
    text = configuration(tmp_path, bootstrap="127.0.0.1:1", database_url="postgresql://a@/b", brokers=brokers, partitions=6)
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    assert tomllib.loads(text)["kafka"]["bootstrap"] == "127.0.0.1:1"
    settings = load_settings(file)
    assert (settings.kafka.replicas, settings.kafka.reduced_durability) == (replicas, reduced)
    assert settings.sealing_key == tmp_path / "sealing-key"
