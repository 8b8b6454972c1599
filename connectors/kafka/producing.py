"""The producer of whoever writes to the brokers: what it was told is written is on all in-sync replicas, once and in order."""

from __future__ import annotations

from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from connectors.kafka.access import Access

REQUEST_BYTES: Final = 40 * 1024 * 1024  # of one message: a single record may have 32 MiB


async def open_producer(access: Access, client_id: str) -> AIOKafkaProducer:
    """Return a producer that is connected (acks=all, idempotent), on the running loop; raises KafkaError where no broker answers."""
    producer = AIOKafkaProducer(
        **access.stream_options(),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        max_request_size=REQUEST_BYTES,
        max_batch_size=REQUEST_BYTES,
    )
    try:
        await producer.start()
    except KafkaError:
        await producer.stop()
        raise
    return producer
