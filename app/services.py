"""The parts of a running application, as the routes and pages are given them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.answers import Answers
from app.desk import Desk
from app.duty import DutyLoop
from app.effects import EffectWriter
from app.explaining import Asking
from app.inlet import Inlet
from app.metrics import Metrics
from app.privacy import Privacy
from app.rule_health import RuleHealth
from app.rulebook import Rulebook
from app.settings import Settings
from app.views.aside import Aside
from connectors.inbound.edge import Edge
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock, Intake, JournalReader
from storage.database import Database
from storage.registry import MemoryObjectLookup
from streams.runtimes.embedded import Engine

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


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request may need; made once by `app.wiring`."""

    settings: Settings
    clock: Clock
    database: Database
    journal: JournalReader
    intake: Intake
    engine: Engine
    edge: Edge
    mappings: Mapping[str, FeedMapping]
    rulebook: Rulebook
    asking: Asking
    health: RuleHealth
    desk: Desk
    writer: EffectWriter
    answers: Answers
    metrics: Metrics
    duty: DutyLoop
    privacy: Privacy
    lookup: MemoryObjectLookup
    trouble: Callable[[], str]
    aside: Callable[[], Aside]

    def await_shown(self, seq: int) -> None:
        """Wait until pages and queries show what follows from record `seq`, for at most `SHOWN_SECONDS`: whoever decides looks at once."""
        end = time.monotonic() + SHOWN_SECONDS
        while self.engine.applied() < seq and time.monotonic() < end:
            time.sleep(0.005)

    def nudge(self) -> None:
        """Let the duty loop look at once: a request made something due."""
        self.duty.nudge()
