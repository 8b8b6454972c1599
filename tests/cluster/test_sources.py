"""Topics of other systems as doors of an edge, on a real broker: what a message becomes, and what a source has to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cluster import sources as doors
from app.cluster.edge import EdgeRole
from app.doctor import examine
from app.settings import Source
from connectors.inbound.envelope import Message
from connectors.kafka import sources as reading
from deploy.kafka.local import LocalKafka
from domain.errors import FileProblems
from domain.records import FeedEntry, ObjectsEntry, RejectionEntry, SignalEntry
from storage.registry import write_objects
from tests.app.world import GAS, penalty
from tests.cluster.elsewhere import PARTITIONS, Elsewhere, as_json, entries_of, metric_of, settings_with, signal_of, until
from tests.cluster.tls import USER, Secrets
from tests.factories import make_object

pytestmark = pytest.mark.service("kafka")


def test_canonical_signals_and_cloud_events_in_both_modes(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """JSON, a list, NDJSON, CloudEvents structured and binary become signals; a broken message a kept rejection, a tombstone nothing."""
    topic = elsewhere.make(f"{prefix}.platform")
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    event = {"specversion": "1.0", "source": "/iot", "type": "gas.leak", "time": "2026-03-01T08:00:00+08:00"}
    binary = [(f"ce_{name}", value.encode()) for name, value in (event | {"id": "b"}).items()]
    elsewhere.send(
        topic,
        as_json(signal_of("one")),
        as_json([signal_of("two"), signal_of("bad", severity=9)]),
        as_json(signal_of("three")) + b"\n" + as_json(signal_of("four")),
        (as_json(event | {"id": "s", "data": {"source": "iot"}}), [("content-type", b"application/cloudevents+json; charset=utf-8")]),
        (as_json({"source": "iot", "value": 12.5}), [*binary, ("content-type", b"application/json")]),
        (b"\xff\x00", binary),
        None,
        b'{"id": "cut',
        as_json(signal_of("last")),
    )
    group = settings.kafka.group_of(settings.kafka.sources[0])
    with EdgeRole(settings) as role:
        until(lambda: elsewhere.behind(topic, group) == 0)
        labels = {"feed": "signals", "topic": topic}
        assert metric_of(role, "fengsui_source_messages_total", outcome="taken", **labels) == 8
        assert metric_of(role, "fengsui_source_messages_total", outcome="skipped", **labels) == 1
        assert metric_of(role, "fengsui_records_total", feed="signals", outcome="accepted") == 7
        assert metric_of(role, "fengsui_records_total", feed="signals", outcome="rejected") == 3
        assert (role.sources.readers[0].lag, role.sources.readers[0].trouble, role.trouble()) == (0, "", "")
    entries = entries_of(settings)
    signals = {entry.signal.id: entry.signal for entry in entries if isinstance(entry, SignalEntry)}
    assert sorted(signals) == ["/iot#b", "/iot#s", "four", "last", "one", "three", "two"]
    assert signals["/iot#b"].value == 12.5
    refused = sorted((entry.reason, entry.field) for entry in entries if isinstance(entry, RejectionEntry))
    assert refused == [("bad_structure", ""), ("bad_type", "data"), ("bad_value", "severity")]


def test_raw_records_go_through_the_mapping_of_their_feed(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """By a shipped mapping, plain or as the data of a CloudEvent; what is wrong is a kept rejection; order is that of the topic."""
    topic = elsewhere.make(f"{prefix}.penalties")
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=topic, feed="penalties"))
    wrapped = {"specversion": "1.0", "id": "x", "source": "/credit", "type": "penalty", "data": penalty(3)}
    with EdgeRole(settings) as role:
        with role.database.write() as connection:
            write_objects(connection, ObjectsEntry(version=1, objects=(make_object(id="o-1", code=GAS),)))
        role.doors.look_at_registry()
        elsewhere.send(
            topic,
            as_json(penalty(1)),
            as_json([penalty(2), penalty(9, CF_JDRQ="2026-02-30")]),
            (as_json(wrapped), [("content-type", b"application/cloudevents+json")]),
            (as_json(penalty(4)), [("content-type", b"application/octet-stream")]),
            b"not a record",
            as_json(penalty(5)),
        )
        until(lambda: elsewhere.behind(topic, settings.kafka.group_of(settings.kafka.sources[0])) == 0)
    entries = entries_of(settings)
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
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    [found] = [one for one in examine(tmp_path, settings.rules, settings=settings) if one.what == "source"]
    assert (found.ok, f"来源主题 {topic}" in found.detail, "there is no such topic" in found.detail) == (False, True, True)
    variables = {"FENGSUI_KAFKA__SOURCES": as_json([{"topic": topic, "feed": "signals"}]).decode(), "FENGSUI_KAFKA__REPLICAS": "1"}
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
    with EdgeRole(settings) as role:
        [reader] = role.sources.readers
        until(lambda: reader.trouble)
        assert "there is no such topic" in reader.trouble
        assert role.trouble() == ""
        assert metric_of(role, "fengsui_source_trouble", feed="signals", topic=topic) == 1.0
        elsewhere.make(topic)
        elsewhere.send(topic, as_json(signal_of("a")))
        until(lambda: elsewhere.behind(topic, f"{prefix}.signals.{topic}") == 0)
        until(lambda: not reader.trouble)
    assert [entry.signal.id for entry in entries_of(settings)] == ["a"]
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
    settings = settings_with(kafka, prefix, tmp_path / "edge", source)
    elsewhere.send(topic, as_json(signal_of("a")))
    with EdgeRole(settings) as role:
        [reader] = role.sources.readers
        until(lambda: reader.trouble)
        assert f"refuses user {USER}" in reader.trouble
        assert role.trouble() == ""
    password.write_text(secrets.password.read_text())
    with EdgeRole(settings):
        until(lambda: elsewhere.behind(topic, f"{prefix}.signals.{topic}") == 0)
    assert [entry.signal.id for entry in entries_of(settings)] == ["a"]


def test_our_own_topics_are_no_source(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Named by other addresses of the same brokers too: a loop would write what it reads."""
    port = kafka.bootstrap.rpartition(":")[2]
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=f"{prefix}.events", feed="signals", bootstrap=f"localhost:{port}"))
    with EdgeRole(settings) as role:
        [reader] = role.sources.readers
        until(lambda: reader.trouble)
        assert "this deployment's own" in reader.trouble


