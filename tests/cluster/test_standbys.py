"""Warm standbys on real brokers, a real PostgreSQL and worker processes that are killed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from domain.partitions import Place
from storage.tables import progress
from tests.cluster.world import Cluster, Make, leak

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
PARTITIONS = 2
SNAPSHOTS = 250  # records between two: one of each partition before the kill, so that no standby is slower than a newer one


def _told(cluster: Cluster, name: str) -> dict[str, Any]:
    status = cluster.status(name)
    return msgspec.json.decode(status) if status else {}


def _warm(cluster: Cluster, name: str) -> set[tuple[str, int]]:
    """Return the partitions for which a worker stands by; partitions of groups have no snapshot while nobody tells them anything."""
    found = (place.rsplit("/", 1) for place in _told(cluster, name).get("standbys", {}).get("warm", ()))
    return {(topic, int(number)) for topic, number in found}


def _held(cluster: Cluster, name: str) -> set[tuple[str, int]]:
    return {(cluster.topic, int(number)) for number in _told(cluster, name).get("partitions", {})}


def _event(line: str) -> tuple[str, str, int] | None:
    """Return what a line of the log says, of which partition, None where it is of none."""
    if "{" not in line:
        return None
    told = msgspec.json.decode(line[line.index("{") :])
    return (told["event"], told["topic"], told["partition"]) if "partition" in told and "topic" in told else None


def _slots(cluster: Cluster, name: str, event: str, outcome: str = "") -> set[tuple[str, int]]:
    """Return the partitions of which a worker's log tells of an event, with an outcome where one is named."""
    found = (line for line in cluster.log(name).splitlines() if outcome in line)
    return {(told[1], told[2]) for told in map(_event, found) if told is not None and told[0] == event}


def _two_at_work(make: Make, signals: int) -> Cluster:
    """Return a cluster of two workers that has judged signals, each partition at one of them."""
    cluster = make(partitions=PARTITIONS)
    cluster.activate()
    for name in ("one", "two"):
        cluster.start(name, snapshot_every=SNAPSHOTS)
    cluster.until(lambda: all(len(_held(cluster, name)) == 1 for name in ("one", "two")))
    cluster.send([leak(number) for number in range(signals)], call=20)
    cluster.await_done()
    cluster.until(lambda: _held(cluster, "one") <= _warm(cluster, "two"))
    return cluster


def test_a_killed_workers_partitions_go_on_from_their_standbys(make: Make) -> None:
    """After kill -9 the other one goes on with them from memory: each signal is there once, and the warnings are the replay's."""
    cluster = _two_at_work(make, 600)
    cluster.send([leak(number) for number in range(600, 800)], call=20)
    cluster.kill("one")
    cluster.send([leak(number) for number in range(800, 1000)], call=20)
    cluster.await_done()
    cluster.until(cluster.judged)
    assert _held(cluster, "one") <= _slots(cluster, "two", "standby.taken")
    assert not _slots(cluster, "two", "standby.passed_over")
    assert cluster.signal_ids() == sorted(f"s-{number}" for number in range(1000))
    assert cluster.warnings() == cluster.replayed()


def test_a_stale_standby_is_thrown_away(make: Make) -> None:
    """A record was set aside that it may have stepped: snapshot and log are read instead, and the answer is the replay's."""
    cluster = _two_at_work(make, 600)
    mine = _warm(cluster, "two")
    with cluster.database.write() as connection:
        for topic, number in mine:
            mark = f'{{"quarantined": [{Place(number, 10**6, 0).seq()}]}}'  # a record that there is not
            connection.execute(update(progress).where(progress.c.topic == topic, progress.c.partition == number).values(mark=mark))

    cluster.until(lambda: mine <= _slots(cluster, "two", "standby.passed_over", '"overtaken"'))
    cluster.kill("one")
    cluster.send([leak(number) for number in range(600, 1000)], call=20)
    cluster.await_done()
    cluster.until(cluster.judged)
    events = [one for one in map(_event, cluster.log("two").splitlines()) if one is not None]
    for slot in mine:  # one that was taken after all had been made anew meanwhile, with the knowledge of the record
        story = [event for event, *place in events if tuple(place) == slot]
        behind = story[story.index("standby.passed_over") + 1 :]
        assert "standby.taken" not in behind or "standby.warm" in behind[: behind.index("standby.taken")]
        assert "partition.taken" in behind
    assert cluster.signal_ids() == sorted(f"s-{number}" for number in range(1000))
    assert cluster.warnings() == cluster.replayed()
