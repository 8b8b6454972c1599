"""Turns and versions: what several processes do at once follows one another, and no version is given twice; in every database."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from sqlalchemy import make_url

from app.clock import SystemClock
from domain.errors import StoreUnavailable
from domain.records import ObjectsEntry
from storage import registry
from storage.database import Database
from storage.postgres import POOL_SECONDS, WRITERS, PostgresDatabase
from storage.registry import MemoryObjectLookup
from tests.factories import make_object
from tests.postgres import PostgresServer

AT_ONCE = 4
EACH = 5


def imported(doors: list[Database]) -> list[tuple[int, int]]:
    """Import objects over each door at once; return the versions in the order in which the log had them, and who gave each."""
    log: list[tuple[int, int]] = []
    begin = threading.Barrier(len(doors))

    def work(who: int) -> None:
        begin.wait(10)
        for number in range(EACH):
            with doors[who].turn("registry"):
                with doors[who].write() as connection:
                    version = registry.next_version(connection, "registry", registry.registry_version(connection))
                log.append((version, who))
                thing = make_object(id=f"o-{who}-{number}")
                with doors[who].write() as connection:
                    registry.write_objects(connection, ObjectsEntry(version=version, objects=(thing,)))

    with ThreadPoolExecutor(len(doors)) as pool:
        for done in [pool.submit(work, who) for who in range(len(doors))]:
            done.result(60)
    return log


def test_imports_of_several_threads_follow_one_another(database: Database) -> None:
    """Versions come into the log in their order, each once, and a look-up that was there before finds every object."""
    with database.read() as connection:
        lookup = MemoryObjectLookup.of(connection)
    log = imported([database] * AT_ONCE)
    assert [version for version, _ in log] == list(range(1, AT_ONCE * EACH + 1))
    with database.read() as connection:
        lookup.refresh(connection)
    assert all(lookup.by_id(f"o-{who}-{number}") for who in range(AT_ONCE) for number in range(EACH))


@pytest.mark.service("postgresql")
def test_imports_of_several_processes_follow_one_another(postgres: PostgresServer) -> None:
    """As above, each over connections of its own, as two `fengsui api` have them."""
    url = postgres.fresh()
    with ExitStack() as stack:
        doors: list[Database] = [stack.enter_context(PostgresDatabase.connect(url, SystemClock())) for _ in range(2)]
        log = imported(doors)
        assert [version for version, _ in log] == list(range(1, 2 * EACH + 1))
        assert {who for _, who in log} == {0, 1}


def test_a_version_that_nobody_has_seen_yet_is_not_given_again(database: Database) -> None:
    """Its record may be on the way; what is known by other ways counts too, and catalogue and registry are numbered apart."""
    with database.write() as connection:
        given = [registry.next_version(connection, "registry", known) for known in (0, 0, 7, 3)]
        assert given == [1, 2, 8, 9]
        assert registry.next_version(connection, "catalogue", 0) == 1
        assert registry.registry_version(connection) == 0


def test_a_turn_ends_with_an_error(database: Database) -> None:
    """Whoever fails in it does not keep the others waiting."""
    with pytest.raises(RuntimeError, match="mine"), database.turn("registry"):
        raise RuntimeError("mine")
    with database.turn("registry"), database.turn("catalogue"):
        pass


def test_whoever_waits_for_a_turn_leaves_the_others_what_they_write_with(database: Database) -> None:
    """As many as a process has connections wait: the one whose turn it is writes, which takes no time at all."""

    def waits() -> None:
        with suppress(StoreUnavailable), database.turn("registry"):
            pass

    with ThreadPoolExecutor(WRITERS) as pool, database.turn("registry"):
        for _ in range(WRITERS):
            pool.submit(waits)
        time.sleep(0.5)  # they wait by now
        began = time.monotonic()
        with database.write() as connection:
            assert registry.next_version(connection, "registry", 0) == 1
        assert time.monotonic() - began < POOL_SECONDS / 2


def test_a_look_up_that_imported_itself_takes_up_what_others_did_before(database: Database) -> None:
    """It has version 2, which is its own, when the tables show version 1 of another process: that object is found too."""
    mine, theirs = make_object(id="o-mine"), make_object(id="o-theirs")
    with database.read() as connection:
        lookup = MemoryObjectLookup.of(connection)
    lookup.apply(ObjectsEntry(version=2, objects=(mine,)))
    for version, thing in ((1, theirs), (2, mine)):
        with database.write() as connection:
            registry.write_objects(connection, ObjectsEntry(version=version, objects=(thing,)))
        with database.read() as connection:
            lookup.refresh(connection)
    assert (lookup.by_id("o-mine"), lookup.by_id("o-theirs"), lookup.version()) == (mine, theirs, 2)


def _end_session(postgres: PostgresServer, database: Database) -> None:
    """End the session that has a turn, as a server that restarts does, or a firewall that forgets idle connections."""
    name = make_url(database.where).database
    locks = "pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' AND d.datname = %s"
    query = f"SELECT pg_terminate_backend(l.pid) FROM {locks}".encode()
    with postgres.admin() as admin:
        assert admin.execute(query, (name,)).fetchall() == [(True,)]


def _lose_a_turn(postgres: PostgresServer, database: Database, error: Exception | None = None) -> None:
    with database.turn("registry"):
        _end_session(postgres, database)
        with database.write() as connection:
            registry.next_version(connection, "registry", 0)
        if error is not None:
            raise error


@pytest.mark.service("postgresql")
def test_a_turn_that_was_lost_says_that_everything_was_done(postgres: PostgresServer) -> None:
    """Not that the database is away, nor that nothing was done: it names the turn, and what to do; the next one has a sound connection."""
    with PostgresDatabase.connect(postgres.fresh(), SystemClock()) as database:
        with pytest.raises(StoreUnavailable) as found:
            _lose_a_turn(postgres, database)
        assert "all was done and is kept" in str(found.value)
        assert "turn at registry was lost" in str(found.value)
        with pytest.raises(RuntimeError, match="mine"):
            _lose_a_turn(postgres, database, RuntimeError("mine"))
        with database.turn("registry"), database.write() as connection:
            assert registry.next_version(connection, "registry", 0) == 3, "what was done in the lost turn is kept"


@pytest.mark.service("postgresql")
def test_a_turn_that_never_came_says_that_nothing_was_done(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for longer than its patience hears that somebody else is at it, and not of statements."""
    monkeypatch.setattr("storage.postgres.LOCK_SECONDS", 1)
    url = postgres.fresh()
    with PostgresDatabase.connect(url, SystemClock()) as one, PostgresDatabase.connect(url, SystemClock()) as other, one.turn("registry"):
        with pytest.raises(StoreUnavailable) as found, other.turn("registry"):
            pytest.fail("it is not its turn")
        assert "somebody else was at registry for longer than 1 s; nothing was done" in str(found.value)
