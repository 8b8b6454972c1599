"""What follows from an object's findings stands on the warnings that it rests on, at every instant, however the records are cut."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings

from domain.catalogue import Catalogue
from domain.findings import EarlyWarning, WarningRaised, WarningUpdated
from domain.inference import Clause, Program
from domain.levels import DEFAULT_LEVELS
from domain.records import ObjectsEntry, Record, RulesetEntry
from domain.signals import ObjectRef
from rules.matcher import Matcher
from streams.pipeline import Pipeline, PipelineSettings
from tests.factories import T0, make_object
from tests.streams.kit import VALUE, Story, at_least, indicator, inference, kind_is, rule, ruleset
from tests.streams.worlds import rulesets, worlds

RULESETS = rulesets()


def _story(*inferences: Any, **kw: Any) -> Story:
    """Return a story of two rules in the gas sector and one in the fire sector, each with an indicator of its own."""
    indicators = [indicator(f"p.{kind}", "last", of=VALUE, where=kind_is(f"{kind}.")) for kind in ("gas", "fire", "video")]
    rules = [
        rule("leak", at_least("p.gas", 5), plan="leak-plan"),
        rule("smoke", at_least("p.fire", 5), sector="fire", plan="smoke-plan"),
        rule("seen", at_least("p.video", 5), points=30.0),
        rule("trial", at_least("p.video", 1), status="shadow"),
    ]
    return Story(T0, ruleset(rules, indicators, inferences=inferences), **kw)


def _shown(outcomes: list[Any]) -> dict[str, list[str]]:
    """Return what the outcomes tell of inferences, by the matter of the warning; those on trial are left out."""
    told = [out.warning for out in outcomes if hasattr(out, "warning") and not out.warning.shadow]
    return {warning.matter: [each.id for each in warning.inferred] for warning in told}


BOTH = inference("both", Clause(holds=("rule:leak", "rule:smoke")), plan="both-plan")


def test_what_rests_on_two_matters_stands_on_the_warnings_of_both() -> None:
    """The second matter's warning is raised with it, and the first one is told again for no other reason."""
    told = _story(BOTH)
    assert _shown(told.signal(0, "a", value=9.0)) == {"gas": []}
    outcomes = told.signal(1, "b", kind="fire.smoke", value=9.0)
    assert _shown(outcomes) == {"fire": ["both"], "gas": ["both"]}
    assert [out.reason for out in outcomes if isinstance(out, WarningUpdated)] == ["inferred"]
    (inferred,) = outcomes[-1].warning.inferred
    assert [(each.fact, each.title, each.holds) for each in inferred.because] == [
        ("rule:leak", "leak", True),
        ("rule:smoke", "smoke", True),
    ]


def test_a_plan_that_an_inference_selects_goes_before_that_of_the_weightiest_rule() -> None:
    """Without an inference the plan is that of the contribution; of two inferences the first in the file selects it."""
    later = inference("later", Clause(holds=("rule:leak",)), plan="later-plan", line=9)
    told = _story(BOTH, later)
    assert told.signal(0, "a", value=9.0)[-1].warning.plan == "later-plan"
    plans = {out.warning.matter: out.warning.plan for out in told.signal(1, "b", kind="fire.smoke", value=9.0) if hasattr(out, "warning")}
    assert plans == {"gas": "both-plan", "fire": "both-plan"}
    assert _story().signal(0, "a", value=9.0)[-1].warning.plan == "leak-plan"


def test_closing_one_warning_takes_its_findings_from_the_other() -> None:
    """What is dealt with is no finding any more: the warning that is left is told again without the inference."""
    told = _story(BOTH)
    gas = told.signal(0, "a", value=9.0)[-1].warning
    told.signal(1, "b", kind="fire.smoke", value=9.0)
    outcomes = told.close(2, gas.id)
    assert _shown(outcomes) == {"fire": []}
    assert outcomes[-1].reason == "inferred"
    assert outcomes[-1].warning.plan == "smoke-plan"


def test_a_correction_takes_back_what_followed_from_it() -> None:
    """A signal that is withdrawn takes its rule's contribution, and with it what rested on it."""
    told = _story(BOTH)
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", kind="fire.smoke", value=9.0)
    outcomes = told.signal(2, "c", withdraws="b")
    assert _shown(outcomes) == {"gas": []}


def test_levels_of_the_sector_and_what_is_lacking_are_read_as_they_stand() -> None:
    """From 40 points on the level is yellow; what asked for no video goes when there is one."""
    unseen = inference("unseen", Clause(holds=("level:gas>=yellow",), lacks=("rule:seen",)))
    high = inference("high", Clause(holds=("level:gas>=orange",)), line=2)
    told = _story(unseen, high)
    assert _shown(told.signal(0, "a", value=9.0)) == {"gas": ["unseen"]}
    assert _shown(told.signal(1, "b", kind="video.seen", value=9.0))["gas"] == ["high"]


def test_labels_and_credit_come_from_the_registry() -> None:
    """An inference over a label holds for the object that has it and for no other."""
    known = inference("known", Clause(holds=("rule:leak", "label:学校", "object.credit=D")))
    told = _story(known)
    told.objects(0, make_object(labels=("学校",), credit="D"), make_object(id="o-2", labels=("学校",)))
    assert _shown(told.signal(1, "a", value=9.0)) == {"gas": ["known"]}
    assert _shown(told.signal(1, "b", value=9.0, object=ObjectRef(id="o-2"))) == {"gas": []}


