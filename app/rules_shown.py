"""What pages and routes need of the rules, whoever puts them in force: the rules folder of `serve`, or `fengsui rules publish`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from app.approval import Approval
from app.metrics import Sample
from app.workshop import Progress
from domain.errors import Problem
from rules.ruleset import RuleSet
from storage.rule_versions import Pin


class Noticing(Protocol):
    """What answers what follows from findings."""

    def notice(self, language: str = "zh-CN") -> str:
        """Return what the operator should know, "" for nothing."""
        ...


class RulesShown(Protocol):
    """The active set, and what is on its way to be."""

    @property
    def active(self) -> str:
        """The version in force, "" before the first."""
        ...

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the newest set that was refused."""
        ...

    @property
    def failing(self) -> tuple[str, ...]:
        """The tests of the active set that fail."""
        ...

    @property
    def preparing(self) -> str:
        """The version that is being looked at, "" for none."""
        ...

    @property
    def progress(self) -> Progress | None:
        """How far counting back is, None where nothing is counted."""
        ...

    @property
    def told(self) -> str:
        """How far the version is that is being looked at, or why it waits, in both languages; "" for nothing."""
        ...

    @property
    def pinned(self) -> Pin | None:
        """What a person went back to."""
        ...

    @property
    def inferring(self) -> Noticing:
        """Whose inferences stand in the warnings."""
        ...

    @property
    def approval(self) -> Approval:
        """What a second person has to decide about."""
        ...

    def current(self) -> RuleSet | None:
        """Return the active set, None before the first."""
        ...

    def load(self, version: str) -> RuleSet:
        """Return a stored set; raises NotFound."""
        ...

    def roll_back(self, version: str, by: str, now: datetime, reason: str) -> str:
        """Go back to a version; raises NotFound, and Conflict where that is not done from here."""
        ...

    def approve(self, version: str, by: str, reason: str) -> str:
        """Approve the candidate that waits; raises NotFound where none does."""
        ...

    def settle(self, seconds: float) -> None:
        """Wait for what was decided, for at most so long."""
        ...


def samples_of(ruleset: RuleSet | None) -> list[Sample]:
    """Return what the metrics say of the active set: its version, and its rules by status."""
    if ruleset is None:
        return []
    by_status = Counter(rule.status for rule in ruleset.rules)
    return [
        Sample("fengsui_ruleset_info", 1.0, (ruleset.version,)),
        *(Sample("fengsui_rules_active", float(n), (status,)) for status, n in sorted(by_status.items())),
    ]
