"""How the departments of the invented city answer: promptly, late, wrongly, by the link, or never.

Pure decisions: what an office does about a message, and when. Chance comes from the seed and the message's id alone, so that the
order in which messages arrive changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from app.demo.chance import chance
from app.demo.offices import ENFORCER

Manner = Literal["prompt", "slow", "wrong", "never", "flaky", "desk"]

# The manners of the shipped offices. `desk` is the duty desk: it reviews what leads answer, and rules on what is returned.
MANNERS: dict[str, Manner] = {
    "zhujian": "prompt", "shichang-jianguan": "prompt", "yingji": "prompt", "shengtai": "prompt", "gongan": "wrong", "xiaofang": "slow",
    "renshe": "flaky", "shangwu": "prompt", "jiaoyu": "prompt", "chengguan": "prompt", "weijian": "never", "jiaotong": "prompt",
    "zhiban": "desk", "zhuanban": "desk", "fushizhang": "never",
}  # fmt: skip
BY_LINK = ("shengtai", "jiaoyu")  # offices without any integration: they open the one-time link

# Hours from one step to the next, shortest and longest.
_PACE: dict[str, dict[str, tuple[float, float]]] = {
    "prompt": {"receive": (0.08, 0.4), "verify": (1.0, 4.0), "handle": (2.0, 8.0), "feed_back": (0.5, 3.0), "accept": (0.5, 3.0)},
    "slow": {"receive": (5.0, 30.0), "verify": (26.0, 80.0), "handle": (20.0, 90.0), "feed_back": (8.0, 40.0), "accept": (4.0, 20.0)},
}
_NEXT = {"generated": "receive", "pushed": "receive", "received": "verify", "verified": "handle", "handled": "feed_back"}
_AGAIN = timedelta(hours=6)  # until a refused review is tried once more: cooperating departments may still be at work
_REPAIR = timedelta(minutes=40)  # until a refused form is sent again, complete


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that an office will give at `due`; `cause` is the id of the message that led to it, `attempt` counts from 0."""

    due: datetime
    office: str
    warning: str
    task: str
    subject: str
    sector: str
    action: str
    cause: str
    link: str = ""
    form: dict[str, Any] = {}
    incomplete: bool = False
    attempt: int = 0

    @property
    def key(self) -> str:
        """Return the idempotency key: the same for all attempts to give the same answer."""
        flaw = "-incomplete" if self.incomplete else ""
        return f"{self.cause}-{self.action}{flaw}"


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver: where it listens, the secret it shares, and its manner.

    `token` is a bearer token for what a signature cannot do: reviews by the head of a department, and the duty desk's rulings.
    """

    id: str
    secret: str
    manner: Manner = "prompt"
    token: str = ""
    by_link: bool = False


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What offices know besides the message: the seed of their moods, and what an inspector finds who goes and looks.

    `wrong` lists the sectors in which something is truly wrong, by object id and by region of nine digits.
    """

    seed: int = 1
    wrong: dict[str, list[str]] = {}


def first_step(office: Office, message: dict[str, Any], cause: str, now: datetime, outlook: Outlook) -> Step | None:
    """Return what `office` will do about a webhook's body, None for nothing."""
    data = message["data"]
    task, warning = data.get("task") or {}, data["warning"]
    step = Step(
        due=now,
        office=office.id,
        warning=warning["id"],
        task=task.get("id", ""),
        subject=warning.get("subject", ""),
        sector=warning.get("sector", ""),
        action="",
        cause=cause,
        link=data.get("links", {}).get("answer", ""),
    )
    own = task.get("department") == office.id
    if message["type"] == "task.to_review" and office.token and not own:
        return _at(step, "accept", office, outlook)
    if message["type"] == "task.to_review" and office.manner == "desk":
        return _at(step, "accept", office, outlook)
    if message["type"] in {"task.returned", "case.unrouted"} and office.manner == "desk":
        return _at(msgspec.structs.replace(step, form=_ruling(step, task.get("department", ""))), "designate", office, outlook)
    if not own or office.manner in {"never", "desk"}:
        return None
    return next_step(step, office, task.get("stage", ""), data.get("legal_actions", ()), outlook)


