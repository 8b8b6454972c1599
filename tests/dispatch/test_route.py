"""Who gets a warning, and how a unit is found in the directory."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dispatch.policy import PolicySet
from dispatch.route import Unrouted
from domain.catalogue import Catalogue, Tier
from domain.departments import Department, Directory, covers
from domain.tasks import Precedent, task_id
from tests.dispatch.timeline import DIRECTORY, GAS, MONDAY, Story, default_policies


def test_the_lead_and_each_cooperating_unit_have_a_task_of_their_own() -> None:
    """Ids are deterministic, roles are told, and the reasons say item, unit, policy and basis."""
    story = Story()
    routed = story.warning()
    assert [(task.id, task.department, task.role) for task in story.tasks()] == [
        (task_id("w1", "housing", 1), "housing", "lead"),
        (task_id("w1", "market", 1), "market", "cooperating"),
        (task_id("w1", "fire", 1), "fire", "cooperating"),
    ]
    assert not isinstance(routed, Unrouted)
    assert routed.case.reasons == routed.reasons
    assert routed.reasons == (
        "事项 gas-use 燃气使用安全（清单第3版）",
        "牵头单位：市住建局 → 市住建局（依据：城镇燃气管理条例）",
        "适用时限政策 city-orange@1（风险等级较大）",
        "配合单位：市市场监管局 → 市市场监管局",
        "配合单位：市消防救援支队 → 市消防救援支队",
    )
    assert [(note.recipient.department, note.event) for note in story.store.outbox.values() if note.event == "task.assigned"] == [
        ("housing", "task.assigned"),
        ("market", "task.assigned"),
        ("fire", "task.assigned"),
    ]


def test_a_cooperating_unit_that_nobody_knows_is_shown_to_the_desk() -> None:
    """The warning goes on without it, and the duty desk hears its name."""
    story = Story(catalogue=Catalogue(version=1, items=(replace(GAS, cooperating=("市城管局",)),)))
    story.warning()
    assert [task.department for task in story.tasks()] == ["housing"]
    assert [note.reason for note in story.told("duty", "case.unit_unknown")] == [
        "通讯录中没有覆盖 610113 的配合单位“市城管局”，请值班员补充"
    ]


@pytest.mark.parametrize(
    ("matter", "reason"),
    [("noise", "事项清单中没有对应的事项"), ("transport", "通讯录中没有唯一对应“市交通局”")],
)
def test_without_a_competent_unit_it_stands_at_the_duty_desk(matter: str, reason: str) -> None:
    """No item, or no department of that name: unrouted with its own clock and the reason, never dropped."""
    story = Story()
    routed = story.warning(matter=matter, sector=matter)
    assert isinstance(routed, Unrouted)
    assert reason in routed.reason
    assert (routed.case.status, routed.case.duty_desk, routed.case.policy.ref) == ("unrouted", "duty", "unrouted-urgent@1")
    assert [timer.what for timer in story.store.pending() if timer.kind == "designate"] == ["reminder", "reminder", "unrouted"]


def test_without_a_policy_for_its_level_it_is_unrouted() -> None:
    """A missing level policy is the desk's business."""
    only_unrouted = PolicySet(tuple(policy for policy in default_policies().policies if policy.match.unrouted))
    story = Story(policies=only_unrouted)
    routed = story.warning()
    assert isinstance(routed, Unrouted)
    assert "没有适用于等级 orange 的时限政策" in routed.reason


def test_a_precedent_decides_before_the_catalogue_and_without_it() -> None:
    """A ruling on (matter, kind, region) names the lead, also for a matter that the catalogue does not have."""
    rulings = (
        Precedent(matter="gas-use", kind="gas.leak", region="6101", department="market", at=MONDAY, by="专班"),
        Precedent(matter="gas-use", kind="gas.leak", region="610113", department="emergency", at=MONDAY, by="专班"),
        Precedent(matter="noise", kind="gas.leak", region="610113", department="housing-113", at=MONDAY, by="值班员"),
    )
    story = Story(precedents=rulings)
    story.warning()
    assert story.case().lead == "emergency"
    other = Story(precedents=rulings)
    other.warning(matter="noise", sector="noise")
    assert (other.case().status, other.case().lead) == ("open", "housing-113")
    elsewhere = Story(precedents=rulings)
    elsewhere.warning(kind="gas.pressure")
    assert elsewhere.case().lead == "housing"


@pytest.mark.parametrize(
    ("name", "tier", "region", "found"),
    [
        ("housing", "county", "610113", "housing"),  # an id is taken as it stands
        ("市住建局", "city", "610113", "housing"),
        ("市 住建局", "city", "610113", "housing"),
        ("住建部门", "county", "610113", "housing-113"),  # the functional name, at the tier asked for
        ("住建部门", "city", "610113", "housing"),
        ("住建部门", "county", "610104", "housing"),  # the only one that covers this county
        ("住建部门", "province", "610113", None),  # two cover it, none of that tier: no guess
        ("雁塔区住建局", "county", "610104", None),  # another county's
        ("市交通局", "city", "610113", None),
        ("", "city", "610113", None),
    ],
)
def test_a_unit_is_found_by_id_name_or_alias_and_never_guessed(name: str, tier: Tier, region: str, found: str | None) -> None:
    """The department whose tier and region fit, else none."""
    unit = DIRECTORY.find(name, tier, region)
    assert (unit.id if unit else None) == found


def test_two_units_that_fit_alike_are_no_answer() -> None:
    """Two departments of one alias, tier and region are a fault of the directory, not a choice."""
    twins = Directory(departments=tuple(Department(id=name, name=name, aliases=("执法队",), region="610100") for name in ("a", "b")))
    assert twins.find("执法队", "city", "610113") is None


def test_officers_are_chosen_by_sector_before_those_for_all() -> None:
    """A 专班 in charge of gas does not hear of food, and a duty desk is always there."""
    assert [DIRECTORY.officer("task_force", sector, "610113") for sector in ("gas", "food")] == ["gas-force", ""]
    assert Directory().officer("duty_desk", "gas", "610113") == "duty-desk"
    assert DIRECTORY.hours("duty").always
    assert Directory().hours("duty-desk").always


@pytest.mark.parametrize(
    ("unit", "region", "covered"),
    [
        ("610000", "610113", True),
        ("610100", "610113001", True),
        ("610113", "610113001002", True),
        ("610113001000", "610113001002", True),
        ("610113002000", "610113001002", False),
        ("610100", "610200", False),
        ("610113", "610100", False),
    ],
)
def test_a_region_covers_what_it_is_a_prefix_of(unit: str, region: str, covered: bool) -> None:
    """Trailing zeros mean all of it, by pairs down to the county and by threes below."""
    assert covers(unit, region) is covered


def test_a_transfer_stays_in_the_line() -> None:
    """Lower and sibling units are of the line, the superior and strangers are not."""
    assert [
        DIRECTORY.same_line("housing", "housing-gas"),
        DIRECTORY.same_line("housing-gas", "housing-113"),
        DIRECTORY.same_line("housing-gas", "housing"),
        DIRECTORY.same_line("housing", "market"),
        DIRECTORY.same_line("housing", "housing"),
        DIRECTORY.same_line("housing", "nobody"),
    ] == [True, True, False, False, False, False]
