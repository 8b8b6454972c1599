"""What Faust does that this project does not rely on, shown on the installed version; and what its worker does instead."""

from __future__ import annotations

import ast
import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.errors import IllegalStateError
from faust.transport.consumer import Consumer
from faust.types import TP
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.kafka.local import LocalKafka
from domain.errors import Fenced, StoreUnavailable
from domain.messages import text
from domain.ports import Grant
from domain.records import RulesetEntry
from rules.load import load_rules
from storage import risk
from streams.runtimes.faust_worker import HELD_FRAMES, STUCK, Host, _Consumer
from streams.runtimes.faust_worker import Cluster as Place
from streams.runtimes.hands import MANY, MOST
from tests.architecture.tree import product_modules
from tests.cluster.world import PATIENCE, RULES, TOP, Make, leak
from tests.factories import at


def test_faust_is_imported_in_one_file() -> None:
    """Whatever Faust does is kept behind one module."""
    found = set()
    for path in product_modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] in {"faust", "mode"} for name in names):
                found.add(path.relative_to(TOP).as_posix())
    assert found == {"streams/runtimes/faust_worker.py"}


@pytest.mark.parametrize(
    ("committed", "acked", "offset"),
    [(2585, [2586, 2587, 2588, 2589], 2590), (None, [100, 101], 102)],
)
def test_fausts_commits_pass_a_message_that_is_in_flight(committed: int | None, acked: list[int], offset: int) -> None:
    """The message at `committed` (and 90 to 99 of a new group) is not acknowledged, and Faust would resume behind it: hence our own row."""
    place = TP("t", 0)
    consumer = SimpleNamespace(
        _acked={place: list(acked)}, _acked_index={place: set(acked)}, _gap=defaultdict(list), _committed_offset={place: committed}
    )
    assert Consumer._new_offset(consumer, place) == offset  # type: ignore[arg-type]  # the four attributes that it reads


