"""What a contribution says of itself: the signals behind it, its values and its sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.findings import EarlyWarning, EpisodeEnded, RuleHit, WarningUpdated
from domain.inference import Clause
from domain.levels import DEFAULT_LEVELS
from domain.signals import ObjectRef
from rules.matcher import Matcher
from streams.stages.conclusions import Conclusions
from streams.stages.feeds import Feeds
from streams.stages.fuse import FuseStage, Part, Risk
from streams.stages.indicators import IndicatorStage
from streams.stages.ledger import Ledger
from streams.stages.models import SeriesDetectors
from streams.stages.raising import RaiseStage
from streams.stages.wakes import Wakes
from streams.stages.windows import DAY, MICROSECOND
from tests.factories import T0, make_object
from tests.streams.kit import VALUE, Story, at_least, expression, indicator, inference, kind_is, rule, ruleset, severity_from

HOUR = timedelta(hours=1) // MICROSECOND


def story(*rules: Any, **kw: Any) -> Story:
    """Return a story over a count and the last value of gas signals, and a count of them by district."""
    gas = kind_is("gas.")
    counts = [indicator(where=gas), indicator("p.v", "last", of=VALUE, where=gas), indicator("p.area", where=gas, by=6)]
    return Story(T0, ruleset(rules, counts), **kw)


def alarm(told: Story, hours: float) -> EarlyWarning:
    """Bring the rule `alarm` of a story, which nothing but this signal makes true; return the warning that it joins or raises."""
    warning: EarlyWarning = told.signal(hours, f"alarm-{hours}", kind="fire.smoke", severity=4)[-1].warning
    return warning


ALARM = rule("alarm", severity_from(4), points=1.0)


def behind(warning: EarlyWarning) -> list[str]:
    """Return the ids of the signals behind a warning, but for the alarm that made it be written."""
    return [each.id for each in warning.evidence if not each.id.startswith("alarm")]


def part(warning: EarlyWarning, name: str) -> tuple[dict[str, Any], str]:
    """Return the values and the message of a contribution."""
    return next((each.values, each.message) for each in warning.contributions if each.name == name)


def test_every_signal_that_feeds_a_contribution_is_behind_it_whether_its_rule_is_true_or_not() -> None:
    """Those inside the windows when it was made, and whatever comes into them afterwards; not what no indicator of it takes."""
    told = story(rule("high", at_least("p.v", 5)), ALARM)
    told.signal(0, "before", value=1.0)
    told.signal(1, "high", value=9.0)
    told.signal(2, "low", value=1.0)
    told.signal(3, "smoke", kind="fire.smoke", value=1.0)
    told.signal(4, "again", value=8.0)
    told.signal(5, "low-again", value=1.0)
    assert behind(alarm(told, 6)) == ["before", "high", "low", "again", "low-again"]


def test_a_late_signal_that_no_window_takes_is_not_behind_a_contribution() -> None:
    """It is older than the week that the count looks at."""
    told = story(rule(when=at_least("p.n", 1)), ALARM)
    told.signal(24 * 8, "a")
    told.signal(0, "old", received=24 * 8 + 1)
    assert behind(alarm(told, 24 * 8 + 2)) == ["a"]


def test_a_signal_that_only_pushes_others_out_of_a_window_is_not_behind_a_contribution() -> None:
    """The count changes by it and the rule is still true, but it is no gas signal."""
    counted = indicator(where=kind_is("gas."), as_of="object")
    told = Story(T0, ruleset([rule(when=at_least("p.n", 1), half_life=timedelta(0)), ALARM], [counted]))
    told.signal(0, "a")
    told.signal(48, "b")
    told.signal(24 * 8, "smoke", kind="fire.smoke")
    assert told.value() == 1
    assert behind(alarm(told, 24 * 8 + 1)) == ["a", "b"]


def test_a_hit_on_a_contribution_that_stands_adds_no_signals_by_itself() -> None:
    """What others reported in the district was behind the rule when it became true; what they report later is not its object's."""
    some, high = at_least("p.area", 1), at_least("p.v", 5)
    both = expression(
        "p.area >= 1 and p.v >= 5",
        lambda facts: high.evaluate(facts) if some.evaluate(facts) else some.evaluate(facts),
        indicators=("p.area", "p.v"),
    )
    told = story(rule("both", both), ALARM)
    told.objects(0, make_object(region="610113001"), make_object(id="o-2", region="610113002"))
    told.signal(1, "other", object=ObjectRef(id="o-2"))
    told.signal(2, "high", value=9.0)
    told.signal(3, "low", value=1.0)
    told.signal(4, "later", object=ObjectRef(id="o-2"))
    assert [type(out) for out in told.signal(5, "again", value=9.0)] == [RuleHit]
    assert behind(alarm(told, 6)) == ["other", "high", "low", "again"]


