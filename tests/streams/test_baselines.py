"""What is unusual for one object: against its own past, and against what it never did before."""

from __future__ import annotations

import pytest

from domain.signals import ObjectRef
from tests.factories import T0
from tests.streams.kit import Story
from tests.streams.test_groups import pack, shop

DAY = 24
COUNT = "  n: {count: signals, window: 7d, exact: true}"


def days(told: Story, *on: float, **kw: object) -> None:
    """Let a signal come on each of these days after the start."""
    for day in on:
        told.signal(day * DAY, f"s{told.seq}", **kw)


def test_a_spike_is_the_week_against_the_week_before() -> None:
    """Four in one week, eight in the next: twice as many; unknown until there is a whole week before."""
    told = Story(T0, pack(COUNT, "  jump: {spike: n}", when="jump >= 3"))
    days(told, 0, 1)
    assert told.pipeline.values_at("o-1")["p.jump"] is None
    days(told, 8.1, 9, 10, 10.5, 11, 11.2)
    assert told.pipeline.values_at("o-1")["p.jump"] is None  # the week before began before the first signal
    days(told, 14, 15, 16, 17, 17.2, 17.5)
    assert told.pipeline.values_at("o-1")["p.jump"] == 8 / 4


def test_a_spike_wants_as_many_signals_before_as_it_needs() -> None:
    """One signal in the week before is too little to speak of three times as many where two are wanted."""
    told = Story(T0, pack(COUNT, "  jump: {spike: n}", "  sure: {spike: n, needs: 2}", when="jump >= 3"))
    days(told, 0, 8, 15.5, 15.6, 15.7)
    values = told.pipeline.values_at("o-1")
    assert (values["p.jump"], values["p.sure"]) == (3.0, None)
    days(told, 22.6, 22.7)
    values = told.pipeline.values_at("o-1")
    assert values["p.jump"] == values["p.sure"] == 2 / 3


def test_own_history_is_made_of_whole_windows_since_the_first_signal() -> None:
    """The mean of four weeks; a week without signals is a zero of a count, a week before the first signal is none."""
    told = Story(T0, pack(COUNT, "  usual: {history: n, periods: 4, take: mean}", "  some: {history: n, periods: 4, take: mean, needs: 2}"))
    days(told, -1, 7.5, 8, 20.5)
    assert told.pipeline.values_at("o-1")["p.usual"] is None
    assert told.pipeline.values_at("o-1")["p.some"] == 1.0  # (13.5, 20.5] is the present; before it none in one week, two in the other
    days(told, 35)
    assert told.pipeline.values_at("o-1")["p.usual"] == pytest.approx((0 + 1 + 0 + 2) / 4)


def test_the_same_month_of_last_year() -> None:
    """Twelve calendar months back, in Asia/Shanghai."""
    told = Story(
        T0, pack("  n: {sum: value, unit: 元, window: month}", "  before: {history: n, periods: 12, take: first, needs: 1}", when="n > 3元")
    )
    days(told, -40, 1, value=100.0)
    days(told, 3, value=50.0)
    days(told, 366, value=7.0)
    values = told.pipeline.values_at("o-1")
    assert (values["p.n"], values["p.before"]) == (7.0, 150.0)


def test_a_correction_of_the_past_changes_what_was_usual() -> None:
    """A signal of last week that is withdrawn was never there."""
    told = Story(T0, pack(COUNT, "  last: {history: n, periods: 1, take: last}"))
    told.signal(0, "a")
    told.signal(8 * DAY, "b")
    told.signal(9 * DAY, "c")
    told.signal(16 * DAY, "d")
    assert told.pipeline.values_at("o-1")["p.last"] == 2
    told.signal(16 * DAY, "w", withdraws="c")
    assert told.pipeline.values_at("o-1")["p.last"] == 1


def test_a_flatline_is_a_sensor_that_says_less_than_it_did() -> None:
    """Fewer than three readings in ten hours, at any signal of the object, once ten hours have passed since the first."""
    readings = "  n: {count: signals, where: source == iot, window: 10h, exact: true, as_of: object}"
    told = Story(T0, pack(readings, "  still: {flatline: n, below: 3}", when="still"))
    for hour in range(8):
        told.signal(hour, f"r{hour}", source="iot")
    assert told.pipeline.values_at("o-1")["p.still"] is None
    told.signal(11, "x", source="hotline")
    assert told.pipeline.values_at("o-1")["p.still"] is False
    assert not told.outcomes
    told.signal(16, "y", source="hotline")
    assert told.pipeline.values_at("o-1")["p.still"] is True
    assert told.outcomes