def test_a_source_of_a_feed_without_a_mapping_is_refused(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Its raw records could not be read; the message has the feeds that can be. What was opened is closed: it may be tried again."""
    settings = settings_with(kafka, prefix, tmp_path, Source(topic="t", feed="hotline"))
    refused = []
    for _ in range(2):
        with pytest.raises(FileProblems, match="hotline-12345") as told:
            EdgeRole(settings)
        refused.append(told)  # with all that the first one still holds


def test_an_empty_message_is_a_sign_of_life(kafka: LocalKafka, elsewhere: Elsewhere, prefix: str, tmp_path: Path) -> None:
    """A feed with a limit that sends an empty list has nothing to report, and is not silent."""
    topic = elsewhere.make(f"{prefix}.alive")
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=topic, feed="iot-json"))
    elsewhere.send(topic, b"[]")
    with EdgeRole(settings):
        until(lambda: elsewhere.behind(topic, f"{prefix}.iot-json.{topic}") == 0)
    entries = entries_of(settings)
    assert {(type(entry), entry.feed, entry.mark) for entry in entries} == {(FeedEntry, "iot-json", "complete")}


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
    settings = settings_with(kafka, prefix, tmp_path, Source(topic=topic, feed="signals"))
    elsewhere.send(topic, as_json(signal_of("a")), b"deadly", as_json(signal_of("b")))
    with EdgeRole(settings):
        until(lambda: elsewhere.behind(topic, f"{prefix}.signals.{topic}") == 0)
    entries = entries_of(settings)
    assert {entry.signal.id for entry in entries if isinstance(entry, SignalEntry)} == {"a", "b"}
    [refused] = [entry for entry in entries if isinstance(entry, RejectionEntry)]
    assert (refused.reason, "ZeroDivisionError: of a test" in refused.message) == ("bad_structure", True)
