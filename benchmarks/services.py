"""What benches of a cluster stand on: a broker and a PostgreSQL of their own, and the shipped packs with one rule that makes warnings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.local import LocalKafka
from tests.cluster.world import RULES, TOP, Cluster
from tests.conftest import which
from tests.postgres import FAST, PostgresServer


@dataclass(frozen=True, slots=True)
class Services:
    """They end with the bench: `folder` is for what it writes, that of the broker is `kafka_folder`."""

    folder: Path
    kafka_folder: Path
    kafka: LocalKafka
    postgres: PostgresServer

    @contextmanager
    def cluster(self, name: str, partitions: int, rules: str = RULES) -> Iterator[Cluster]:
        """Give a deployment of that name, which is in none of the others' way; its rules are not in force yet."""
        with closing(Cluster(self.kafka, self.postgres.fresh(), name, self.folder / name, partitions=partitions, rules=rules)) as cluster:
            yield cluster


@contextmanager
def postgres_server(settings: Sequence[str] = FAST) -> Iterator[PostgresServer]:
    """Give a server that ends with the bench."""
    server = which("postgres")
    assert server, "PostgreSQL is missing: make services"
    with PostgresServer(Path(server).parent, settings) as postgres:
        yield postgres


@contextmanager
def services(settings: Sequence[str] = FAST) -> Iterator[Services]:
    """Give a broker and a server, which is started with `settings`."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        kafka_folder = folder / "kafka"
        kafka_folder.mkdir()
        kafka = stack.enter_context(LocalKafka(kafka_folder))
        yield Services(folder, kafka_folder, kafka, stack.enter_context(postgres_server(settings)))


def activate_shipped(cluster: Cluster) -> None:
    """Put the shipped packs in force with a rule beside them that makes warnings: three leaks do, which one object in a hundred has."""
    (cluster.rules / "gas.yaml").rename(cluster.rules / "bench.yaml")
    (cluster.rules / "bench.yaml").write_text(RULES.replace("pack: gas", "pack: bench").replace("id: leaks", "id: bench-leaks"))
    for pack in sorted((TOP / "rules/packs").glob("*.yaml")):
        shutil.copy(pack, cluster.rules)
    cluster.activate()
