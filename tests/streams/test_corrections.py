"""Corrections, revisions, withdrawals and confirmations: what was said before leaves no trace."""

from __future__ import annotations

from typing import Any

from domain.findings import EpisodeEnded, RuleHit, WarningRaised, WarningUpdated
from domain.objects import Resolution
from domain.signals import ObjectRef
from streams.pipeline import PipelineSettings
from tests.factories import T0
from tests.streams.kit import VALUE, Story, at_least, indicator, kind_is, rule, ruleset, severity_from, values_of


def story(*rules: Any, **kw: Any) -> Story:
    """Return a story that counts signals and keeps their greatest value."""
    return Story(T0, ruleset(rules, [indicator(where=kind_is("gas.")), indicator("p.max", "max", of=VALUE)]), **kw)


def kinds(outcomes: list[Any]) -> list[Any]:
    """Return the kinds of outcomes, with the reasons of updates and ends."""
    return [(type(out).__name__, getattr(out, "reason", "")) for out in outcomes]


UNRESOLVED: dict[str, Any] = {"object": ObjectRef(name="某某燃气"), "resolution": Resolution()}


def test_a_withdrawn_signal_is_as_if_it_had_never_come() -> None:
    """The values are those of the signals that are left; a key that has none left is unknown again."""
    told = story()
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=3.0)
    told.signal(2, "w1", withdraws="a")
    assert values_of(told.pipeline, "o-1") == {"p.n": 1, "p.max": 3.0}
    told.signal(3, "w2", withdraws="b")
    assert values_of(told.pipeline, "o-1") == {}


def test_a_clock_that_was_seen_stays_seen() -> None:
    """Withdrawing the newest signal brings back none that its coming had pushed out of the window."""
    told = story()
    told.signal(0, "old")
    told.signal(24 * 30, "new")
    told.signal(24 * 30, "newer")
    told.signal(24 * 30 + 1, "w", withdraws="new")
    assert told.value() == 1


def test_a_revision_replaces_the_earlier_content_of_its_key() -> None:
    """The same key again counts once, with what it says now, wherever its time and its kind have moved."""
    told = story()
    told.signal(0, "a", value=9.0)
    told.signal(5, "a", value=2.0, revision=1)
    assert values_of(told.pipeline, "o-1") == {"p.n": 1, "p.max": 2.0}
    told.signal(6, "a", kind="fire.smoke", value=1.0, revision=2)
    assert values_of(told.pipeline, "o-1") == {"p.max": 1.0}


def test_whoever_corrects_a_signal_takes_its_place() -> None:
    """A later revision or withdrawal of the original reaches the correction, and the correction of a correction its end."""
    told = story()
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=5.0, corrects="a")
    assert values_of(told.pipeline, "o-1") == {"p.n": 1, "p.max": 5.0}
    told.signal(2, "c", value=4.0, corrects="a")
    assert values_of(told.pipeline, "o-1") == {"p.n": 1, "p.max": 4.0}
    told.signal(3, "w", withdraws="b")
    assert values_of(told.pipeline, "o-1") == {}


def test_an_unresolved_signal_feeds_nothing_until_it_is_confirmed() -> None:
    """Once confirmed it counts with its own time, and can hit."""
    told = story(rule(when=at_least("p.n", 1)))
    assert told.signal(0, "a", **UNRESOLVED) == []
    assert told.pipeline.counters()["waiting"] == 1
    outcomes = told.confirm(5, "a", "o-1")
    assert kinds(outcomes) == [("RuleHit", ""), ("WarningRaised", "")]
    assert outcomes[1].warning.evidence[0].occurred_at == T0
    assert told.pipeline.counters()["waiting"] == 0


def test_a_revision_without_an_object_keeps_the_one_that_a_person_confirmed() -> None:
    """Nobody has to confirm the same signal twice."""
    told = story()
    told.signal(0, "a", value=1.0, **UNRESOLVED)
    told.confirm(1, "a", "o-2")
    told.signal(2, "a", value=7.0, revision=1, **UNRESOLVED)
    assert values_of(told.pipeline, "o-2") == {"p.n": 1, "p.max": 7.0}


def test_a_signal_moves_when_a_person_says_it_is_about_another_object() -> None:
    """It counts for the new object and no longer for the old one; without an object it waits again."""
    told = story()
    told.signal(0, "a")
    told.confirm(1, "a", "o-2")
    assert (told.value(key="o-1"), told.value(key="o-2")) == (None, 1)
    told.confirm(2, "a", "")
    assert (told.value(key="o-2"), told.pipeline.counters()["waiting"]) == (None, 1)


