"""One Apache Kafka broker for all tests of a process; each test has topics, and deployments, of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from deploy.kafka.local import KafkaMissing, LocalKafka
from tests.cluster.elsewhere import Elsewhere
from tests.cluster.tls import Secrets, make_secrets
from tests.cluster.world import Cluster, Make
from tests.conftest import must_have
from tests.postgres import PostgresServer

_numbers = count(1)


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    """Return what the secured listener and its clients need: an authority, the broker's key, a user with a password."""
    return make_secrets(tmp_path_factory.mktemp("kafka-secrets"))


@pytest.fixture(scope="session")
def kafka(service: Callable[[str], Path], secrets: Secrets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Return a running broker with a plain listener and one with TLS and passwords."""
    service("kafka")
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"), protocol="SASL_SSL", extra=secrets.broker_settings())
    try:
        broker.start()
    except KafkaMissing as trouble:
        broker.stop()
        if must_have():
            pytest.fail(str(trouble), pytrace=False)
        pytest.skip(str(trouble))
    yield broker
    broker.stop()


@pytest.fixture
def elsewhere(kafka: LocalKafka) -> Elsewhere:
    """Return the other system's brokers, which are ours too."""
    return Elsewhere(kafka.bootstrap)


@pytest.fixture
def prefix() -> str:
    """Return the beginning of the names of this test's topics."""
    return f"t{next(_numbers)}"


@pytest.fixture
def make(kafka: LocalKafka, postgres: PostgresServer, prefix: str, tmp_path: Path) -> Iterator[Make]:
    """Return what makes a deployment; each ends with the test."""
    made: list[Cluster] = []

    def one(**kw: int) -> Cluster:
        made.append(Cluster(kafka, postgres.fresh(), f"{prefix}-{len(made)}", tmp_path / str(len(made)), **kw))
        return made[-1]

    yield one
    for cluster in made:
        cluster.close()
