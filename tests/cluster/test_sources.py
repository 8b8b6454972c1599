"""Topics of other systems as doors of an edge, on a real broker: what a message becomes, and that nothing is lost and nothing twice."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import CoordinatorNotAvailableError
from sqlalchemy import func, select
from typer.testing import CliRunner

from app.cli import app
from app.cluster import sources as doors
from app.cluster.edge import EdgeRole
from app.doctor import examine
from app.settings import Kafka, Settings, Source
from connectors.inbound.envelope import Message
from connectors.kafka import sources as reading
from connectors.kafka.topics import Topics
from deploy.kafka.local import LocalKafka
from domain.errors import FileProblems
from domain.frames import Frame, decode
from domain.records import FeedEntry, ObjectsEntry, RejectionEntry, SignalEntry
from storage.crashpoints import CRASH_VARIABLE
from storage.intake_reads import feeds_status
from storage.registry import write_objects
from storage.tables import rejections
from tests.app.world import GAS, penalty
from tests.cluster.tls import USER, Secrets
from tests.cluster.world import Cluster, Make
from tests.factories import make_object

pytestmark = pytest.mark.service("kafka")
PARTITIONS = 3
PATIENCE = 30.0
Header = tuple[str, bytes]


class Elsewhere:
    """The brokers of another system."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def make(self, topic: str, partitions: int = 1) -> str:
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_topics([NewTopic(topic, partitions, 1)])
        return topic

    def send(self, topic: str, *messages: bytes | tuple[bytes, Sequence[Header]] | None, partition: int = 0) -> None:
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        for one in messages:
            body, headers = one if isinstance(one, tuple) else (one, [])
            producer.send(topic, value=body, key=b"k", headers=list(headers), partition=partition)
        producer.flush()
        producer.close()

    def behind(self, topic: str, group: str) -> int:
        """Return how many messages of a topic the group has not committed."""
        try:
            with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
                committed = admin.list_group_offsets(group)[group]
        except CoordinatorNotAvailableError:  # the first group of a new broker
            committed = {}
        reader = KafkaConsumer(bootstrap_servers=self.bootstrap)
        ends = reader.end_offsets([TopicPartition(topic, number) for number in reader.partitions_for_topic(topic) or ()])
        reader.close()
        return sum(end - max(0, int(committed[place].offset) if place in committed else 0) for place, end in ends.items())


@pytest.fixture
def elsewhere(kafka: LocalKafka) -> Elsewhere:
    """Return the other system's brokers, which are ours too."""
    return Elsewhere(kafka.bootstrap)


