"""The rules of a cluster as pages show them: what the workers put in force, from the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from app.approval import Approval
from app.rulebook import stored
from app.workshop import Progress
from domain.errors import Conflict, Problem, StoreUnavailable
from domain.messages import both, text
from domain.ports import Clock
from rules.ruleset import RuleSet
from storage import risk, rule_versions
from storage.database import Database
from storage.rule_versions import Pin

HELD: Final = 4  # rule sets in memory
TAKEN_UP: Final = 60.0  # seconds within which a worker takes up what every partition has
LOOK_SECONDS: Final = 0.2
Put = Callable[[str, str], tuple[Problem, ...]]
log = structlog.get_logger(__name__)


class PublishedRules:
    """`app.rules_shown.RulesShown` of a cluster, where `fengsui rules publish` puts rules in force; safe to use from several threads."""

    preparing = ""
    progress: Progress | None = None
    pinned: Pin | None = None

    def __init__(
        self, database: Database, clock: Clock, put: Put, *, approve: bool, on_change: Callable[[], object] = lambda: None
    ) -> None:
        """Look once; `approve` says whether a set has to be approved before it comes into force.

        `put` puts a stored set in force (`app.cluster.putting.PuttingChild`); `on_change` is told when another set has come into force.
        """
        self._put = put
        self._deciding = threading.Lock()
        self._decided: threading.Thread | None = None
        self._failed: tuple[Problem, ...] = ()  # what was decided here, and why it did not come to be
        self._refused: tuple[Problem, ...] = ()
        self._on_change = on_change
        self._database = database
        self._sets: dict[str, RuleSet] = {}
        self._turn = threading.Lock()
        self.approval = Approval(database, clock, needed=approve)
        self.active = ""
        self.failing: tuple[str, ...] = ()
        self.look()

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with what was decided here, and with the folder that `fengsui rules publish --watch` looks at."""
        return (*self._failed, *self._refused)

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
            self.pinned = rule_versions.pin(connection)
            self._refused = rule_versions.refused(connection)
        if before != self.active:
            self._failed = ()
            if before:
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

    def roll_back(self, version: str, by: str, now: datetime, reason: str) -> str:
        """Go back to a version that was active once; return its whole name. `settle` waits for it.

        It holds until another content of the folder is published; what was published stays as it is.

        Raises:
            NotFound: no stored version begins so.
            FileProblems: its texts were written for another version of Fengsui.
            Conflict: another set is being put in force from here.
        """
        with self._database.read() as connection:
            known, before = rule_versions.activated(connection, version), rule_versions.pin(connection)
        self.load(known)
        with self._deciding:
            self._free()
            pin = Pin(version=known, over=before.over if before is not None else self.active, by=by, at=now, reason=reason)
            with self._database.write() as connection:
                rule_versions.set_pin(connection, pin)
            self.pinned = pin
            if known != self.active:
                self._begin(known, by)
        return known

    def approve(self, version: str, by: str, reason: str) -> str:
        """Approve the candidate that waits, as `Approval.approve`, and put it in force; raises Conflict as `roll_back` too."""
        waiting = self.approval.waiting()
        with self._deciding:
            self._free()
            told = self.approval.approve(version, by, reason)
            if told == "approved" and waiting is not None:
                self._begin(waiting.version, by)
        return told

    def settle(self, seconds: float) -> None:
        """Wait for what was decided, for at most so long; what takes longer goes on."""
        decided = self._decided
        if decided is not None:
            decided.join(seconds)

    def _free(self) -> None:
        if self._decided is not None and self._decided.is_alive():
            raise Conflict(both("cluster.rules_busy", version=self.preparing[:12]))

    def _begin(self, version: str, by: str) -> None:
        self.preparing, self._failed = version, ()
        self._decided = threading.Thread(target=self._do, args=(version, by), name="rules-decision", daemon=True)
        self._decided.start()

    def _do(self, version: str, by: str) -> None:
        """Have a set put in force, and wait until workers have taken it up, as far as no second person is asked for it."""
        try:
            problems = self._put(version, by)
            if problems and self.approval.standing(version) == "pending":
                problems = ()
            elif not problems and not self._taken_up(version):
                told = both("cluster.rules_not_taken", seconds=f"{TAKEN_UP:g}")
                problems = (Problem(file=version[:12], line=0, column=0, message=told),)
            self._failed = problems
        except StoreUnavailable:
            log.exception("rules.decision_waits")  # it is written, or the page says that the set is not in force: decide again
        finally:
            self.preparing = ""
        for problem in self._failed:
            log.error("rules.refused", problem=str(problem), still_active=self.active)

    def _taken_up(self, version: str) -> bool:
        end = time.monotonic() + TAKEN_UP
        while self.active != version and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            self.look()
        return self.active == version
