"""The rules of a cluster as pages show them: what the workers put in force, from the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection

from app.approval import Approval
from app.rulebook import stored
from app.workshop import Died, Progress
from domain.errors import Conflict, Problem, StoreUnavailable
from domain.messages import both, text
from domain.ports import Clock
from rules.ruleset import RuleSet
from storage import risk, rule_versions
from storage.database import Database
from storage.rule_versions import Order, Pin

HELD: Final = 4  # rule sets in memory
TAKEN_UP: Final = 60.0  # seconds within which a worker takes up what every partition has
LOOK_SECONDS: Final = 0.2
STAMP: Final = timedelta(seconds=5)  # between two signs of life of the api whose child works on an order
DESERTED: Final = timedelta(seconds=15)  # without one: another api, or the same one started anew, goes on with it
DEATHS: Final = 3  # of children over one order, after which nobody tries again
Put = Callable[[str, str, Callable[[str], None]], tuple[Problem, ...] | Died]
log = structlog.get_logger(__name__)


class PublishedRules:
    """`app.rules_shown.RulesShown` of a cluster, where `fengsui rules publish` puts rules in force; safe to use from several threads.

    What is decided here stands in the database as an order until every partition was told, and `attend` goes on with one that was left.
    """

    progress: Progress | None = None
    pinned: Pin | None = None

    def __init__(
        self, database: Database, clock: Clock, put: Put, *, approve: bool, on_change: Callable[[], object] = lambda: None
    ) -> None:
        """Look once; `approve` says whether a set has to be approved before it comes into force.

        `put` puts a stored set in force (`app.cluster.putting.PuttingChild`); `on_change` is told when another set has come into force.
        """
        self._put = put
        self._clock = clock
        self._deciding = threading.Lock()
        self._decided: threading.Thread | None = None
        self._mine = ""  # the version that a child of this process works on, or whose being taken up is waited for
        self._told = ""  # how far the child of this process is
        self._order: Order | None = None
        self._failed: tuple[Problem, ...] = ()  # what was sent from here, and why nobody runs it
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
        """What is wrong with what was decided at an api, and with the folder that `fengsui rules publish --watch` looks at."""
        order = self._order
        return (*self._failed, *(order.problems if order is not None else ()), *self._refused)

    @property
    def preparing(self) -> str:
        """The version that was decided on and is not in every partition yet, "" for none."""
        order = self._order
        return order.version if order is not None and not order.problems else self._mine

    @property
    def told(self) -> str:
        """How far the child is that puts it in force, or why it is not, in both languages; "" for nothing."""
        order = self._order
        return order.told if order is not None and not order.problems else ""

    @property
    def inferring(self) -> PublishedRules:
        """Who says what the operator should know: inferences are drawn by the workers."""
        return self

    def notice(self, language: str = "zh-CN") -> str:
        """Return what cannot be seen here."""
        return text("cluster.rules_shown", language)

    def look(self) -> None:
        """See which version is in force, and what was decided; raises StoreUnavailable."""
        with self._database.read() as connection:
            before, self.active = self.active, risk.active_ruleset(connection)
            self.failing = rule_versions.failing(connection, self.active)
            self.pinned = rule_versions.pin(connection)
            self._refused = rule_versions.refused(connection)
            self._order = rule_versions.order(connection)
        if before != self.active:
            self._failed = ()
            if before:
                self._on_change()

    def attend(self) -> None:
        """Look, say how far the child of this process is, and go on with an order that no api works on; raises StoreUnavailable."""
        with self._deciding:
            self.look()
            order, now = self._order, self._clock.now()
            if order is None or order.problems:
                return
            if self._busy():
                if order.version == self._mine and (order.told != self._told or now - order.seen >= STAMP):
                    self._change(order, msgspec.structs.replace(order, seen=now, told=self._told))
            elif now - order.seen >= DESERTED:
                taken = msgspec.structs.replace(order, seen=now)
                if self._change(order, taken):
                    log.warning("rules.order_resumed", version=order.version, by=order.by, decided_at=order.at, told=order.told)
                    self._begin(taken)

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
            with self._database.write() as connection:
                over = before.over if before is not None else rule_versions.newest(connection)
                self.pinned = Pin(version=known, over=over, by=by, at=now, reason=reason)
                rule_versions.set_pin(connection, self.pinned)
                order = None if rule_versions.in_place(connection, known) else self._new(connection, known, by)
            if order is not None:
                self._begin(order)
        return known

    def approve(self, version: str, by: str, reason: str) -> str:
        """Approve the candidate that waits, as `Approval.approve`, and put it in force; raises Conflict as `roll_back` too."""
        waiting = self.approval.waiting()
        with self._deciding:
            self._free()
            told = self.approval.approve(version, by, reason)
            if told == "approved" and waiting is not None:
                with self._database.write() as connection:
                    order = self._new(connection, waiting.version, by)
                self._begin(order)
        return told

    def settle(self, seconds: float) -> None:
        """Wait for what was decided, for at most so long; what takes longer goes on."""
        decided = self._decided
        if decided is not None:
            decided.join(seconds)

    def _busy(self) -> bool:
        return self._decided is not None and self._decided.is_alive()

    def _free(self) -> None:
        self.look()
        if self._busy() or self.preparing:
            raise Conflict(both("cluster.rules_busy", version=self.preparing[:12]))

    def _new(self, connection: Connection, version: str, by: str) -> Order:
        now = self._clock.now()
        order = Order(version=version, by=by, at=now, seen=now)
        rule_versions.set_order(connection, order)
        return order

    def _begin(self, order: Order) -> None:
        self._mine, self._order, self._failed, self._told = order.version, order, (), order.told
        self._decided = threading.Thread(target=self._do, args=(order,), name="rules-decision", daemon=True)
        self._decided.start()

    def _do(self, order: Order) -> None:
        """Have a set put in force, and wait until workers have taken it up, as far as no second person is asked for it."""
        version = order.version
        try:
            answer = self._put(version, order.by, self._hear)
            if isinstance(answer, Died):
                self._after_death(order, answer.how)
            elif answer:
                asked = self.approval.standing(version) == "pending"
                self._end(order, told="", deaths=order.deaths, problems=() if asked else answer, done=asked)
            else:
                if self._sent(version) and not self._taken_up(version):
                    told = both("cluster.rules_not_taken", seconds=f"{TAKEN_UP:g}")
                    self._failed = (Problem(file=version[:12], line=0, column=0, message=told),)
                self._end(order, told="", deaths=order.deaths, problems=(), done=True)
        except StoreUnavailable as error:
            log.warning("rules.decision_waits", version=version, reason=str(error))
            with suppress(StoreUnavailable):  # the order stands all the same
                self._end(order, told=str(error), deaths=order.deaths, problems=())
        finally:
            self._mine = ""
        for problem in self.problems:
            log.error("rules.refused", problem=str(problem), still_active=self.active)

    def _after_death(self, order: Order, how: str) -> None:
        """Leave an order whose child died to be gone on with, unless too many did."""
        told, deaths = both("cluster.putting_died", how=how), order.deaths + 1
        log.error("rules.decision_died", version=order.version, how=how, deaths=deaths)
        given_up = Problem(file=order.version[:12], line=0, column=0, message=both("cluster.putting_given_up", how=how, times=deaths))
        self._end(order, told=told, deaths=deaths, problems=(given_up,) if deaths >= DEATHS else ())

    def _hear(self, told: str) -> None:
        self._told = told

    def _end(self, order: Order, *, told: str, deaths: int, problems: tuple[Problem, ...], done: bool = False) -> None:
        """Write down what became of an order where it still stands, `done` or left to be gone on with."""
        with self._database.write() as connection:
            standing = rule_versions.order(connection)
            if standing is not None and (standing.version, standing.at) == (order.version, order.at):
                if done:
                    rule_versions.drop_order(connection, standing)
                else:
                    new = msgspec.structs.replace(standing, told=told, deaths=deaths, problems=problems)
                    rule_versions.change_order(connection, standing, new)
        self._told = told
        self.look()

    def _change(self, old: Order, new: Order) -> bool:
        with self._database.write() as connection:
            changed = rule_versions.change_order(connection, old, new)
        if changed:
            self._order = new
        return changed

    def _sent(self, version: str) -> bool:
        """Say whether it is what the partitions were told last: something later may have overtaken it."""
        with self._database.read() as connection:
            return rule_versions.in_place(connection, version)

    def _taken_up(self, version: str) -> bool:
        end = time.monotonic() + TAKEN_UP
        while self.active != version and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            self.look()
        return self.active == version
