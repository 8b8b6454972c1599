"""Episodes: one warning per subject and matter, its levels, and how it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.catalogue import Catalogue, CatalogueItem
from domain.findings import EpisodeEnded, RuleHit, WarningRaised, WarningUpdated, warning_id
from domain.records import CatalogueEntry, FeedEntry, OutcomeEntry
from streams.pipeline import PipelineSettings
from streams.stages.raising import reason_of
from tests.factories import T0, at, make_object
from tests.streams.kit import VALUE, Story, at_least, expression, indicator, kind_is, rule, ruleset, severity_from

ID = warning_id("live", "o-1", "gas", 1)
SECOND = warning_id("live", "o-1", "gas", 2)


@pytest.mark.parametrize(
    ("rise", "happened", "reason"),
    [
        (1, {"joined", "corrected", "rescored"}, "level_raised"),
        (-1, {"joined", "corrected", "rescored"}, "joined"),
        (-1, {"corrected", "rescored"}, "corrected"),
        (-1, {"rescored"}, "level_fell"),
        (0, {"rescored"}, "rescored"),
        (0, set(), None),
    ],
)
def test_of_several_reasons_the_weightiest_is_told(rise: int, happened: set[str], reason: str | None) -> None:
    """A rise before a new rule, before a correction, before a fall, before the model's night; nothing is nothing."""
    told = {name: name in happened for name in ("joined", "corrected", "rescored")}
    assert reason_of(rise, **told) == reason


def story(*rules: Any, **kw: Any) -> Story:
    """Return a story over a count of gas signals and the last value."""
    return Story(T0, ruleset(rules, [indicator(where=kind_is("gas.")), indicator("p.v", "last", of=VALUE)]), **kw)


def two() -> Story:
    """Return a story with a rule of 40 points from a value of 5 and one of 45 at severity 3."""
    return story(rule("high", at_least("p.v", 5)), rule("sev", severity_from(3), points=45.0))


def last(outcomes: list[Any]) -> Any:
    """Return the warning of the last outcome."""
    return outcomes[-1].warning


def test_reaching_a_level_opens_an_episode_with_a_deterministic_id() -> None:
    """The id is of the subject, the matter and the episode's number, and of nothing else."""
    told = story(rule("high", at_least("p.v", 5)), settings=PipelineSettings(namespace="drill"))
    told.objects(0, make_object(region="610113001"))
    outcomes = told.signal(1, "a", value=9.0)
    assert [type(out) for out in outcomes] == [RuleHit, WarningRaised]
    raised = last(outcomes)
    assert raised.id == warning_id("drill", "o-1", "gas", 1)
    assert (raised.level, raised.current_level, raised.region, raised.kind, raised.ruleset) == (
        "yellow",
        "yellow",
        "610113001",
        "gas.leak",
        "v1",
    )
    assert (raised.raised_at, raised.episode, raised.rules, raised.namespace) == (at(1), 1, ("high",), "drill")


def test_points_below_the_lowest_level_raise_nothing() -> None:
    """A hit of ten points is written down; the second rule's ten make it blue."""
    told = story(rule("a", at_least("p.v", 1), points=10.0), rule("b", at_least("p.v", 2), points=10.0))
    assert [type(out) for out in told.signal(0, "a", value=1.0)] == [RuleHit]
    assert [type(out) for out in told.signal(0, "b", value=2.0)] == [RuleHit, WarningRaised]


def test_a_signal_only_rule_never_raises() -> None:
    """No points, no contribution."""
    told = story(rule("a", at_least("p.v", 1), points=0.0))
    (hit,) = told.signal(0, "a", value=1.0)
    assert hit.signal_only
    assert told.pipeline.next_wake() is None


def test_later_hits_join_the_open_warning_and_may_raise_its_level() -> None:
    """40 and 45 points are red; the id stays."""
    told = two()
    told.signal(0, "a", value=9.0)
    outcomes = told.signal(1, "b", value=9.0, severity=3)
    assert [type(out) for out in outcomes] == [RuleHit, WarningUpdated]
    assert (outcomes[1].reason, last(outcomes).id, last(outcomes).level, last(outcomes).rules) == (
        "level_raised",
        ID,
        "red",
        ("high", "sev"),
    )


def test_a_rule_that_is_new_to_the_episode_joins() -> None:
    """It raises no level, and is news all the same: the warning tells of it, with all the evidence by now."""
    told = story(rule("high", at_least("p.v", 5)), rule("sev", severity_from(3), points=5.0))
    told.signal(0, "a", value=9.0)
    (_, joined) = told.signal(2, "c", value=8.0, severity=3)
    assert (joined.reason, joined.warning.rules) == ("joined", ("high", "sev"))
    assert [each.id for each in joined.warning.evidence] == ["a", "c"]


