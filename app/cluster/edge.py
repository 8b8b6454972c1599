"""`fengsui edge`: the doors of `serve`, HTTP and the watched folder, and topics of other systems, with Kafka in the journal's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from app.api.application import make_door
from app.cluster.doors import DoorRole
from app.cluster.role import whole
from app.cluster.sources import make_sources
from app.gate import AsgiApp, Credentials
from app.metrics import Metrics, Sample
from app.settings import Settings
from connectors.inbound.edge import Edge
from connectors.inbound.folder import Inbox, SetAside
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.messages import both
from domain.ports import Clock, Intake
from storage.crashpoints import reach
from storage.durability import keep_durability


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """What the routes of the intake are given (`app.services.Door`)."""

    clock: Clock
    edge: Edge
    intake: Intake
    mappings: Mapping[str, FeedMapping]
    metrics: Metrics
    trouble: Callable[[], str]
    lacking: Callable[[], str]


class EdgeRole(DoorRole):
    """One edge."""

    @whole
    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Make the parts; nothing runs before `start`. Raises as `DoorRole`, and FileProblems where a source's feed is unknown."""
        super().__init__(settings, clock)
        with self.database.write() as connection:
            keep_durability(connection, self.durability)
        doors, settle = self.doors, timedelta(seconds=settings.inbox_settle_seconds)
        self.inbox = Inbox(
            self.inbox_folder, doors.mappings, doors.edge, self.clock, settle=settle, reach=reach, on_set_aside=self._on_set_aside
        )
        self.watch("inbox", self.inbox.scan, settings.inbox_seconds)
        self.sources = make_sources(settings.kafka, doors.edge, doors.mappings, self.clock, self.metrics, self.database)
        self.closing.callback(self.sources.close)
        self.services = EdgeServices(self.clock, doors.edge, doors.intake, doors.mappings, self.metrics, self.unready, self.lacking)
        self.metrics.sources.append(lambda: [Sample("fengsui_edge_trouble", float(bool(self.trouble())))])

    def start(self) -> None:
        """Connect to our brokers, then read the sources, which may come later; raises StoreUnavailable."""
        super().start()
        self.sources.start()

    def trouble(self) -> str:
        """Return why nothing is taken now; a source that cannot be read is no reason, the other doors are open."""
        return super().trouble() or ("not running: sources" if self.sources.ended() else "")

    def unready(self) -> str:
        """Return why nobody should send here; without rules as in `serve`: what is judged by none raises nothing later either."""
        return super().unready() or ("" if self.ruled else both("cluster.no_rules"))

    def asgi(self, credentials: Credentials) -> AsgiApp:
        """Return the intake's routes behind the gate."""
        return make_door(self.services, credentials, self.settings.limits)

    def _on_set_aside(self, _file: SetAside) -> None:
        self.metrics.loop_errors.labels(loop="inbox_file").inc()
