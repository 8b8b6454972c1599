"""`fengsui edge`: the doors of `serve`, HTTP and the watched folder, with Kafka in the place of the journal."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import structlog

from app.admin_token import ensure_admin_token
from app.api.application import make_door
from app.clock import SystemClock
from app.cluster.stores import check_topics
from app.gate import AsgiApp, Credentials
from app.links import load_or_make_key
from app.metrics import Metrics, Sample
from app.pipelines import load_mappings
from app.settings import Settings
from app.stores import open_database
from app.version import VERSION
from app.watch import Watch
from app.wiring import listen
from connectors.inbound.edge import Edge
from connectors.inbound.folder import Inbox, SetAside
from connectors.inbound.mapping_model import Mapping as FeedMapping
from connectors.kafka.intake import KafkaIntake, Name, Sent
from domain.errors import StoreUnavailable
from domain.partitions import Place
from domain.ports import Clock, Intake
from domain.records import AnyEntry, ObjectsEntry, RejectionEntry, SignalEntry
from storage import risk
from storage.admission import storable
from storage.crashpoints import reach
from storage.datadir import DataDir
from storage.durability import keep_durability
from storage.raw import RawStore
from storage.registry import MemoryObjectLookup
from storage.sealing import SEALING_KEY, open_seal
from storage.stored_names import names_of
from storage.vault import Vault

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
        with self.database.read() as connection:
            self._lookup = MemoryObjectLookup.of(connection)
        mappings = load_mappings(settings.mappings)
        self._end = threading.Event()
        kafka = settings.kafka
        self.intake = KafkaIntake(
            kafka.access(),
            kafka.layout().topic("frames"),
            kafka.partitions,
            self.clock,
            prepare=storable,
            whereabouts=self._whereabouts,
            on_sent=self._on_sent,
            on_duplicates=self._on_duplicates,
            by=f"{self.settings.host}:{self.settings.port}",
        )
        seal = open_seal(self.database, settings.sealing_key or paths.top / SEALING_KEY, make=settings.sealing_key is None)

        def retention(feed: str) -> timedelta:
            return mappings[feed].retention if feed in mappings else timedelta(days=settings.retention_days)

        edge = Edge(
            self.intake,
            self._lookup,
            load_or_make_key(settings.personal_key or paths.top / "personal-key"),
            keep_raw=RawStore(paths.raw, seal).put,
            keep_personal=Vault(self.database, seal, retention).keep,
        )
        settle = timedelta(seconds=settings.inbox_settle_seconds)
        self.inbox = Inbox(paths.top / "inbox", mappings, edge, self.clock, settle=settle, reach=reach, on_set_aside=self._on_set_aside)
        watches = (
            Watch("inbox", self.inbox.scan, settings.inbox_seconds, self.metrics, self._end),
            Watch("registry", self._look_at_registry, REGISTRY_SECONDS, self.metrics, self._end),
        )
        self._watches = [watch for watch in watches if watch.seconds > 0]
        self.services = EdgeServices(self.clock, edge, self.intake, mappings, self.metrics, self.trouble)
        self.metrics.sources.append(lambda: [Sample("fengsui_build_info", 1.0, (VERSION,))])

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

    def _whereabouts(self, names: Sequence[Name]) -> dict[Name, Sent]:
        """Ask the rows what other edges sent; where the database does not answer, the worker's judgement is enough."""
        try:
            found = names_of(self.database, names)
        except StoreUnavailable as error:
            log.warning("edge.rows_unavailable", error=str(error))
            return {}
        return {name: Sent(known.digest, Place.of(known.seq).partition, known.seq) for name, known in found.items()}

    def _look_at_registry(self) -> None:
        """Take up objects that came in by another edge."""
        with self.database.read() as connection:
            self._lookup.refresh(connection)

    def _on_sent(self, entries: Sequence[AnyEntry]) -> None:
        counted: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            if isinstance(entry, ObjectsEntry):
                self._lookup.apply(entry)
            elif isinstance(entry, SignalEntry):
                counted[entry.feed, "accepted"] += 1
            elif isinstance(entry, RejectionEntry):
                counted[entry.feed, "rejected"] += 1
        for (feed, outcome), count in counted.items():
            self.metrics.records.labels(feed=feed, outcome=outcome).inc(count)

    def _on_duplicates(self, counts: Mapping[str, int]) -> None:
        for feed, count in counts.items():
            self.metrics.records.labels(feed=feed, outcome="duplicate").inc(count)
        try:
            with self.database.write() as connection:
                risk.add_duplicates(connection, counts)
        except StoreUnavailable as error:  # a counter, on which nothing depends
            log.warning("duplicates.not_counted", reason=str(error))

    def _on_set_aside(self, _file: SetAside) -> None:
        self.metrics.loop_errors.labels(loop="inbox_file").inc()
