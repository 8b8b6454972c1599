"""Edges that die, brokers that go away, and a source that deletes what nobody read: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from sqlalchemy import func, select

from app.cluster.edge import EdgeRole
from app.settings import Source
from connectors.kafka import sources as reading
from deploy.kafka.local import LocalKafka
from domain.records import RejectionEntry, SignalEntry
from storage.crashpoints import CRASH_VARIABLE
from storage.intake_reads import feeds_status
from storage.tables import rejections
from tests.app.world import penalty
from tests.cluster.elsewhere import Elsewhere, as_json, entries_of, metric_of, settings_with, signal_of, until
from tests.cluster.world import PATIENCE, Cluster, Make
from tests.postgres import PostgresServer

pytestmark = pytest.mark.service("kafka")


def _start_edge(cluster: Cluster, name: str, sources: Sequence[dict[str, object]], crash: str = "") -> None:
    """Start an edge as a process, which dies at `crash` where one is named."""
    shared = cluster.folder / "keys"
    shared.mkdir(exist_ok=True)
    for key in ("sealing", "personal"):
        if not (shared / key).exists():
            (shared / key).write_text("5a" * 32 + "\n")
    cluster.also = {"PORT": 0, "SEALING_KEY": shared / "sealing", "PERSONAL_KEY": shared / "personal"}
    cluster.also |= {CRASH_VARIABLE.removeprefix("FENGSUI_"): crash} if crash else {}
    cluster.start(name, role="edge", sources=json.dumps(sources))
    cluster.also = {}


def test_edges_that_die_lose_nothing_and_bring_nothing_twice(make: Make, elsewhere: Elsewhere, prefix: str) -> None:
    """One dies with messages in hand, one between acknowledgement and commit, one by kill -9 among three: each id is there once."""
    cluster = make(partitions=2)
    cluster.activate()
    cluster.start("worker")
    topic, group = elsewhere.make(f"{prefix}.many", 3), f"{cluster.settings.kafka.prefix}.signals.{prefix}.many"
    sources: list[dict[str, object]] = [{"topic": topic, "feed": "signals"}]
    expected = set()
    for part in range(3):
        wanted = [f"s-{part}-{number}" for number in range(700)]
        expected |= set(wanted)
        bodies = [as_json(signal_of(one, object_id=f"o-{number % 40}")) for number, one in enumerate(wanted)]
        elsewhere.send(topic, *bodies[:350], b"broken %d" % part, *bodies[350:], partition=part)
    for point in ("source.before_offer:2", "source.before_commit:2"):
        _start_edge(cluster, "edge", sources, crash=point)
        assert cluster.workers["edge"].wait(PATIENCE) == -signal.SIGKILL
        assert elsewhere.behind(topic, group) > 0
    for name in ("edge", "second", "third"):
        _start_edge(cluster, name, sources)
    late = [f"late-{number}" for number in range(1500)]
    for start in range(0, len(late), 300):
        elsewhere.send(topic, *(as_json(signal_of(one)) for one in late[start : start + 300]), partition=start // 300 % 3)
        if start == 600:
            cluster.kill("second")
    until(lambda: elsewhere.behind(topic, group) == 0)
    cluster.await_done()
    assert cluster.signal_ids() == sorted(expected | set(late))
    with cluster.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(rejections)) == 3
        [counted] = feeds_status(connection)
    assert (counted.feed, counted.accepted, counted.revisions, counted.rejected) == ("signals", len(expected) + len(late), 0, 3)


def test_our_brokers_away_and_back(elsewhere: Elsewhere, prefix: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Meanwhile nothing of the source is committed, and the edge says why; once they are back all of it is taken."""
    topic = elsewhere.make(f"{prefix}.patient")
    with LocalKafka(tmp_path_factory.mktemp("ours")) as ours:
        source = Source(topic=topic, feed="signals", bootstrap=elsewhere.bootstrap)
        settings = settings_with(ours, prefix, tmp_path, source)
        group = settings.kafka.group_of(source)
        with EdgeRole(settings) as role:
            [reader] = role.sources.readers
            role.doors.edge._timeout = timedelta(seconds=1)
            elsewhere.send(topic, as_json(signal_of("before")))
            until(lambda: elsewhere.behind(topic, group) == 0)
            ours.signal_broker(0, signal.SIGKILL)
            elsewhere.send(topic, *(as_json(signal_of(f"s-{number}")) for number in range(20)), None)
            until(lambda: reader.trouble)
            time.sleep(1.0)
            assert elsewhere.behind(topic, group) == 21
            until(lambda: reader.lag == 21)
            ours.start_broker(0)
            ours.await_ready()
            until(lambda: elsewhere.behind(topic, group) == 0)
            until(lambda: not reader.trouble)
            assert reader.lag == 0
        ids = [entry.signal.id for entry in entries_of(settings) if isinstance(entry, SignalEntry)]
    assert set(ids) == {"before", *(f"s-{number}" for number in range(20))}