def test_a_rule_of_the_episode_that_becomes_true_again_is_only_a_hit() -> None:
    """However often it flaps, the departments were told of it; it counts in full again, and a level that rises by it is news."""
    told = story(rule("high", at_least("p.v", 5), points=90.0, half_life=timedelta(hours=10)))
    told.signal(0, "a", value=9.0)
    for n in range(1, 6):
        assert told.signal(n / 10, f"low{n}", value=0.0) == []
        assert [type(out) for out in told.signal(n / 10, f"high{n}", value=8.0)] == [RuleHit]
    told.signal(1, "z", value=0.0)
    assert [out.reason for out in told.tick(5)] == ["level_fell"]
    assert [getattr(out, "reason", "") for out in told.signal(6, "again", value=9.0)] == ["", "level_raised"]


def test_a_signal_that_keeps_a_rule_true_changes_no_warning() -> None:
    """Only what is new or changed reaches routing and database."""
    told = two()
    told.signal(0, "a", value=9.0)
    assert told.signal(1, "b", value=9.0) == []


def test_a_fall_is_an_update_and_hides_nothing() -> None:
    """The level is the highest reached, the current level follows the score."""
    told = story(rule("high", at_least("p.v", 5), points=90.0, half_life=timedelta(hours=10)))
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=0.0)
    (to_orange,) = told.tick(3)
    assert (to_orange.reason, last([to_orange]).level, last([to_orange]).current_level) == ("level_fell", "red", "orange")
    assert last([to_orange]).updated_at < at(3)


def test_falls_happen_at_their_own_time_before_a_later_record() -> None:
    """Without any tick, the next record brings all that was due, in order, each at its instant."""
    told = story(rule("high", at_least("p.v", 5), points=90.0, half_life=timedelta(hours=10)))
    told.signal(0, "a", value=9.0)
    outcomes = told.signal(1000, "b", value=0.0)
    assert [getattr(out, "reason", "") for out in outcomes] == ["level_fell"] * 4 + ["quiet"]
    times = [out.warning.updated_at if isinstance(out, WarningUpdated) else out.at for out in outcomes]
    assert times == sorted(times)
    assert times[-1] - times[-2] == timedelta(hours=72)


def test_the_quiet_period_is_that_of_the_sector_and_starts_anew_after_a_rise() -> None:
    """An episode ends only when the subject stays below the lowest level for all of it."""
    quiet = PipelineSettings(quiet_by_sector={"gas": timedelta(hours=5)})
    told = story(rule("high", at_least("p.v", 5), half_life=timedelta(hours=1)), settings=quiet)
    told.signal(0, "a", value=9.0)
    told.signal(0.1, "b", value=0.0)
    told.tick(3)
    assert told.outcomes[-1].warning.current_level == ""
    told.signal(4, "c", value=9.0)
    told.signal(4.1, "d", value=0.0)
    assert [type(out) for out in told.tick(10)].count(EpisodeEnded) == 0
    (ended,) = told.tick(11)
    assert (ended.warning_id, ended.reason) == (ID, "quiet")
    assert told.pipeline.next_wake() is None


def test_a_closed_warning_is_not_raised_again_by_what_was_already_known() -> None:
    """The rule is still true, but a signal that is no evidence for it brings nothing."""
    told = story(rule())
    for n in range(5):
        told.signal(n, f"s{n}")
    (ended,) = told.close(6, ID)
    assert (ended.warning_id, ended.reason, ended.at) == (ID, "closed", at(6))
    assert told.signal(7, "other", kind="fire.smoke") == []
    assert told.pipeline.next_wake() is None


def test_new_evidence_after_the_closing_is_a_new_warning() -> None:
    """A sixth complaint is a new fact: the next episode has its own id and evidence, and no second hit."""
    told = story(rule())
    for n in range(5):
        told.signal(n, f"s{n}")
    told.close(6, ID)
    (raised,) = told.signal(7, "s6")
    assert (raised.warning.id, raised.warning.episode, raised.warning.score) == (SECOND, 2, 40.0)


def test_a_revision_that_says_the_same_is_no_new_evidence() -> None:
    """A ticket whose state changed is still the same fact after the closing; the same ticket with a worse severity is another one."""
    told = story(rule("high", at_least("p.v", 5)))
    told.signal(0, "a", value=9.0)
    told.close(6, ID)
    assert told.signal(0, "a", received=7, value=9.0, attrs={"state": "已办结"}) == []
    (raised,) = told.signal(0, "a", received=8, value=9.5)
    assert raised.warning.episode == 2


def test_a_revision_of_a_field_that_the_rule_reads_is_new_evidence() -> None:
    """A rule on the signal's own fields knows them again."""
    told = story(rule("sev", severity_from(2)))
    told.signal(0, "a", severity=2)
    told.close(6, ID)
    assert told.signal(0, "a", received=7, severity=2, text="改写") == []
    assert [type(out) for out in told.signal(0, "a", received=8, severity=3)] == [WarningRaised]


