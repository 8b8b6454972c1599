"""What was counted beforehand for areas, in a real PostgreSQL that goes away while a worker takes it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random

import pytest

from domain.partitions import partition_of
from domain.records import Prepared, Record, RulesetEntry, TickEntry
from domain.signals import ObjectRef
from storage import backfills
from storage.database import Database
from streams.runtimes.groups_past import GroupsPast
from tests.factories import T0, make_entry
from tests.postgres import PostgresServer
from tests.streams.test_group_partitions import SOURCES, Deployment, counted_beforehand, told

pytestmark = pytest.mark.service("postgresql")


class Stored:
    """The parts of a back-fill in a database, each read when it is wanted; after so many of them something happens."""

    def __init__(self, database: Database, name: str, after: int, happens: Callable[[], None]) -> None:
        self._database = database
        self._name = name
        self._after = after
        self._happens = happens
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        with self._database.read() as connection:
            parts = backfills.load(connection, self._name)
            while True:
                if self.given == self._after:
                    self._happens()
                if (part := next(parts, None)) is None:
                    return
                self.given += 1
                yield part


def leak(deployment: Deployment, hour: int, number: int) -> None:
    """Send a leak of one street about an object of partition `number`."""
    about = next(f"o-{n}" for n in range(100) if partition_of(f"o-{n}", SOURCES) == number)
    entry = make_entry(
        id=f"s-{hour}", object=ObjectRef(id=about), occurred_at=T0 + timedelta(hours=hour), region="610113001", kind="gas.leak"
    )
    deployment.send(Record(seq=1, received_at=T0 + timedelta(hours=hour), entry=entry))


@pytest.mark.parametrize("away_after", [0, 1, 2, None])
def test_a_database_that_goes_away_while_it_is_taken_up_ends_no_worker(
    away_after: int | None, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first part, or behind some: the logs are read instead, and all that is said is what it is with it."""
    monkeypatch.setattr(backfills, "ROWS", 1)  # each part is asked for by itself, as those of a large one are
    made = Deployment(Random(1))
    made.send(Record(seq=1, received_at=T0, entry=RulesetEntry(version="few")))
    leak(made, 1, 1)
    made.send(Record(seq=1, received_at=T0 + timedelta(hours=2), entry=TickEntry()))
    made.run(trouble=False)
    counted_beforehand(made, "plain-v1")
    heard: list[str] = []
    sound = GroupsPast.artifact
    monkeypatch.setattr(GroupsPast, "artifact", lambda self, name: heard.append(name) or sound(self, name))
    with postgres.open() as database:
        with database.write() as connection:
            for name, parts in made.areas.artifacts.items():
                backfills.keep(connection, name, parts)
        area = next(name for name in made.areas.artifacts if name.endswith("/areas"))
        lost = Stored(database, area, -1 if away_after is None else away_after, postgres.stop)
        made.areas.artifacts[area] = lost  # type: ignore[assignment]  # iterated as a list is
        try:
            made.send(Record(seq=1, received_at=T0 + timedelta(hours=3), entry=RulesetEntry(version="v1", prepared=Prepared(first=1))))
            leak(made, 4, 2)
            told(made)
            made.run(trouble=False)
        finally:
            if away_after is not None:
                postgres.start()
    assert heard
    assert lost.given == away_after if away_after is not None else lost.given > 2
    assert made.found() == made.expected()
    assert made.found()["region:610113"]