def test_the_source_s_brokers_away_and_back(
    kafka: LocalKafka, prefix: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told soon, though Kafka's client says nothing; once they are back what came meanwhile is taken."""
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(reading, "LOOK_SECONDS", 1.0)
    with LocalKafka(tmp_path_factory.mktemp("theirs")) as theirs:
        elsewhere = Elsewhere(theirs.bootstrap)
        topic = elsewhere.make("events")
        source = Source(topic=topic, feed="signals", bootstrap=theirs.bootstrap)
        settings = settings_with(kafka, prefix, tmp_path, source)
        group = settings.kafka.group_of(source)
        elsewhere.send(topic, as_json(signal_of("a")))
        with EdgeRole(settings) as role:
            [reader] = role.sources.readers
            until(lambda: elsewhere.behind(topic, group) == 0)
            theirs.signal_broker(0, signal.SIGKILL)
            until(lambda: reader.trouble)
            assert "cannot be reached" in reader.trouble
            assert role.trouble() == ""
            theirs.start_broker(0)
            theirs.await_ready()
            elsewhere.send(topic, as_json(signal_of("b")))
            until(lambda: elsewhere.behind(topic, group) == 0)
            until(lambda: not reader.trouble)
    assert sorted(entry.signal.id for entry in entries_of(settings)) == ["a", "b"]


def test_what_a_source_deleted_unread_is_told(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """Its retention was shorter than our absence: how many messages nobody read is counted, and what is there is taken."""
    topic = elsewhere.make(f"{prefix}.short")
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    group = f"{prefix}.signals.{topic}"
    elsewhere.send(topic, as_json(signal_of("a")))
    with EdgeRole(settings):
        until(lambda: elsewhere.behind(topic, group) == 0)
    elsewhere.send(topic, *(as_json(signal_of(one)) for one in "bcde"))
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.delete_records({TopicPartition(topic, 0): 4})
    with EdgeRole(settings) as role:
        until(lambda: elsewhere.behind(topic, group) == 0)
        assert metric_of(role, "fengsui_source_messages_total", feed="signals", topic=topic, outcome="lost") == 3
    assert {entry.signal.id for entry in entries_of(settings)} == {"a", "e"}


@pytest.mark.service("postgresql")
def test_the_database_away_and_back(
    kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path, service: Callable[[str], Path]
) -> None:
    """What needs it, a person's name, is not taken and its offset not committed; all of it is once the database is back, nothing twice."""
    topic = elsewhere.make(f"{prefix}.penalties")
    source = Source(topic=topic, feed="penalties")
    settings, group = settings_with(kafka, prefix, tmp_path, source), f"{prefix}.penalties.{topic}"
    with PostgresServer(service("postgresql").parent) as server:
        settings = settings.model_copy(update={"database_url": server.fresh()})
        with EdgeRole(settings) as role:
            [reader] = role.sources.readers
            elsewhere.send(topic, as_json(penalty(1, CF_FRDB="张一")))
            until(lambda: elsewhere.behind(topic, group) == 0)
            server.stop()
            elsewhere.send(topic, *(as_json(penalty(number, CF_FRDB="张三")) for number in range(2, 12)))
            until(lambda: reader.trouble)
            time.sleep(1.0)
            assert elsewhere.behind(topic, group) == 10
            server.start()
            until(lambda: elsewhere.behind(topic, group) == 0)
            until(lambda: not reader.trouble)
    entries = entries_of(settings)
    assert len({entry.signal.id for entry in entries if isinstance(entry, SignalEntry)}) == 11
    assert [entry for entry in entries if isinstance(entry, RejectionEntry)] == []
