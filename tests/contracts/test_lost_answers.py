"""A commit of which nobody knows whether it happened: calling again is right in both cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from app.clock import SystemClock
from app.commit import Consequences, PartitionedCommit
from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from app.settings import SHIPPED_POLICIES
from domain.errors import StoreUnavailable
from domain.findings import WarningRaised
from storage.calendars import load_calendar
from storage.database import Database
from storage.duty_tables import cases, outbox
from storage.postgres import PostgresDatabase
from storage.progress import SqlProgress
from storage.tables import signals, warnings
from tests.cutting import CuttingProxy, When
from tests.factories import T0, make_record, make_warning

if TYPE_CHECKING:
    from tests.postgres import PostgresServer


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[CuttingProxy]:
    """Give a proxy before the server."""
    with CuttingProxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def far(postgres: PostgresServer, proxy: CuttingProxy, tmp_path: Path) -> Iterator[Database]:
    """Give a database behind the proxy."""
    from tests.postgres import PASSWORD  # noqa: PLC0415  it brings the driver

    name = postgres.fresh().partition("@/")[2].partition("?")[0]
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    with PostgresDatabase.connect(f"postgresql://fengsui@127.0.0.1:{proxy.port}/{name}", SystemClock(), password_file=secret) as database:
        yield database


def counts(database: Database) -> list[int]:
    """Return the number of signals, warnings, cases and messages."""
    with database.read() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in (signals, warnings, cases, outbox)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_is_lost_is_made_once(far: Database, proxy: CuttingProxy, when: When) -> None:
    """Lost before the server heard it or after it had done it: StoreUnavailable, and the same call again leaves everything once."""
    clock = SystemClock()
    writer = EffectWriter(base_url="https://x.example", link_key=b"k" * 32)
    desk = Desk(load_calendar([clock.now().year, clock.now().year + 1]), SHIPPED_POLICIES)
    commit = PartitionedCommit(far, Consequences(desk, writer, clock, Metrics()), clock)
    progress = SqlProgress(far, clock)
    grant = progress.assign("signals", 0, "a")
    arguments = (grant, 4, [make_record(1, id="s-1")], [WarningRaised(warning=make_warning(id="w1"))])
    proxy.cut = when
    with pytest.raises(StoreUnavailable):
        commit(*arguments)
    standing = progress.standing("signals", 0)
    assert standing is not None
    assert (proxy.cuts, standing.offset_done) == (1, 4 if when == "after" else -1), "both outcomes are real"
    moved = commit(*arguments)
    [*made, told] = counts(far)
    assert (moved.offset_done, made, told > 0) == (4, [1, 1, 1], True)
    assert commit(moved, 5, [make_record(2, id="s-2", received_at=T0)], []).offset_done == 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_assignment_whose_answer_is_lost_is_made_again(far: Database, proxy: CuttingProxy, when: When) -> None:
    """Nobody may write under the epoch that nobody heard of; the next one is higher."""
    progress = SqlProgress(far, SystemClock())
    first = progress.assign("signals", 0, "a")
    proxy.cut = when
    with pytest.raises(StoreUnavailable):
        progress.assign("signals", 0, "b")
    assert progress.assign("signals", 0, "b").epoch == first.epoch + (2 if when == "after" else 1)
