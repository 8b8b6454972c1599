"""What a runtime over partitions is promised of its commits, over every kind of database."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from app.commit import Consequences, PartitionedCommit
from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from app.settings import SHIPPED_POLICIES
from domain.clock import ManualClock
from domain.errors import Conflict, Fenced
from domain.findings import WarningRaised
from domain.ports import Grant
from storage.calendars import load_calendar
from storage.database import Database
from storage.duty_tables import cases, outbox
from storage.progress import SqlProgress
from storage.tables import signals, warnings
from tests.factories import T0, make_record, make_warning

ONE, TWO = WarningRaised(warning=make_warning(id="w1")), WarningRaised(warning=make_warning(id="w2", subject="o-2"))


@pytest.fixture
def clock() -> ManualClock:
    """Give the time of all."""
    return ManualClock(T0)


@pytest.fixture
def commit(database: Database, clock: ManualClock) -> PartitionedCommit:
    """Give the commit of a worker."""
    writer = EffectWriter(base_url="https://x.example", link_key=b"k" * 32)
    desk = Desk(load_calendar([T0.year, T0.year + 1]), SHIPPED_POLICIES)
    return PartitionedCommit(database, Consequences(desk, writer, clock, Metrics()), clock)


@pytest.fixture
def grant(database: Database, clock: ManualClock) -> Grant:
    """Give a first assignment."""
    return SqlProgress(database, clock).assign("signals", 0, "a")


def counts(database: Database) -> list[int]:
    """Return the number of signals, warnings, cases and messages."""
    with database.read() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in (signals, warnings, cases, outbox)]


def test_effects_and_offset_are_one(database: Database, clock: ManualClock, commit: PartitionedCommit, grant: Grant) -> None:
    """Records, findings, case and message are there with the offset; messages without records move it too."""
    moved = commit(grant, 4, [make_record(1, id="s-1")], [ONE])
    [*made, told] = counts(database)
    assert (moved.offset_done, made, told > 0) == (4, [1, 1, 1], True)
    assert commit(moved, 9, [], []).offset_done == 9
    assert SqlProgress(database, clock).standing("signals", 0) == Grant(topic="signals", partition=0, epoch=1, offset_done=9)


def test_the_same_call_again_changes_nothing(database: Database, commit: PartitionedCommit, grant: Grant) -> None:
    """Whoever does not know whether the first call was committed repeats it and is told how far it is."""
    arguments = (grant, 4, [make_record(1, id="s-1")], [ONE])
    commit(*arguments)
    before = counts(database)
    assert commit(*arguments).offset_done == 4
    assert counts(database) == before


def test_a_call_that_overlaps_what_is_done_is_refused(database: Database, commit: PartitionedCommit, grant: Grant) -> None:
    """Another cut of the same messages would write some of them twice: it has to begin behind what is done."""
    commit(grant, 4, [make_record(1, id="s-1")], [ONE])
    before = counts(database)
    with pytest.raises(Conflict, match="done up to 4, not -1"):
        commit(grant, 7, [make_record(1, id="s-1"), make_record(2, id="s-2")], [ONE, TWO])
    assert counts(database) == before


def test_who_was_replaced_leaves_no_trace(database: Database, clock: ManualClock, commit: PartitionedCommit, grant: Grant) -> None:
    """No record, no warning, no case, no message of a process whose partition went to another; the other one goes on."""
    new = SqlProgress(database, clock).assign("signals", 0, "b")
    with pytest.raises(Fenced):
        commit(grant, 4, [make_record(1, id="s-1")], [ONE])
    assert counts(database) == [0, 0, 0, 0]
    commit(new, 4, [make_record(1, id="s-1")], [ONE])
    assert counts(database)[:3] == [1, 1, 1]


def test_partitions_do_not_wait_for_each_other(database: Database, clock: ManualClock, commit: PartitionedCommit, grant: Grant) -> None:
    """Each has its own offset and epoch."""
    other = SqlProgress(database, clock).assign("signals", 1, "b")
    commit(grant, 4, [make_record(1, id="s-1")], [ONE])
    commit(other, 0, [make_record(2, id="s-2")], [TWO])
    found = [SqlProgress(database, clock).standing("signals", partition) for partition in (0, 1)]
    assert [one.offset_done for one in found if one is not None] == [4, 0]
    assert counts(database)[:3] == [2, 2, 2]
