"""The replay runtime: recorded signals with no clock but theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.errors import NotFound
from domain.findings import EpisodeEnded, RuleHit, WarningRaised, WarningUpdated
from domain.records import Record, RulesetEntry, SignalEntry, TickEntry
from domain.signals import ObjectRef, Signal
from streams.runtimes.replay import BATCH, Summary, replay
from tests.factories import at, make_object, make_record, make_signal
from tests.streams.kit import VALUE, at_least, indicator, rule, ruleset

RULES = ruleset([rule("high", at_least("p.v", 5), half_life=timedelta(hours=10))], [indicator("p.v", "last", of=VALUE)])


class Kept:
    """Keeps what is committed."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.outcomes: list[Any] = []
        self.batches: list[int] = []

    def __call__(self, records: Sequence[Record], outcomes: Sequence[Any]) -> None:
        self.records += records
        self.outcomes += outcomes
        self.batches.append(len(records))


def given(hours: float, id: str, received: datetime | None = None, **kw: Any) -> tuple[str, Signal, datetime | None]:  # noqa: A002  # the signal's own word
    """Return a signal of a feed."""
    return "f", make_signal(id=id, occurred_at=at(hours), **kw), received


def run(signals: Any, **kw: Any) -> tuple[Kept, Summary]:
    """Replay and return what was committed."""
    kept = Kept()
    return kept, replay(signals, commit=kept, ruleset=kw.pop("ruleset", RULES), **kw)


def test_without_a_time_of_receipt_it_is_the_running_maximum_of_the_event_times() -> None:
    """A late signal is received when the one before it was."""
    kept, summary = run([given(0, "a"), given(5, "b"), given(2, "c")])
    assert [record.received_at for record in kept.records if isinstance(record.entry, SignalEntry)] == [at(0), at(5), at(5)]
    assert summary == Summary(records=4, signals=3, outcomes=0, ended=at(5), reached=3)


def test_a_time_of_receipt_that_is_given_holds() -> None:
    """Time never goes back."""
    kept, _ = run([given(0, "a", received=at(9)), given(5, "b", received=at(8))])
    assert [record.received_at for record in kept.records] == [at(9), at(9), at(9)]


def test_what_falls_due_on_the_way_is_done_by_a_tick_at_its_own_time() -> None:
    """40 points fade below 35 in two hours and below 15 in fourteen; 72 hours later the episode is over."""
    kept, _ = run([given(0, "a", value=9.0), given(0.5, "b", value=0.0), given(100, "c")])
    ticks = [record.received_at for record in kept.records if isinstance(record.entry, TickEntry)]
    fell = [out.warning.updated_at for out in kept.outcomes if isinstance(out, WarningUpdated)]
    ended = [out.at for out in kept.outcomes if isinstance(out, EpisodeEnded)]
    assert ticks == fell + ended
    assert len(fell) == 2
    assert [record.seq for record in kept.records] == list(range(1, len(kept.records) + 1))


def test_nothing_is_flushed_at_the_end_unless_until_is_given() -> None:
    """The level does not fall after the last signal by itself."""
    signals = [given(0, "a", value=9.0), given(0.5, "b", value=0.0)]
    assert [type(out) for out in run(signals)[0].outcomes] == [RuleHit, WarningRaised]
    kept, summary = run(signals, until=at(50))
    assert [type(out) for out in kept.outcomes] == [RuleHit, WarningRaised, WarningUpdated, WarningUpdated]
    assert summary.ended == kept.outcomes[-1].warning.updated_at


def test_objects_are_found_by_id_then_code_and_others_stay_unresolved() -> None:
    """With a registry nothing is guessed."""
    things = [make_object(id="o-1", code="91610132MA6U0XXXX5"), make_object(id="o-2")]
    signals = [
        given(0, n, object=who)
        for n, who in zip("abc", (ObjectRef(id="o-2"), ObjectRef(code=things[0].code), ObjectRef(id="o-9")), strict=True)
    ]
    kept, _ = run(signals, objects=things)
    found = [record.entry.resolution.object_id for record in kept.records if isinstance(record.entry, SignalEntry)]
    assert found == ["o-2", "o-1", ""]


def test_without_a_registry_the_signals_own_code_is_taken_at_its_word() -> None:
    """A benchmark file brings no objects."""
    kept, _ = run([given(0, "a", object=ObjectRef(code="c-7"))])
    entry = kept.records[-1].entry
    assert isinstance(entry, SignalEntry)
    assert entry.resolution.object_id == "c-7"


def test_it_streams() -> None:
    """No more than a batch of signals is read ahead of the commits."""
    kept = Kept()
    ahead = []

    def signals() -> Iterator[tuple[str, Signal, datetime | None]]:
        for n in range(3 * BATCH):
            ahead.append(n - len(kept.records))
            yield given(n / 100, f"s{n}")

    replay(signals(), commit=kept, ruleset=RULES)
    assert max(ahead) <= BATCH
    assert max(kept.batches) == BATCH


def test_a_journal_export_gives_the_outcomes_of_the_first_run() -> None:
    """Its own activation, times and ticks hold; replaying what a replay wrote changes nothing."""
    first, _ = run([given(0, "a", value=9.0), given(0.5, "b", value=0.0), given(100, "c")])
    again = Kept()
    replay(first.records, commit=again, rulesets={"v1": RULES})
    assert [out for out in again.outcomes if isinstance(out, WarningUpdated | EpisodeEnded)] == [
        out for out in first.outcomes if isinstance(out, WarningUpdated | EpisodeEnded)
    ]
    assert len(again.outcomes) == len(first.outcomes)


def test_a_rule_set_that_was_not_given_is_named() -> None:
    """The message lists those that were."""
    with pytest.raises(NotFound, match="activates rule set v9, which was not given; given: empty"):
        replay([Record(seq=1, received_at=at(), entry=RulesetEntry(version="v9"))], commit=Kept())


def test_nothing_in_nothing_out() -> None:
    """An empty input is no error."""
    assert run([])[1] == Summary(records=0, signals=0, outcomes=0, ended=None, reached=0)
    assert run([make_record()])[1].signals == 1