@pytest.mark.service("kafka")
def test_faust_passes_over_a_message_whose_handler_failed(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """A plain agent that fails at a message never sees it again, though nothing came of it: hence no exception leaves our loop."""
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic(prefix, 1, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    for value in (b"one", b"fail", b"three"):
        producer.send(prefix, value=value, partition=0).get(PATIENCE)
    producer.close()
    taken = tmp_path / "taken"
    command = [sys.executable, "-m", "tests.cluster.plain_faust", kafka.bootstrap, prefix, str(taken)]
    end = time.monotonic() + PATIENCE
    while not (taken.exists() and "three" in taken.read_text().split()) and time.monotonic() < end:
        with subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and time.monotonic() < end and not (taken.exists() and "three" in taken.read_text().split()):
                time.sleep(0.1)
            time.sleep(0.5)
            process.kill()
    assert taken.read_text().split().count("fail") == 1
    assert taken.read_text().split()[-1] == "three"


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_our_worker_takes_what_failed_again(make: Make) -> None:
    """A frame that cannot be taken ends the worker; with the cause mended the next worker takes that very frame."""
    cluster = make()
    cluster.activate()
    texts = {"gas.yaml": RULES.replace(">= 3", ">= 2")}
    later = load_rules(texts).version
    cluster.start("first")
    cluster.send([leak(number) for number in range(10)])
    cluster.await_done()
    before = cluster.done()[0]
    cluster.send([RulesetEntry(version=later)])
    cluster.send([leak(number) for number in range(10, 60)])
    assert cluster.workers["first"].wait(PATIENCE) == STUCK
    assert cluster.done()[0] == before
    assert later in cluster.log("first")
    with cluster.database.write() as connection:
        risk.store_ruleset(connection, later, texts, "test")
    cluster.start("second")
    cluster.await_done()
    assert len(cluster.signal_ids()) == 60
    cluster.until(lambda: later in cluster.status("second"))


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_a_worker_without_a_partition_says_so_and_takes_over(make: Make) -> None:
    """More workers than partitions: one is told idle, and goes on when the other is killed. A rebalance is told as one."""
    cluster = make()
    cluster.activate()
    cluster.start("first")
    cluster.send([leak(number) for number in range(100)])
    cluster.await_done()
    cluster.start("second")
    cluster.until(lambda: any("worker.no_partition" in cluster.log(name) for name in ("first", "second")))
    cluster.until(lambda: "worker.rebalancing" in cluster.log("first"))
    assert "Heartbeat failed" not in cluster.log("first")
    idle = next(name for name in ("first", "second") if "worker.no_partition" in cluster.log(name))
    cluster.kill("second" if idle == "first" else "first")
    cluster.send([leak(number) for number in range(100, 200)])
    cluster.await_done()
    assert len(cluster.signal_ids()) == 200
    assert cluster.warnings() == cluster.replayed()


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_records_that_are_gone_stop_the_worker(make: Make) -> None:
    """What was deleted from the topic before it was taken is noticed: the worker ends and says where, and takes nothing behind the gap."""
    cluster = make()
    cluster.activate()
    cluster.start("first")
    cluster.send([leak(number) for number in range(10)])
    cluster.await_done()
    assert cluster.kill("first", signal.SIGTERM) == 0
    done = cluster.done()[0]
    for number in range(10, 14):
        cluster.send([leak(number)])
    with KafkaAdminClient(bootstrap_servers=cluster.settings.kafka.bootstrap) as admin:
        admin.delete_records({TopicPartition(cluster.topic, 0): done + 3})
    cluster.start("second")
    assert cluster.workers["second"].wait(PATIENCE) == STUCK
    assert f"offset {done + 1} is next and {done + 3} came" in cluster.log("second")
    assert cluster.done()[0] == done


class _Standing:
    """A partition that has work and does none."""

    waiting = ""
    settled_offset = 5
    counted_back = 0
    failed = counting_back = False
    grant = SimpleNamespace(topic="t", partition=0, epoch=1, offset_done=4)

    def ticks_due(self) -> list[tuple[int, datetime]]:
        """No tick is due."""
        return []


class _Silent(Host):
    """A host whose consumer gets nothing although the brokers have more."""

    ends = 9

    async def _ends(self) -> dict[TP, int]:
        return {TP("t", 0): self.ends}


def _host(ended: list[int], folder: Path) -> _Silent:
    place = Place("127.0.0.1:1", "t", 1, "g", "me", folder, stuck_seconds=0.05)
    host = _Silent(place, SimpleNamespace(), SimpleNamespace(), die=ended.append)  # type: ignore[arg-type]  # never asked
    host._partitions = {TP("t", 0): _Standing()}  # type: ignore[dict-item]  # what `look` reads of one
    return host


@pytest.mark.parametrize(("ends", "waiting", "status"), [(9, "", [STUCK]), (5, "", []), (9, "PostgreSQL is away", [])])
def test_a_consumer_that_falls_silent_ends_the_worker(ends: int, waiting: str, status: list[int], tmp_path: Path) -> None:
    """Work there and none done: status 70 after the patience; no work, or a database that is waited for, is no standstill."""
    ended: list[int] = []
    host = _host(ended, tmp_path)
    host.ends = ends
    host._partitions[TP("t", 0)].waiting = waiting

    async def looks() -> None:
        for _ in range(3):
            await host.look()
            time.sleep(0.06)  # noqa: ASYNC251  # nothing else runs in this loop

    asyncio.run(looks())
    assert ended[:1] == status
    assert text("worker.stuck", "en", seconds="1", where="x").startswith("no progress for 1 s")


@pytest.mark.parametrize(("ends", "status"), [((4, 4, 4), [STUCK]), ((4, 5, 4), []), ((5, 5, 5), [])])
def test_a_log_that_is_shorter_than_what_is_done_ends_the_worker(ends: tuple[int, ...], status: list[int], tmp_path: Path) -> None:
    """What comes into it would pass for done: status 70; what a broker says for a moment only is no reason."""
    ended: list[int] = []
    host = _host(ended, tmp_path)
    host.cluster = replace(host.cluster, session_seconds=0.05)

    async def looks() -> None:
        for host.ends in ends:
            await host.look()
            time.sleep(0.04)  # noqa: ASYNC251  # nothing else runs in this loop

    asyncio.run(looks())
    host._hands.close()
    assert ended[:1] == status


def _watched(tmp_path: Path, counting: int, moving: int, others: int = 1) -> list[int]:
    """Return how the worker ends that has `counting` partitions that count back, `moving` of which read on, and others that stand still."""
    ended: list[int] = []
    host = _host(ended, tmp_path)
    host._partitions.clear()

    async def ends() -> dict[TP, int]:
        return dict.fromkeys(host._partitions, 9)

    host._ends = ends  # type: ignore[method-assign]  # every partition has work
    busy = [_Standing() for _ in range(counting)]
    for number, one in enumerate([*busy, *(_Standing() for _ in range(others))]):
        one.counting_back = number < counting
        host._partitions[TP("t", number)] = one  # type: ignore[assignment]  # what `look` reads of one

    async def looks() -> None:
        for _ in range(3):
            await host.look()
            for one in busy[:moving]:
                one.counted_back += 1
            time.sleep(0.06)  # noqa: ASYNC251  # nothing else runs in this loop

    asyncio.run(looks())
    return ended


@pytest.mark.parametrize(
    ("counting", "moving", "others", "stuck"),
    [(1, 1, 1, True), (1, 1, 0, False), (1, 0, 0, True), (MANY, MANY, 1, False), (MANY, MANY - 1, 1, True)],
)
def test_a_partition_that_counts_back_blinds_the_watchdog_for_no_other(
    counting: int, moving: int, others: int, stuck: bool, tmp_path: Path
) -> None:
    """Each is watched by itself: one that reads its past moves, one that does not stands still, and so does its neighbour without
    messages; where all threads count back nobody else could move."""  # noqa: D205, D209  # one sentence
    assert bool(_watched(tmp_path, counting, moving, others)) == stuck


def test_the_messages_of_a_partition_that_counts_back_stay_with_the_brokers(tmp_path: Path) -> None:
    """A few wait for it, the next stay away until it is done, whatever Faust itself wants to go on with; its neighbour goes on."""
    host = _host([], tmp_path)
    long, short, done = TP("t", 0), TP("t", 1), threading.Event()
    neighbour: list[int] = []
    consumer = _Consumer(host.app.transport, callback=lambda _message: None, on_partitions_revoked=None, on_partitions_assigned=None)
    consumer.set_active = None
    host.app.consumer = consumer
    host._partitions[long].next_offset = 0
    host._partitions[short] = _Standing()  # type: ignore[assignment]  # what `look` reads of one
    host._partitions[short].next_offset = 0
    host.ends = 5

    def counts_back(*_: object) -> None:
        host._partitions[long].counting_back = True
        assert done.wait(PATIENCE)
        host._partitions[long].counting_back = False

    host._partitions[long].take = counts_back
    host._partitions[short].take = lambda offset, *_: neighbour.append(offset)

    async def work() -> None:
        consumer._active_partitions = {long, short}
        for _ in range(2 * MOST):
            await asyncio.wait_for(host.take(long, 0, b"", at()), 20)
            await asyncio.sleep(0.01)
            if long in consumer._paused_partitions:
                break
        assert host._hands.waiting(long) == HELD_FRAMES
        consumer.resume_partitions({long, short})
        assert consumer._active_partitions == {short}
        await asyncio.wait_for(host.take(short, 0, b"", at()), 20)
        host._partitions[long].take = lambda *_: None
        done.set()
        await host._hands.alone(lambda: None)
        await host.look()
        assert consumer._active_partitions == {long, short}

    asyncio.run(work())
    assert neighbour == [0]
    host._hands.close()


@pytest.mark.parametrize(("error", "status", "left"), [(Fenced("not ours"), [], []), (ValueError("a defect"), [STUCK], [TP("t", 0)])])
def test_a_commit_that_failed_is_noticed_without_a_message(error: Exception, status: list[int], left: list[int], tmp_path: Path) -> None:
    """The partition is let go where it is somebody else's; whatever else it was ends the process."""
    ended: list[int] = []
    host = _host(ended, tmp_path)

    def settle() -> None:
        raise error

    host._partitions[TP("t", 0)].failed, host._partitions[TP("t", 0)].settle = True, settle

    async def look() -> None:
        await host.look()
        await host._hands.alone(lambda: None)

    asyncio.run(look())
    host._hands.close()
    assert (ended, list(host._partitions)) == (status, left)


def test_a_missing_frame_of_a_partition_that_moves_away_is_no_defect(tmp_path: Path) -> None:
    """The consumer may have the partition no more when it is to seek: nothing ends, and the next look asks again or has nothing to ask."""
    ended: list[int] = []
    asked: list[int] = []
    host = _host(ended, tmp_path)
    place = TP("t", 0)
    host.ends, host._partitions[place].next_offset = 5, 5

    async def seek_wait(wanted: dict[TP, int]) -> None:
        asked.append(wanted[place])
        raise IllegalStateError("not assigned")

    host.app.consumer = SimpleNamespace(seek_wait=seek_wait)  # type: ignore[assignment]  # the one method that is asked

    async def looks() -> None:
        await host._ask_again(place, 5, 7)
        host._gaps[place] = replace(host._gaps[place], asked=0.0)
        await host.look()

    asyncio.run(looks())
    assert (asked, ended) == ([5, 5], [])


def test_partitions_that_were_held_back_go_on_in_turn(tmp_path: Path) -> None:
    """Under a backlog Faust's queue lets go on whichever it meets first in a set, the same few for as long as it lasts; ours the oldest."""
    queue = _host([], tmp_path).app.FlowControlQueue(maxsize=16)
    went_on: list[int] = []
    for number in [*range(40, 80), *range(40)]:
        queue.put_nowait_enhanced(b"", on_pressure_high=lambda: None, on_pressure_drop=lambda number=number: went_on.append(number))
    while queue.qsize():
        queue.get_nowait()
    assert went_on == [*range(52, 58)], "a queue that is nearly full holds back; one goes on with each message from six on"


def test_a_partition_whose_row_is_held_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A predecessor that stands still inside a transaction costs its successor some seconds, and not its life."""
    monkeypatch.setattr("streams.runtimes.faust_worker.ASK_SECONDS", 0.01)
    ended: list[int] = []
    host = _host(ended, tmp_path)
    granted = Grant(topic="t", partition=0, epoch=2, offset_done=4)
    answers: list[Grant | StoreUnavailable] = [StoreUnavailable("lock timeout"), StoreUnavailable("lock timeout"), granted]

    def assign(*_: object, **__: object) -> Grant:
        answer = answers.pop(0)
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    host._progress = SimpleNamespace(assign=assign)  # type: ignore[assignment]  # the one method that is asked
    place = host._partitions[TP("t", 0)]
    place.renew, place.next_offset = lambda grant: grant == granted, 5
    place.settle = lambda: None
    assert asyncio.run(host.assigned(7, [TP("t", 0)])) == {TP("t", 0): 5}
    assert (ended, answers) == ([], [])
    host._hands.close()
