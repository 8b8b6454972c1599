"""A whole cluster on this machine without Docker: three Kafka brokers, PostgreSQL, and all roles. `make cluster-local`.

    python -m deploy.cluster_local [--folder cluster-data] [--brokers 3] [--workers 2] [--partitions 6] [--port 8080] [--api-port 8081]

It starts from nothing in a folder that is new, says where everything listens, and stops all of it at Ctrl-C. The folder has the log of
each role (`worker-1.log`) and the number of its process (`worker-1.pid`). For trying and for the tutorial, not for service: PostgreSQL
runs without fsync in a folder that goes with it, and everything is one machine's.
"""
# ruff: noqa: INP001, T201  # a script beside the container files, not a package

from __future__ import annotations

import argparse
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from deploy.kafka.local import KafkaMissing, LocalKafka, free_port
from tests.conftest import which
from tests.postgres import PostgresServer

TOP: Final = Path(__file__).resolve().parents[1]
RULES: Final = TOP / "rules/packs"
RESTART: Final = 70  # a worker's status that wants it started anew
DUTIES: Final = 2
READY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
KEYS: Final = ("sealing_key", "personal_key", "link_key")


class Failed(Exception):
    """The cluster cannot go on; the text says what ended, and why in its own words."""


def configuration(folder: Path, *, bootstrap: str, database_url: str, brokers: int, partitions: int, url: str) -> str:
    """Return the settings file that all roles share, in TOML; keys and snapshots lie in `folder`, links lead to `url`."""
    return "".join(
        f"{line}\n"
        for line in (
            f'database_url = "{database_url}"',
            f'public_url = "{url}"',
            *(f'{key} = "{folder / key.replace("_", "-")}"' for key in KEYS),
            "",
            "[egress]",
            'allow = ["127.0.0.0/8"]',  # receivers for trying stand on this machine
            "",
            "[kafka]",
            f'bootstrap = "{bootstrap}"',
            f"partitions = {partitions}",
            f"replicas = {min(3, brokers)}",
            f"min_insync = {min(2, brokers)}",
            f"reduced_durability = {str(brokers < 3).lower()}",
            f'snapshots = "{folder / "snapshots"}"',
        )
    )


class Roles:
    """The processes of Fengsui itself; each writes its log to a file of the folder and dies with this process."""

    def __init__(self, folder: Path) -> None:
        """Keep data and logs under `folder`."""
        self._folder = folder
        self._commands: dict[str, list[str]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._begun: dict[str, int] = {}  # where in its log each of them begins to speak

    def once(self, *command: str) -> None:
        """Run a command to its end; raises Failed with what it said."""
        done = subprocess.run(_fengsui(command), cwd=TOP, capture_output=True, text=True, check=False)  # noqa: S603  # own arguments
        if done.returncode:
            raise Failed(f"fengsui {' '.join(command[:2])} → {done.returncode}:\n{done.stderr.strip()[-2000:]}")

    def start(self, name: str, *command: str) -> None:
        """Start a role that goes on."""
        self._commands[name] = _fengsui(command)
        self._again(name)

    def look(self) -> None:
        """Start anew what asked for it or was killed, as a supervisor would; raises Failed with all that ended otherwise."""
        refused = []
        for name, process in list(self._running.items()):
            status = process.poll()
            if status is not None and (status == RESTART or status < 0):
                print(f"{name} 已结束（{status}），重新启动 / ended with {status} and is started anew: {self.log(name)}", flush=True)
                self._again(name)
            elif status is not None:
                refused.append(f"{name} 已结束，状态 {status} / ended with status {status}:\n{self._words(name)}\n  → {self.log(name)}")
        if refused:
            raise Failed("\n".join(refused))

    def _words(self, name: str) -> str:
        """Return what a role said last to a person, else to machines: lines that are JSON are the log of what it did until then."""
        said = self.log(name).read_bytes()[self._begun[name] :].decode(errors="replace").splitlines()
        to_people = [line for line in said if not line.startswith("{")]
        return "\n".join(f"  {line}" for line in (to_people or said)[-15:])

    def log(self, name: str) -> Path:
        """Return the file that a role logs to."""
        return self._folder / f"{name}.log"

    def stop(self) -> None:
        """End all roles; kill what does not end in time."""
        for process in self._running.values():
            process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for name, process in self._running.items():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                print(f"{name} {STOP_SECONDS:.0f} 秒内没有结束，强制结束 / did not end in time and is killed", flush=True)
                process.kill()
                process.wait()
        self._running.clear()

    def _again(self, name: str) -> None:
        with self.log(name).open("ab") as log:
            self._begun[name] = log.tell()
            # A session of its own: Ctrl-C reaches this script alone, which ends the roles before brokers and database.
            started = subprocess.Popen(self._commands[name], cwd=TOP, stdout=log, stderr=log, start_new_session=True)  # noqa: S603  # own arguments
        self._running[name] = started
        (self._folder / f"{name}.pid").write_text(f"{started.pid}\n")


def _fengsui(command: tuple[str, ...]) -> list[str]:
    return ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "app.cli", *command]


def _await_ready(name: str, url: str, roles: Roles, over: threading.Event) -> None:
    """Return when a role is ready, or the user does not want it any more; raises Failed after `READY_SECONDS`."""
    end = time.monotonic() + READY_SECONDS
    while not over.wait(0.2):
        roles.look()
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310  # our own address
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                raise Failed(f"{name} 没有就绪，见 {roles.log(name)} / does not get ready: {error}") from error


