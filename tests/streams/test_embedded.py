"""The embedded runtime: everything synced is committed once, whatever dies on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.catalogue import Catalogue
from domain.clock import ManualClock
from domain.errors import FengsuiError, NotFound, StoreCorrupt, StoreUnavailable
from domain.findings import RuleHit, WarningRaised, WarningUpdated
from domain.levels import DEFAULT_LEVELS
from domain.records import AnyEntry, Record, RulesetEntry, TickEntry
from rules.facts import Facts
from rules.ruleset import RuleSet
from storage.memory_journal import MemoryJournal
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes.embedded import Engine
from tests.factories import T0, at, make_entry
from tests.streams.kit import VALUE, at_least, expression, indicator, rule, ruleset


def say(facts: Facts) -> str:
    """Fail on one text, as a defect of a rule would."""
    if facts.entry.signal.text == "boom":
        raise ZeroDivisionError
    return facts.entry.signal.id


RULES = ruleset([rule("high", at_least("p.v", 5), say=say, half_life=timedelta(hours=10))], [indicator("p.v", "last", of=VALUE)])


class Ledger:
    """A store of commits as the application's is: position and effects together, earlier records change nothing."""

    def __init__(self) -> None:
        self.position = 0
        self.outcomes: list[Any] = []
        self.calls: list[tuple[int, int]] = []
        self.away = 0  # refuse so many calls

    def __call__(self, records: Sequence[Record], outcomes: Sequence[Any]) -> None:
        self.calls.append((records[0].seq, records[-1].seq))
        if self.away:
            self.away -= 1
            raise StoreUnavailable("the disk is full; free space")
        if records[-1].seq > self.position:
            self.outcomes += outcomes
            self.position = records[-1].seq


class Shelf:
    """Keeps the newest snapshot."""

    def __init__(self) -> None:
        self.kept: tuple[int, bytes] | None = None

    def save(self, position: int, state: bytes) -> None:
        self.kept = (position, state)

    def load(self) -> bytes | None:
        return self.kept[1] if self.kept is not None else None


class House:
    """Journal, store, snapshots and clock of one data folder; engines come and go."""

    def __init__(self, folder: Path) -> None:
        self.journal, self.ledger, self.shelf, self.clock = MemoryJournal(), Ledger(), Shelf(), ManualClock(T0)
        self.poison = folder / "stepping"
        self.engines: list[Engine] = []
        self.quarantined: list[int] = []
        self.sets = {RULES.version: RULES}
        self.taken = True

    def load(self, version: str) -> RuleSet:
        if version not in self.sets:
            raise NotFound(f"rule set {version} is not stored")
        return self.sets[version]

    def append(self, entries: Sequence[AnyEntry]) -> None:
        """Journal entries at the clock's instant and hand them over, as the appender does."""
        head = self.journal.head()
        records = [Record(seq=head + n, received_at=self.clock.now(), entry=entry) for n, entry in enumerate(entries, start=1)]
        self.journal.append(records)
        self.journal.sync()
        if self.engines and self.taken:
            self.engines[-1].take(records)

    def engine(self, **kw: Any) -> Engine:
        pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), self.load, {}, PipelineSettings())
        made = Engine(
            pipeline, self.journal, self.ledger, append=self.append, clock=self.clock, snapshots=self.shelf,
            applied=lambda: self.ledger.position, poison=self.poison, on_quarantine=self.quarantined.append, **kw,
        )  # fmt: skip
        self.engines.append(made)
        return made

    def signals(self, count: int, **kw: Any) -> None:
        head = self.journal.head()
        self.append([make_entry(id=f"s{head + n}", occurred_at=self.clock.now(), **kw) for n in range(count)])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house with the rule set active; its engines are stopped at the end."""
    made = House(tmp_path)
    made.append([RulesetEntry(version="v1")])
    yield made
    for engine in made.engines:
        engine.stop()


def until(condition: Callable[[], bool]) -> None:
    """Wait for the engine's thread, ten seconds at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_everything_synced_is_committed_and_then_it_is_idle(house: House) -> None:
    """Records handed over and those only in the journal alike, in order, each once."""
    house.signals(700, value=1.0)
    engine = house.engine()
    assert engine.trouble() == "the engine is not running"
    engine.start()
    house.signals(1, value=9.0)
    house.taken = False
    house.signals(1, value=1.0)
    engine.wait_idle()
    assert engine.idle()
    assert (engine.applied(), house.ledger.position, engine.trouble()) == (703, 703, "")
    assert [first for first, _ in house.ledger.calls] == [1, *(last + 1 for _, last in house.ledger.calls[:-1])]
    assert [type(out) for out in house.ledger.outcomes][1:] == [WarningRaised]


def test_a_hand_over_with_a_gap_is_filled_from_the_journal(house: House) -> None:
    """What the appender did not hand over comes first."""
    engine = house.engine()
    engine.start()
    house.taken = False
    house.signals(5, value=1.0)
    house.taken = True
    house.signals(5, value=1.0)
    engine.wait_idle()
    assert engine.applied() == 11


def test_a_tick_is_journalled_when_time_alone_changes_something(house: House) -> None:
    """In lock-step: the clock moves to the next wake, and idle means that the fall is committed."""
    engine = house.engine()
    engine.start()
    house.signals(1, value=9.0)
    house.clock.move_to(at(0.1))
    house.signals(1, value=0.0)
    engine.wait_idle()
    wake = engine.next_wake()
    assert wake is not None
    house.clock.move_to(wake)
    engine.wait_idle()
    assert isinstance(house.ledger.outcomes[-1], WarningUpdated)
    assert [type(record.entry) for record in house.journal.read(3)] == [TickEntry]
    assert engine.next_wake() != wake


