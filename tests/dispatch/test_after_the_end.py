"""What reaches a case that is over, or that no rule of the engine decides: told to somebody, never passed over."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dispatch.policy import LAST_RESORT, PolicySet
from dispatch.revise import Change, facts_withdrawn, follow
from dispatch.route import Routed, Unrouted, unroutable
from domain.tasks import WarningCase
from tests.dispatch.timeline import SIGNED, Story
from tests.factories import make_warning


def ended(story: Story) -> Story:
    """Bring the story's warning to its regular end."""
    story.warning()
    story.delivered("housing", "market", "fire")
    for department in ("market", "fire", "housing"):
        story.finish(department)
        story.desk("accept", department, form=SIGNED)
    assert story.case().status == "closed"
    return story


def goes_on(story: Story, change: Change, level: str = "orange") -> WarningCase:
    """Let the finding change and return the case after it."""
    applied = follow(level, change, story.case(), story.tasks(), story.context, story.clock.now())
    story.store.write(applied.effects)
    assert story.case() == applied.case
    return applied.case


@pytest.mark.parametrize("change", ["joined", "level_raised"])
def test_a_hit_between_the_closing_and_the_end_of_the_episode_reopens_the_case(change: Change) -> None:
    """The departments get new tasks, everybody who was told hears why, and the level that it reached holds."""
    story = ended(Story())
    case = goes_on(story, change, "red")
    assert (case.status, case.attempt, case.level, case.policy.ref) == ("open", 2, "red", "city-red@1")
    assert [(task.department, task.stage) for task in story.tasks() if task.open] == [
        (unit, "generated") for unit in ("housing", "market", "fire")
    ]
    for unit in ("housing", "market", "fire"):
        assert story.events(unit).count("task.assigned") == 2
        assert story.events(unit).count("case.reopened") == 1
    assert story.at("2h").rungs(), "its clocks run like any other's"


def test_a_hit_that_comes_too_late_to_reopen_or_after_a_withdrawal_is_laid_before_the_duty_desk() -> None:
    """A row with the reason, for each hit one, and nothing else changes."""
    late = ended(Story()).at("40d")
    withdrawn = Story()
    withdrawn.warning()
    withdrawn.desk("withdraw", note="误报")
    for story, why in ((late, "自动重新办理的期限已过"), (withdrawn, "已撤回")):
        before = story.case()
        goes_on(story, "joined")
        goes_on(story, "joined")
        told = story.told("duty", "case.attention")
        assert len(told) == 2
        assert all(why in note.reason for note in told)
        assert (story.case().status, story.case().attempt) == (before.status, before.attempt)
        assert not [task for task in story.tasks() if task.open]


def test_a_fall_or_a_new_score_of_a_case_that_is_over_concerns_nobody() -> None:
    """Nothing was promised about it."""
    story = ended(Story())
    for change in ("level_fell", "rescored"):
        assert follow("blue", change, story.case(), story.tasks(), story.context, story.clock.now()).effects == ()


def test_facts_that_are_corrected_or_withdrawn_after_the_closing_are_told_to_whoever_was_told() -> None:
    """Each correction once to each department; the closing stands."""
    story = ended(Story())
    for _ in range(2):
        goes_on(story, "corrected")
    applied = facts_withdrawn(story.case(), story.tasks(), story.context, story.clock.now())
    story.store.write(applied.effects)
    assert story.case().status == "closed"
    assert [story.events(unit).count("case.corrected") for unit in ("housing", "market", "fire")] == [3, 3, 3]


def test_two_corrections_of_an_open_case_are_two_messages() -> None:
    """The second is not taken for the first one told again."""
    story = Story()
    story.warning()
    for _ in range(2):
        goes_on(story, "corrected")
    assert story.events("housing").count("case.corrected") == 2


def test_without_a_policy_for_the_new_level_the_old_one_goes_on() -> None:
    """The level is taken over, the reason says which policy is missing, nobody's clock is lost."""
    orange = PolicySet(tuple(one for one in Story().context.policies.policies if "red" not in one.match.level))
    story = Story(
        policies=PolicySet(tuple(replace(one, match=replace(one.match, level=one.match.level or ("orange",))) for one in orange.policies))
    )
    story.warning()
    before = story.case().policy
    case = goes_on(story, "level_raised", "red")
    assert (case.level, case.policy) == ("red", before)
    assert "没有适用于等级 red 的时限政策" in case.policy_reason
    assert story.events("housing")[-1] == "case.level_raised"


def test_without_any_policy_a_warning_stands_at_the_duty_desk_under_the_built_in_one() -> None:
    """Routing always gives a case with a running clock; what is missing is its reason."""
    story = Story(policies=PolicySet())
    routed = story.warning()
    assert isinstance(routed, Unrouted)
    assert (routed.case.status, routed.case.policy) == ("unrouted", LAST_RESORT)
    assert any("match: {unrouted: true}" in reason for reason in routed.case.reasons)
    assert {clock.kind for clock in routed.case.clocks if clock.state == "running"} == {"total", "designate"}
    assert story.told("duty", "case.unrouted")
    assert story.at("3h").rungs() == [("1:00:00", "urge", "duty"), ("2:00:00", "report", "gas-force")]


def test_a_warning_whose_routing_failed_stands_at_the_duty_desk_and_can_be_designated() -> None:
    """The reason is shown; from the designation on it is a case like others."""
    story = Story()
    failed = unroutable(make_warning(), story.context, story.clock.now(), "KeyError: 'x'")
    assert not isinstance(failed, Routed)
    story.store.write(failed.effects)
    assert story.case().reasons[0] == "KeyError: 'x'"
    assert story.told("duty", "case.unrouted")[0].reason == "KeyError: 'x'"
    story.desk("designate", form={"department": "housing"}, note="由住建局牵头")
    assert (story.case().status, story.case().policy.ref) == ("open", "city-orange@1")
