"""What campaign `chaos` does to a cluster, and the supervisor that starts its workers anew."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kafka.errors import KafkaError

from deploy.kafka.local import LocalKafka
from domain.errors import StoreUnavailable
from tests.cluster.world import Cluster
from tests.cutting import CuttingProxy, When
from tests.postgres import PostgresServer

ZOMBIE_SECONDS = 14.0  # beyond the session time-out of the workers
DARK_SECONDS = 30.0  # without any broker
CONSUMING_SECONDS = 60.0
PATIENCE = 30.0
CATCH_UP_SECONDS = 120.0
FEW = 5  # frames
DUTY = ("duty-1", "duty-2")
OUTCOMES: tuple[When, ...] = ("before", "after", "with")
SECONDS = {  # what each fault takes, about: the load is spread over all of them
    "kill_worker": 6.0,
    "zombie": 22.0,
    "kill_broker": 10.0,
    "all_brokers": 42.0,
    "postgres": 6.0,
    "lost_answer": 24.0,
    "kill_duty": 4.0,
    "add_worker": 6.0,
    "remove_worker": 6.0,
}
_SIGNAL = re.compile(rb"\bs-(\d+)\b")


class Supervisor(threading.Thread):
    """Starts workers anew that end, as systemd or Docker would; `wanted` are the names that are to run."""

    def __init__(self, cluster: Cluster, environment: dict[str, str]) -> None:
        """Keep the workers of `cluster` running."""
        super().__init__(daemon=True)
        self._cluster = cluster
        self._environment = environment
        self.wanted: set[str] = set()
        self.ended: Counter[int] = Counter()
        self.lock = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self._over.wait(0.2):
            with self.lock:
                for name in sorted(self.wanted):
                    worker = self._cluster.workers.get(name)
                    status = worker.poll() if worker is not None else None
                    if worker is not None and status is not None:
                        self.ended[status] += 1
                    if worker is None or status is not None:
                        self._cluster.start(name, role=name.partition("-")[0], **self._environment)

    def stop(self) -> None:
        """Start nothing more."""
        self._over.set()
        self.join()


class Faults:
    """Each returns when what it broke is whole again and every partition goes on; `slowest` says how long that took, by fault."""

    def __init__(
        self,
        cluster: Cluster,
        kafka: LocalKafka,
        postgres: PostgresServer,
        proxy: CuttingProxy,
        supervisor: Supervisor,
        chance: random.Random,
        hurry: Callable[[], object],
    ) -> None:
        """`hurry` lets load come all at once for a moment."""
        self._cluster, self._kafka, self._postgres, self._proxy = cluster, kafka, postgres, proxy
        self._supervisor, self._chance, self._hurry = supervisor, chance, hurry
        self._names = itertools.count(1)
        self._workers: set[str] = set()
        self.slowest: dict[str, float] = {}
        self.outcomes: Counter[str] = Counter()  # of commits whose answer was lost, by what the database had afterwards
        self.wrong: list[str] = []

    def begin(self) -> None:
        """Start two duty loops and the first two workers."""
        self._supervisor.wanted |= set(DUTY)
        self._supervisor.start()
        for _ in range(2):
            self._another()

    def bring_about(self, name: str) -> None:
        """Do one when the workers have caught up, and wait until every partition goes on."""
        self._caught_up()
        deed: Callable[[], None] = getattr(self, name)
        deed()
        self._consuming_again(name)

    def kill_worker(self) -> None:
        """Kill -9 of a worker."""
        self._hurry()
        self._send(self._one(), signal.SIGKILL)

    def kill_duty(self) -> None:
        """Kill -9 of a duty loop, whatever it is delivering."""
        self._send(self._chance.choice(DUTY), signal.SIGKILL)

    def zombie(self) -> None:
        """SIGSTOP of a worker at its COMMIT, which nobody hears, beyond the session time-out, then SIGCONT: its write is refused.

        A worker that is stopped with nothing in its hands has nothing to write when it wakes, and proves nothing.
        """
        self._not_alone()
        self._hurry()
        stopped: list[str] = []
        if not self._cut("before", lambda client: stopped.extend(self._stop(client))):
            return
        if not stopped:
            self.wrong.append("a commit came from a process that is none of the workers")
            return
        [name] = stopped
        before = self.fenced(name)
        began = time.monotonic()
        self._consuming_again("zombie")
        time.sleep(max(0.0, ZOMBIE_SECONDS - (time.monotonic() - began)))
        self._send(name, signal.SIGCONT)
        end = time.monotonic() + PATIENCE
        while self.fenced(name) == before:
            if time.monotonic() > end:
                self.wrong.append(f"{name} slept through its replacement and was refused nothing")
                return
            time.sleep(0.1)

    def kill_broker(self) -> None:
        """Kill -9 of a broker, and its return."""
        node = self._chance.randrange(3)
        self._kafka.signal_broker(node, signal.SIGKILL)
        time.sleep(self._chance.uniform(2, 6))
        self._kafka.start_broker(node)
        self._kafka.await_ready()

    def all_brokers(self) -> None:
        """All brokers at once, down for half a minute."""
        for node in range(3):
            self._kafka.signal_broker(node, signal.SIGKILL)
        time.sleep(DARK_SECONDS)
        for node in range(3):
            self._kafka.start_broker(node)
        self._kafka.await_ready()

    def postgres(self) -> None:
        """PostgreSQL crashes in the middle of whatever it does, and comes back."""
        self._postgres.stop(signal.SIGQUIT)
        time.sleep(self._chance.uniform(1, 5))
        self._postgres.start()

    def lost_answer(self) -> None:
        """PostgreSQL is killed between a worker's COMMIT and the answer: before it heard of it, after it did it, and in between."""
        for when in OUTCOMES:
            self._lose_one(when)
            self._consuming_again("lost_answer")

    def add_worker(self) -> None:
        """One worker more, which takes partitions over."""
        self._another()

    def remove_worker(self) -> None:
        """One worker less, in order; one stays."""
        self._not_alone()
        name = self._one()
        self._workers.discard(name)
        with self._supervisor.lock:
            self._supervisor.wanted.discard(name)
            self._send(name, signal.SIGTERM)

    def fenced(self, name: str) -> int:
        """Return how many writes of a worker PostgreSQL refused, because the partition was another's by then."""
        path = self._cluster.folder / f"{name}.log"
        return path.read_text(errors="replace").count("partition.fenced") if path.exists() else 0

    def all_fenced(self) -> int:
        """Return how many writes were refused in all."""
        return sum(self.fenced(path.stem) for path in self._cluster.folder.glob("worker-*.log"))

    def _lose_one(self, when: When) -> None:
        """Lose the answer to one commit of effects, and look what the database made of it before any worker can ask."""
        if not self._cut(when, lambda _client: self._postgres.stop()):
            return
        self._proxy.shut = True
        time.sleep(self._chance.uniform(0.5, 2))
        self._postgres.start()
        newest = f"s-{max(int(found) for found in _SIGNAL.findall(self._proxy.lost))}"  # evidence is older than what brings it
        made = newest in self._cluster.signal_ids()
        self._proxy.shut = False
        self.outcomes["made" if made else "not made"] += 1
        if made != {"before": False, "after": True, "with": made}[when]:
            self.wrong.append(f"a commit that was lost {when} the server heard it: {newest} is {'there' if made else 'not there'}")

    def _cut(self, when: When, deed: Callable[[int], object]) -> bool:
        """Lose the connection of the next commit of effects, after `deed` was told the client's port; False where none came."""
        cuts = self._proxy.cuts
        self._proxy.on_cut = deed
        self._proxy.cut = when
        end = time.monotonic() + PATIENCE
        while self._proxy.cuts == cuts:
            if time.monotonic() > end:
                self._proxy.cut = None
                self.wrong.append(f"no commit came within {PATIENCE:.0f} s")
                return False
            time.sleep(0.01)
        return True

    def _stop(self, client: int) -> list[str]:
        """Stop the worker whose connection to the proxy has that port, and return its name when no thread of it runs any more."""
        socket = _socket(client, self._proxy.port)
        for name in sorted(self._workers):
            worker = self._cluster.workers[name]
            if worker.poll() is None and socket in _files(worker.pid):
                worker.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
                return [name]
        return []

    def _another(self) -> None:
        """Start one worker more, and return when it has partitions."""
        name = f"worker-{next(self._names)}"
        self._workers.add(name)
        with self._supervisor.lock:
            self._supervisor.wanted.add(name)
        self._cluster.until(lambda: "offset_done" in self._cluster.status(name), CONSUMING_SECONDS)

    def _not_alone(self) -> None:
        """See that there is somebody who takes over what a worker leaves."""
        if len(self._workers) < 2:
            self._another()

    def _one(self) -> str:
        return self._chance.choice(sorted(self._workers))

    def _send(self, name: str, number: int) -> None:
        worker = self._cluster.workers.get(name)
        if worker is not None and worker.poll() is None:
            worker.send_signal(number)

    def _caught_up(self) -> None:
        """Return when few frames wait in each partition: what stands still then does so because of the fault that follows."""
        end = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < end:
            try:
                done, ends = self._cluster.done(), self._cluster.ends()
            except (StoreUnavailable, KafkaError, AssertionError):
                continue
            if all(last - done.get(number, -1) <= FEW for number, last in ends.items()):
                return
            time.sleep(0.5)

    def _consuming_again(self, fault: str) -> None:
        """Return when the database's progress has moved on in every partition: something comes for each of them all the time."""
        began = time.monotonic()
        before: dict[int, int] | None = None
        while time.monotonic() - began < 3 * CONSUMING_SECONDS:
            try:
                done = self._cluster.done()
            except (StoreUnavailable, AssertionError):
                time.sleep(0.2)
                continue
            if before is None:
                before = done
            if all(done.get(number, -1) > before.get(number, -1) for number in range(self._cluster.settings.kafka.partitions)):
                break
            time.sleep(0.2)
        self.slowest[fault] = max(self.slowest.get(fault, 0.0), time.monotonic() - began)


def _socket(port: int, peer: int) -> str:
    """Return how /proc names the socket of this machine that is bound to `port` and connected to `peer`, "" for none."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
        if (int(local.partition(":")[2], 16), int(remote.partition(":")[2], 16)) == (port, peer):
            return f"socket:[{inode}]"
    return ""


def _files(pid: int) -> set[str]:
    """Return how /proc names what a process has open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            found.add(str(descriptor.readlink()))
    return found