def test_a_store_that_is_away_is_asked_again_with_the_same_arguments(house: House) -> None:
    """The reason is visible meanwhile, and nothing is dropped or doubled."""
    house.ledger.away = 2
    engine = house.engine()
    house.signals(3, value=9.0)
    engine.start()
    until(lambda: engine.trouble() == "the disk is full; free space")
    engine.wait_idle()
    assert house.ledger.calls == [(1, 4)] * 3
    assert engine.trouble() == ""
    assert len(house.ledger.outcomes) == 2


def test_a_stop_while_the_store_is_away_leaves_the_rest_to_the_next_start(house: House) -> None:
    """What was not committed is stepped again."""
    house.ledger.away = 1_000
    engine = house.engine()
    house.signals(3, value=9.0)
    engine.start()
    until(lambda: bool(house.ledger.calls))
    engine.stop()
    assert house.shelf.kept is None
    house.ledger.away = 0
    again = house.engine()
    again.start()
    again.wait_idle()
    assert len(house.ledger.outcomes) == 2


@pytest.mark.parametrize("with_snapshot", [True, False])
def test_a_restart_goes_on_where_the_last_commit_ended(house: House, with_snapshot: bool) -> None:
    """From the snapshot or from the beginning; no batch crosses the applied position, no outcome is committed twice."""
    engine = house.engine(snapshot_every=100)
    engine.start()
    for _ in range(30):
        house.signals(10, value=1.0)
    house.signals(1, value=9.0)
    engine.wait_idle()
    engine.stop()
    applied = house.ledger.position
    assert house.shelf.kept is not None
    assert house.shelf.kept[0] == applied
    if not with_snapshot:
        house.shelf.kept = None
    house.signals(10, value=0.0)
    house.signals(1, value=9.0)
    house.ledger.calls.clear()
    again = house.engine()
    again.start()
    again.wait_idle()
    assert house.ledger.calls[0][0] == applied + 1
    assert [type(out) for out in house.ledger.outcomes] == [RuleHit, WarningRaised, RuleHit]


def test_a_snapshot_that_is_ahead_of_the_database_is_not_taken_up(house: House) -> None:
    """A database restored from a backup gets its outcomes again from the journal."""
    engine = house.engine()
    engine.start()
    house.signals(3, value=9.0)
    engine.wait_idle()
    engine.stop()
    house.ledger.position = 1
    house.ledger.outcomes.clear()
    again = house.engine()
    again.start()
    again.wait_idle()
    assert [type(out) for out in house.ledger.outcomes][1:] == [WarningRaised]


def test_a_database_that_is_ahead_of_the_journal_stops_the_start(house: House) -> None:
    """Journal and database are backed up at one position."""
    house.ledger.position = 99
    with pytest.raises(StoreCorrupt, match="applied record 99, the journal ends at 1"):
        house.engine().start()


def test_a_record_that_brings_the_engine_down_twice_is_set_aside_loudly(house: House) -> None:
    """Everything before and after it counts, and the next start passes over it too."""
    engine = house.engine()
    house.signals(3, value=1.0)
    house.signals(1, value=9.0, text="boom")
    house.signals(1, value=9.0)
    engine.start()
    engine.wait_idle()
    assert house.quarantined == [5]
    assert engine.quarantined() == (5,)
    assert [out.signal for out in house.ledger.outcomes[:1]] == ["s5"]
    engine.stop()
    house.shelf.kept = None
    again = house.engine()
    again.start()
    again.wait_idle()
    assert (again.applied(), again.quarantined(), house.quarantined) == (6, (5,), [5])


def test_a_disk_that_is_away_delays_the_alarm_and_does_not_lose_it(house: House) -> None:
    """The mark cannot be written each time that the record brings the engine down; nobody has to see it die more often for that."""
    deaths = []

    def burst(facts: Facts) -> None:
        if facts.entry.signal.text != "boom":
            return
        deaths.append(facts.entry.signal.id)
        house.poison.unlink()
        raise RuntimeError

    house.sets["v1"] = ruleset([rule("high", expression("boom", burst, fields=("text",)))], [], "v1")
    engine = house.engine()
    engine.start()
    engine.wait_idle()
    house.signals(1, text="boom")
    until(lambda: house.quarantined == [2])
    assert deaths == ["s1", "s1"]
    engine.wait_idle()
    assert engine.quarantined() == (2,)


def test_a_rule_set_that_is_missing_stops_the_engine_and_sets_nothing_aside(house: House) -> None:
    """An activation passed over would change everything after it: the operator has to act."""
    engine = house.engine()
    engine.start()
    house.append([RulesetEntry(version="v9")])
    with pytest.raises(FengsuiError, match="rule set v9 is not stored"):
        engine.wait_idle()
    assert engine.trouble().startswith("the engine stopped at record 1")
    engine.stop()
    house.sets["v9"] = ruleset([], [], "v9")
    again = house.engine()
    again.start()
    again.wait_idle()
    assert (again.applied(), again.quarantined()) == (2, ())


def test_records_may_be_handed_over_from_several_threads(house: House) -> None:
    """`take` never waits, and order is that of the numbers."""
    engine = house.engine()
    engine.start()
    lock = threading.Lock()

    def send() -> None:
        for _ in range(50):
            with lock:
                house.signals(3, value=1.0)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.wait_idle()
    assert engine.applied() == 601
