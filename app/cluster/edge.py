"""`fengsui edge`: the doors of `serve`, HTTP and the watched folder, with Kafka in the place of the journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import structlog

from app.admin_token import ensure_admin_token
from app.api.application import make_door
from app.clock import SystemClock
from app.cluster.doors import Doors
from app.cluster.stores import check_topics
from app.gate import AsgiApp, Credentials
from app.metrics import Metrics, Sample
from app.retention import Retention
from app.settings import Settings
from app.stores import open_database
from app.version import VERSION
from app.watch import Watch
from app.wiring import RETENTION_SECONDS, listen
from connectors.inbound.edge import Edge
from connectors.inbound.folder import Inbox, SetAside
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.ports import Clock, Intake
from storage.crashpoints import reach
from storage.datadir import DataDir
from storage.durability import keep_durability

REGISTRY_SECONDS = 5.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """What the routes of the intake are given (`app.services.Door`)."""

    clock: Clock
    edge: Edge
    intake: Intake
    mappings: Mapping[str, FeedMapping]
    metrics: Metrics
    trouble: Callable[[], str]


class EdgeRole:
    """One edge; a context manager from start to stop. Several may run side by side, each with a data folder of its own."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Check the topics, open database and data folder, make the parts; nothing runs before `start`.

        Raises:
            StoreUnavailable: brokers, topics, database or folder cannot be used; the message says what to do.
            FileProblems: a mapping is wrong.
        """
        self.clock: Clock = clock or SystemClock()
        kept = check_topics(settings)
        self.socket = listen(settings.host, settings.port)
        self.settings = settings.model_copy(update={"port": self.socket.getsockname()[1]})
        self._folder = DataDir(settings.data)
        paths = self._folder.paths
        self.metrics = Metrics()
        self.database = open_database(settings, self.clock)
        with self.database.write() as connection:
            keep_durability(connection, kept)
        doors = self.doors = Doors(self.settings, paths, self.database, self.clock, self.metrics)
        self.intake = doors.intake
        self._end = threading.Event()
        settle = timedelta(seconds=settings.inbox_settle_seconds)
        self.inbox = Inbox(
            paths.top / "inbox", doors.mappings, doors.edge, self.clock, settle=settle, reach=reach, on_set_aside=self._on_set_aside
        )
        done = timedelta(hours=settings.inbox_done_hours)
        retention = Retention(doors.raw, doors.vault, paths.top / "inbox", doors.retention, self.clock, done=done)
        watches = (
            Watch("inbox", self.inbox.scan, settings.inbox_seconds, self.metrics, self._end),
            Watch("retention", retention.enforce, RETENTION_SECONDS, self.metrics, self._end),
            Watch("registry", doors.look_at_registry, REGISTRY_SECONDS, self.metrics, self._end),
            Watch("heard", doors.note_heard, REGISTRY_SECONDS, self.metrics, self._end),
        )
        self._watches = [watch for watch in watches if watch.seconds > 0]
        self.services = EdgeServices(self.clock, doors.edge, self.intake, doors.mappings, self.metrics, self.trouble)
        self.metrics.sources.append(self._samples)

    def start(self) -> None:
        """Connect to the brokers and start the watches; raises StoreUnavailable."""
        ensure_admin_token(self.settings.data, self.database, self.clock)
        self.intake.start()
        for thread in self._watches:
            thread.start()

    def stop(self) -> None:
        """Stop taking, finish what is under way, close the files."""
        self._end.set()
        for thread in self._watches:
            if thread.is_alive():
                thread.join()
        self.intake.close()
        self.database.close()
        self.socket.close()
        self._folder.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def asgi(self, credentials: Credentials) -> AsgiApp:
        """Return the intake's routes behind the gate."""
        return make_door(self.services, credentials, self.settings.limits)

    def trouble(self) -> str:
        """Return why nothing is taken now, "" while everything is: what `/readyz` says."""
        dead = [thread.name for thread in self._watches if not thread.is_alive()]
        return self.intake.trouble() or (f"not running: {', '.join(dead)}" if dead else "")

    def _samples(self) -> list[Sample]:
        return [Sample("fengsui_build_info", 1.0, (VERSION,)), Sample("fengsui_edge_trouble", float(bool(self.trouble())))]

    def _on_set_aside(self, _file: SetAside) -> None:
        self.metrics.loop_errors.labels(loop="inbox_file").inc()