def test_an_inference_on_trial_stands_on_trial_warnings_alone() -> None:
    """It may rest on live and trial findings; the live warning never shows it."""
    told = _story(inference("trying", Clause(holds=("rule:leak", "rule:trial")), status="shadow"))
    told.signal(0, "a", value=9.0)
    told.signal(1, "b", kind="video.seen", value=3.0)
    last: dict[str, EarlyWarning] = {out.warning.id: out.warning for out in told.outcomes if hasattr(out, "warning")}
    assert {warning.shadow: [each.id for each in warning.inferred] for warning in last.values()} == {False: [], True: ["trying"]}


def test_another_rule_set_s_inferences_are_taken_up_when_something_happens() -> None:
    """The activation raises nothing; the next record that concerns the object brings the new inferences and drops the old."""
    told = _story(inference("old", Clause(holds=("rule:leak",))))
    told.signal(0, "a", value=9.0)
    first = told.known["v1"]
    new = ruleset(first.rules, list(first.indicators.values()), "v2", [inference("new", Clause(holds=("rule:leak",)))])
    assert told.activate(1, new) == []
    assert _shown(told.signal(2, "b", kind="video.seen", value=9.0))["gas"] == ["new"]


class _Counting:
    """The matcher, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Answer as the matcher does."""
        self.asked += 1
        return Matcher().infer(program, facts)


def test_the_same_facts_are_asked_about_once() -> None:
    """Many objects with the same findings cost one question: what follows depends on the facts alone."""
    counting = _Counting()
    told = _story(BOTH, inference=counting)
    for number in range(20):
        told.signal(number, f"a{number}", value=9.0, object=ObjectRef(id=f"o-{number}"))
    assert counting.asked == 1


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_every_warning_shows_what_its_own_contributions_say(records: list[Record]) -> None:
    """An inference over rules of one matter stands on a warning exactly where the warning lists the contributions of both."""
    pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), RULESETS.__getitem__, {}, PipelineSettings())
    for out in pipeline.step(records):
        if not isinstance(out, WarningRaised | WarningUpdated) or out.warning.shadow or out.warning.subject.startswith("region:"):
            continue
        names = {part.name for part in out.warning.contributions}
        shown = {each.id for each in out.warning.inferred}
        if out.warning.matter == "gas":
            assert ("severe-and-few" in shown) == ({"severe", "few"} <= names)
        for each in out.warning.inferred:
            assert each.because
            own = {reason.fact.removeprefix("rule:") for reason in each.because if reason.holds} & names
            assert own or any(reason.fact.startswith(("level:", "inference:")) for reason in each.because if reason.holds)


def test_a_finding_that_fades_takes_its_inference_with_it_at_that_instant() -> None:
    """The warning goes on; it is told again when nothing is left of the other matter's finding, as time alone brings it about."""
    told = _story(inference("short", Clause(holds=("rule:leak", "rule:seen"))), settings=PipelineSettings(quiet=timedelta(days=3000)))
    told.signal(0, "a", value=9.0)
    assert _shown(told.signal(1, "b", kind="video.seen", value=9.0))["gas"] == ["short"]
    last = None
    while (wake := told.pipeline.next_wake()) is not None:
        hours = (wake - T0) / timedelta(hours=1)
        before = told.pipeline.snapshot()
        outcomes = told.tick(hours)
        if any(isinstance(out, WarningUpdated) and out.reason == "inferred" for out in outcomes):
            last = wake, outcomes[-1].warning, before
            break
    assert last is not None, "nobody was told that the inference no longer holds"
    at, warning, before = last
    assert (warning.inferred, warning.updated_at) == ((), at)
    points = 30.0 * 0.5 ** ((at - T0 - timedelta(hours=1)) / timedelta(days=14))
    assert 0.0099 < points < 0.01, "the first millisecond at which nothing counts"
    restored = told.pipeline.fresh()
    restored.restore(before)
    assert restored.next_wake() == at


def test_an_inference_comes_into_force_and_ends_at_its_own_instants() -> None:
    """The open warnings are told then, and neither sooner nor because something else happened; what rests on it follows."""
    dated = inference("dated", Clause(holds=("rule:leak",)), effective_from=T0 + timedelta(hours=5), effective_to=T0 + timedelta(hours=9))
    after = inference("after", Clause(holds=("inference:dated",)), line=2)
    told = _story(dated, after)
    assert _shown(told.signal(0, "a", value=9.0)) == {"gas": []}
    assert told.pipeline.next_wake() == T0 + timedelta(hours=5)
    begun = told.tick(8)
    assert [(out.reason, out.warning.updated_at) for out in begun] == [("inferred", T0 + timedelta(hours=5))]
    assert _shown(begun) == {"gas": ["dated", "after"]}
    assert [[each.fact for each in one.because] for one in begun[0].warning.inferred] == [["rule:leak"], ["inference:dated"]]
    assert _shown(told.signal(9, "b", value=9.0)) == {"gas": []}


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_conclusions_are_at_every_instant_those_of_the_findings_as_they_stand(records: list[Record]) -> None:
    """After every record each open warning has what an evaluation of all findings gives; activations and the registry are left out."""
    pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), RULESETS.__getitem__, {}, PipelineSettings())
    told = [each for each in records[1:] if not isinstance(each.entry, RulesetEntry | ObjectsEntry)]
    for record in [records[0], *told]:
        pipeline.step([record])
        shown = pipeline._raising.inferred
        for subject in pipeline._fuse.risks:
            for risk, inferred in pipeline._conclusions._of(subject, pipeline._now):
                assert risk.episode is not None
                assert shown.get(risk.episode.id, ()) == inferred
