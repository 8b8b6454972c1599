"""An assignment that Faust gave up for a newer one: it claims nothing any more, since others have the partitions by now."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from faust.types import TP
from sqlalchemy import make_url

from app.clock import SystemClock
from domain.ports import Grant
from storage.database import Database
from storage.progress import SqlProgress
from streams.runtimes.faust_worker import Cluster as Place
from streams.runtimes.faust_worker import Host
from tests.cluster.world import PATIENCE, Make, leak
from tests.postgres import PostgresServer


class _Slow:
    """Progress in a real database; the first partition's row is waited for until `go`."""

    def __init__(self, kept: SqlProgress) -> None:
        self.kept = kept
        self.asked: list[int] = []
        self.waits, self.go = threading.Event(), threading.Event()

    def assign(self, topic: str, partition: int, owner: str, still: Callable[[], bool]) -> Grant:
        self.asked.append(partition)
        self.waits.set()
        assert self.go.wait(PATIENCE)
        return self.kept.assign(topic, partition, owner, still)


@pytest.mark.parametrize("how", ["cancelled", "revoked"])
def test_an_assignment_that_was_given_up_fences_nobody(how: str, tmp_path: Path) -> None:
    """Others have the partitions by now: neither the one that was waited for nor the next is claimed; the next assignment is whole."""
    ended: list[int] = []
    database = Database.in_memory()
    kept = SqlProgress(database, SystemClock())
    slow = _Slow(kept)

    def make_one(grant: Grant, _stopping: threading.Event) -> SimpleNamespace:
        return SimpleNamespace(
            grant=grant, next_offset=grant.offset_done + 1, settle=lambda: None, let_go=lambda: None, counting_back=False
        )

    place = Place("127.0.0.1:1", "t", 2, "g", "me", tmp_path)
    host = Host(place, {"t": make_one}, slow, die=ended.append)  # type: ignore[arg-type, dict-item]  # what an assignment needs
    places = [TP("t", 0), TP("t", 1)]

    async def work() -> None:
        first = asyncio.create_task(host.assigned(7, places))
        await asyncio.to_thread(slow.waits.wait, PATIENCE)
        others = [kept.assign("t", number, "another worker") for number in range(2)]
        if how == "cancelled":
            first.cancel()
        else:
            letting_go = asyncio.create_task(host.revoked())
        await asyncio.sleep(0.01)
        slow.go.set()
        await asyncio.wait([first])
        assert [kept.standing("t", number) for number in range(2)] == others
        assert slow.asked == [0]
        if how == "revoked":
            assert first.result() == {}
            await letting_go
        assert await host.assigned(8, places) == dict.fromkeys(places, 0)

    asyncio.run(work())
    assert [standing.epoch for standing in (kept.standing("t", number) for number in range(2)) if standing is not None] == [2, 2]
    assert ended == []
    host._hands.close()
    database.close()


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_a_worker_that_joins_while_another_waits_for_a_row(make: Make, postgres: PostgresServer) -> None:
    """The first worker's assignment is given up while the row of a partition is held: it stops, nobody is fenced, no process ends."""
    cluster = make(partitions=2)
    cluster.activate()
    cluster.start("before")
    cluster.send([leak(number) for number in range(50)])
    cluster.await_done()
    assert cluster.kill("before", 15) == 0
    with postgres.admin(make_url(cluster.settings.database_url).database or "") as holder:
        with holder.transaction():
            holder.execute("SELECT 1 FROM progress WHERE topic = %s AND partition = 0 FOR UPDATE", (cluster.topic,))
            cluster.start("first")
            cluster.until(lambda: "partition.not_assigned" in cluster.log("first"))  # it goes on asking, for 45 s in all
            cluster.start("second")
            cluster.until(lambda: "worker.assignment_given_up" in cluster.log("first"))
            time.sleep(1.0)
        cluster.send([leak(number) for number in range(50, 150)])
        cluster.await_done()
    assert len(cluster.signal_ids()) == 150
    assert cluster.warnings() == cluster.replayed()
    for name in ("first", "second"):
        assert cluster.workers[name].poll() is None, cluster.log(name)
        assert "partition.fenced" not in cluster.log(name)
