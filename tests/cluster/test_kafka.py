"""The broker that the other tests use is Apache Kafka, and it keeps what it acknowledged."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.kafka.local import LocalKafka

pytestmark = pytest.mark.service("kafka")


def test_what_was_acknowledged_is_read_back_in_order(kafka: LocalKafka, prefix: str) -> None:
    """A thousand messages that the broker acknowledged come back, each once and in order, from the partition that they were sent to."""
    topic = f"{prefix}-order"
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic(topic, 2, 1)])

    async def there_and_back() -> list[bytes | None]:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True) as producer:
            sent = [await producer.send(topic, str(number).encode(), partition=1) for number in range(1000)]
            await asyncio.gather(*sent)
        async with AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest") as consumer:
            return [(await consumer.getone()).value for _ in range(1000)]

    assert asyncio.run(asyncio.wait_for(there_and_back(), 30)) == [str(number).encode() for number in range(1000)]