def _need(folder: Path, ports: Sequence[int]) -> Path:
    """Return the folder of PostgreSQL's programs; raises Failed where something is missing or in the way, before anything is started."""
    if folder.exists() and any(folder.iterdir()):
        raise Failed(f"{folder} 不是空目录，请删除它，或用 --folder 另指一个 / is not empty: remove it, or name another --folder")
    for port, option in zip(ports, ("--port", "--api-port"), strict=True):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                moved = f'make cluster-local ARGS="{option} {port + 10000 if port < 50000 else port - 10000}"'
                raise Failed(f"端口 {port} 已被占用，请用 {option} 换一个 / port {port} is taken, name another one:\n  {moved}") from error
    postgres = which("postgres")
    if postgres is None:
        raise Failed("没有 PostgreSQL / PostgreSQL is missing: apt-get install --no-install-recommends postgresql")
    return Path(postgres).parent


def run(given: argparse.Namespace, over: threading.Event) -> None:
    """Start everything, keep it running until `over`; raises Failed and KafkaMissing, and SystemExit where that was told already."""
    folder: Path = given.folder.resolve()
    programs = _need(folder, (given.port, given.api_port))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        print(f"启动 {given.brokers} 个 Kafka 与 PostgreSQL …… / starting brokers and PostgreSQL ...", flush=True)
        (folder / "kafka").mkdir()
        kafka = stack.enter_context(LocalKafka(folder / "kafka", brokers=given.brokers))
        server = stack.enter_context(PostgresServer(programs))
        database_url = server.url(server.empty())
        for key in KEYS:
            (folder / key.replace("_", "-")).write_text(secrets.token_hex(32) + "\n")
        config = folder / "cluster.toml"
        edge, api = (f"http://127.0.0.1:{port or free_port()}" for port in (given.port, given.api_port))
        sizes = {"brokers": given.brokers, "partitions": given.partitions}
        config.write_text(configuration(folder, bootstrap=kafka.bootstrap, database_url=database_url, url=api, **sizes))
        roles = Roles(folder)
        stack.callback(roles.stop)
        where = {"kafka": kafka.bootstrap, "postgresql": database_url, "settings": str(config)}
        try:
            _keep_running(given, folder, roles, {"edge": edge, "api": api}, where, over)
        except Failed as trouble:  # told before the rest is ended, which takes its time
            told = f"其余全部停止；再次启动前请删除 {folder} / everything else is stopped; remove that folder to start again"
            sys.stderr.write(f"{trouble}\n{told}\n")
            raise SystemExit(1) from None


def _keep_running(
    given: argparse.Namespace, folder: Path, roles: Roles, urls: Mapping[str, str], where: Mapping[str, str], over: threading.Event
) -> None:
    """Prepare what the roles need, start them, tell where all of it is, keep it running until `over`; raises Failed."""
    shared = ("--config", where["settings"])
    print("建表、建主题、启用规则 …… / making tables and topics, putting rules in force ...", flush=True)
    roles.once("db", "upgrade", *shared)
    roles.once("topics", "apply", *shared)
    roles.once("rules", "publish", *shared, "--data", str(folder / "publish"), "--rules", str(RULES))
    print("启动各进程 …… / starting the roles ...", flush=True)
    for name, url in urls.items():
        roles.start(name, name, *shared, "--data", str(folder / name), "--port", url.rpartition(":")[2])
    counts = {"duty": DUTIES, "worker": given.workers}
    loops = [(role, f"{role}-{number}", free_port()) for role, count in counts.items() for number in range(1, count + 1)]
    (folder / "metrics.txt").write_text("".join(f"{name} http://127.0.0.1:{port}/metrics\n" for _, name, port in loops))
    for role, name, port in loops:
        roles.start(name, role, *shared, "--data", str(folder / name), "--metrics-port", str(port))
    for name, url in urls.items():
        _await_ready(name, url, roles, over)
    print(
        f"edge        {urls['edge']}    令牌 token: {folder / 'edge/admin-token'}\n"
        f"console     {urls['api']}/    令牌 token: {folder / 'api/admin-token'}\n"
        f"kafka       {where['kafka']}\n"
        f"postgresql  {where['postgresql']}\n"
        f"metrics     {folder / 'metrics.txt'}\n"
        f"settings    {where['settings']}\n"
        f"logs        {folder}/*.log    {given.workers} worker, {DUTIES} duty\n"
        "ready 就绪；按 Ctrl-C 全部停止 / Ctrl-C stops all of it",
        flush=True,
    )
    while not over.wait(0.5):
        roles.look()
    print("停止 …… / stopping ...", flush=True)


def main() -> int:
    """Run until SIGINT or SIGTERM; return 0 then, 1 where something failed."""
    parser = argparse.ArgumentParser(prog="cluster_local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("cluster-data"), help="a new folder for data and logs")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--port", type=int, default=8080, help="of the edge; 0 takes a free one")
    parser.add_argument("--api-port", type=int, default=8081, help="of API and console; 0 takes a free one")
    given = parser.parse_args()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        run(given, over)
    except (Failed, KafkaMissing, RuntimeError) as trouble:  # brokers and database say so where they do not start
        sys.stderr.write(f"{trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
