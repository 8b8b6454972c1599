"""What it costs when a worker joins a busy cluster: for how long each partition stands still.

    make bench ONLY=joining ARGS="--objects 20000 --rate 400"

Real brokers, a real PostgreSQL and a worker with the shipped packs and so many objects, five signals each. Signals of further objects go on
coming at a steady rate while a second worker joins. How far each partition is committed is looked at twenty times a second: told are the
longest standstill of those that stay with the first worker and of those that move to the second, and when the last of them was level again.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Final, Self

from sqlalchemy import select

from benchmarks.scaling import PARTITIONS, PATIENCE, PER_OBJECT, entry, feed
from benchmarks.services import activate_shipped, services
from storage.tables import progress
from tests.cluster.world import Cluster

LOOK: Final = 0.05  # seconds between two looks, and between two calls that bring signals
STEADY: Final = 20.0  # seconds before a worker joins, and behind its first commits
SETTLED: Final = 2  # seconds' worth of frames that a partition may lack and be level


@dataclass(slots=True)
class Course:
    """How one partition went on."""

    moves: list[float] = field(default_factory=list)  # when more of it was seen to be committed
    owners: list[tuple[float, str]] = field(default_factory=list)  # since when who had it
    done: int = -1

    def standstill(self, since: float, until: float) -> float:
        """Return the longest time without a move that ended between two instants."""
        return max((later - at for at, later in zip(self.moves, self.moves[1:], strict=False) if since < later <= until), default=0.0)


class Watch:
    """Feeds a cluster steadily and looks at its partitions, each in a thread of its own."""

    def __init__(self, cluster: Cluster, first: int, rate: int) -> None:
        """Send the signals from number `first` on, so many a second."""
        self.courses: dict[int, Course] = {}
        self.sent = first
        self._cluster = cluster
        self._rate = rate
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._feed, self._look)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _feed(self) -> None:
        began, first = time.perf_counter(), self.sent
        while not self._ended.wait(LOOK):
            due = first + int((time.perf_counter() - began) * self._rate)
            if due > self.sent:
                self._cluster.send([entry(number) for number in range(self.sent, due)], call=due - self.sent)
                self.sent = due

    def _look(self) -> None:
        wanted = select(progress.c.partition, progress.c.offset_done, progress.c.owner).where(progress.c.topic == self._cluster.topic)
        while not self._ended.wait(LOOK):
            with self._cluster.database.read() as connection:
                rows = connection.execute(wanted).all()
            now = time.perf_counter()
            for number, done, owner in rows:
                course = self.courses.setdefault(number, Course())
                if done > course.done:
                    course.done = done
                    course.moves.append(now)
                if not course.owners or course.owners[-1][1] != owner:
                    course.owners.append((now, owner))


def level(cluster: Cluster, topic: str = "") -> bool:
    """Tell whether nothing waits in the frames, or in another topic, but what came in the last moments."""
    ends, done = cluster.ends(topic), cluster.done(topic)
    return all(done.get(number, -1) >= end - SETTLED / LOOK for number, end in ends.items())


def measure(cluster: Cluster, objects: int, rate: int) -> None:
    """Let a worker join, and print."""
    count = objects * PER_OBJECT
    with Watch(cluster, count, rate) as watch:
        time.sleep(STEADY)
        steady = max(course.standstill(0, time.perf_counter()) for course in watch.courses.values())
        load = os.getloadavg()[0]
        joined = time.perf_counter()
        cluster.start("two", snapshot_every=50_000)
        cluster.until(lambda: any(course.owners[-1][0] > joined for course in watch.courses.values()), PATIENCE)
        assigned = time.perf_counter()
        cluster.until(lambda: all(course.moves[-1] > assigned for course in watch.courses.values()) and level(cluster), PATIENCE)
        again = time.perf_counter()
        time.sleep(STEADY)
        ended = time.perf_counter()
    print(f"joining: {objects:,} objects, {PARTITIONS} partitions, {rate:,} signals/s, shipped packs; load average {load:.1f}")
    print(f"joining: longest standstill of a partition before       {steady:6.2f} s")
    for what, moved in (("stays", False), ("moves", True)):
        found = [course.standstill(joined, ended) for course in watch.courses.values() if (course.owners[-1][0] > joined) is moved]
        print(f"joining: longest standstill of one that {what}           {max(found, default=0.0):6.2f} s, of {len(found)}")
    print(f"joining: from the first partition's change of hands until all are level {again - assigned:6.2f} s", flush=True)


def main() -> None:
    """Measure over a cluster of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joining", description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=400, help="signals a second")
    given = parser.parse_args()
    with services() as parts, parts.cluster("joining", PARTITIONS) as cluster:
        activate_shipped(cluster)
        cluster.start("one", snapshot_every=50_000)
        cluster.await_done(PATIENCE)
        feed(cluster, 0, given.objects * PER_OBJECT)
        cluster.until(lambda: level(cluster, cluster.groups), PATIENCE)
        measure(cluster, given.objects, given.rate)


if __name__ == "__main__":
    main()
