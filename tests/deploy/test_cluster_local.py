"""`make cluster-local`: the processes of a cluster without Docker, from nothing to Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from app.settings import load_settings
from deploy.cluster_local import Failed, Roles, configuration
from deploy.kafka.local import free_port
from tests.architecture.tree import TOP
from tests.console.screenshots import FLAGS
from tests.docs.fences import fences, missing, steps

FIRST, *PAGE = steps(TOP / "docs/first-cluster.md")  # the first block is what the test itself starts, smaller and on a free port
MARK = "@@ step "
SECONDS = 600.0


def _script(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.cluster_local", *arguments]


class Typing:
    """The page's commands in one shell, with this cluster's folder and addresses."""

    def __init__(self, folder: Path, edge: str, api: str) -> None:
        """Begin to type; what is printed goes to a file, which background processes of the page may outlive the shell with."""
        self._printed = folder.with_name("printed")
        places = {"http://127.0.0.1:8080": edge, "http://127.0.0.1:8081": api, "cluster-data": str(folder), "9090": str(free_port())}
        lines = ["set -e -o pipefail"]
        for number, (fence, _) in enumerate(PAGE):
            lines += [f"echo '{MARK}{number}'", *(_replaced(line, places) for line in fence.content.splitlines())]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FENGSUI_")}
        environment |= {"COLUMNS": "200", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with self._printed.open("wb") as printed:
            self.shell = subprocess.Popen(
                ["bash", "-c", "\n".join(lines)], cwd=TOP, env=environment, stdout=printed, stderr=printed, start_new_session=True
            )

    def printed(self) -> list[str]:
        """Return what each step printed so far."""
        text = self._printed.read_text(encoding="utf-8", errors="replace")
        return [part.partition("\n")[2] for part in text.split(MARK)[1:]]

    def stop(self) -> None:
        """End the shell and what it left in the background."""
        with suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.wait()


def _replaced(line: str, places: Mapping[str, str]) -> str:
    for old, new in places.items():
        line = line.replace(old, new)
    return line


def _sign_for(warning: str, api: str, token: str) -> list[str]:
    """Do in a browser what the page asks of the reader; return all addresses outside the console that its pages load from."""
    strangers: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        view = chromium.new_page()
        view.on("request", lambda request: strangers.append(request.url) if not request.url.startswith(api) else None)
        view.goto(api)
        view.fill("#token", token)
        view.click("button")
        view.click(f"a[href='/warnings/{warning}']")
        view.click("section.step button.main:has-text('签收')")
        view.wait_for_selector(".done")
        chromium.close()
    return strangers


@pytest.mark.service("kafka", "postgresql", "curl", "chromium")
def test_a_cluster_does_what_the_page_says_and_ends_at_one_interrupt(tmp_path: Path) -> None:
    """Every command of docs/first-cluster.md prints what stands there, with a browser that signs for the task; nothing is left behind."""
    folder = tmp_path / "cluster"
    command = _script("--folder", str(folder), "--partitions", "2", "--port", "0", "--api-port", "0")
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        try:
            told = ""
            for line in cluster.stdout:
                told += line
                if line.startswith("ready"):
                    break
            found = dict(re.findall(r"^(edge|console) +(http://[\d.:]+)/? .*token: \S+$", told, re.MULTILINE))
            assert set(found) == {"edge", "console"}, told
            _follow(Typing(folder, found["edge"], found["console"]), folder, found["console"])
            assert "ended with -9 and is started anew" in cluster.stdout.readline()
        finally:
            cluster.send_signal(signal.SIGINT)
            rest = cluster.stdout.read()
    assert cluster.returncode == 0, rest
    assert subprocess.run(["pgrep", "--full", str(folder)], capture_output=True, check=False).returncode == 1, "something still runs"


def _follow(typing: Typing, folder: Path, api: str) -> None:
    """See the commands through to the page's end, and sign for the task where the page tells the reader to."""
    reached, end = next(number for number, (fence, _) in enumerate(PAGE) if '"received"' in fence.content), time.monotonic() + SECONDS
    try:
        while typing.shell.poll() is None and len(typing.printed()) <= reached and time.monotonic() < end:
            time.sleep(0.2)
        if typing.shell.poll() is None:
            found = re.search(r"\bw[0-9a-f]{20}\b", "".join(typing.printed()))
            assert found
            assert _sign_for(found[0], api, (folder / "clerk.token").read_text().strip()) == [], "the console loads from elsewhere"
        with suppress(subprocess.TimeoutExpired):
            typing.shell.wait(max(0.0, end - time.monotonic()))
    finally:
        typing.stop()
    printed = typing.printed()
    for (fence, expected), text in zip(PAGE, printed, strict=False):
        assert missing(expected, text) == [], f"first-cluster.md:{fence.line} printed:\n{text}"
    assert (typing.shell.returncode, len(printed)) == (0, len(PAGE)), f"ended at {PAGE[len(printed) - 1][0].line}:\n{printed[-1]}"


def test_what_the_page_installs_is_what_the_tests_run_on() -> None:
    """Each package is one that `make services` installs too, or one that the README names: no other is needed."""
    known = (TOP / "Makefile").read_text() + (TOP / "README.md").read_text()
    [line] = [fence.content for fence in fences(TOP / "docs/first-cluster.md") if fence.language == "console"]
    packages = line.split("--no-install-recommends ")[1].split()
    assert {"openjdk-17-jre-headless", "postgresql", "curl"} < set(packages)
    assert [package for package in packages if package not in known] == []


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    """The message has the option that names another port; no folder is made."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = _script("--folder", str(tmp_path / "new"), "--port", "0", "--api-port", str(port))
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "--api-port" in done.stderr
    assert not (tmp_path / "new").exists()


def test_what_a_role_refuses_is_told_by_its_name_in_its_own_words(tmp_path: Path) -> None:
    """Of all that refuse, not of the first alone, and without the log of what they did until then."""
    roles = Roles(tmp_path)
    for name in ("duty-1", "worker-1"):
        (tmp_path / f"{name}.log").write_text("of an earlier start\n")
        database = ("--database-url", "postgresql://nobody@/none", "--data", str(tmp_path / name))
        roles.start(name, name.partition("-")[0], "--bootstrap", f"127.0.0.1:{free_port()}", *database)
    for process in roles._running.values():
        process.wait(SECONDS)
    with pytest.raises(Failed) as refused:
        roles.look()
    first, why, log, *others = str(refused.value).splitlines()
    assert first == "duty-1 已结束，状态 2 / ended with status 2:"
    assert re.fullmatch(r"  连不上 Kafka .* cannot be reached: Connection refused; start it, or mend kafka.bootstrap", why)
    assert log == f"  → {tmp_path / 'duty-1.log'}"
    assert others[0].startswith("worker-1 ")


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
