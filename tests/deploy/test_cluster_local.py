"""`make cluster-local`: the processes of a cluster without Docker, from nothing to Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from app.settings import load_settings
from deploy.cluster_local import configuration
from tests.architecture.tree import TOP
from tests.docs.fences import missing, steps

FIRST, *PAGE = steps(TOP / "docs/first-cluster.md")  # the first block is what the test itself starts, smaller and on a free port
MARK = "@@ step "
SECONDS = 120.0


def _script(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.cluster_local", *arguments]


def _type(folder: Path, url: str) -> tuple[int, list[str]]:
    """Run the page's commands in one shell, with this cluster's folder and address; return its status and what each step printed."""
    lines = ["set -e -o pipefail"]
    for number, (fence, _) in enumerate(PAGE):
        command = fence.content.replace("http://127.0.0.1:8080", url).replace("cluster-data", str(folder))
        lines += [f"echo '{MARK}{number}'", command.replace(".venv/bin/fengsui", f"{sys.executable} -m app.cli")]
    script = folder.with_name("page.sh")  # a file, since the page looks for a worker by its command line
    script.write_text("\n".join(lines), encoding="utf-8")
    shell = ["timeout", str(SECONDS), "bash", str(script)]
    done = subprocess.run(shell, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, [part.partition("\n")[2] for part in done.stdout.split(MARK)[1:]]


@pytest.mark.service("kafka", "postgresql", "curl")
def test_a_cluster_does_what_the_page_says_and_ends_at_one_interrupt(tmp_path: Path) -> None:
    """It says where the edge listens, every command of docs/first-cluster.md prints what stands there, nothing is left behind."""
    folder = tmp_path / "cluster"
    command = _script("--folder", str(folder), "--brokers", "1", "--workers", "1", "--partitions", "2", "--port", "0", "--api-port", "0")
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
            assert Path(found[2]) == folder / "edge/admin-token", "where the page looks for it"
            status, printed = _type(folder, found[1])
            for (fence, expected), text in zip(PAGE, printed, strict=False):
                assert missing(expected, text) == [], f"first-cluster.md:{fence.line} printed:\n{text}"
            assert (status, len(printed)) == (0, len(PAGE)), printed[-1]
            assert "worker-1 ended with -9 and is started anew" in cluster.stdout.readline()
        finally:
            cluster.send_signal(signal.SIGINT)
            rest = cluster.stdout.read()
    assert cluster.returncode == 0, rest
    assert subprocess.run(["pgrep", "--full", str(folder)], capture_output=True, check=False).returncode == 1, "something still runs"


def test_the_page_begins_with_the_command_that_the_test_runs() -> None:
    """`make cluster-local` is the script of this file."""
    assert FIRST[0].content == "make cluster-local\n"
    made = subprocess.run(["make", "--dry-run", "cluster-local"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    assert "-m deploy.cluster_local" in made


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
    text = configuration(
        tmp_path, bootstrap="127.0.0.1:1", database_url="postgresql://a@/b", brokers=brokers, partitions=6, url="http://127.0.0.1:8081"
    )
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    assert tomllib.loads(text)["kafka"]["bootstrap"] == "127.0.0.1:1"
    settings = load_settings(file)
    assert settings.base_url == "http://127.0.0.1:8081", "links in messages lead to the console, whichever role writes them"
    assert (settings.kafka.replicas, settings.kafka.reduced_durability) == (replicas, reduced)
    assert settings.sealing_key == tmp_path / "sealing-key"
