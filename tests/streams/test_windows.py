"""What a window holds, and what its signals come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instants import EPOCH
from domain.records import SignalEntry
from rules.ruleset import Window
from streams.stages.windows import frame, from_us, to_us
from tests.factories import T0, at, make_entry
from tests.streams.kit import SOURCE, VALUE, Story, expression, indicator, kind_is, ruleset, values_of

DAY = Window(kind="sliding", length=timedelta(hours=24))
EXACT = Window(kind="sliding", length=timedelta(hours=24), exact=True)


def story(**kw: Any) -> Story:
    """Return a story with one indicator."""
    return Story(T0, ruleset([], [indicator(**kw)]))


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))])))
def test_an_instant_is_its_microseconds_since_the_epoch(moment: datetime) -> None:
    """Before 1970 and in any year: as whole numbers count them, and back again."""
    assert to_us(moment) == (moment - EPOCH) // timedelta(microseconds=1)
    assert from_us(to_us(moment)) == moment


def test_a_bucketed_window_holds_the_bucket_of_the_clock_and_the_23_before() -> None:
    """The signal of 00:59 leaves when the clock reaches 24:00, 24 hourly buckets later, not at 24:59."""
    told = story(window=DAY)
    told.signal(0.99, "a")
    told.signal(23.99, "b")
    assert told.value() == 2
    told.signal(24.0, "c")
    assert told.value() == 2
    assert frame(DAY).leaves(to_us(at(0.99))) == to_us(at(24.0))


def test_an_exact_window_is_open_at_its_beginning() -> None:
    """A signal exactly one length old is outside, one a microsecond younger inside."""
    told = story(window=EXACT)
    told.signal(0, "a")
    told.add(24, make_entry(id="b", occurred_at=T0 + timedelta(microseconds=1)))
    told.signal(24, "c")
    assert told.value() == 2


@pytest.mark.parametrize(
    ("kind", "first_instant", "later"),
    [
        ("day", "2026-03-01T16:00", "2026-03-02T15:59"),
        ("week", "2026-03-01T16:00", "2026-03-08T15:59"),
        ("month", "2026-02-28T16:00", "2026-03-31T15:59"),
    ],
)
def test_calendar_windows_begin_at_midnight_in_shanghai(kind: Any, first_instant: str, later: str) -> None:
    """Days, weeks (from Monday) and months are those of Asia/Shanghai, eight hours before those of UTC."""
    start = to_us(at().fromisoformat(first_instant + "+00:00"))
    end = to_us(at().fromisoformat(later + "+00:00"))
    window = frame(Window(kind=kind))
    assert from_us(window.start(end)) == from_us(start)
    assert window.start(start) == start
    assert window.leaves(start) == end + 60_000_000


def test_a_window_without_a_length_is_refused() -> None:
    """A sliding window of nothing is an error, not an empty window."""
    with pytest.raises(ValueError, match="longer than 0"):
        frame(Window(kind="sliding"))


def test_a_late_signal_counts_in_its_own_bucket_and_a_too_old_one_not_at_all() -> None:
    """Out of order or not, what lies inside the window at the clock counts."""
    told = story(window=DAY)
    told.signal(30, "new")
    told.signal(8, "late", received=30)
    told.signal(6, "too-late", received=30)
    assert told.value() == 2


def test_own_windows_stand_at_the_indicators_newest_signal_and_object_windows_at_the_objects() -> None:
    """A signal of another kind moves the object's clock, not the indicator's own."""
    own = indicator("p.own", where=kind_is("gas."), window=DAY)
    with_object = indicator("p.object", where=kind_is("gas."), window=DAY, as_of="object")
    told = Story(T0, ruleset([], [own, with_object]))
    told.signal(0, "a")
    told.signal(48, "b", kind="fire.smoke")
    assert (told.value("p.own"), told.value("p.object")) == (1, 0)


def test_what_was_never_seen_is_unknown_and_what_was_seen_but_left_is_empty() -> None:
    """Counts are 0 without a signal; a sum is unknown until there was one, then 0; a mean of nothing stays unknown."""
    kinds = {"p.count": "count", "p.sum": "sum", "p.mean": "mean", "p.last": "last"}
    each: list[Any] = [
        indicator(n, a, of=None if a == "count" else VALUE, window=DAY, as_of="object", where=kind_is("gas.")) for n, a in kinds.items()
    ]
    told = Story(T0, ruleset([], each))
    told.signal(0, "x", kind="fire.smoke")
    assert values_of(told.pipeline, "o-1") == {}
    told.signal(1, "a", value=4.0)
    assert values_of(told.pipeline, "o-1") == {"p.count": 1, "p.sum": 4.0, "p.mean": 4.0, "p.last": 4.0}
    told.signal(72, "y", kind="fire.smoke")
    assert values_of(told.pipeline, "o-1") == {"p.count": 0, "p.sum": 0.0, "p.mean": None, "p.last": None}


def test_sums_are_exact_whatever_came_and_went() -> None:
    """1e17 leaves no trace in the sum of the small numbers beside it, and 0.1 ten times is rounded once."""
    told = story(aggregate="sum", of=VALUE)
    told.signal(0, "big", value=1e17)
    for n in range(10):
        told.signal(0, f"s{n}", value=0.1)
    told.signal(1, "w", withdraws="big")
    assert told.value() == 1.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_no_finite_number_counts_as_not_given(value: float | None) -> None:
    """NaN and infinity neither poison a sum nor move an extreme."""
    aggregates: list[Any] = ["sum", "min", "max", "mean"]
    told = Story(T0, ruleset([], [indicator(f"p.{how}", how, of=VALUE) for how in aggregates]))
    told.signal(0, "a", value=2.0)
    told.signal(1, "b", value=value)
    assert values_of(told.pipeline, "o-1") == {"p.sum": 2.0, "p.min": 2.0, "p.max": 2.0, "p.mean": 2.0}


def test_distinct_counts_values_and_the_last_one_is_the_newest_by_time() -> None:
    """A late signal changes the number of sources, not the last value."""
    told = Story(T0, ruleset([], [indicator("p.d", "distinct", of=SOURCE), indicator("p.l", "last", of=VALUE)]))
    told.signal(5, "a", source="iot", value=1.0)
    told.signal(2, "b", source="hotline", value=2.0, received=5)
    told.signal(4, "c", source="hotline", value=None, received=5)
    assert values_of(told.pipeline, "o-1") == {"p.d": 2, "p.l": 1.0}


@pytest.mark.sources
@pytest.mark.parametrize(
    ("written", "value", "kept", "after"),
    [
        ({"aggregate": "last", "of": VALUE}, 11.0, ["s7", "s8", "s9", "s10", "s11"], 10.0),
        ({"aggregate": "last", "of": VALUE, "needs": 6}, 11.0, ["s6", "s7", "s8", "s9", "s10", "s11"], None),
        ({"aggregate": "since", "end": "last", "as_of": "object"}, 0.0, ["s7", "s8", "s9", "s10", "s11"], 3600.0),
        ({"aggregate": "since", "end": "first", "as_of": "object"}, 39600.0, ["s0", "s1", "s2", "s3", "s4"], 39600.0),
    ],
)
def test_without_a_window_a_limited_number_of_signals_is_kept(
    monkeypatch: pytest.MonkeyPatch, written: Any, value: float, kept: list[str], after: float | None
) -> None:
    """Those at the end that decides the value, so that what is taken back leaves the one before; a restored snapshot goes on the same."""
    monkeypatch.setattr("streams.stages.plans.KEPT", 5)
    told = story(window=None, **written)
    for n in range(12):
        told.signal(n, f"s{n}", value=float(n))
    assert told.value() == value
    assert told.pipeline.counters()["signals_kept"] == len({*kept, "s11"})
    state = told.pipeline.snapshot()
    told.pipeline = told.pipeline.fresh()
    told.pipeline.restore(state)
    told.signal(12, "x", withdraws="s11")
    assert told.value() == after


@pytest.mark.sources
def test_the_one_value_that_there_is_stays_known_however_many_signals_without_one_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept least is the oldest signal, unless it is the only one that says anything."""
    monkeypatch.setattr("streams.stages.plans.KEPT", 3)
    told = story(aggregate="last", of=VALUE, window=None)
    for n, value in enumerate([1.0, 2.0, None, None, None, None]):
        told.signal(n, f"s{n}", value=value)
    assert told.value() == 2.0
    assert told.pipeline.counters()["signals_kept"] == 3


def test_an_area_collects_the_signals_of_its_objects() -> None:
    """The region of the object counts before that of the signal; one too short for the area counts nowhere."""
    who = expression("object", lambda facts: facts.entry.resolution.object_id, fields=("object",))
    told = Story(T0, ruleset([], [indicator("p.area", "distinct", of=who, by=9)]))
    for name, region in (("o-1", "610113001"), ("o-2", "610113001002"), ("o-3", "610113")):
        entry: SignalEntry = make_entry(id=name, region=region, object=make_entry().signal.object.__class__(id=name))
        told.add(0, entry)
    assert told.value("p.area", "region:610113001") == 2
