"""What several duty loops that share a database are promised, over every kind of it: each thing is one loop's at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from dispatch.route import route
from domain.tasks import Timer
from storage import audit, obligations, outbox
from storage.database import Database
from tests.dispatch.timeline import CATALOGUE, Story
from tests.factories import T0, make_warning

LEASE = timedelta(seconds=60)


def letters(database: Database, count: int) -> None:
    """Write deliveries to as many endpoints."""
    with database.write() as connection:
        for n in range(count):
            letter = outbox.Delivery(
                id=f"n{n:03}", warning_id="w1", task_id="", recipient="d", event="x", endpoint_id=f"e{n}", body=b"{}", created_at=T0
            )
            assert outbox.add(connection, [letter])
            assert not outbox.add(connection, [letter]), "the same thing is told once"


def at_once(*acts: Callable[[], None]) -> None:
    """Run acts in threads of their own and wait for all of them."""
    failed: list[BaseException] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], None]) -> None:
        start.wait(10)
        try:
            act()
        except BaseException as error:  # noqa: BLE001  shown below, in the thread of the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []


def test_loops_that_claim_at_once_share_the_deliveries(database: Database) -> None:
    """Four loops, forty deliveries, ten at a time: each is claimed once, by one of them."""
    letters(database, 40)
    claimed: list[tuple[str, str]] = []

    def loop(owner: str) -> None:
        for _ in range(4):
            with database.write() as connection:
                claimed.extend((one.id, owner) for one in outbox.claim(connection, T0, LEASE, 10, owner))

    at_once(*(lambda owner=owner: loop(owner) for owner in "abcd"))
    while len(claimed) < 40:  # a loop that found all of the first ones taken went away with fewer
        loop("e")
    assert sorted(id_ for id_, _ in claimed) == [f"n{n:03}" for n in range(40)]


def test_a_lease_that_ran_out_is_anothers_with_the_same_id(database: Database) -> None:
    """Whoever claims after the end gets the delivery, id and all; not an instant before."""
    letters(database, 1)
    with database.write() as connection:
        [first] = outbox.claim(connection, T0, LEASE, 10, "a")
        assert outbox.claim(connection, T0 + LEASE - timedelta(seconds=1), LEASE, 10, "b") == []
        [again] = outbox.claim(connection, T0 + LEASE, LEASE, 10, "b")
    assert (again.id, again.attempt) == (first.id, first.attempt) == ("n000", 0)


def test_who_lost_its_lease_cannot_fail_what_another_sends(database: Database) -> None:
    """A failure that comes late changes nothing; a success that comes late is one."""
    letters(database, 1)
    row = outbox.AttemptRow(delivery_id="n000", n=1, at=T0, status=500, detail="late")
    with database.write() as connection:
        outbox.claim(connection, T0, LEASE, 10, "a")
        outbox.claim(connection, T0 + LEASE, LEASE, 10, "b")
        assert not outbox.record_attempt(connection, row, next_at=None, state="dead", owner="a")
        assert outbox.get(connection, "n000").lease_owner == "b"
        assert outbox.record_attempt(connection, row, next_at=None, state="sent", owner="a")
        assert outbox.get(connection, "n000").state == "sent"


def test_a_loop_that_starts_again_gives_back_its_own_leases_and_no_others(database: Database) -> None:
    """What it had claimed is due at once; what others send goes on."""
    letters(database, 2)
    with database.write() as connection:
        outbox.claim(connection, T0, LEASE, 1, "a")
        outbox.claim(connection, T0, LEASE, 1, "b")
        outbox.release_leases(connection, "a")
        assert [one.id for one in outbox.claim(connection, T0, LEASE, 10, "c")] == ["n000"]


def test_owed_entries_are_submitted_by_one_loop_at_a_time(database: Database) -> None:
    """Claimed by one, not by the next until the lease runs out or is given back; forgotten by name, whatever came in between."""
    with database.write() as connection:
        for entry in (b"one", b"two"):
            obligations.owe_entries(connection, [entry])
        claimed = obligations.claim_owed(connection, T0, LEASE, "a")
        assert [entry for _, entry in claimed] == [b"one", b"two"]
        obligations.owe_entries(connection, [b"three"])
        assert [entry for _, entry in obligations.claim_owed(connection, T0, LEASE, "b")] == [b"three"]
        obligations.paid(connection, [claimed[0][0]])
        obligations.release_owed(connection, [claimed[1][0]])
        assert [entry for _, entry in obligations.claim_owed(connection, T0, LEASE, "b")] == [b"two"]
        assert [entry for _, entry in obligations.claim_owed(connection, T0 + LEASE, LEASE, "c")] == [b"two", b"three"]


def test_an_entry_written_by_a_transaction_that_ended_late_is_not_forgotten(database: Database) -> None:
    """Numbers are given before a commit: the one with the smaller number may appear after the larger was paid."""
    if database.where.startswith("postgresql"):
        with database.write() as slow:
            obligations.owe_entries(slow, [b"slow"])

            def quick() -> None:
                with database.write() as connection:
                    obligations.owe_entries(connection, [b"quick"])
                with database.write() as connection:
                    obligations.paid(connection, [id_ for id_, _ in obligations.claim_owed(connection, T0, LEASE, "a")])

            at_once(quick)
    else:
        with database.write() as connection:
            obligations.owe_entries(connection, [b"slow"])
    with database.read() as connection:
        assert [entry for _, entry in obligations.owed(connection)] == [b"slow"]


@pytest.fixture
def timer(database: Database) -> Timer:
    """Give a due timer of a routed case."""
    case = route(make_warning(id="w1"), CATALOGUE, Story().context, T0).case
    due = Timer(id="m1", warning_id=case.id, task_id="", kind="total", what="due", due_at=T0, version=1)
    with database.write() as connection:
        obligations.add_cases(connection, [case])
        obligations.put_timers(connection, [due])
    return due


def test_loops_that_fire_at_once_fire_a_timer_once(database: Database, timer: Timer) -> None:
    """All find it due, one gets it, and none waits long."""
    fired: list[str] = []

    def loop(owner: str) -> None:
        with database.write() as connection:
            if obligations.hold_due(connection, timer.id) is not None:
                assert obligations.end_timer(connection, timer.id, "fired", T0)
                fired.append(owner)

    at_once(*(lambda owner=owner: loop(owner) for owner in "abcdefgh"))
    assert len(fired) == 1
    with database.read() as connection:
        assert obligations.due_timers(connection, T0, 10) == []


def test_a_loop_that_dies_in_the_middle_leaves_the_timer_due(database: Database, timer: Timer) -> None:
    """Its transaction is gone and the hold with it: the next loop fires at once."""

    def die() -> None:
        with database.write() as connection:
            assert obligations.hold_due(connection, timer.id) is not None
            obligations.end_timer(connection, timer.id, "fired", T0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die()
    with database.write() as connection:
        assert obligations.hold_due(connection, timer.id) is not None


def test_decisions_about_one_warning_follow_one_another(database: Database, timer: Timer) -> None:
    """Eight people who act on one case at once: each reads what the one before wrote, no version is lost, the chain is whole."""

    def act(actor: str) -> None:
        with database.write() as connection:
            case = obligations.hold_case(connection, timer.warning_id)
            assert case is not None
            changed = msgspec.structs.replace(case, version=case.version + 1)
            obligations.set_cases(connection, [(changed, case.version)])
            audit.append(connection, case.id, T0, actor, "acted", {"version": changed.version})

    at_once(*(lambda actor=actor: act(actor) for actor in "abcdefgh"))
    with database.read() as connection:
        found = audit.trail(connection, timer.warning_id)
        assert (len(found), audit.verify(found), audit.verify_all(connection)) == (8, "", {})
        case = obligations.get_case(connection, timer.warning_id)
        assert case is not None
        assert case.version == 9
