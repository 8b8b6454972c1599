"""Apache Kafka in KRaft mode on this machine, without Docker: brokers on free ports of 127.0.0.1 that end with whoever started them.

`python deploy/kafka/local.py FOLDER --brokers 3` runs until it is interrupted and prints `bootstrap HOST:PORT,…` once all of them answer.
The jars come from fetch.sh beside this file; Java 17 is Debian's `openjdk-17-jre-headless`.
"""
# ruff: noqa: INP001, T201  # a script beside the container files, not a package

from __future__ import annotations

import argparse
import base64
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HERE: Final = Path(__file__).resolve().parent
JARS: Final = Path(os.environ.get("FENGSUI_KAFKA_JARS") or Path.home() / ".cache/fengsui/kafka")
PROTOCOLS: Final = ("PLAINTEXT", "CONTROLLER", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
START_SECONDS: Final = 90.0
MEMORY: Final = "-Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"  # a quick start counts more than a long run


class KafkaMissing(Exception):
    """Apache Kafka cannot be run here; the text says what to install."""


def jars() -> Path:
    """Return the folder of the broker's jars, fetched where they are missing.

    Raises:
        KafkaMissing: no Java, or the jars could not be fetched.
    """
    if shutil.which("java") is None:
        raise KafkaMissing("Apache Kafka needs Java 17: apt-get install --no-install-recommends maven openjdk-17-jre-headless")
    done = subprocess.run(["bash", str(HERE / "fetch.sh"), str(JARS)], capture_output=True, text=True, check=False)  # noqa: S603, S607  # own script
    if done.returncode != 0:
        raise KafkaMissing((done.stderr.strip() or done.stdout.strip() or "deploy/kafka/fetch.sh failed").splitlines()[-1])
    return JARS


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LocalKafka:
    """`brokers` brokers that are controllers too; a context manager from start to stop.

    `protocol` is that of a second listener (SASL_SSL and the like), whose settings come in `extra` like any other of server.properties.
    """

    def __init__(self, folder: Path, *, brokers: int = 1, protocol: str = "", extra: Mapping[str, str] | None = None) -> None:
        """Keep logs and data under `folder`; nothing runs before `start`."""
        self._folder = folder
        self._extra = dict(extra or {})
        self._protocol = protocol
        # A first byte of 0: an id that began with "-" would be an option to Kafka's own tool.
        self._cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        self._ports = [(free_port(), free_port(), free_port()) for _ in range(brokers)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * brokers

    @property
    def bootstrap(self) -> str:
        """The addresses of the plain listener, comma-separated."""
        return ",".join(f"127.0.0.1:{plain}" for plain, _, _ in self._ports)

    @property
    def secured(self) -> str:
        """The addresses of the second listener."""
        return ",".join(f"127.0.0.1:{secured}" for _, secured, _ in self._ports)

    def start(self) -> None:
        """Start all brokers; return when each of them answers.

        Raises:
            KafkaMissing: Java or the jars are missing.
            RuntimeError: a broker did not come up; the text has the end of its log.
        """
        where = jars()
        for node in range(len(self._ports)):
            self._configure(node, where)
            self.start_broker(node)
        self.await_ready()

    def start_broker(self, node: int) -> None:
        """Start broker `node` (from 0), with what it had before."""
        log = (self._folder / f"broker-{node}.log").open("ab")
        # setpriv: whatever becomes of the starter, no broker is left behind; a session of its own: the starter's Ctrl-C is not for it
        command = ["setpriv", "--pdeathsig", "KILL", *self._java(JARS), "kafka.Kafka", str(self._properties(node))]
        self._processes[node] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603  # own arguments
        log.close()

    def await_ready(self) -> None:
        """Return when every broker that was started listens; raises RuntimeError where one did not come up."""
        end = time.monotonic() + START_SECONDS
        for node, process in enumerate(self._processes):
            while process is not None:
                if process.poll() is not None or time.monotonic() > end:
                    tail = (self._folder / f"broker-{node}.log").read_text(errors="replace").strip().splitlines()[-15:]
                    raise RuntimeError(f"broker {node} did not start:\n" + "\n".join(tail))
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", self._ports[node][0])) == 0:
                        break
                time.sleep(0.1)

    def signal_broker(self, node: int, number: int) -> None:
        """Send a signal to broker `node`; after SIGKILL it is gone until `start_broker`."""
        process = self._processes[node]
        assert process is not None
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait()
            self._processes[node] = None

    def stop(self) -> None:
        """Kill what runs: nothing of it is wanted afterwards."""
        for process in self._processes:
            if process is not None:
                process.kill()
        for process in self._processes:
            if process is not None:
                process.wait()
        self._processes = [None] * len(self._processes)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()

    def _properties(self, node: int) -> Path:
        return self._folder / f"broker-{node}.properties"

    def _configure(self, node: int, where: Path) -> None:
        """Write the settings of a broker and make its empty log; one that was made before is taken up again."""
        plain, secured, controller = self._ports[node]
        copies = str(min(3, len(self._ports)))
        listeners = [f"PLAINTEXT://127.0.0.1:{plain}", f"CONTROLLER://127.0.0.1:{controller}"]
        if self._protocol:
            listeners.append(f"{self._protocol}://127.0.0.1:{secured}")
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(node + 1),
            "controller.quorum.voters": ",".join(f"{at + 1}@127.0.0.1:{ports[2]}" for at, ports in enumerate(self._ports)),
            "listeners": ",".join(listeners),
            "listener.security.protocol.map": ",".join(f"{one}:{one.replace('CONTROLLER', 'PLAINTEXT')}" for one in PROTOCOLS),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self._folder / f"broker-{node}"),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": str(max(1, int(copies) - 1)),
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "unclean.leader.election.enable": "false",
        } | self._extra
        self._properties(node).write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        done = subprocess.run(  # noqa: S603  # own arguments
            [*self._java(where), "kafka.tools.StorageTool", "format", "-g", "-t", self._cluster, "-c", str(self._properties(node))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"Kafka's storage could not be made: {(done.stderr or done.stdout).strip()[-500:]}")

    @staticmethod
    def _java(where: Path) -> list[str]:
        return ["java", *MEMORY.split(), f"-Dlog4j2.configurationFile={HERE / 'log4j2.yaml'}", "-cp", f"{where}/*"]


def main() -> None:
    """Run brokers until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where data and logs go; a folder of its own")
    parser.add_argument("--brokers", type=int, default=1)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with LocalKafka(given.folder.resolve(), brokers=given.brokers) as kafka:
        print(f"bootstrap {kafka.bootstrap}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