def next_step(step: Step, office: Office, stage: str, legal: Any, outlook: Outlook) -> Step | None:
    """Return the step that follows at a task's `stage`, None where the office has done its part."""
    action = _NEXT.get(stage, "")
    if action not in legal:
        return None
    following = msgspec.structs.replace(step, form={}, incomplete=False, attempt=0)
    if office.manner == "wrong" and action == "receive":
        mood = chance(outlook.seed, f"{office.id}:{step.warning}:mood").random()
        if mood < 0.5 and "return" in legal:
            return _at(msgspec.structs.replace(following, form=_refusal()), "return", office, outlook)
    flawed = office.manner == "wrong" and action in {"verify", "feed_back"}
    form = filled(action, following, outlook)
    return _at(msgspec.structs.replace(following, form=form, incomplete=flawed), action, office, outlook)


def after_refusal(step: Step, status: int) -> Step | None:
    """Return the step to take after the answer was refused with `status`, None to give it up."""
    if step.incomplete:
        return msgspec.structs.replace(step, due=step.due + _REPAIR, incomplete=False)
    if step.action == "accept" and status in {400, 409, 422} and step.attempt < 40:
        return msgspec.structs.replace(step, due=step.due + _AGAIN, attempt=step.attempt + 1, cause=f"{step.cause}-r")
    if step.action == "feed_back" and status in {400, 422} and not step.attempt:
        return msgspec.structs.replace(step, form=_other_feedback(step), attempt=1, cause=f"{step.cause}-f")
    return None


def filled(action: str, step: Step, outlook: Outlook) -> dict[str, Any]:
    """Return the form of an action as an inspector fills it in who saw what is really there."""
    if action == "verify":
        finding = _finding(step, outlook)
        form = {"finding": finding, "means": "data", "facts": "已比对监测数据并电话核实，情况见附件。"}
        return form if finding == "confirmed" else form | {"cause": "未发现所反映的问题，系误报或已自行恢复。"}
    if action == "handle":
        return {"measure": "责令立即整改，并派员跟踪。", "proof": [f"责令整改通知书-{step.task[-6:]}"]}
    if action == "feed_back":
        form = {"result": "隐患已消除，当事人已整改。", "verdict": "handled"}
        return form | {"supply_cut": "no", "households": 0, "leak_found": "阀门"} if step.sector == "gas" else form
    return {}


def sent(step: Step) -> dict[str, Any]:
    """Return the form as it is sent: an incomplete one lacks its first field."""
    return dict(list(step.form.items())[1:]) if step.incomplete else step.form


def _finding(step: Step, outlook: Outlook) -> str:
    if step.sector in outlook.wrong.get(step.subject.removeprefix("region:"), ()):
        return "confirmed"
    luck = chance(outlook.seed, f"{step.warning}:finding").random()
    return "unfounded" if luck < 0.7 else "confirmed" if luck < 0.9 else "unverifiable"


def _other_feedback(step: Step) -> dict[str, Any]:
    """Return the feedback on the other form: an office knows which one is asked only once it is told."""
    plain = {"result", "verdict"}
    if set(step.form) == plain:
        return step.form | {"supply_cut": "no", "households": 0, "leak_found": "阀门"}
    return {name: value for name, value in step.form.items() if name in plain}


def _refusal() -> dict[str, Any]:
    return {"reason": "not_our_power", "basis": "“三定”规定未赋予本单位该事项的监管职责。"}


def _ruling(step: Step, refuser: str) -> dict[str, Any]:
    competent = ENFORCER.get(step.sector, "chengguan")
    return {"department": competent if competent != refuser else "chengguan", "reason": "按事项清单和职责分工指定办理。"}


def _at(step: Step, action: str, office: Office, outlook: Outlook) -> Step:
    """Return the step with its action and the time that its office takes for it."""
    form = step.form | ({"signed_by": "值班领导"} if action == "accept" else {})
    pace = _PACE["slow" if office.manner == "slow" else "prompt"]
    shortest, longest = pace.get(action, pace["receive"])
    hours = chance(outlook.seed, f"{step.cause}:{office.id}:{action}").uniform(shortest, longest)
    return msgspec.structs.replace(step, action=action, form=form, due=step.due + timedelta(seconds=round(hours * 3600)))