def _until(fine: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not fine():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def _settings(kafka: LocalKafka, prefix: str, folder: Path, *sources: Source) -> Settings:
    given = Kafka(
        bootstrap=kafka.bootstrap,
        prefix=prefix,
        partitions=PARTITIONS,
        replicas=1,
        min_insync=1,
        reduced_durability=True,
        session_seconds=6.0,
        sources=sources,
    )
    with Topics(given.access(), given.layout()) as topics:
        topics.apply()
    return Settings(data=folder, port=0, kafka=given)


@contextmanager
def _edge(settings: Settings) -> Iterator[EdgeRole]:
    with EdgeRole(settings) as role:
        yield role


def _entries(settings: Settings) -> list[Any]:
    """Return every entry of the topic of frames, partition after partition."""
    kafka = settings.kafka
    reader = KafkaConsumer(bootstrap_servers=kafka.bootstrap)
    found: list[Any] = []
    for number in range(kafka.partitions):
        place = TopicPartition(kafka.layout().topic("frames"), number)
        reader.assign([place])
        reader.seek_to_beginning(place)
        end = reader.end_offsets([place])[place]
        while reader.position(place) < end:
            for message in reader.poll(200).get(place, []):
                frame = decode(message.value)
                assert isinstance(frame, Frame)
                found += [offer.entry for offer in frame.offers]
    reader.close()
    return found


def _signal(identity: str, **kw: Any) -> dict[str, Any]:
    given = {"id": identity, "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T08:00:00+08:00", "object_id": "o-7"}
    return given | kw


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _metric(role: EdgeRole, name: str, **labels: str) -> float:
    return role.metrics.registry.get_sample_value(name, labels) or 0.0


def test_canonical_signals_and_cloud_events_in_both_modes(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """JSON, a list, NDJSON, CloudEvents structured and binary become signals; a broken message a kept rejection, a tombstone nothing."""
    topic = elsewhere.make(f"{prefix}.platform")
    settings = _settings(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    event = {"specversion": "1.0", "source": "/iot", "type": "gas.leak", "time": "2026-03-01T08:00:00+08:00"}
    binary = [(f"ce_{name}", value.encode()) for name, value in (event | {"id": "b"}).items()]
    elsewhere.send(
        topic,
        _json(_signal("one")),
        _json([_signal("two"), _signal("bad", severity=9)]),
        _json(_signal("three")) + b"\n" + _json(_signal("four")),
        (_json(event | {"id": "s", "data": {"source": "iot"}}), [("content-type", b"application/cloudevents+json; charset=utf-8")]),
        (_json({"source": "iot", "value": 12.5}), [*binary, ("content-type", b"application/json")]),
        (b"\xff\x00", binary),
        None,
        b'{"id": "cut',
        _json(_signal("last")),
    )
    group = settings.kafka.group_of(settings.kafka.sources[0])
    with _edge(settings) as role:
        _until(lambda: elsewhere.behind(topic, group) == 0)
        labels = {"feed": "signals", "topic": topic}
        assert _metric(role, "fengsui_source_messages_total", outcome="taken", **labels) == 8
        assert _metric(role, "fengsui_source_messages_total", outcome="skipped", **labels) == 1
        assert _metric(role, "fengsui_records_total", feed="signals", outcome="accepted") == 7
        assert _metric(role, "fengsui_records_total", feed="signals", outcome="rejected") == 3
        assert (role.sources.readers[0].lag, role.sources.readers[0].trouble, role.trouble()) == (0, "", "")
    entries = _entries(settings)
    signals = {entry.signal.id: entry.signal for entry in entries if isinstance(entry, SignalEntry)}
    assert sorted(signals) == ["/iot#b", "/iot#s", "four", "last", "one", "three", "two"]
    assert signals["/iot#b"].value == 12.5
    refused = sorted((entry.reason, entry.field) for entry in entries if isinstance(entry, RejectionEntry))
    assert refused == [("bad_structure", ""), ("bad_type", "data"), ("bad_value", "severity")]


def test_raw_records_go_through_the_mapping_of_their_feed(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """By a shipped mapping, plain or as the data of a CloudEvent; what is wrong is a kept rejection; order is that of the topic."""
    topic = elsewhere.make(f"{prefix}.penalties")
    settings = _settings(kafka, prefix, tmp_path, Source(topic=topic, feed="penalties"))
    wrapped = {"specversion": "1.0", "id": "x", "source": "/credit", "type": "penalty", "data": penalty(3)}
    with _edge(settings) as role:
        with role.database.write() as connection:
            write_objects(connection, ObjectsEntry(version=1, objects=(make_object(id="o-1", code=GAS),)))
        role.doors.look_at_registry()
        elsewhere.send(
            topic,
            _json(penalty(1)),
            _json([penalty(2), penalty(9, CF_JDRQ="2026-02-30")]),
            (_json(wrapped), [("content-type", b"application/cloudevents+json")]),
            (_json(penalty(4)), [("content-type", b"application/octet-stream")]),
            b"not a record",
            _json(penalty(5)),
        )
        _until(lambda: elsewhere.behind(topic, settings.kafka.group_of(settings.kafka.sources[0])) == 0)
    entries = _entries(settings)
    signals = [entry for entry in entries if isinstance(entry, SignalEntry)]
    assert {entry.resolution.object_id for entry in signals} == {"o-1"}  # one partition of ours, so that their order shows
    assert [entry.signal.id.partition("号")[0][-1] for entry in signals] == ["1", "2", "3", "4", "5"]
    assert {entry.feed for entry in entries} == {"penalties"}
    assert sorted(entry.reason for entry in entries if isinstance(entry, RejectionEntry)) == ["bad_date", "bad_structure"]


def test_a_topic_that_is_not_there_yet(
    kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told with what to do, by log, metric, doctor and `topics check`; the edge serves, and reads it once it is there."""
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.2)
    topic = f"{prefix}.late"
    settings = _settings(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    [found] = [one for one in examine(tmp_path, settings.rules, settings=settings) if one.what == "source"]
    assert (found.ok, f"来源主题 {topic}" in found.detail, "there is no such topic" in found.detail) == (False, True, True)
    variables = {"FENGSUI_KAFKA__SOURCES": _json([{"topic": topic, "feed": "signals"}]).decode(), "FENGSUI_KAFKA__REPLICAS": "1"}
    variables |= {"FENGSUI_KAFKA__MIN_INSYNC": "1"}
    command = [
        "topics",
        "check",
        "--bootstrap",
        kafka.bootstrap,
        "--prefix",
        prefix,
        "--partitions",
        str(PARTITIONS),
        "--reduced-durability",
    ]
    told = CliRunner().invoke(app, [*command, "--output", "json"], env=variables)
    assert (told.exit_code, json.loads(told.stdout)[0]["topic"]) == (1, topic)
    with _edge(settings) as role:
        [reader] = role.sources.readers
        _until(lambda: reader.trouble)
        assert "there is no such topic" in reader.trouble
        assert role.trouble() == ""
        assert _metric(role, "fengsui_source_trouble", feed="signals", topic=topic) == 1.0
        elsewhere.make(topic)
        elsewhere.send(topic, _json(_signal("a")))
        _until(lambda: elsewhere.behind(topic, f"{prefix}.signals.{topic}") == 0)
        _until(lambda: not reader.trouble)
    assert [entry.signal.id for entry in _entries(settings)] == ["a"]
    assert CliRunner().invoke(app, command, env=variables).exit_code == 0


def test_brokers_of_another_system_with_a_login(
    kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS, user and password of a source are its own; a wrong password is told, and the source is read once it is right."""
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.2)
    topic, password = elsewhere.make(f"{prefix}.secured"), tmp_path / "password"
    password.write_text("not-it")
    source = Source(
        topic=topic,
        feed="signals",
        bootstrap=kafka.secured,
        tls=True,
        ca_file=secrets.authority,
        mechanism="PLAIN",
        user=USER,
        password_file=password,
    )
    settings = _settings(kafka, prefix, tmp_path / "edge", source)
    elsewhere.send(topic, _json(_signal("a")))
    with _edge(settings) as role:
        [reader] = role.sources.readers
        _until(lambda: reader.trouble)
        assert f"refuses user {USER}" in reader.trouble
        assert role.trouble() == ""
    password.write_text(secrets.password.read_text())
    with _edge(settings):
        _until(lambda: elsewhere.behind(topic, f"{prefix}.signals.{topic}") == 0)
    assert [entry.signal.id for entry in _entries(settings)] == ["a"]


def test_our_own_topics_are_no_source(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Named by other addresses of the same brokers too: a loop would write what it reads."""
    port = kafka.bootstrap.rpartition(":")[2]
    settings = _settings(kafka, prefix, tmp_path, Source(topic=f"{prefix}.events", feed="signals", bootstrap=f"localhost:{port}"))
    with _edge(settings) as role:
        [reader] = role.sources.readers
        _until(lambda: reader.trouble)
        assert "this deployment's own" in reader.trouble


def test_a_source_of_a_feed_without_a_mapping_is_refused(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Its raw records could not be read; the message has the feeds that can be."""
    settings = _settings(kafka, prefix, tmp_path, Source(topic="t", feed="hotline"))
    with pytest.raises(FileProblems, match="hotline-12345"):
        EdgeRole(settings)


def test_an_empty_message_is_a_sign_of_life(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """A feed with a limit that sends an empty list has nothing to report, and is not silent."""
    topic = elsewhere.make(f"{prefix}.alive")
    settings = _settings(kafka, prefix, tmp_path, Source(topic=topic, feed="iot-json"))
    elsewhere.send(topic, b"[]")
    with _edge(settings):
        _until(lambda: elsewhere.behind(topic, f"{prefix}.iot-json.{topic}") == 0)
    entries = _entries(settings)
    assert {(type(entry), entry.feed, entry.mark) for entry in entries} == {(FeedEntry, "iot-json", "complete")}


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
        bodies = [_json(_signal(one, object_id=f"o-{number % 40}")) for number, one in enumerate(wanted)]
        elsewhere.send(topic, *bodies[:350], b"broken %d" % part, *bodies[350:], partition=part)
    for point in ("source.before_offer:2", "source.before_commit:2"):
        _start_edge(cluster, "edge", sources, crash=point)
        assert cluster.workers["edge"].wait(PATIENCE) == -signal.SIGKILL
        assert elsewhere.behind(topic, group) > 0
    for name in ("edge", "second", "third"):
        _start_edge(cluster, name, sources)
    late = [f"late-{number}" for number in range(1500)]
    for start in range(0, len(late), 300):
        elsewhere.send(topic, *(_json(_signal(one)) for one in late[start : start + 300]), partition=start // 300 % 3)
        if start == 600:
            cluster.kill("second")
    _until(lambda: elsewhere.behind(topic, group) == 0, 60)
    cluster.await_done()
    assert cluster.signal_ids() == sorted(expected | set(late))
    with cluster.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(rejections)) == 3
        [counted] = feeds_status(connection)
    assert (counted.feed, counted.accepted, counted.revisions, counted.rejected) == ("signals", len(expected) + len(late), 0, 3)


def test_a_message_that_no_reader_survives_holds_up_no_other(
    kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect in reading makes it a kept rejection that says so; what came with it is taken in its order."""
    sound = doors.signals_input

    def defective(message: Message, default: str) -> tuple[bytes, str]:
        if message.body == b"deadly":
            raise ZeroDivisionError("of a test")
        return sound(message, default)

    monkeypatch.setattr(doors, "signals_input", defective)
    topic = elsewhere.make(f"{prefix}.deadly")
    settings = _settings(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    elsewhere.send(topic, _json(_signal("a")), b"deadly", _json(_signal("b")))
    with _edge(settings):
        _until(lambda: elsewhere.behind(topic, f"{prefix}.signals.{topic}") == 0)
    entries = _entries(settings)
    assert {entry.signal.id for entry in entries if isinstance(entry, SignalEntry)} == {"a", "b"}
    [refused] = [entry for entry in entries if isinstance(entry, RejectionEntry)]
    assert (refused.reason, "ZeroDivisionError: of a test" in refused.message) == ("bad_structure", True)


def test_our_brokers_away_and_back(elsewhere: Elsewhere, prefix: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Meanwhile nothing of the source is committed, and the edge says why; once they are back all of it is taken."""
    topic = elsewhere.make(f"{prefix}.patient")
    with LocalKafka(tmp_path_factory.mktemp("ours")) as ours:
        source = Source(topic=topic, feed="signals", bootstrap=elsewhere.bootstrap)
        settings = _settings(ours, prefix, tmp_path, source)
        group = settings.kafka.group_of(source)
        with _edge(settings) as role:
            [reader] = role.sources.readers
            role.doors.edge._timeout = timedelta(seconds=1)
            elsewhere.send(topic, _json(_signal("before")))
            _until(lambda: elsewhere.behind(topic, group) == 0)
            ours.signal_broker(0, signal.SIGKILL)
            elsewhere.send(topic, *(_json(_signal(f"s-{number}")) for number in range(20)), None)
            _until(lambda: reader.trouble)
            time.sleep(1.0)
            assert elsewhere.behind(topic, group) == 21
            assert reader.lag == 21
            ours.start_broker(0)
            ours.await_ready()
            _until(lambda: elsewhere.behind(topic, group) == 0, 60)
            _until(lambda: not reader.trouble)
            assert reader.lag == 0
        ids = [entry.signal.id for entry in _entries(settings) if isinstance(entry, SignalEntry)]
    assert set(ids) == {"before", *(f"s-{number}" for number in range(20))}


def test_what_a_source_deleted_unread_is_told(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """Its retention was shorter than our absence: how many messages nobody read is counted, and what is there is taken."""
    topic = elsewhere.make(f"{prefix}.short")
    settings = _settings(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    group = f"{prefix}.signals.{topic}"
    elsewhere.send(topic, _json(_signal("a")))
    with _edge(settings):
        _until(lambda: elsewhere.behind(topic, group) == 0)
    elsewhere.send(topic, *(_json(_signal(one)) for one in "bcde"))
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.delete_records({TopicPartition(topic, 0): 4})
    with _edge(settings) as role:
        _until(lambda: elsewhere.behind(topic, group) == 0)
        assert _metric(role, "fengsui_source_messages_total", feed="signals", topic=topic, outcome="lost") == 3
    assert {entry.signal.id for entry in _entries(settings)} == {"a", "e"}


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
        settings = _settings(kafka, prefix, tmp_path, source)
        group = settings.kafka.group_of(source)
        elsewhere.send(topic, _json(_signal("a")))
        with _edge(settings) as role:
            [reader] = role.sources.readers
            _until(lambda: elsewhere.behind(topic, group) == 0)
            theirs.signal_broker(0, signal.SIGKILL)
            _until(lambda: reader.trouble)
            assert "cannot be reached" in reader.trouble
            assert role.trouble() == ""
            theirs.start_broker(0)
            theirs.await_ready()
            elsewhere.send(topic, _json(_signal("b")))
            _until(lambda: elsewhere.behind(topic, group) == 0, 60)
            _until(lambda: not reader.trouble)
    assert sorted(entry.signal.id for entry in _entries(settings)) == ["a", "b"]
