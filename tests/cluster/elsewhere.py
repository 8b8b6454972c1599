"""Topics of another system, and an edge that reads them: what the tests of sources share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import CoordinatorNotAvailableError, NotCoordinatorError

from app.cluster.edge import EdgeRole
from app.settings import Kafka, Settings, Source
from connectors.kafka.topics import Topics
from deploy.kafka.local import LocalKafka
from domain.frames import Frame, decode
from tests.cluster.world import PATIENCE

PARTITIONS = 3
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
        except (CoordinatorNotAvailableError, NotCoordinatorError):  # the first group of a new broker
            committed = {}
        reader = KafkaConsumer(bootstrap_servers=self.bootstrap)
        ends = reader.end_offsets([TopicPartition(topic, number) for number in reader.partitions_for_topic(topic) or ()])
        reader.close()
        return sum(end - max(0, int(committed[place].offset) if place in committed else 0) for place, end in ends.items())


def until(fine: Callable[[], object]) -> None:
    """Return once `fine` says so."""
    end = time.monotonic() + PATIENCE
    while not fine():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def settings_with(kafka: LocalKafka, prefix: str, folder: Path, *sources: Source) -> Settings:
    """Return the settings of an edge that reads `sources`, whose topics are made."""
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


def entries_of(settings: Settings) -> list[Any]:
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


def signal_of(identity: str, **kw: Any) -> dict[str, Any]:
    """Return a canonical signal as another system writes it."""
    given = {"id": identity, "source": "hotline", "kind": "gas.leak", "occurred_at": "2026-03-01T08:00:00+08:00", "object_id": "o-7"}
    return given | kw


def as_json(value: object) -> bytes:
    """Return a message."""
    return json.dumps(value, ensure_ascii=False).encode()


def metric_of(role: EdgeRole, name: str, **labels: str) -> float:
    """Return a metric's value, 0 where it has none yet."""
    return role.metrics.registry.get_sample_value(name, labels) or 0.0
