"""The rules of a cluster as pages show them: what the workers put in force, from the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from app.approval import Approval
from app.rulebook import stored
from app.workshop import Progress
from domain.errors import Conflict, Problem
from domain.messages import both, text
from domain.ports import Clock
from rules.ruleset import RuleSet
from storage import risk, rule_versions
from storage.database import Database
from storage.rule_versions import Pin

HELD = 4  # rule sets in memory


class PublishedRules:
    """`app.rules_shown.RulesShown` of a cluster, where `fengsui rules publish` puts rules in force; safe to use from several threads."""

    problems: Sequence[Problem] = ()
    preparing = ""
    progress: Progress | None = None
    pinned: Pin | None = None

    def __init__(self, database: Database, clock: Clock, *, approve: bool, on_change: Callable[[], object] = lambda: None) -> None:
        """Look once; `approve` says whether a set has to be approved before it can be published.

        `on_change` is told when another set has come into force.
        """
        self._on_change = on_change
        self._database = database
        self._sets: dict[str, RuleSet] = {}
        self._turn = threading.Lock()
        self.approval = Approval(database, clock, needed=approve)
        self.active = ""
        self.failing: tuple[str, ...] = ()
        self.look()

    @property
    def inferring(self) -> PublishedRules:
        """Who says what the operator should know: inferences are drawn by the workers."""
        return self

    def notice(self, language: str = "zh-CN") -> str:
        """Return what cannot be seen here."""
        return text("cluster.rules_shown", language)

    def look(self) -> None:
        """See which version is in force; raises StoreUnavailable."""
        with self._database.read() as connection:
            before, self.active = self.active, risk.active_ruleset(connection)
            self.failing = rule_versions.failing(connection, self.active)
        if before and before != self.active:
            self._on_change()

    def current(self) -> RuleSet | None:
        """Return the active set, None before the first."""
        return self.load(self.active) if self.active else None

    def load(self, version: str) -> RuleSet:
        """Return a stored set; raises NotFound."""
        with self._turn:
            found = self._sets.get(version)
            if found is None:
                with self._database.read() as connection:
                    found = self._sets[version] = stored(connection, version)
                spare = [name for name in self._sets if name not in {version, self.active}]
                for name in spare[: max(0, len(self._sets) - HELD)]:
                    del self._sets[name]
            return found

    def roll_back(self, version: str, by: str, now: datetime, reason: str) -> str:  # noqa: ARG002  the protocol's signature
        """Refuse: the folder that is published is not here."""
        raise Conflict(both("cluster.rules_elsewhere"))

    def approve(self, version: str, by: str, reason: str) -> str:
        """Approve the candidate that waits, as `Approval.approve`; it comes into force when it is published again."""
        return self.approval.approve(version, by, reason)

    def settle(self, seconds: float) -> None:
        """Return at once: nothing was decided here."""
