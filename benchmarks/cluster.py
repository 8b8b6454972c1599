"""How much a worker takes, with durable effects: frames from real brokers through the pipeline into a real PostgreSQL.

    make bench ONLY=cluster ARGS="--signals 200000"

The log is filled first, with nobody reading; then one worker takes half of it, and two workers take the other half, in one run. A rate
is what lay in the log once every partition had moved, divided by the time to the last commit. Beside it: a plain Faust agent with a
Table, one signal a message, on the same brokers. On two cores brokers, database and workers share them.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.kafka.local import LocalKafka
from domain.objects import Resolution
from domain.records import SignalEntry
from tests.cluster.world import TOP, Cluster
from tests.conftest import which
from tests.factories import at, make_entry
from tests.postgres import PostgresServer

PARTITIONS = 4
OBJECTS = 20_000
CALL = 8_000
PLAIN = 20_000  # messages for the plain agent, which is slow


def entry(number: int, part: int = 0) -> SignalEntry:
    """Return a signal of one part's objects; one object in a hundred has the three complaints that make a warning."""
    name = f"obj-{part}-{number * 7919 % OBJECTS:05d}"
    kind = "gas.leak" if number % 100 == 0 else "gas.inspection"
    return make_entry(
        id=f"s-{number}", kind=kind, resolution=Resolution(object_id=name, method="id", confidence=1.0), occurred_at=at(number / 3600)
    )


def rate(cluster: Cluster, workers: int, first: int, count: int) -> float:
    """Fill the log, start that many workers, return signals a second."""
    for start in range(first, first + count, CALL):
        cluster.send([entry(number, workers) for number in range(start, min(start + CALL, first + count))], call=CALL)
    before = cluster.done()
    for number in range(workers):
        cluster.start(f"w{workers}-{number}", snapshot_every=50_000)
    cluster.until(lambda: all(cluster.done().get(number, -1) > before.get(number, -1) for number in range(PARTITIONS)), 120)
    left = sum(end - cluster.done()[number] for number, end in cluster.ends().items())
    share = left / sum(end - before.get(number, -1) for number, end in cluster.ends().items())
    began = time.perf_counter()
    cluster.await_done(900)
    seconds = time.perf_counter() - began
    for number in range(workers):
        cluster.kill(f"w{workers}-{number}", signal.SIGTERM)
    return count * share / seconds


def plain(kafka: LocalKafka, folder: Path) -> float:
    """Return what a plain agent with a Table takes a second."""
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic("plain", PARTITIONS, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks=1, linger_ms=20)
    for number in range(PLAIN):
        producer.send("plain", value=b'{"object": "obj-%05d", "severity": 1}' % (number % OBJECTS), partition=number % PARTITIONS)
    producer.flush()
    producer.close()
    told = folder / "plain"
    command = [sys.executable, "-m", "benchmarks.plain_agent", kafka.bootstrap, str(PLAIN), str(told)]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
        end = time.monotonic() + 300
        while not told.exists() and time.monotonic() < end:
            time.sleep(0.2)
        agent.kill()
    return float(told.read_text()) if told.exists() else 0.0


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--signals", type=int, default=200_000)
    given = parser.parse_args()
    server = which("postgres")
    assert server, "PostgreSQL is missing: make services"
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        top = Path(scratch)
        (top / "kafka").mkdir()
        kafka = stack.enter_context(LocalKafka(top / "kafka"))
        postgres = stack.enter_context(PostgresServer(Path(server).parent))
        cluster = Cluster(kafka, postgres.fresh(), "bench", top / "cluster", partitions=PARTITIONS)
        stack.callback(cluster.close)
        cluster.activate()
        half = given.signals // 2
        one = rate(cluster, 1, 0, half)
        two = rate(cluster, 2, half, half)
        beside = plain(kafka, top)
        print(
            f"cluster: {given.signals:,} signals, {PARTITIONS} partitions, durable: 1 worker {one:,.0f}/s, 2 workers {two:,.0f}/s "
            f"(ratio {two / one:.2f}); plain Faust agent with a Table {beside:,.0f}/s"
        )


if __name__ == "__main__":
    main()