def test_a_rule_on_the_signal_alone_has_every_signal_behind_it_that_it_was_true_at() -> None:
    """It rests on nothing else."""
    told = story(rule("sev", severity_from(2), points=40.0), ALARM)
    for hours, severity in enumerate((2, 1, 3, 0, 2)):
        told.signal(hours, f"s{hours}", severity=severity)
    assert behind(alarm(told, 9)) == ["s0", "s2", "s4"]


def test_a_rule_on_the_signal_and_indicators_has_the_signal_behind_it_that_made_it() -> None:
    """That of the smoke, which feeds none of its indicators; later ones only where they do."""
    known, severe = at_least("p.n", 1), severity_from(2)
    both = expression(
        "p.n >= 1 and severity >= 2",
        lambda facts: known.evaluate(facts) if severe.evaluate(facts) else False,
        indicators=("p.n",),
        fields=("severity",),
    )
    told = story(rule("both", both), ALARM)
    told.signal(0, "gas")
    told.signal(1, "smoke", kind="fire.smoke", severity=2)
    told.signal(2, "smoke-again", kind="fire.smoke", severity=2)
    told.signal(3, "gas-again", severity=0)
    assert behind(alarm(told, 4)) == ["gas", "smoke", "gas-again"]


def test_a_contribution_goes_with_the_last_of_the_signals_that_fed_it() -> None:
    """One at which its rule was not true keeps it, as any other does."""
    told = story(rule("high", at_least("p.v", 5)))
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=1.0)
    (updated,) = told.signal(2, "w1", withdraws="a")
    assert isinstance(updated, WarningUpdated)
    assert behind(updated.warning) == ["b"]
    (ended,) = told.signal(3, "w2", withdraws="b")
    assert isinstance(ended, EpisodeEnded)
    assert ended.reason == "withdrawn"


def test_a_closing_spends_what_fed_it_and_later_signals_are_behind_the_next_contribution_only() -> None:
    """What comes between the closing and the next contribution is behind that where it is inside its windows."""
    told = story(rule("many", at_least("p.n", 2), cooldown=timedelta(hours=10)))
    told.signal(0, "a")
    closed = told.signal(1, "b")[-1].warning
    told.close(2, closed.id)
    assert told.signal(3, "c") == []
    (raised,) = told.signal(20, "d")
    assert behind(raised.warning) == ["a", "b", "c", "d"]


def test_the_values_of_a_warning_are_those_of_the_instant_at_which_it_was_written() -> None:
    """Each rule that is true says what stands now, also where another one made the warning be written."""
    told = story(rule("high", at_least("p.v", 5)), rule("many", at_least("p.n", 3), points=1.0))
    raised = told.signal(0, "a", value=9.0)[-1].warning
    assert part(raised, "high") == ({"p.v": 9.0}, "high: 1")
    told.signal(1, "b", value=8.0)
    joined = told.signal(2, "c", value=7.0)[-1].warning
    assert (part(joined, "high"), part(joined, "many")) == (({"p.v": 7.0}, "high: 3"), ({"p.n": 3}, "many: 3"))


def test_a_rule_that_is_no_longer_true_keeps_what_it_said_last() -> None:
    """In a warning, that is: a hit that no warning told of changes nothing of it."""
    told = story(rule("high", at_least("p.v", 5)), ALARM)
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=1.0)
    hit, *rest = told.signal(2, "c", value=8.0)
    assert (hit.values, hit.message, rest) == ({"p.v": 8.0}, "high: 3", [])
    told.signal(3, "d", value=1.0)
    assert part(alarm(told, 4), "high") == ({"p.v": 9.0}, "high: 1")


@pytest.mark.parametrize(("value", "expected"), [(7.0, {"p.v": 7.0}), (1.0, {"p.v": 9.0})])
def test_a_fall_by_time_alone_tells_the_values_of_the_last_signal(value: float, expected: dict[str, Any]) -> None:
    """As long as the rule is true at it."""
    told = story(rule("high", at_least("p.v", 5), points=90.0, half_life=timedelta(hours=10)))
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", value=value)
    (fell, *_) = told.tick(20)
    assert (fell.reason, part(fell.warning, "high")[0]) == ("level_fell", expected)


