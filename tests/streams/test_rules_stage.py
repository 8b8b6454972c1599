"""When a rule hits, and what a change of the rule set does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.findings import RuleHit, WarningRaised
from domain.signals import ObjectRef
from tests.factories import T0, at, make_object
from tests.streams.kit import (
    VALUE,
    WEEK,
    Story,
    at_least,
    expression,
    indicator,
    kind_is,
    rule,
    ruleset,
    severity_from,
    source_is,
    values_of,
)

HOUR = timedelta(hours=1)
LEVEL = at_least("p.last", 5)


def story(*rules: Any) -> Story:
    """Return a story over a count of gas signals and the last value."""
    return Story(T0, ruleset(rules, [indicator(where=kind_is("gas.")), indicator("p.last", "last", of=VALUE)]))


def hits(outcomes: list[Any]) -> list[str]:
    """Return the rules that hit."""
    return [out.rule for out in outcomes if isinstance(out, RuleHit)]


def test_a_rule_hits_when_it_becomes_true_and_not_while_it_stays_true() -> None:
    """One hit per rise over the limit; falling and rising again is another."""
    told = story(rule(when=LEVEL))
    assert [hits(told.signal(n, f"s{n}", value=value)) for n, value in enumerate([4, 5, 9, 4, 6])] == [[], ["r"], [], [], ["r"]]


def test_a_hit_says_what_the_condition_read() -> None:
    """Values of indicators and fields by name, the rule's sentence, the signal and its number."""
    both = expression(
        "p.last >= 5 and severity >= 2",
        lambda f: None if f.values["p.last"] is None else f.values["p.last"] >= 5 and f.entry.signal.severity >= 2,
        indicators=("p.last",),
        fields=("severity", "object.credit", "attrs.room"),
    )
    told = story(rule(when=both, say=lambda f: f"{f.object.name}: {f.values['p.n']}", points=0.0))
    told.objects(0, make_object(credit="D"))
    (hit,) = told.signal(1, "a", value=7.0, severity=2, attrs={"room": "3-2"})
    assert hit == RuleHit(
        rule="r", subject="o-1", object_id="o-1", matter="gas", feed="test", signal="a", seq=3, at=at(1),
        values={"p.last": 7.0, "severity": 2, "object.credit": "D", "attrs.room": "3-2"},
        message="某某燃气有限公司: 1", signal_only=True,
    )  # fmt: skip


@pytest.mark.parametrize(("status", "expected"), [("draft", []), ("deprecated", []), ("active", ["r"]), ("shadow", ["r"])])
def test_only_active_and_shadow_rules_run(status: Any, expected: list[str]) -> None:
    """Drafts are checked, not run; deprecated rules are not run any more."""
    assert hits(story(rule(when=LEVEL, status=status)).signal(0, "a", value=9.0)) == expected


def test_unknown_is_not_true() -> None:
    """A rule on an indicator that was never seen does not fire, whatever it compares."""
    unknown = expression("p.last < 5", lambda f: None if f.values["p.last"] is None else f.values["p.last"] < 5, indicators=("p.last",))
    told = story(rule(when=unknown))
    assert hits(told.signal(0, "a")) == []
    assert hits(told.signal(1, "b", value=1.0)) == ["r"]


def test_a_cooldown_is_the_shortest_time_between_two_hits_of_a_subject() -> None:
    """A rise within it is no hit; another subject has its own."""
    told = story(rule(when=LEVEL, cooldown=10 * HOUR))
    assert hits(told.signal(0, "a", value=9.0)) == ["r"]
    told.signal(1, "b", value=0.0)
    assert hits(told.signal(9.9, "c", value=9.0)) == []
    assert hits(told.signal(9.9, "d", value=9.0, object=ObjectRef(id="o-2"))) == ["r"]
    told.signal(9.9, "e", value=0.0)
    assert hits(told.signal(10, "f", value=9.0)) == ["r"]


def test_a_rule_runs_from_its_first_day_and_no_longer_after_its_last() -> None:
    """What was true before hits at the subject's first signal in force, also at one that changes none of its indicators."""
    told = story(rule(when=LEVEL, effective_from=at(10), effective_to=at(20)))
    assert hits(told.signal(9, "a", value=9.0)) == []
    assert hits(told.signal(10, "b", kind="fire.smoke", value=None)) == ["r"]
    told.signal(20, "c", value=9.0)
    assert told.pipeline.step([]) == []
    assert hits(told.signal(21, "d", value=0.0)) + hits(told.signal(22, "e", value=9.0)) == []


def test_a_rule_on_the_object_sees_the_object_as_it_is_at_the_signal() -> None:
    """A worse credit grade fires at the next signal, whatever that is."""
    bad = expression("object.credit == D", lambda f: None if f.object is None else f.object.credit == "D", fields=("object.credit",))
    told = story(rule(when=bad))
    told.objects(0, make_object(credit="A"))
    told.signal(1, "a")
    assert told.objects(2, make_object(credit="D")) == []
    assert hits(told.signal(3, "b", kind="fire.smoke")) == ["r"]


def test_a_rule_about_an_area_hits_once_for_all_its_objects() -> None:
    """The subject is the area; the object is that of the signal."""
    who = expression("object", lambda f: f.entry.resolution.object_id, fields=("object",))
    area = indicator("p.area", "distinct", of=who, by=6)
    told = Story(T0, ruleset([rule(when=at_least("p.area", 2), by=6, points=60.0)], [area]))
    told.signal(0, "a", region="610113001")
    outcomes = told.signal(1, "b", region="610113002", object=ObjectRef(id="o-2"))
    assert [(out.subject, out.object_id) for out in outcomes if isinstance(out, RuleHit)] == [("region:610113", "o-2")]
    (raised,) = [out.warning for out in outcomes if isinstance(out, WarningRaised)]
    assert (raised.subject, raised.object_id, raised.region, raised.evidence_count) == ("region:610113", "", "610113", 2)


