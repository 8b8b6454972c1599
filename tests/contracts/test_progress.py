"""What the progress of partitions promises, over every kind of database: nothing is done twice, and who is replaced writes nothing."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import insert, select

from app.clock import SystemClock
from domain.clock import ManualClock
from domain.errors import Fenced, StoreUnavailable
from domain.ports import Grant
from storage import progress
from storage.database import Database
from storage.postgres import PostgresDatabase
from storage.progress import SqlProgress
from storage.tables import meta
from tests.factories import T0
from tests.postgres import PostgresServer


@pytest.fixture
def clock() -> ManualClock:
    """Give the time of all."""
    return ManualClock(T0)


def commit(database: Database, grant: Grant, upto: int, key: str) -> Grant:
    """Write one effect with the progress, as a worker does."""
    with database.write() as connection:
        progress.hold(connection, grant)
        connection.execute(insert(meta).values(key=key, value="effect"))
        return progress.move(connection, grant, upto, T0)


def effects(database: Database) -> list[str]:
    """Return the effects that were kept."""
    with database.read() as connection:
        return list(connection.scalars(select(meta.c.key).where(meta.c.value == "effect").order_by(meta.c.key)))


def test_a_partition_begins_before_its_first_message(database: Database, clock: ManualClock) -> None:
    """Nobody had it: no standing, then epoch 1 and offset -1, and each partition has a row of its own."""
    kept = SqlProgress(database, clock)
    assert kept.standing("signals", 3) is None
    assert kept.assign("signals", 3, "a") == Grant(topic="signals", partition=3, epoch=1, offset_done=-1)
    assert kept.standing("signals", 3) == Grant(topic="signals", partition=3, epoch=1, offset_done=-1)
    assert (kept.standing("signals", 4), kept.standing("findings", 3)) == (None, None)


def test_the_offset_is_where_the_next_one_goes_on(database: Database, clock: ManualClock) -> None:
    """What is committed with the effects is what a later assignment is given, under a higher epoch."""
    kept = SqlProgress(database, clock)
    grant = commit(database, kept.assign("signals", 0, "a"), 41, "x")
    assert grant.offset_done == 41
    clock.advance(timedelta(minutes=1))
    assert kept.assign("signals", 0, "b") == Grant(topic="signals", partition=0, epoch=2, offset_done=41)
    assert effects(database) == ["x"]


def test_who_was_replaced_writes_nothing(database: Database, clock: ManualClock) -> None:
    """The old owner is refused with its first statement; its own next assignment lets it write again."""
    kept = SqlProgress(database, clock)
    old = kept.assign("signals", 0, "a")
    new = kept.assign("signals", 0, "b")
    with pytest.raises(Fenced, match=r"partition 0 of signals.*epoch 1"):
        commit(database, old, 5, "zombie")
    commit(database, new, 5, "b")
    with pytest.raises(Fenced):
        commit(database, old, 6, "zombie")
    commit(database, kept.assign("signals", 0, "a"), 6, "c")
    assert effects(database) == ["b", "c"]


def test_a_replacement_in_the_middle_takes_all_with_it(database: Database, clock: ManualClock) -> None:
    """A transaction that finds at its end that the epoch moved on keeps nothing, also what it wrote before."""
    kept = SqlProgress(database, clock)
    old = kept.assign("signals", 0, "a")
    kept.assign("signals", 0, "b")

    def sleepwalk() -> None:
        with database.write() as connection:
            connection.execute(insert(meta).values(key="zombie", value="effect"))
            progress.move(connection, old, 5, T0)

    with pytest.raises(Fenced):
        sleepwalk()
    assert effects(database) == []


def test_an_assignment_waits_for_the_transaction_under_way(database: Database, clock: ManualClock) -> None:
    """The new owner is told of everything that the old one still committed: there is no instant at which both may write."""
    kept = SqlProgress(database, clock)
    old = kept.assign("signals", 0, "a")
    given: list[Grant] = []
    taking = threading.Thread(target=lambda: given.append(kept.assign("signals", 0, "b")))
    with database.write() as connection:
        progress.hold(connection, old)
        taking.start()
        taking.join(timeout=0.2)
        assert given == []
        connection.execute(insert(meta).values(key="last", value="effect"))
        progress.move(connection, old, 9, T0)
    taking.join(timeout=10)
    assert given == [Grant(topic="signals", partition=0, epoch=2, offset_done=9)]
    assert effects(database) == ["last"]


def test_assignments_at_once_get_epochs_of_their_own(database: Database, clock: ManualClock) -> None:
    """Eight processes that take a partition at the same instant: eight epochs, and only the highest may write."""
    kept = SqlProgress(database, clock)
    given: list[Grant] = []
    takers = [threading.Thread(target=lambda name=name: given.append(kept.assign("signals", 0, name))) for name in "abcdefgh"]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(timeout=10)
    given.sort(key=lambda grant: grant.epoch)
    assert [grant.epoch for grant in given] == list(range(1, 9))
    for grant in given[:-1]:
        with pytest.raises(Fenced):
            commit(database, grant, 0, f"zombie-{grant.epoch}")
    commit(database, given[-1], 0, "winner")
    assert effects(database) == ["winner"]


@pytest.mark.service("postgresql")
def test_a_process_that_stands_still_within_a_train_of_statements_holds_nobody_up(postgres: PostgresServer, clock: ManualClock) -> None:
    """The server goes on waiting for such a client for ever; the second assignment has the partition all the same."""
    url = postgres.fresh()
    with closing(PostgresDatabase.connect(url, SystemClock())) as database, closing(psycopg.connect(url)) as sleeper:
        kept = SqlProgress(database, clock)
        with suppress(psycopg.OperationalError), sleeper.pipeline():
            kept.assign("signals", 0, "a")
            kept.assign("signals", 1, "a")
            sleeper.execute("SELECT FROM progress WHERE topic = 'signals' AND partition = 0 FOR UPDATE").fetchall()
            with pytest.raises(StoreUnavailable):
                kept.assign("signals", 0, "b")
            assert kept.assign("signals", 0, "b").epoch == 2
            assert kept.assign("signals", 1, "a").epoch == 2, "its neighbour is as it was"
        assert sleeper.broken, "it wakes to a transaction that is no more"


@pytest.mark.service("postgresql")
def test_an_assignment_that_is_given_up_while_it_waits_changes_nothing(postgres: PostgresServer, clock: ManualClock) -> None:
    """Its row is held by a transaction of the owner; when it is free nobody wants it any more, and the owner writes on."""
    given_up, waits = threading.Event(), threading.Event()
    with PostgresDatabase.connect(postgres.fresh(), SystemClock()) as database:
        kept = SqlProgress(database, clock)
        grant, said = kept.assign("signals", 0, "a"), list[Exception]()

        def assign() -> None:
            waits.set()
            try:
                kept.assign("signals", 0, "b", lambda: not given_up.is_set())
            except Fenced as error:
                said.append(error)

        late = threading.Thread(target=assign)
        with database.write() as connection:
            progress.hold(connection, grant)
            late.start()
            assert waits.wait(10)
            given_up.set()
            grant = progress.move(connection, grant, 3, T0)
        late.join(20)
        assert "partition 0 of signals was given up" in str(said[0])
        assert commit(database, grant, 4, "still").offset_done == 4
        assert kept.standing("signals", 0) == Grant(topic="signals", partition=0, epoch=1, offset_done=4)
