"""An edge on a real broker: the doors of `serve`, and what is answered stands in the topic."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from app.cluster.edge import EdgeRole
from app.doctor import examine
from app.server import Server
from app.settings import Kafka, Settings
from app.views.duty import duty_figures
from connectors.kafka.topics import Topics
from deploy.kafka.local import LocalKafka
from domain.errors import StoreUnavailable
from domain.frames import Frame, decode
from domain.partitions import Place, partition_of
from domain.principals import Principal
from domain.records import ObjectsEntry, Record, RejectionEntry, RulesetEntry, SignalEntry
from storage import risk
from storage.durability import Durability, durability, keep_durability
from storage.registry import write_objects
from tests.app.world import penalty
from tests.cluster.world import PATIENCE
from tests.factories import make_object

pytestmark = pytest.mark.service("kafka")
PARTITIONS = 3


def _kafka(broker: LocalKafka, prefix: str) -> Kafka:
    return Kafka(bootstrap=broker.bootstrap, prefix=prefix, partitions=PARTITIONS, replicas=1, min_insync=1, reduced_durability=True)


@pytest.fixture
def edge(kafka: LocalKafka, prefix: str, tmp_path: Path) -> Iterator[EdgeRole]:
    """Give an edge that serves."""
    given = _kafka(kafka, prefix)
    with Topics(given.access(), given.layout()) as topics:
        topics.apply()
    with EdgeRole(Settings(data=tmp_path / "edge", port=0, kafka=given)) as role:
        server = Server(role)
        server.start()
        yield role
        server.stop()


def _ask(edge: EdgeRole, path: str, body: bytes | None = None, kind: str = "application/json", token: str = "") -> tuple[int, Any]:
    token = token or (edge.settings.data / "admin-token").read_text().strip()
    headers = {"authorization": f"Bearer {token}", "content-type": kind}
    request = urllib.request.Request(f"{edge.settings.base_url}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _entries(edge: EdgeRole) -> dict[int, Any]:
    """Return every entry of the topic by its number."""
    kafka = edge.settings.kafka
    reader = KafkaConsumer(bootstrap_servers=kafka.bootstrap)
    partitions = [TopicPartition(kafka.layout().topic("frames"), number) for number in range(kafka.partitions)]
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    ends = reader.end_offsets(partitions)
    found = {}
    while any(reader.position(one) < ends[one] for one in partitions):
        for messages in reader.poll(200).values():
            for message in messages:
                frame = decode(message.value)
                assert isinstance(frame, Frame)
                found |= {Place(message.partition, message.offset, nth).seq(): offer.entry for nth, offer in enumerate(frame.offers)}
    reader.close()
    return found


def _signal(identity: str, **kw: Any) -> dict[str, Any]:
    given = {"id": identity, "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T08:00:00+08:00", "object_id": "o-7"}
    return given | kw


def test_accepted_signals_stand_in_the_topic(edge: EdgeRole) -> None:
    """JSON and CloudEvents: 202 with the numbers under which the topic has them; the same again is a duplicate with the same number."""
    status, answer = _ask(edge, "/v1/signals", json.dumps([_signal("a"), _signal("b"), _signal("bad", severity=9)]).encode())
    assert (status, answer["accepted"], answer["rejected"]) == (202, 2, 1)
    event = {"specversion": "1.0", "id": "c", "source": "/city", "type": "gas.leak", "time": "2026-03-01T08:00:00+08:00"}
    status, cloud = _ask(edge, "/v1/signals", json.dumps(event | {"data": {"source": "iot"}}).encode(), "application/cloudevents+json")
    assert (status, cloud["accepted"]) == (202, 1)
    entries = _entries(edge)
    said = {one["id"]: one["seq"] for one in [*answer["results"], *cloud["results"]] if one["status"] == "accepted"}
    assert {entries[seq].signal.id for seq in said.values()} == {"a", "b", "/city#c"}
    assert [entry.reason for entry in entries.values() if isinstance(entry, RejectionEntry)] == ["bad_value"]
    status, again = _ask(edge, "/v1/signals", json.dumps(_signal("a")).encode())
    assert (again["duplicates"], again["results"][0]["seq"]) == (1, said["a"])


def test_raw_records_go_through_their_mapping(edge: EdgeRole) -> None:
    """Rows of a shipped feed become signals of that feed, wrong ones rejections; without a credential nothing is taken."""
    rows = [penalty(1, "0.5"), penalty(2, "0.5", CF_JDRQ="2026-02-30")]
    body = json.dumps(rows, ensure_ascii=False).encode()
    assert _ask(edge, "/v1/feeds/penalties/records", body, token="wrong")[0] == 401
    status, answer = _ask(edge, "/v1/feeds/penalties/records", body)
    assert (status, answer["feed"], answer["accepted"], answer["rejected"]) == (202, "penalties", 1, 1)
    kinds = sorted((type(entry).__name__, entry.feed) for entry in _entries(edge).values())
    assert kinds == [("RejectionEntry", "penalties"), ("SignalEntry", "penalties")]


def test_an_object_that_another_edge_brought_is_known(edge: EdgeRole) -> None:
    """Objects that the tables have got decide about the partition of what comes next."""
    thing = make_object(id="obj-1", code="91610132MA6U0AAAX5")
    with edge.database.write() as connection:
        write_objects(connection, ObjectsEntry(version=1, objects=(thing,)))
    edge.doors.look_at_registry()
    _, answer = _ask(edge, "/v1/signals", json.dumps(_signal("x", object_id="91610132MA6U0AAAX5")).encode())
    [seq] = [one["seq"] for one in answer["results"]]
    entry = _entries(edge)[seq]
    assert isinstance(entry, SignalEntry)
    assert (entry.resolution.object_id, Place.of(seq).partition) == ("obj-1", partition_of("obj-1", PARTITIONS))


def test_the_probes_answer(edge: EdgeRole) -> None:
    """An edge is ready once rules are in force, as `serve` is; what is no route of an edge is not there."""
    status, told = _ask(edge, "/readyz")
    assert (status, "run fengsui rules publish" in told) == (503, True)
    with edge.database.write() as connection:
        risk.apply_records(connection, [Record(seq=1, received_at=edge.clock.now(), entry=RulesetEntry(version="v"))])
    assert _ask(edge, "/readyz")[0] == 200
    status, told = _ask(edge, "/v1/warnings")
    assert (status, "where fengsui api listens" in told) == (404, True)


def test_an_edge_that_nobody_writes_to_is_not_ready_while_the_brokers_are_away(prefix: str, tmp_path: Path) -> None:
    """It knows within seconds, so that a load balancer sends nobody there."""
    (tmp_path / "kafka").mkdir()
    with LocalKafka(tmp_path / "kafka") as mortal:
        given = _kafka(mortal, prefix)
        with Topics(given.access(), given.layout()) as topics:
            topics.apply()
        with EdgeRole(Settings(data=tmp_path / "edge", port=0, kafka=given)) as role:
            assert role.trouble() == ""
            mortal.signal_broker(0, signal.SIGKILL)
            end = time.monotonic() + PATIENCE
            while not role.trouble():
                assert time.monotonic() < end
                time.sleep(0.1)
            assert f"Kafka at {mortal.bootstrap} cannot be reached" in role.unready()


def test_a_browser_at_an_edge_is_told_where_the_console_is(edge: EdgeRole) -> None:
    """An edge has no pages: it asks nobody to sign in to them."""
    request = urllib.request.Request(f"http://127.0.0.1:{edge.settings.port}/", headers={"accept": "text/html"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    with refused.value as answer:
        assert (answer.code, "where fengsui api listens" in answer.read().decode()) == (401, True)


def test_an_edge_with_reduced_durability_is_told_of_by_the_doctor_and_on_the_duty_page(edge: EdgeRole) -> None:
    """What somebody accepted at the start stands in the database; on sound topics the same finding is none."""
    with edge.database.read() as connection:
        assert durability(connection) == Durability(replicas=1, in_sync=1)
        figures = duty_figures(connection, Principal(name="d", role="duty"), edge.clock.now())
    assert figures.durability is not None
    assert figures.durability.reduced
    [found] = [one for one in examine(edge.settings.data, edge.settings.rules, settings=edge.settings) if one.what == "log"]
    assert not found.ok
    assert "1 copies, 1 before" in found.detail
    with edge.database.write() as connection:
        keep_durability(connection, Durability(replicas=3, in_sync=2))
    [found] = [one for one in examine(edge.settings.data, edge.settings.rules, settings=edge.settings) if one.what == "log"]
    assert found.ok


def test_topics_that_are_wrong_keep_an_edge_from_starting(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Missing topics, and too few replicas without the operator's word, are told before anything is taken."""
    given = _kafka(kafka, prefix)
    with pytest.raises(StoreUnavailable, match="run fengsui topics apply"):
        EdgeRole(Settings(data=tmp_path / "a", port=0, kafka=given))
    with Topics(given.access(), given.layout()) as topics:
        topics.apply()
    careful = given.model_copy(update={"reduced_durability": False})
    with pytest.raises(StoreUnavailable, match="--reduced-durability"):
        EdgeRole(Settings(data=tmp_path / "b", port=0, kafka=careful))