def test_a_new_rule_set_keeps_indicators_defined_as_before_and_starts_the_others_empty() -> None:
    """Same name with another filter is another indicator; another title is the same."""
    told = story()
    told.signal(0, "a", value=3.0)
    told.activate(1, ruleset([], [indicator(where=source_is("iot")), indicator("p.last", "last", of=VALUE, title="新名")], "v2"))
    assert values_of(told.pipeline, "o-1") == {"p.last": 3.0}
    assert told.pipeline.warming_since() == {"p.last": at(0), "p.n": at(1)}


def test_an_indicator_with_parameters_is_only_the_same_within_one_version() -> None:
    """What `$limit` stands for is not in the text of the expression."""
    where = expression("value > $limit", lambda f: None if f.entry.signal.value is None else f.entry.signal.value > 1, fields=("value",))
    told = Story(T0, ruleset([], [indicator(where=where)]))
    told.signal(0, "a", value=3.0)
    told.activate(1, ruleset([], [indicator(where=where)], "v2"))
    assert told.value() is None


def test_a_reload_raises_nothing_by_itself() -> None:
    """What the new rule says of the old state is its old truth: no hit, and the risk counts from the subject's next signal."""
    told = story()
    for n in range(3):
        told.signal(n, f"s{n}")
    assert (
        told.activate(
            5, ruleset([rule(when=at_least("p.n", 2))], [indicator(where=kind_is("gas.")), indicator("p.last", "last", of=VALUE)], "v2")
        )
        == []
    )
    outcomes = told.signal(6, "s6")
    assert hits(outcomes) == []
    assert [type(out) for out in outcomes] == [WarningRaised]


def test_a_rule_that_did_not_change_is_not_read_at_a_reload() -> None:
    """It came into effect between two signals; a reload in between, of another rule, does not take the news away."""
    kept = [indicator(where=kind_is("gas.")), indicator("p.last", "last", of=VALUE)]
    late = rule(when=LEVEL, effective_from=at(2))
    for more in ([], [rule("other", when=at_least("p.n", 9))]):
        told = story(late)
        told.signal(0, "a", value=9.0)
        told.activate(3, ruleset([late, *more], kept, "v2"))
        assert hits(told.signal(4, "b", value=9.0)) == ["r"]


def test_a_rule_is_read_at_a_reload_where_what_it_rests_on_changed() -> None:
    """Its own text is as it was; the indicator counts another kind, or the rule that it refers to has another limit."""
    told = story(rule(when=at_least("p.n", 1)))
    told.signal(0, "a")
    told.activate(1, ruleset([rule(when=at_least("p.n", 1))], [indicator(where=kind_is("fire."))], "v2"))
    assert hits(told.signal(2, "b", kind="fire.smoke")) == ["r"]
    joint = rule("joint", when=replace(expression("low", lambda facts: facts.values.get("rule:low")), rules=("low",)))
    kept = [indicator(where=kind_is("gas.")), indicator("p.last", "last", of=VALUE)]
    told = story(rule("low", when=at_least("p.n", 2)), joint)
    told.signal(0, "a")
    told.activate(1, ruleset([rule("low", when=at_least("p.n", 1)), joint], kept, "v2"))
    assert hits(told.signal(2, "b")) == [], "both were true of the old state"


def test_activating_the_active_rule_set_changes_nothing() -> None:
    """A second activation of the same version keeps every window."""
    told = story(rule(when=LEVEL))
    told.signal(0, "a", value=9.0)
    before = values_of(told.pipeline, "o-1")
    told.activate(1, told.known["v1"])
    assert values_of(told.pipeline, "o-1") == before
    assert hits(told.signal(2, "b", value=9.0)) == []


def test_points_of_a_changed_rule_hold_from_the_next_signal() -> None:
    """An open warning follows the new points, without a new hit."""
    old = story(rule(when=LEVEL, points=40.0))
    old.signal(0, "a", value=9.0)
    kept = [indicator(where=kind_is("gas.")), indicator("p.last", "last", of=VALUE)]
    old.activate(1, ruleset([rule(when=LEVEL, points=80.0)], kept, "v2"))
    (updated,) = old.signal(2, "b", value=9.0)
    assert (updated.reason, updated.warning.score, updated.warning.current_level) == ("level_raised", 80.0, "red")


def test_windows_of_a_rule_may_differ_from_those_of_its_neighbours() -> None:
    """An object's rule may read the indicator of its area: it is read again at each of the object's signals."""
    area = indicator("p.area", by=6, window=WEEK)
    told = Story(T0, ruleset([rule(when=at_least("p.area", 3))], [area, indicator()]))
    for n in range(2):
        told.signal(n, f"s{n}", region="610113", object=ObjectRef(id="o-2"))
    assert hits(told.signal(3, "a", region="610113")) == ["r"]


def test_severity_alone_hits_at_each_rise() -> None:
    """A rule without indicators compares with the previous signal of the object."""
    told = story(rule(when=severity_from(3)))
    assert [hits(told.signal(n, f"s{n}", severity=severity)) for n, severity in enumerate([3, 3, 1, 3])] == [["r"], [], [], ["r"]]
