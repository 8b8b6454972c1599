"""The parts of a running application, as the routes and pages are given them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.answers import Answers
from app.desk import Desk
from app.effects import EffectWriter
from app.inlet import Inlet
from app.metrics import Metrics
from app.privacy import Privacy
from app.rule_health import RuleHealth
from app.rules_shown import RulesShown
from app.settings import Settings
from app.views.aside import Aside
from connectors.inbound.edge import Edge
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock, Intake
from domain.principals import Principal
from storage.database import Database
from storage.registry import MemoryObjectLookup
from streams.stages.inquiry import Inquiry

SHOWN_SECONDS = 10.0


class Door(Inlet, Protocol):
    """What the routes of the intake need of whatever process they run in: all of `serve`, or the edge of a cluster."""

    @property
    def metrics(self) -> Metrics:
        """What is counted."""
        ...

    @property
    def trouble(self) -> Callable[[], str]:
        """Why work does not move, "" while it does."""
        ...

    @property
    def lacking(self) -> Callable[[], str]:
        """What is lacking though work moves, "" for nothing."""
        ...


class Log(Protocol):
    """The log of all records."""

    def head(self) -> int:
        """Return how many records there are, or messages of them; raises StoreUnavailable."""
        ...


class Judging(Protocol):
    """What judges the records."""

    def applied(self) -> int:
        """Return how far it is, in the measure of `Log.head`; raises StoreUnavailable."""
        ...

    def has_applied(self, seq: int) -> bool:
        """Say whether what follows from record `seq` can be seen; raises StoreUnavailable."""
        ...

    def quarantined(self) -> tuple[int, ...]:
        """Return the numbers of the records that were set aside, as far as this process knows of them."""
        ...


class Errands(Protocol):
    """What fires timers and delivers."""

    def idle(self) -> bool:
        """Say whether nothing is due at the clock's present instant."""
        ...

    def nudge(self) -> None:
        """Look at once: something became due."""
        ...


class Asked(Protocol):
    """What answers why a rule did not hit."""

    def why_not(self, asker: Principal, subject: str, rule: str, at: datetime | None) -> Inquiry:
        """Return the answer; raises NotFound, StoreUnavailable, and Conflict where it cannot be had."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request may need; made once by `app.wiring`, or by `app.cluster.api` for a cluster."""

    settings: Settings
    clock: Clock
    database: Database
    journal: Log
    intake: Intake
    engine: Judging
    edge: Edge
    mappings: Mapping[str, FeedMapping]
    rulebook: RulesShown
    asking: Asked
    health: RuleHealth
    desk: Desk
    writer: EffectWriter
    answers: Answers
    metrics: Metrics
    duty: Errands
    privacy: Privacy
    lookup: MemoryObjectLookup
    trouble: Callable[[], str]
    lacking: Callable[[], str] = field(default=str, kw_only=True)  # "" always: `serve` lacks nothing that `trouble` does not tell
    aside: Callable[[], Aside]
    partitions: int = 0  # into which the log is divided; 0 where one process judges all

    def await_shown(self, seq: int) -> None:
        """Wait until pages and queries show what follows from record `seq`, for at most `SHOWN_SECONDS`: whoever decides looks at once."""
        end = time.monotonic() + SHOWN_SECONDS
        while not self.engine.has_applied(seq) and time.monotonic() < end:
            time.sleep(0.005)

    def nudge(self) -> None:
        """Let the duty loop look at once: a request made something due."""
        self.duty.nudge()