def test_the_queue_of_unresolved_signals_is_bounded_and_counts_what_it_gives_up() -> None:
    """The oldest goes first, and confirming it later is counted as unknown."""
    told = story(settings=PipelineSettings(waiting_limit=2))
    for name in "abc":
        told.signal(0, name, **UNRESOLVED)
    told.confirm(1, "a", "o-1")
    told.confirm(1, "b", "o-1")
    assert told.value() == 1
    counters = told.pipeline.counters()
    assert (counters["waiting"], counters["waiting_given_up"], counters["resolutions_of_unknown_signals"]) == (1, 1, 1)


def test_a_warning_whose_facts_are_withdrawn_ends_as_withdrawn() -> None:
    """Four of five complaints are not enough: no contribution is left, so the episode is over; the next fifth is a new warning."""
    told = story(rule())
    raised = [out for n in range(5) for out in told.signal(n, f"s{n}") if isinstance(out, WarningRaised)]
    assert kinds(told.signal(6, "w", withdraws="s2")) == [("EpisodeEnded", "withdrawn")]
    again = told.signal(7, "s6")
    assert kinds(again) == [("RuleHit", ""), ("WarningRaised", "")]
    assert again[1].warning.episode == 2
    assert again[1].warning.id != raised[0].warning.id


def test_a_warning_that_stands_without_the_withdrawn_fact_is_corrected() -> None:
    """Six less one is still five: the warning is told of the correction and does not show the signal any more."""
    told = story(rule())
    for n in range(6):
        told.signal(n, f"s{n}")
    (updated,) = told.signal(7, "w", withdraws="s2")
    assert isinstance(updated, WarningUpdated)
    assert (updated.reason, updated.warning.current_level) == ("corrected", "yellow")
    assert [each.id for each in updated.warning.evidence] == ["s0", "s1", "s3", "s4", "s5"]
    assert updated.warning.evidence_count == 5


def test_a_revision_that_changes_nothing_for_a_rule_does_not_hit_again() -> None:
    """A rule that is true before and after the revision of a signal has not become true."""
    told = story(rule(), rule("sev", severity_from(3), points=60.0))
    for n in range(5):
        told.signal(n, f"s{n}", severity=3)
    outcomes = told.signal(6, "s4", severity=3, revision=1, text="办理中")
    assert not [out for out in outcomes if isinstance(out, RuleHit)]
    assert kinds(outcomes) == [("WarningUpdated", "corrected")]
    assert outcomes[0].warning.evidence[-1].text == "办理中"


def test_a_rule_on_the_signals_fields_goes_back_to_the_signal_that_is_left() -> None:
    """Of two severe signals the later is withdrawn: the contribution is that of the earlier, faded since then."""
    told = story(rule("sev", severity_from(3), points=60.0))
    told.signal(0, "a", severity=3)
    told.signal(24, "b", severity=3)
    (updated,) = told.signal(48, "w", withdraws="b")
    (part,) = updated.warning.contributions
    assert part.since == T0
    assert part.points == round(60 * 0.5 ** (2 / 14), 2)
    assert kinds(told.signal(49, "w2", withdraws="a")) == [("EpisodeEnded", "withdrawn")]


def test_a_correction_can_raise() -> None:
    """A severity corrected upwards is a signal like any other."""
    told = story(rule("sev", severity_from(3), points=60.0))
    told.signal(0, "a", severity=1)
    assert kinds(told.signal(1, "b", severity=3, corrects="a")) == [("RuleHit", ""), ("WarningRaised", "")]


def test_a_withdrawal_hits_nothing_itself_but_the_next_signal_does() -> None:
    """A rule on few signals becomes true by a withdrawal; it is noticed at the object's next signal."""
    few = at_least("p.max", 100)
    low = few.__class__(
        text="p.max < 5", evaluate=lambda f: None if f.values["p.max"] is None else f.values["p.max"] < 5, indicators=("p.max",)
    )
    told = story(rule("low", low))
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=3.0)
    assert told.signal(2, "w", withdraws="a") == []
    assert kinds(told.signal(3, "c", kind="fire.smoke")) == [("RuleHit", ""), ("WarningRaised", "")]


def test_an_open_warning_moves_with_the_object_that_its_signals_are_about() -> None:
    """Confirming the one severe signal to be about another object ends the first warning and raises the other."""
    told = story(rule("sev", severity_from(3), points=60.0))
    told.signal(0, "a", severity=3)
    outcomes = told.confirm(1, "a", "o-2")
    assert [out.warning_id for out in outcomes if isinstance(out, EpisodeEnded)]
    assert [out.warning.subject for out in outcomes if isinstance(out, WarningRaised)] == ["o-2"]
