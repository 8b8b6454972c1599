"""Silent feeds of a cluster: one duty role marks them, in every partition, and another one takes over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.cluster.silence import OFFICE, ElectedSilence
from app.pipelines import load_mappings
from app.silence import GRACE
from deploy.kafka.local import LocalKafka
from domain.records import FeedEntry
from storage.database import Database
from storage.heard import heard, hold_office, note_heard
from storage.intake_reads import feeds_status
from tests.app.offices import WALL
from tests.cluster.world import Cluster, leak
from tests.factories import T0
from tests.postgres import PostgresServer

FEED = "complaints-12315"
LIMIT = load_mappings(None)[FEED].silent_after or timedelta(0)


class Later:
    """The real clock, moved on by hand."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def now(self) -> datetime:
        return WALL.now() + self.by


@pytest.fixture
def cluster(kafka: LocalKafka, postgres: PostgresServer, prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    """Give a deployment with three partitions and a worker."""
    made = Cluster(kafka, postgres.fresh(), prefix, tmp_path / "cluster", partitions=3)
    made.activate()
    made.start()
    yield made
    made.close()


def _marks(cluster: Cluster) -> list[list[str]]:
    """Return the marks of the feed in each partition, in order."""
    logs = [[offer.entry for _, _, frame in cluster.log_of(number) for offer in frame.offers] for number in range(3)]
    return [[one.mark for one in log if isinstance(one, FeedEntry) and one.feed == FEED] for log in logs]


def _silent(cluster: Cluster) -> bool:
    with cluster.database.read() as connection:
        return any(one.feed == FEED and one.silent_since is not None for one in feeds_status(connection))


@pytest.mark.service("kafka", "postgresql")
def test_a_silent_feed_is_marked_once_in_every_partition_and_back_when_an_edge_hears_it(cluster: Cluster) -> None:
    """One of two roles marks it; the other takes the office over where the first is gone, and marks nothing again."""
    assert LIMIT > GRACE
    mappings, clock = load_mappings(None), Later()
    one, other = (ElectedSilence(cluster.database, mappings, cluster.intake, clock, name) for name in ("one", "other"))
    cluster.send([leak(number, feed=FEED) for number in range(3)])
    cluster.await_done()
    assert (one.look(), other.look()) == (True, False)
    assert _marks(cluster) == [[], [], []]
    clock.by = LIMIT + GRACE
    with cluster.database.write() as connection:
        note_heard(connection, {FEED: clock.now() - LIMIT / 2})
    assert one.look()
    assert _marks(cluster) == [[], [], []], "an edge heard it, though no row says so yet"
    clock.by += LIMIT
    assert (one.look(), other.look()) == (True, False)
    assert _marks(cluster) == [["silent"]] * 3
    cluster.until(lambda: _silent(cluster))
    clock.by += OFFICE + timedelta(seconds=1)
    assert (other.look(), one.look()) == (True, False)
    assert _marks(cluster) == [["silent"]] * 3
    with cluster.database.write() as connection:
        note_heard(connection, {FEED: clock.now()})
    assert other.look()
    assert _marks(cluster) == [["silent", "back"]] * 3
    cluster.until(lambda: not _silent(cluster))


def test_what_was_heard_later_stays(database: Database) -> None:
    """Two edges write in any order; each feed has its latest instant."""
    later = T0 + timedelta(seconds=5)
    with database.write() as connection:
        note_heard(connection, {"a": later, "b": T0})
        note_heard(connection, {"a": T0, "b": later})
    with database.read() as connection:
        assert heard(connection) == {"a": later, "b": later}


def test_an_office_is_one_s_until_its_time_is_over(database: Database) -> None:
    """Whoever holds it keeps it by asking again; another one has it from the end on."""
    with database.write() as connection:
        assert hold_office(connection, "x", "a", T0, T0 + OFFICE)
        assert not hold_office(connection, "x", "b", T0, T0 + OFFICE)
        assert hold_office(connection, "x", "a", T0 + OFFICE / 2, T0 + OFFICE * 1.5)
        assert not hold_office(connection, "x", "b", T0 + OFFICE, T0 + OFFICE * 2)
        assert hold_office(connection, "y", "b", T0, T0 + OFFICE)
        assert hold_office(connection, "x", "b", T0 + OFFICE * 1.5, T0 + OFFICE * 3)