def test_a_rule_that_reads_fields_beside_indicators_counts_only_what_feeds_them() -> None:
    """While it stays true, a signal that no indicator of it selects refreshes its points and is no evidence."""
    both = expression(
        "p.n >= 2 and has(feed)", lambda f: f.values["p.n"] is not None and f.values["p.n"] >= 2, indicators=("p.n",), fields=("feed",)
    )
    told = story(rule(when=both))
    for n in range(2):
        told.signal(n, f"s{n}")
    for n in range(3):
        told.signal(2 + n, f"noise{n}", kind="fire.smoke")
    told.signal(6, "s2")
    told.activate(7, ruleset([rule(when=both, points=80.0)], told.known["v1"].indicators.values(), "v2"))
    (updated,) = told.signal(8, "more", kind="fire.smoke")
    assert [each.id for each in updated.warning.evidence] == ["s0", "s1", "s2"]


def test_after_a_closing_the_cooldown_holds_back_what_stays_true() -> None:
    """The rule's own limit for repeats counts from the closing."""
    told = story(rule(cooldown=timedelta(hours=24)))
    for n in range(5):
        told.signal(n, f"s{n}")
    told.close(6, ID)
    assert told.signal(20, "s6") == []
    assert [type(out) for out in told.signal(30, "s7")] == [WarningRaised]


def test_an_answer_that_closes_nothing_changes_nothing() -> None:
    """Neither a verdict alone nor the closing of an unknown warning ends an episode."""
    told = story(rule("high", at_least("p.v", 5)))
    told.signal(0, "a", value=9.0)
    assert told.add(1, OutcomeEntry(warning_id=ID, verdict="confirmed", closed=False)) == []
    assert told.close(2, "w-unknown") == []
    assert told.close(3, ID)
    assert told.close(4, ID) == []


def test_shadow_rules_have_warnings_of_their_own() -> None:
    """They add nothing to the live score, and everything of theirs is marked."""
    told = story(rule("high", at_least("p.v", 5)), rule("trial", at_least("p.v", 5), points=60.0, status="shadow"))
    outcomes = told.signal(0, "a", value=9.0)
    assert [(out.rule, out.shadow) for out in outcomes if isinstance(out, RuleHit)] == [("high", False), ("trial", True)]
    raised = {out.warning.namespace: out.warning for out in outcomes if isinstance(out, WarningRaised)}
    assert {name: (each.score, each.shadow) for name, each in raised.items()} == {"live": (40.0, False), "shadow": (60.0, True)}
    assert raised["shadow"].id == warning_id("shadow", "o-1", "gas", 1)


def test_the_catalogue_decides_the_matter_of_a_hit() -> None:
    """By sector, kind and region; without an item the sector itself is the matter."""
    told = story(rule("high", at_least("p.v", 5)))
    item = CatalogueItem(slug="gas-pipeline", title="燃气管道", sector="gas", lead="市住建局", kinds=("gas.*",), regions=("6101",))
    told.add(0, CatalogueEntry(catalogue=Catalogue(version=1, items=(item,))))
    inside = last(told.signal(1, "a", value=9.0, region="610113"))
    assert (inside.matter, inside.sector) == ("gas-pipeline", "gas")
    told.signal(2, "b", value=0.0, region="620000")
    assert last(told.signal(3, "c", value=9.0, region="620000")).matter == "gas"


def test_coverage_is_the_share_of_the_feeds_that_are_not_silent() -> None:
    """Of two feeds that carry complaints one is silent."""
    told = story(rule("high", at_least("p.v", 5), feeds=("complaint",)), rule("sev", severity_from(3), points=5.0, feeds=("complaint",)))
    told.signal(0, "a", feed="f1")
    told.signal(0, "b", feed="f2")
    told.add(1, FeedEntry(feed="f1", mark="silent"))
    assert last(told.signal(2, "c", feed="f2", value=9.0)).coverage == 0.5
    told.add(3, FeedEntry(feed="f1", mark="back"))
    assert last(told.signal(5, "e", feed="f2", value=9.0, severity=3)).coverage == 1.0


def test_a_warning_shows_the_newest_fifty_signals_and_counts_all() -> None:
    """Evidence is in order of time."""
    told = story(rule(when=at_least("p.n", 120)))
    for n in range(120):
        told.signal(n / 10, f"s{n}")
    warning = told.outcomes[-1].warning
    assert [each.id for each in warning.evidence] == [f"s{n}" for n in range(70, 120)]
    assert warning.evidence_count == 120


def test_two_matters_of_one_object_are_two_warnings() -> None:
    """Each has its own score and episode."""
    told = story(rule("high", at_least("p.v", 5)), rule("fire", at_least("p.v", 5), sector="fire", points=60.0))
    raised = [out.warning for out in told.signal(0, "a", value=9.0) if isinstance(out, WarningRaised)]
    assert [(each.matter, each.score) for each in raised] == [("fire", 60.0), ("gas", 40.0)]
