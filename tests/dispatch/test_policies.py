"""Policy files, which policy holds, and the shipped ones."""

from __future__ import annotations

import re

import pytest

from dispatch.policy import PolicySet
from dispatch.policyfile import parse_policies, share_of
from domain.errors import FileProblems
from domain.policies import JointAssessment, Limit, Policy
from tests.dispatch.timeline import default_policies

SAMPLE = """
policy: city-default
version: 3
match: {level: orange}
limits:
  push:     {natural: 5m}
  receive:  {natural: 30m}
  verify:   {working: 1d}
  handle:   {working: 5d, ceiling: {natural: 10d}}
  feedback: {working: 1d}
  accept:   {working: 1d}
  total:    {working: 10d}
reminders: [0.8, 0.5]
ladder:
  - {after: 0, act: urge 催办, to: department_lead}
  - {after: {working: 4h}, act: supervise 督办, to: task_force, answer_within: {working: 1d}}
  - {after: {working: 1d}, act: report, to: deputy_mayor, repeat_every: {working: 1d}, at_most: 5}
extension: {at_most: 2, each: {working: 3d}, approver: lead}
returns: {cap: 2, reasons: [not_our_power, not_our_region, subject_gone, duplicate], ruling_by: task_force}
joint_assessment: {when: level == 'red' or departments >= 3, within: {natural: 2h}, quorum: lead + half of cooperating}
quiet: 72h
forms: {verify: default, handle: default, feedback: gas}
"""
BAD = """policy: a
version: 0
match: {level: purple, sectr: gas}
limits:
  push: {natural: 5x}
  receive: {natural: 30m, working: 1d}
  verify: {working: 30m}
  handle: {working: 0d}
reminders: [0.5, 2]
ladder:
  - {after: 0, act: shout, to: mayor}
  - {act: urge}
  - {after: 0, act: report, to: task_force, repeat_every: {working: 1d}}
forms: {feedback: gass}
joint_assessment: {when: level == 'blu', within: {natural: 2h}}
quiet: long
pauses: [{reason: court}]
signature: maybe
"""


def minimal(name: str, match: str, version: int = 1) -> str:
    """Return the shortest legal policy."""
    limits = ", ".join(f"{stage}: {{natural: 1h}}" for stage in ("push", "receive", "verify", "handle", "feedback", "accept", "total"))
    return f"policy: {name}\nversion: {version}\nmatch: {match}\nlimits: {{{limits}}}\n"


def parsed(*texts: str) -> PolicySet:
    """Return the policies of several texts."""
    return PolicySet(parse_policies({f"{index}.yaml": text for index, text in enumerate(texts)}))


def test_a_policy_is_read_whole() -> None:
    """Every part of the documented form arrives in the struct."""
    (policy,) = parse_policies({"p.yaml": SAMPLE})
    assert policy.ref == "city-default@3"
    assert str(policy.limits.handle) == "5工作日（不超过10自然日）"
    assert policy.reminders == (0.5, 0.8)
    assert [(rung.after.amount, rung.act, rung.to, rung.at_most) for rung in policy.ladder] == [
        (0, "urge", "department_lead", 1),
        (4, "supervise", "task_force", 1),
        (1, "report", "deputy_mayor", 5),
    ]
    assert policy.joint_assessment == JointAssessment(within=Limit(amount=2, unit="nh"), levels=("red",), departments=3)
    assert policy.forms == {"verify": "default", "handle": "default", "feedback": "gas"}


def test_all_problems_are_told_at_once_with_their_places() -> None:
    """Each wrong key or value is named with line, column and what is legal; nothing is used in part."""
    with pytest.raises(FileProblems) as caught:
        parse_policies({"p.yaml": BAD, "q.yaml": "policy: ["})
    told = [str(problem) for problem in caught.value.problems]
    expected = [
        "p.yaml:2:10 version must be a whole number of at least 1",
        "p.yaml:3:16 unknown level 'purple'; legal: blue, yellow, orange, red",
        "p.yaml:3:24 unknown key 'sectr' in match; did you mean 'sector'? legal: level, sector, matter, region, department, unrouted",
        "p.yaml:4:1 limits.feedback is missing: without it a clock would have no end",
        "p.yaml:4:1 limits.accept is missing: without it a clock would have no end",
        "p.yaml:4:1 limits.total is missing: without it a clock would have no end",
        "p.yaml:5:19 natural is '5x'; write it like 30m, 4h or 10d",
        "p.yaml:6:12 a limit has exactly one of natural (30m, 4h, 10d) and working (4h, 3d)",
        "p.yaml:7:21 working is '30m'; write it like 4h or 3d",
        "p.yaml:8:21 working is '0d'; write it like 4h or 3d",
        "p.yaml:9:18 a reminder is a fraction between 0 and 1, not 2",
        "p.yaml:11:21 act is 'shout'; legal: urge, supervise, report",
        "p.yaml:11:32 to is 'mayor'; legal: department, department_lead, duty_desk, task_force, deputy_mayor",
        "p.yaml:12:5 'after' is missing in this rung",
        "p.yaml:13:5 repeat_every and at_most go together",
        "p.yaml:14:19 no feedback form 'gass'; legal: default, gas",
        (
            "p.yaml:15:26 cannot read \"level == 'blu'\"; legal: level == 'LEVEL' (one of blue, yellow, orange, red), "
            "departments >= N, joined by or"
        ),
        "p.yaml:16:8 quiet is 'long'; write it like 72h or 3d",
        "p.yaml:17:10 a pause needs its longest duration in at_most",
        "p.yaml:18:12 signature must be true or false",
        "q.yaml:1:10 not valid YAML: expected the node content, but found '<stream end>'; mend the text at this place",
    ]
    assert told == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "policy must be a mapping"),
        ("policy: a\npolicy: b\n", "duplicate key"),
        ("policy: 2027-02-30\nversion: 1\n", "'limits' is missing"),
        ("policy: a\nversion: " + "9" * 5000 + "\n", "not usable YAML"),
        ("[" * 5000, "not usable YAML: RecursionError"),
        ("a" * 1_000_001, "split the file"),
    ],
)
def test_hostile_texts_are_problems_and_no_crash(text: str, message: str) -> None:
    """Impossible dates, endless numbers and endless brackets end in a problem of this file."""
    with pytest.raises(FileProblems, match=re.escape(message)):
        parse_policies({"p.yaml": text})