def test_a_value_never_seen_before_and_a_value_that_changed() -> None:
    """A second driver is new once and a change twice; the first of all is neither."""
    told = Story(
        T0, pack("  fresh: {new_value: attrs.driver, window: daily(365d)}", "  n: {change: attrs.driver, window: 30d}", when="fresh")
    )
    seen = []
    for hour, driver in enumerate(["甲", "甲", "乙", "甲"]):
        told.signal(hour, f"s{hour}", attrs={"driver": driver})
        values = told.pipeline.values_at("o-1")
        seen.append((values["p.fresh"], values["p.n"]))
    assert seen == [(None, None), (False, False), (True, True), (False, True)]


def test_years_are_kept_as_days_and_what_is_recent_can_still_be_taken_back() -> None:
    """Of signals of two years the newest hundred days are kept singly; the others count, and cannot be withdrawn any more."""
    told = Story(T0, pack("  n: {count: signals, window: daily(730d)}", when="n > 300"))
    for day in range(0, 700, 7):
        told.signal(day * DAY, f"d{day}")
    assert told.value("p.n") == 100
    assert told.pipeline.counters()["signals_kept"] < 20
    told.signal(700 * DAY, "w", withdraws="d693")
    assert told.value("p.n") == 99
    told.signal(700 * DAY, "v", withdraws="d70")
    told.signal(700 * DAY, "c", corrects="d77")
    assert told.value("p.n") == 100  # the correction is dated today; the one it speaks of is a sum by now
    told.signal(70 * DAY, "late", received=700 * DAY, corrects="d63")
    assert told.value("p.n") == 100  # a correction of a folded day changes nothing
    told.signal(1430 * DAY, "z")
    assert told.value("p.n") == 1


def peer_story() -> Story:
    """Return a story with six restaurants of one county, and one elsewhere, and what their complaints come to."""
    peers = "  others: {peers: n, by: [industry, region(6)], take: median}"
    told = Story(T0, pack(COUNT, peers, "  times: {ratio: [n, others]}", when="times >= 3"))
    told.objects(0, *(shop(f"o-{n}") for n in range(1, 7)), shop("far", region="610114001"))
    return told


def test_an_object_is_compared_with_its_trade_in_its_county_from_the_next_night_on() -> None:
    """Six restaurants with two complaints each but one with seven: unknown on the first day, three and a half times the median after it."""
    told = peer_story()
    for about in range(1, 7):
        for turn in range(2):
            told.signal(turn, f"s{about}-{turn}", object=ObjectRef(id=f"o-{about}"))
    for turn in range(4):
        told.signal(2, f"t{turn}", object=ObjectRef(id="o-1"))
    assert told.pipeline.values_at("o-1")["p.others"] is None
    told.signal(20, "next", object=ObjectRef(id="o-1"))  # 03:00 in Shanghai is 19:00 UTC
    values = told.pipeline.values_at("o-1")
    assert (values["p.n"], values["p.others"], values["p.times"]) == (7, 2.0, 3.5)
    assert [out.subject for out in told.outcomes if type(out).__name__ == "RuleHit"] == ["o-1"]
    told.signal(21, "far", object=ObjectRef(id="far"))
    assert told.pipeline.values_at("far")["p.others"] is None  # alone in its county


def test_peers_are_seen_as_of_the_night_and_stand_still_until_the_next() -> None:
    """A week later their old complaints have left their windows, whether or not anything was heard of them."""
    told = peer_story()
    for about in range(1, 7):
        told.signal(1, f"s{about}", object=ObjectRef(id=f"o-{about}"))
    told.signal(20, "next", object=ObjectRef(id="o-1"))
    assert told.pipeline.values_at("o-1")["p.others"] == 1.0
    told.signal(21, "w", withdraws="s2")
    assert told.pipeline.values_at("o-1")["p.others"] == 1.0
    told.signal(10 * DAY, "late", object=ObjectRef(id="o-1"))
    values = told.pipeline.values_at("o-1")
    assert (values["p.others"], values["p.times"]) == (0.0, None)


def test_peers_do_not_depend_on_when_time_was_told_to_pass() -> None:
    """A tick in every hour gives the baselines of no tick at all."""
    ticked, quiet = peer_story(), peer_story()
    for told, every in ((ticked, 1), (quiet, 1000)):
        for hour in range(60):
            if hour % 9 == 0:
                told.signal(hour, f"s{hour}", object=ObjectRef(id=f"o-{hour % 6 + 1}"))
            elif hour % every == 0:
                told.tick(hour)
    assert ticked.pipeline.values_at("o-1") == quiet.pipeline.values_at("o-1")
    assert ticked.pipeline.values_at("o-1")["p.others"] is not None