def test_a_correction_tells_the_values_that_are_left() -> None:
    """The count in the warning is that of the signals that stand."""
    told = story(rule("many", at_least("p.n", 2)))
    for n in range(4):
        told.signal(n, f"s{n}")
    (updated,) = told.signal(5, "w", withdraws="s1")
    assert (updated.reason, part(updated.warning, "many")) == ("corrected", ({"p.n": 3}, "many: 3"))


def test_a_rule_that_speaks_of_another_matter_by_now_leaves_the_earlier_warning_as_it_was() -> None:
    """Without a catalogue the sector is the matter; the new version of the rule belongs to another one."""
    high = at_least("p.v", 5)
    told = story(rule("high", high, points=90.0, half_life=timedelta(hours=10)))
    told.signal(0, "a", value=9.0)
    told.activate(1, ruleset([rule("high", high, points=90.0, sector="fire")], told.known["v1"].indicators.values(), "v2"))
    told.signal(2, "b", value=8.0)
    fell = next(out.warning for out in told.tick(10) if isinstance(out, WarningUpdated) and out.warning.matter == "gas")
    assert part(fell, "high")[0] == {"p.v": 9.0}


def test_what_follows_from_findings_reads_parts_that_are_brought_up_to_date() -> None:
    """A finding that was refreshed meanwhile fades later, and so does what rests on it."""
    fuse, raising, _, risk = _stages(lambda _risk, _now: None)
    conclusions = Conclusions(Matcher(), fuse, raising, IndicatorStage(Ledger(10), SeriesDetectors({})), DEFAULT_LEVELS)
    conclusions.activate(ruleset([rule("high")], [], inferences=[inference("short", Clause(holds=("rule:high",)))]), 0)
    first = conclusions.first(0)

    def sync(each: Risk) -> None:
        each.parts["high"].since = DAY

    fuse.sync = sync
    assert first is not None
    assert conclusions.first(0) == first + DAY
    assert risk.parts["high"].since == DAY


def _stages(refresh: Any) -> tuple[FuseStage, RaiseStage, Wakes, Risk]:
    """Return fusion and raising with one risk of 40 points, which halve every day, and its open warning."""
    fuse = FuseStage(DEFAULT_LEVELS, Ledger(10))
    raising = RaiseStage(DEFAULT_LEVELS, fuse, Feeds({}), refresh=refresh, namespace="live", quiet={}, default_quiet=DAY)
    risk = fuse.risk("o-1", "gas", "gas", shadow=False)
    own = risk.parts["high"] = Part("rule", "high", "某某")
    own.full, own.half_life = 40.0, DAY
    wakes = Wakes(fuse, raising)
    raising.settle(risk, 0)
    wakes.schedule(risk)
    return fuse, raising, wakes, risk


def test_parts_are_brought_up_to_date_before_time_alone_reads_them() -> None:
    """Whoever only notes that a part was refreshed says so when the next fall, the fall itself and midnight ask."""
    fuse, raising, wakes, risk = _stages(lambda _risk, _now: None)
    refreshed = 10 * HOUR

    def sync(each: Risk) -> None:
        each.parts["high"].since = refreshed

    assert wakes.first() is risk
    due = risk.due
    assert due is not None
    assert due < refreshed
    fuse.sync = sync
    wakes.schedule(risk)
    assert wakes.first() is risk
    assert risk.due is not None
    assert risk.due > refreshed
    assert raising.tick(risk, due) == []
    refreshed = 20 * DAY
    fuse.sweep(risk, 20 * DAY)
    assert list(risk.parts) == ["high"]


def test_what_parts_say_is_asked_for_when_a_warning_is_written() -> None:
    """Before it is, and with the instant that it is written at."""
    asked: list[int] = []

    def refresh(risk: Risk, now: int) -> None:
        asked.append(now)
        risk.parts["high"].message = f"at {now // HOUR}"

    _, raising, _, risk = _stages(refresh)
    assert asked == [0]
    (fell,) = raising.settle(risk, 20 * HOUR)
    assert isinstance(fell, WarningUpdated)
    assert (asked, part(fell.warning, "high")[1]) == ([0, 20 * HOUR], "at 20")