def test_the_same_policy_twice_is_a_problem() -> None:
    """A name and version mean one text."""
    with pytest.raises(FileProblems, match=r"policy a@1 is already in 0\.yaml"):
        parsed(minimal("a", "{}"), minimal("a", "{}"))
    with pytest.raises(FileProblems, match="in this file twice"):
        parsed(minimal("a", "{}") + "---\n" + minimal("a", "{}"))


def test_the_most_specific_policy_wins_and_says_why() -> None:
    """Matter before department before sector before region before level; the reason names what was matched."""
    policies = parsed(
        minimal("any", "{}"),
        minimal("level", "{level: [orange, red]}"),
        minimal("city", "{region: ['6101']}"),
        minimal("county", "{region: ['610113', '610102']}"),
        minimal("sector", "{sector: gas}"),
        minimal("unit", "{department: housing}"),
        minimal("matter", "{matter: gas-use}"),
        minimal("matter", "{matter: gas-use}", version=2),
    )

    def winner(**facts: str) -> str:
        chosen = policies.choose(**({"level": "orange"} | facts))  # type: ignore[arg-type]  # all are texts
        return chosen.policy.ref if chosen else ""

    assert [
        winner(level="blue"),
        winner(),
        winner(region="610104"),
        winner(region="610113"),
        winner(region="610113", sector="gas"),
        winner(region="610113", sector="gas", department="housing"),
        winner(region="610113", sector="gas", department="housing", matter="gas-use"),
    ] == ["any@1", "level@1", "city@1", "county@1", "sector@1", "unit@1", "matter@2"]
    chosen = policies.choose(level="red", matter="gas-use")
    assert chosen is not None
    assert chosen.reason == "适用时限政策 matter@2（事项 gas-use）"
    assert policies.choose(level="red", unrouted=True) is None


def test_the_cooperating_limit_may_be_a_share_of_the_leads() -> None:
    """Half of 48 hours is 1440 minutes; working units are rounded down, to one at least."""
    (policy,) = parse_policies(
        {"p.yaml": minimal("a", "{}").replace("verify: {natural: 1h}", "verify: {natural: 48h}, cooperating: {share: 0.5}")}
    )
    assert str(policy.limits.cooperating) == "1440分钟"
    assert str(share_of(Limit(amount=1, unit="wd"), 0.3)) == "1工作日"


def shipped(level: str, *, unrouted: bool = False) -> Policy:
    """Return the shipped policy of a level."""
    chosen = default_policies().choose(level=level, unrouted=unrouted)
    assert chosen is not None
    return chosen.policy


@pytest.mark.parametrize(
    ("level", "limits"),
    [
        ("red", "30nm 30nm 1nh 1nh 24nh 12nh 24nh 4nh 4nh 5wd"),
        ("orange", "2nh 2nh 4nh 4nh 48nh 24nh 3wd 1wd 8wh 7wd"),
        ("yellow", "4wh 4wh 1wd 1wd 3wd 2wd 5wd 1wd 2wd 10wd"),
        ("blue", "1wd 1wd 2wd 2wd 5wd 3wd 7wd 1wd 3wd 15wd"),
    ],
)
def test_the_shipped_policies_are_the_documented_table(level: str, limits: str) -> None:
    """Each cell of the default table, in its rows' order."""
    given = shipped(level).limits
    cells = (
        given.push, given.receive, given.return_window, given.designate, given.verify, given.cooperating, given.handle, given.feedback,
        given.accept, given.total,
    )  # fmt: skip
    assert " ".join(f"{cell.amount}{cell.unit}" for cell in cells if cell) == limits


def test_every_shipped_ladder_goes_from_the_department_to_the_deputy_mayor() -> None:
    """催办 and 督办 to the department's head, then the 专班, then the deputy mayor, in this order of time."""
    for level in ("red", "orange", "yellow", "blue"):
        assert [(rung.act, rung.to) for rung in shipped(level).ladder] == [
            ("urge", "department_lead"),
            ("supervise", "department_lead"),
            ("report", "task_force"),
            ("report", "deputy_mayor"),
        ]


def test_unrouted_warnings_have_policies_of_every_level() -> None:
    """None is without a clock at the duty desk, and urgent ones have an hour."""
    assert [str(shipped(level, unrouted=True).limits.designate) for level in ("red", "orange", "yellow", "blue")] == [
        "1紧急工作时",
        "1紧急工作时",
        "1工作日",
        "1工作日",
    ]
