"""`fengsui api`: the API and the console of `serve` over the cluster's database; what people decide goes into the log by Kafka.

No engine runs here: why a rule did not hit a child works out (`app.cluster.child`), what else only an engine knows is elsewhere.
"""

from __future__ import annotations

import signal
from typing import Final

import structlog
from sqlalchemy import func, select

from app.answers import Answers
from app.api.application import make_asgi
from app.cluster.aside import aside, left_out
from app.cluster.child import AskingChild
from app.cluster.doors import DoorRole
from app.cluster.duty import SCHEMA_SECONDS
from app.cluster.putting import PuttingChild
from app.cluster.role import whole
from app.cluster.rules import PublishedRules
from app.cluster.rules_known import RulesKnown
from app.cluster.stores import another_schema
from app.gate import AsgiApp, Credentials
from app.metrics import Sample
from app.privacy import Privacy
from app.rule_health import RuleHealth
from app.rules_shown import samples_of
from app.services import Services
from app.settings import Settings
from app.views.aside import Aside
from app.views.duty import samples as duty_samples
from app.wiring import make_desk, make_writer
from connectors.kafka.topics import Topics
from domain.messages import both
from domain.partitions import Place
from domain.ports import Clock
from storage import obligations
from storage.database import Database
from storage.tables import progress

RULES_SECONDS: Final = 1.0
log = structlog.get_logger(__name__)


class Standing:
    """How far the cluster is (`app.services.Log`, `Judging` and `Errands`), in messages of the log."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        """Ask brokers and database."""
        self._kafka = settings.kafka
        self._topic = settings.kafka.layout().topic("frames")
        self._database = database
        self._clock = clock

    def head(self) -> int:
        """Return how many messages the log has had; raises StoreUnavailable."""
        with Topics(self._kafka.access(), self._kafka.layout()) as topics:
            return topics.written()

    def applied(self) -> int:
        """Return how many messages the workers have done."""
        with self._database.read() as connection:
            done = connection.scalar(select(func.sum(progress.c.offset_done + 1)).where(progress.c.topic == self._topic))
        return int(done or 0)

    def has_applied(self, seq: int) -> bool:
        """Say whether the worker of its partition has done the message that record `seq` is in."""
        place = Place.of(seq)
        of = (progress.c.topic == self._topic, progress.c.partition == place.partition)
        with self._database.read() as connection:
            done = connection.scalar(select(progress.c.offset_done).where(*of))
        return done is not None and done >= place.offset

    def quarantined(self) -> tuple[int, ...]:
        """Return the numbers of the records that brought workers down and are left out, of all partitions."""
        with self._database.read() as connection:
            return left_out(connection)

    def aside(self) -> Aside:
        """Return these records; files that could not be read are with the edges."""
        with self._database.read() as connection:
            return Aside(records=aside(connection), elsewhere=both("cluster.aside"))

    def idle(self) -> bool:
        """Say whether nothing is due."""
        with self._database.read() as connection:
            ahead = obligations.agenda(connection)
        return not ahead.owed and (ahead.next_at is None or ahead.next_at > self._clock.now())

    def nudge(self) -> None:
        """Do nothing: duty loops are other processes and look twice a second."""


class ApiRole(DoorRole):
    """One api."""

    @whole
    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Make the parts; nothing runs before `start`. Raises as `DoorRole`, and FileProblems where a policy is wrong."""
        super().__init__(settings, clock)
        doors = self.doors
        self.ended = ""  # why the role ended by itself
        putting = PuttingChild(settings)
        self.closing.callback(putting.close)
        rules = self._rules = PublishedRules(
            self.database,
            self.clock,
            putting,
            approve=settings.approve_rules,
            on_change=self.metrics.reloads.labels(outcome="activated").inc,
        )
        self.watch("rules", rules.attend, RULES_SECONDS)
        self.watch("schema", self._look_at_schema, SCHEMA_SECONDS)
        desk, writer = make_desk(settings, self.clock), make_writer(self.settings, self.paths.top)
        standing, elsewhere = Standing(settings, self.database, self.clock), both("cluster.raw_elsewhere")
        known = RulesKnown(self.database, lambda: rules.active)
        self._health = RuleHealth(self.database, rules, doors.mappings, known.complete, known.too_late, settings.kafka.partitions)
        self.services = Services(
            settings=self.settings,
            clock=self.clock,
            database=self.database,
            journal=standing,
            intake=doors.intake,
            engine=standing,
            edge=doors.edge,
            privacy=Privacy(self.database, doors.vault, doors.tokens, doors.raw, self.inbox_folder, self.clock, elsewhere=elsewhere),
            mappings=doors.mappings,
            rulebook=rules,
            asking=AskingChild(settings),
            health=self._health,
            desk=desk,
            writer=writer,
            answers=Answers(self.database, desk, writer, self.clock, self.metrics),
            metrics=self.metrics,
            duty=standing,
            lookup=doors.lookup,
            trouble=self.unready,
            lacking=self.lacking,
            aside=standing.aside,
            partitions=settings.kafka.partitions,
        )
        self.metrics.sources.append(self._samples)

    def asgi(self, credentials: Credentials) -> AsgiApp:
        """Return the routes of `serve` behind its gate."""
        return make_asgi(self.services, credentials)

    def trouble(self) -> str:
        """Return why nothing is taken now; where the tables are another version's it ends."""
        return self.ended or super().trouble()

    def lacking(self) -> str:
        """Return what is lacking: without rules people import and sign in all the same."""
        return "" if self.ruled else both("cluster.no_rules")

    def _look_at_schema(self) -> None:
        """End the process in order where the tables are another version's."""
        self.ended = another_schema(self.database)
        if self.ended:
            log.critical("api.another_schema", reason=self.ended)
            signal.raise_signal(signal.SIGTERM)

    def _samples(self) -> list[Sample]:
        now = self.clock.now()
        with self.database.read() as connection:
            found = duty_samples(connection, now)
        broken = Sample("fengsui_ruleset_broken", float(bool(self._rules.problems)))
        return [*found, *self._health.samples(now), broken, *samples_of(self._rules.current())]
