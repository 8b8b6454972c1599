"""Policy files: YAML text → policies, with every problem at its line and column. Several policies of a file are parted by `---`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from dispatch.forms import FORMS
from dispatch.yamltext import documents
from domain.errors import FileProblems, Problem
from domain.levels import DEFAULT_LEVELS, LevelScale
from domain.policies import (
    ACTS,
    RECIPIENT_ROLES,
    UNROUTED,
    Extension,
    JointAssessment,
    Limit,
    Limits,
    Match,
    PauseRule,
    Policy,
    Returns,
    Rung,
    Unit,
)

Place = tuple[int, int]
UNITS: Final[Mapping[tuple[str, str], Unit]] = {
    ("natural", "m"): "nm",
    ("natural", "h"): "nh",
    ("natural", "d"): "nd",
    ("working", "h"): "wh",
    ("working", "d"): "wd",
}
LIMITS: Final = {"return": "return_window"} | {
    name: name
    for name in (
        "push", "receive", "designate", "first_report", "verify", "cooperating", "handle", "feedback", "redo", "accept", "total",
    )
}  # fmt: skip
REQUIRED: Final = ("push", "receive", "verify", "handle", "feedback", "accept", "total")
TOP: Final = (
    "policy", "version", "match", "limits", "reminders", "ladder", "extension", "returns", "pauses", "joint_assessment", "quiet",
    "urgency", "signature", "revisit", "revisit_share", "reopen_within", "forms",
)  # fmt: skip
SPANS: Final = {"m": "minutes", "h": "hours", "d": "days"}
QUORUMS: Final = ("lead + half of cooperating", "all")
_AMOUNT: Final = re.compile(r"(\d{1,6})([mhd])")


def parse_policies(texts: Mapping[str, str], levels: LevelScale = DEFAULT_LEVELS) -> tuple[Policy, ...]:
    """Return the policies of all files (file name → YAML text), in order.

    Raises:
        FileProblems: everything that is wrong in any of them; nothing is used in part.
    """
    policies: list[Policy] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for file, content in texts.items():
        reader = _Reader(file, levels)
        for document in reader.documents(content):
            policy = reader.policy(document)
            if policy is not None and seen.setdefault(policy.ref, file) != file:
                reader.add((1, 1), f"policy {policy.ref} is already in {seen[policy.ref]}; raise its version or rename it")
            elif policy is not None and policy.ref in {known.ref for known in policies}:
                reader.add((1, 1), f"policy {policy.ref} is in this file twice; raise the version of one or rename it")
            if policy is not None:
                policies.append(policy)
        problems += sorted(reader.problems, key=lambda problem: (problem.line, problem.column))
    if problems:
        raise FileProblems(problems)
    return tuple(policies)


def share_of(limit: Limit, share: float) -> Limit:
    """Return a share (0 to 1) of a limit: natural hours to the minute, everything else in whole units rounded down, at least one.

    >>> str(share_of(Limit(amount=48, unit="nh"), 0.5)), str(share_of(Limit(amount=3, unit="wd"), 0.5))
    ('1440分钟', '1工作日')
    """
    if limit.unit == "nh":
        return Limit(amount=max(1, int(limit.amount * 60 * share)), unit="nm")
    return Limit(amount=max(1, int(limit.amount * share)), unit=limit.unit, ceiling=limit.ceiling)


class _Reader:
    """Reads one file; collects problems and goes on, so that all of them are shown at once."""

    def __init__(self, file: str, levels: LevelScale) -> None:
        self.file = file
        self.levels = levels
        self.problems: list[Problem] = []

    def add(self, place: Place, message: str) -> None:
        self.problems.append(Problem(file=self.file, line=place[0], column=place[1], message=message))

    def documents(self, content: str) -> list[Any]:
        try:
            return documents(content, self.file)
        except FileProblems as error:
            self.problems += error.problems
        return []

    def policy(self, document: Any) -> Policy | None:
        before = len(self.problems)
        if not self.mapping(document, (1, 1), TOP, "policy"):
            return None
        name = self.string(document, "policy", required=True)
        match = self.match(document)
        limits = self.limits(document, unrouted=match.unrouted)
        settings: dict[str, Any] = {
            "reminders": self.reminders(document),
            "ladder": tuple(
                filter(None, (self.rung(step, self.item_place(document["ladder"], at)) for at, step in self.items(document, "ladder")))
            ),
            "extension": self.extension(document),
            "returns": self.returns(document),
            "pauses": self.pauses(document),
            "joint_assessment": self.joint(document),
            "quiet": self.span(document, "quiet", timedelta(hours=72)),
            "urgency": self.choice(document, "urgency", ("phone", "normal", "batched"), "normal"),
            "signature": self.flag(document, "signature"),
            "revisit": tuple(
                filter(None, (self.limit(step, self.item_place(document["revisit"], at)) for at, step in self.items(document, "revisit")))
            ),
            "revisit_share": self.share(document, "revisit_share", 1.0),
            "reopen_within": self.limit_at(document, "reopen_within"),
            "forms": self.forms(document),
        }
        version = self.number(document, "version", 1, required=True)
        if len(self.problems) > before or limits is None:
            return None
        return Policy(name=name, version=version, match=match, limits=limits, **settings)

    # --- places

    def key_place(self, node: Any, key: str) -> Place:
        line, column = node.lc.key(key)
        return line + 1, column + 1

    def value_place(self, node: Any, key: str) -> Place:
        line, column = node.lc.value(key)
        return line + 1, column + 1

    def item_place(self, node: Any, index: int) -> Place:
        line, column = node.lc.item(index)
        return line + 1, column + 1

    # --- plain values

    def mapping(self, node: Any, place: Place, legal: Iterable[str], what: str) -> bool:
        if not isinstance(node, Mapping):
            self.add(place, f"{what} must be a mapping with {', '.join(legal)}")
            return False
        names = list(legal)
        for key in node:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                self.add(self.key_place(node, key), f"unknown key {key!r} in {what}; {hint}legal: {', '.join(names)}")
        return True

    def section(self, node: Any, key: str, legal: Iterable[str]) -> Any | None:
        if key not in node:
            return None
        return node[key] if self.mapping(node[key], self.value_place(node, key), legal, key) else None

    def items(self, node: Any, key: str) -> list[tuple[int, Any]]:
        if key not in node:
            return []
        if not isinstance(node[key], Sequence) or isinstance(node[key], str):
            self.add(self.value_place(node, key), f"{key} must be a list")
            return []
        return list(enumerate(node[key]))

    def string(self, node: Any, key: str, *, required: bool = False) -> str:
        if key not in node:
            if required:
                self.add((node.lc.line + 1, node.lc.col + 1), f"{key!r} is missing")
            return ""
        if not isinstance(node[key], str) or not node[key]:
            self.add(self.value_place(node, key), f"{key} must be a text")
            return ""
        return str(node[key])

    def number(self, node: Any, key: str, default: int, *, required: bool = False, least: int = 1) -> int:
        if key not in node:
            if required:
                self.add((node.lc.line + 1, node.lc.col + 1), f"{key!r} is missing")
            return default
        value = node[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.add(self.value_place(node, key), f"{key} must be a whole number of at least {least}")
            return default
        return int(value)

    def flag(self, node: Any, key: str) -> bool:
        if key in node and not isinstance(node[key], bool):
            self.add(self.value_place(node, key), f"{key} must be true or false")
        return node.get(key) is True

    def share(self, node: Any, key: str, default: float | None) -> float | None:
        if key not in node:
            return default
        value = node[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            self.add(self.value_place(node, key), f"{key} must be a number above 0 and at most 1")
            return default
        return float(value)

    def choice(self, node: Any, key: str, legal: Sequence[str], default: str) -> str:
        if key not in node:
            return default
        first, _, _ = str(node[key]).partition(" ")  # "urge 催办": the Chinese term is for the reader
        if first not in legal and str(node[key]) not in legal:
            self.add(self.value_place(node, key), f"{key} is {node[key]!r}; legal: {', '.join(legal)}")
            return default
        return str(node[key]) if str(node[key]) in legal else first

    def names(self, node: Any, key: str) -> tuple[str, ...]:
        if node is None or key not in node:
            return ()
        given = [node[key]] if isinstance(node[key], str | int) else node[key]
        if not isinstance(given, Sequence) or not all(isinstance(part, str | int) for part in given):
            self.add(self.value_place(node, key), f"{key} must be a text or a list of texts")
            return ()
        return tuple(str(part) for part in given)

    def span(self, node: Any, key: str, default: timedelta) -> timedelta:
        if key not in node:
            return default
        found = _AMOUNT.fullmatch(str(node[key]))
        if not found:
            self.add(self.value_place(node, key), f"{key} is {node[key]!r}; write it like 72h or 3d")
            return default
        return timedelta(**{SPANS[found[2]]: int(found[1])})

    # --- limits

    def limit_at(self, node: Any, key: str) -> Limit | None:
        return self.limit(node[key], self.value_place(node, key)) if node is not None and key in node else None

    def limit(self, node: Any, place: Place, *, ceiling: bool = False) -> Limit | None:
        if node == 0 and not isinstance(node, bool):
            return Limit(amount=0, unit="nm")
        if not self.mapping(node, place, ("natural", "working") if ceiling else ("natural", "working", "ceiling"), "a limit"):
            return None
        kinds = [kind for kind in ("natural", "working") if kind in node]
        if len(kinds) != 1:
            self.add(place, "a limit has exactly one of natural (30m, 4h, 10d) and working (4h, 3d)")
            return None
        found = _AMOUNT.fullmatch(str(node[kinds[0]]))
        unit = UNITS.get((kinds[0], found[2])) if found else None
        if not found or unit is None or int(found[1]) == 0:
            legal = "30m, 4h or 10d" if kinds[0] == "natural" else "4h or 3d"
            self.add(self.value_place(node, kinds[0]), f"{kinds[0]} is {node[kinds[0]]!r}; write it like {legal}")
            return None
        top = self.limit(node["ceiling"], self.value_place(node, "ceiling"), ceiling=True) if "ceiling" in node and not ceiling else None
        return Limit(amount=int(found[1]), unit=unit, ceiling=top)

    def limits(self, document: Any, *, unrouted: bool) -> Limits | None:
        if "limits" not in document:
            self.add((document.lc.line + 1, document.lc.col + 1), "'limits' is missing")
            return None
        node = self.section(document, "limits", LIMITS)
        if node is None:
            return None
        for name in ("designate", "total") if unrouted else REQUIRED:
            if name not in node:
                self.add(self.key_place(document, "limits"), f"limits.{name} is missing: without it a clock would have no end")
        given: dict[str, Any] = {}
        shares: float | None = None
        for key in node:
            if key not in LIMITS:
                continue
            if key == "cooperating" and isinstance(node[key], Mapping) and "share" in node[key]:
                self.mapping(node[key], self.value_place(node, key), ("share",), "cooperating")
                shares = self.share(node[key], "share", None)
            else:
                given[LIMITS[key]] = self.limit_at(node, key)
        if shares is not None and isinstance(given.get("verify"), Limit):
            given["cooperating"] = share_of(given["verify"], shares)
        return Limits(**given)

    def reminders(self, document: Any) -> tuple[float, ...]:
        found = []
        for index, value in self.items(document, "reminders"):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
                self.add(self.item_place(document["reminders"], index), f"a reminder is a fraction between 0 and 1, not {value!r}")
            else:
                found.append(float(value))
        return tuple(sorted(set(found))) if "reminders" in document else (0.5, 0.8)

    # --- sections

    def match(self, document: Any) -> Match:
        node = self.section(document, "match", ("level", "sector", "matter", "region", "department", UNROUTED))
        if node is None:
            return Match()
        for level in self.names(node, "level"):
            if level not in self.levels.names():
                self.add(self.value_place(node, "level"), f"unknown level {level!r}; legal: {', '.join(self.levels.names())}")
        parts = {key: self.names(node, key) for key in ("level", "sector", "matter", "region", "department")}
        return Match(**parts, unrouted=self.flag(node, UNROUTED))

    def rung(self, step: Any, place: Place) -> Rung | None:
        legal = ("after", "act", "to", "answer_within", "repeat_every", "at_most")
        if not self.mapping(step, place, legal, "a rung of the ladder"):
            return None
        for key in ("after", "act", "to"):
            if key not in step:
                self.add(place, f"{key!r} is missing in this rung")
                return None
        after = self.limit_at(step, "after")
        if ("repeat_every" in step) != ("at_most" in step):
            self.add(place, "repeat_every and at_most go together")
        given: dict[str, Any] = {
            "act": self.choice(step, "act", ACTS, "urge"),
            "to": self.choice(step, "to", RECIPIENT_ROLES, "department"),
        }
        given |= {"answer_within": self.limit_at(step, "answer_within"), "repeat_every": self.limit_at(step, "repeat_every")}
        return Rung(after=after, at_most=self.number(step, "at_most", 1), **given) if after else None

    def extension(self, document: Any) -> Extension | None:
        node = self.section(document, "extension", ("at_most", "each", "approver"))
        if node is None:
            return None
        each = self.limit_at(node, "each")
        if each is None:
            self.add(self.key_place(document, "extension"), "extension.each says by how much a limit is moved; it is missing")
            return None
        approver: Any = self.choice(node, "approver", ("lead", "duty_officer", "task_force"), "lead")
        return Extension(at_most=self.number(node, "at_most", 1), each=each, approver=approver)

    def returns(self, document: Any) -> Returns:
        node = self.section(document, "returns", ("cap", "reasons", "ruling_by"))
        if node is None:
            return Returns()
        ruling: Any = self.choice(node, "ruling_by", ("duty_desk", "task_force"), "task_force")
        return Returns(cap=self.number(node, "cap", 2, least=0), reasons=self.names(node, "reasons") or Returns().reasons, ruling_by=ruling)

    def pauses(self, document: Any) -> tuple[PauseRule, ...]:
        found = []
        for index, node in self.items(document, "pauses"):
            place = self.item_place(document["pauses"], index)
            if not self.mapping(node, place, ("reason", "at_most"), "a pause"):
                continue
            longest = self.limit_at(node, "at_most")
            if longest is None:
                self.add(place, "a pause needs its longest duration in at_most")
            else:
                found.append(PauseRule(reason=self.string(node, "reason", required=True), at_most=longest))
        return tuple(found)

    def joint(self, document: Any) -> JointAssessment | None:
        node = self.section(document, "joint_assessment", ("when", "within", "quorum"))
        if node is None:
            return None
        levels: list[str] = []
        departments = 0
        for clause in self.string(node, "when", required=True).split(" or "):
            if (level := re.fullmatch(r"level == '(\w+)'", clause.strip())) and level[1] in self.levels.names():
                levels.append(level[1])
            elif count := re.fullmatch(r"departments >= (\d{1,2})", clause.strip()):
                departments = int(count[1])
            elif "when" in node:
                legal = f"level == 'LEVEL' (one of {', '.join(self.levels.names())}), departments >= N, joined by or"
                self.add(self.value_place(node, "when"), f"cannot read {clause.strip()!r}; legal: {legal}")
        within = self.limit_at(node, "within")
        quorum: Any = self.choice(node, "quorum", QUORUMS, QUORUMS[0])
        if within is None:
            self.add(
                self.key_place(document, "joint_assessment"), "joint_assessment.within is missing: it says by when the departments meet"
            )
            return None
        return JointAssessment(within=within, levels=tuple(levels), departments=departments, quorum=quorum)

    def forms(self, document: Any) -> dict[str, str]:
        node = self.section(document, "forms", ("verify", "handle", "feedback"))
        found: dict[str, str] = {}
        for action in () if node is None else ("verify", "handle", "feedback"):
            name = self.string(node, action) or "default"
            legal = [known.partition(".")[2] for known in FORMS if known.startswith(f"{action}.")]
            if name not in legal:
                self.add(self.value_place(node, action), f"no {action} form {name!r}; legal: {', '.join(legal)}")
            found[action] = name
        return found
