"""Decisions of one commit are written together, over every kind of database: the rows are those of one commit for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event, select

from app.commit import Consequences, PartitionedCommit
from app.desk import Desk
from app.effects import EffectWriter
from app.metrics import Metrics
from app.settings import SHIPPED_POLICIES
from domain.clock import ManualClock
from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleBlind, WarningRaised, WarningUpdated
from domain.records import CatalogueEntry, Record
from storage import access, audit, obligations, outbox
from storage.calendars import load_calendar
from storage.database import Database
from storage.duty_tables import audit as trail
from storage.duty_tables import cases, links, owed_entries, tasks, timers
from storage.duty_tables import outbox as messages
from storage.progress import SqlProgress
from storage.tables import blinds, warning_events, warnings
from tests.dispatch.timeline import CATALOGUE, DIRECTORY
from tests.factories import T0, make_warning

WRITTEN = (warnings, warning_events, blinds, cases, tasks, timers, messages, links, trail, owed_entries)
Commit = Callable[[Sequence[Outcome]], None]


def furnished(database: Database) -> Commit:
    """Fill an empty database with departments, an item and receivers; return what commits outcomes to it."""
    clock = ManualClock(T0)
    desk = Desk(load_calendar([T0.year, T0.year + 1]), SHIPPED_POLICIES)
    consequences = Consequences(desk, EffectWriter(base_url="https://x.example", link_key=b"k" * 32), clock, Metrics())
    commit = PartitionedCommit(database, consequences, clock)
    with database.write() as connection:
        obligations.put_departments(connection, DIRECTORY.departments)
        for name, unit in (("e-1", "housing-113"), ("e-2", "housing"), ("e-3", "housing"), ("e-4", "fire")):
            state = "disabled" if name == "e-4" else "active"
            access.put_endpoint(connection, access.Endpoint(id=name, department=unit, url=f"http://x/{name}", state=state, created_at=T0))
    standing = [SqlProgress(database, clock).assign("signals", 0, "a")]

    def one(found: Sequence[Outcome]) -> None:
        first = standing[-1].offset_done < 0
        brought = [Record(seq=1, received_at=T0, entry=CatalogueEntry(catalogue=CATALOGUE))] if first else []
        standing.append(commit(standing[-1], standing[-1].offset_done + 1, brought, found))

    return one


def rows(database: Database) -> dict[str, list[tuple[str, ...]]]:
    """Return what the tables hold, without the numbers that the database gives and what a message says, which is the newest."""
    passed = {warning_events.c.id, owed_entries.c.id, messages.c.body}
    with database.read() as connection:
        return {
            table.name: sorted(tuple(map(str, row)) for row in connection.execute(select(*(one for one in table.c if one not in passed))))
            for table in WRITTEN
        }


def raised(number: int, **changes: Any) -> EarlyWarning:
    """Return a warning about an object of its own."""
    name = f"o-{number}"
    return make_warning(id=f"w{number}", subject=name, object_id=name, **changes)


def story(number: int) -> list[Outcome]:
    """Return what happens to one warning: raised, corrected, risen, taken back; the even ones live on."""
    first = raised(number)
    worse = replace(first, level="red", current_level="red", score=90.0)
    ended = EpisodeEnded(warning_id=first.id, at=T0, reason="withdrawn")
    found: list[Outcome] = [
        WarningRaised(warning=first),
        WarningUpdated(warning=replace(first, score=66.0), reason="corrected"),
        WarningUpdated(warning=worse, reason="level_raised"),
    ]
    return [*found, ended] if number % 2 else found


def mixed(count: int) -> list[Outcome]:
    """Return the stories of several warnings, step by step through each other, with one of a rule on trial and a blind rule."""
    stories = [story(number) for number in range(count)]
    found = [steps[nth] for nth in range(4) for steps in stories if nth < len(steps)]
    blind = RuleBlind(rule="r", subject="o-1", object_id="o-1", at=T0, feed="f", signal="s", matter="gas", sources=("meter",), shadow=False)
    return [*found, WarningRaised(warning=raised(99, shadow=True)), blind]


def test_one_commit_writes_what_many_write(database: Database) -> None:
    """Raised, corrected, risen and withdrawn in one commit: rows, states and messages as if each had been a commit."""
    apart = Database.in_memory()
    one_by_one, together = furnished(apart), furnished(database)
    for outcome in mixed(5):
        one_by_one([outcome])
    together(mixed(5))
    found, expected = rows(database), rows(apart)
    for table in expected:
        assert found[table] == expected[table], table
    assert [row[0] for row in found["cases"]] == [f"w{number}" for number in range(5)]
    apart.close()


def test_the_chains_and_stories_of_a_commit_are_whole_and_in_order(database: Database) -> None:
    """Each warning's audit chain is sound, its story tells what happened in that order, and what was withdrawn sends nothing more."""
    furnished(database)(mixed(4))
    with database.read() as connection:
        assert audit.verify_all(connection) == {}
        kinds = connection.execute(select(warning_events.c.warning_id, warning_events.c.kind).order_by(warning_events.c.id)).all()
        states = {(one.warning_id, one.event): one.state for one in outbox.listed(connection, state="", limit=1000)}
        pending = set(connection.scalars(select(timers.c.warning_id).where(timers.c.state == "pending")))
    assert [kind for name, kind in kinds if name == "w1"] == ["raised", "corrected", "level_raised", "ended"]
    assert [kind for name, kind in kinds if name == "w2"] == ["raised", "corrected", "level_raised"]
    assert (states["w1", "task.assigned"], states["w2", "task.assigned"]) == ("cancelled", "waiting")
    assert pending == {"w0", "w2"}


@pytest.mark.parametrize("kind", ["raised", "level_raised"])
def test_the_statements_of_a_commit_do_not_grow_with_its_warnings(postgres: Any, kind: str) -> None:
    """Forty warnings ask the database as often as two do."""
    database = postgres.open()
    commit, asked = furnished(database), [0]

    def count(*_: object) -> None:
        asked[0] += 1

    def asks(numbers: range) -> int:
        first = [raised(number) for number in numbers]
        new: list[Outcome] = [WarningRaised(warning=one) for one in first]
        risen: list[Outcome] = [WarningUpdated(warning=replace(one, level="red"), reason="level_raised") for one in first]
        if kind == "level_raised":
            commit(new)
        asked[0] = 0
        commit(new if kind == "raised" else risen)
        return asked[0]

    commit([])
    event.listen(database._kind._writers, "before_cursor_execute", count)
    assert asks(range(2)) == asks(range(100, 140))
    database.close()
