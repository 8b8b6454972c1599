"""Topics that were made anew under a database that knows the old ones."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest
from kafka.admin import KafkaAdminClient

from app.doctor import _cluster
from app.settings import Kafka
from connectors.kafka.topics import Topics
from domain.errors import StoreUnavailable
from storage.progress import holdings
from streams.runtimes.faust_worker import STUCK
from tests.cluster.world import Make, leak


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_a_log_that_was_made_anew_stops_the_worker(make: Make) -> None:
    """Topics that were deleted and made again under a database that knows the old ones: nothing passes for done, the worker says so."""
    cluster = make()
    cluster.activate()
    cluster.start("first")
    for number in range(4):
        cluster.send([leak(number)])
    cluster.await_done()
    assert cluster.kill("first", signal.SIGTERM) == 0
    kafka = cluster.settings.kafka
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.delete_topics([cluster.topic])
    cluster.until(lambda: bool(_made_again(kafka)))
    cluster.send([leak(100)])
    cluster.start("second")
    assert cluster.workers["second"].wait(120) == STUCK
    assert "5 are done" in cluster.log("second")
    with cluster.database.read() as connection:
        assert "5 are done" in _cluster(cluster.settings, holdings(connection)).detail


def _made_again(kafka: Kafka) -> list[str]:
    """Return what was made, nothing while the brokers still delete."""
    with suppress(StoreUnavailable), Topics(kafka.access(), kafka.layout()) as topics:
        return topics.apply()
    return []
