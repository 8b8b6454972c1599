"""Policies (处置时限政策): limits, reminders, ladder and caps of an obligation, chosen by what the warning is and copied into it.

Four kinds of time are in use in the trade and are named so: 紧急工作时 (natural minutes and hours), 工作时 (working hours),
工作日 (working days), 自然日 (natural days).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import msgspec

from domain.base import Noun

Unit = Literal["nm", "nh", "nd", "wh", "wd"]
UNIT_TITLES: dict[str, str] = {"nm": "分钟", "nh": "紧急工作时", "nd": "自然日", "wh": "工作时", "wd": "工作日"}

ClockKind = Literal["push", "receive", "first_report", "verify", "handle", "feedback", "accept", "designate", "joint", "total", "pause"]
RecipientRole = Literal["department", "department_lead", "duty_desk", "task_force", "deputy_mayor"]
RECIPIENT_ROLES: tuple[str, ...] = ("department", "department_lead", "duty_desk", "task_force", "deputy_mayor")
Act = Literal["urge", "supervise", "report"]  # 催办, 督办, 报送
ACTS: tuple[str, ...] = ("urge", "supervise", "report")
UNROUTED = "unrouted"


class Limit(Noun, frozen=True, kw_only=True):
    """An amount of one kind of time, with an optional ceiling that ends it earlier.

    `nm` and `nh` run through nights and holidays and are exact. `nd`: the day of the start does not count, a last day off rolls
    to the next working day's close (民法典 200-203). `wh` count inside office hours. `wd` end at the close of the N-th working
    day after the start's day. `dispatch.workcalendar.WorkCalendar.due` computes all of them.
    """

    amount: int
    unit: Unit
    ceiling: Limit | None = None

    def __str__(self) -> str:
        """Render as the trade writes it.

        >>> str(Limit(amount=3, unit="wd", ceiling=Limit(amount=120, unit="nh")))
        '3工作日（不超过120紧急工作时）'
        """
        text = f"{self.amount}{UNIT_TITLES[self.unit]}"
        return f"{text}（不超过{self.ceiling}）" if self.ceiling else text


class Limits(Noun, frozen=True, kw_only=True):
    """One limit per stage; None where the policy sets none.

    Starts: push at generated; receive, return and total at pushed; first_report and verify at the reception or the end of the receive
    limit; handle at verified; feedback at handled; accept at fed_back; designate at returned (without one: the receive limit) or
    unrouted; redo at send_back (without one: the feedback limit). `cooperating` is the cooperating unit's own limit from its reception
    to its feedback; without it, cooperating units have the lead's limits.
    """

    push: Limit | None = None
    receive: Limit | None = None
    return_window: Limit | None = None
    designate: Limit | None = None
    first_report: Limit | None = None
    verify: Limit | None = None
    cooperating: Limit | None = None
    handle: Limit | None = None
    feedback: Limit | None = None
    redo: Limit | None = None
    accept: Limit | None = None
    total: Limit | None = None


class Rung(Noun, frozen=True, kw_only=True):
    """One rung of the ladder above a missed limit: who is told what, how long after the due time.

    `answer_within` runs from the rung's own issue. `repeat_every` issues it again, at most `at_most` times in all.
    """

    after: Limit
    act: Act
    to: RecipientRole
    answer_within: Limit | None = None
    repeat_every: Limit | None = None
    at_most: int = 1


class Extension(Noun, frozen=True, kw_only=True):
    """延期: how often, by how much, and who approves ("lead": the lead unit for cooperating ones, the duty officer for the lead)."""

    at_most: int
    each: Limit
    approver: Literal["lead", "duty_officer", "task_force"] = "lead"


class Returns(Noun, frozen=True, kw_only=True):
    """退回: `cap` returns of one chain of tasks, for one of `reasons`; at the cap `ruling_by` designates."""

    cap: int = 2
    reasons: tuple[str, ...] = ("not_our_power", "not_our_region", "subject_gone", "duplicate")
    ruling_by: Literal["duty_desk", "task_force"] = "task_force"


class PauseRule(Noun, frozen=True, kw_only=True):
    """One typed reason for a pause (laboratory 检测鉴定, court 司法程序, force_majeure 不可抗力) and its longest duration."""

    reason: str
    at_most: Limit


class JointAssessment(Noun, frozen=True, kw_only=True):
    """综合研判 (会商): which warnings need one, within what limit from routing (or from the rise in level), and who has to be there.

    It is needed at one of `levels`, or from `departments` units on (0: their number does not matter).
    """

    within: Limit
    levels: tuple[str, ...] = ()
    departments: int = 0
    quorum: Literal["lead + half of cooperating", "all"] = "lead + half of cooperating"


class Match(Noun, frozen=True, kw_only=True):
    """What a policy is for; an empty field fits everything, a region fits by prefix.

    `unrouted` policies are for warnings without a competent unit and for nothing else.
    """

    level: tuple[str, ...] = ()
    sector: tuple[str, ...] = ()
    matter: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    department: tuple[str, ...] = ()
    unrouted: bool = False


class Policy(Noun, frozen=True, kw_only=True):
    """One version of one policy; a warning keeps the copy that it was routed with.

    `reminders` are fractions of a limit in (0, 1), ascending. `quiet` is how long a subject stays below the clear level before the
    episode may end. `signature` asks a leader's signature for closing. `revisit` are the re-checks after closing, done for
    `revisit_share` (0 to 1) of the warnings. `forms` maps verify, handle and feedback to names of `dispatch.forms`.
    """

    name: str
    version: int
    match: Match
    limits: Limits
    reminders: tuple[float, ...] = (0.5, 0.8)
    ladder: tuple[Rung, ...] = ()
    extension: Extension | None = None
    returns: Returns = Returns()
    pauses: tuple[PauseRule, ...] = ()
    joint_assessment: JointAssessment | None = None
    quiet: timedelta = timedelta(hours=72)
    urgency: Literal["phone", "normal", "batched"] = "normal"
    signature: bool = False
    revisit: tuple[Limit, ...] = ()
    revisit_share: float = 1.0
    reopen_within: Limit | None = None
    forms: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def ref(self) -> str:
        """Return `name@version`, as it is shown and stored."""
        return f"{self.name}@{self.version}"
