"""What takes records into the log of a cluster: the parts that an edge and an api have alike."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.admin_token import ensure_admin_token
from app.cluster.role import Role, whole
from app.links import load_or_make_key
from app.metrics import Metrics
from app.pipelines import load_mappings
from app.retention import Retention
from app.settings import Settings
from app.silence import SilenceWatch
from app.wiring import RETENTION_SECONDS, listen
from connectors.inbound.edge import Edge
from connectors.inbound.personal import Tokens
from connectors.kafka.diagnosis import Presence
from connectors.kafka.intake import KafkaIntake, Name, Sent
from domain.errors import StoreUnavailable
from domain.partitions import Place
from domain.ports import Clock
from domain.records import AnyEntry, ObjectsEntry, RejectionEntry, SignalEntry
from storage import risk
from storage.admission import storable
from storage.database import Database
from storage.datadir import DataPaths
from storage.heard import note_heard
from storage.raw import RawStore
from storage.registry import MemoryObjectLookup
from storage.sealing import SEALING_KEY, open_seal
from storage.stored_names import names_of
from storage.vault import Vault

REGISTRY_SECONDS: Final = 0.5  # an object that was imported should be known to every door at once; to ask for one number costs little
HEARD_SECONDS: Final = 5.0
BROKERS_SECONDS: Final = 2.0  # between two looks whether anybody listens there; two in a row that find nobody count
log = structlog.get_logger(__name__)


class Doors:
    """Mappings, registry, vault and the way to the brokers; nothing is sent before `intake.start`."""

    def __init__(self, settings: Settings, paths: DataPaths, database: Database, clock: Clock, metrics: Metrics) -> None:
        """Make the parts.

        Raises:
            StoreUnavailable: a key is missing or another one than that of the database.
            FileProblems: a mapping is wrong.
        """
        self._database = database
        self._metrics = metrics
        with database.read() as connection:
            self.lookup = MemoryObjectLookup.of(connection)
        self.mappings = mappings = load_mappings(settings.mappings)
        kafka = settings.kafka
        self.intake = KafkaIntake(
            kafka.access(),
            kafka.layout().topic("frames"),
            kafka.partitions,
            clock,
            prepare=storable,
            whereabouts=self._whereabouts,
            on_sent=self._on_sent,
            on_duplicates=self._on_duplicates,
            by=f"{settings.host}:{settings.port}",
        )
        seal = open_seal(database, settings.sealing_key or paths.top / SEALING_KEY, make=settings.sealing_key is None)

        def retention(feed: str) -> timedelta:
            return mappings[feed].retention if feed in mappings else timedelta(days=settings.retention_days)

        self.retention = retention
        self.raw = RawStore(paths.raw, seal)
        self.vault = Vault(database, seal, retention)
        key = load_or_make_key(settings.personal_key or paths.top / "personal-key")
        self.tokens = Tokens(key)
        self._clock = clock
        self._heard: dict[str, datetime] = {}
        self._turn = threading.Lock()
        signs = SilenceWatch(mappings, self.intake, clock)  # it notes signs of life; who is silent a duty role decides
        self.edge = Edge(self.intake, self.lookup, key, keep_raw=self.raw.put, keep_personal=self.vault.keep, on_taken=signs.heard)

    def look_at_registry(self) -> None:
        """Take up objects that came in by another process."""
        with self._database.read() as connection:
            self.lookup.refresh(connection)

    def note_heard(self) -> None:
        """Write down which feeds were heard since the last time; raises StoreUnavailable, and the next time writes it."""
        with self._turn:
            new, self._heard = self._heard, {}
        if not new:
            return
        try:
            with self._database.write() as connection:
                note_heard(connection, new)
        except StoreUnavailable:
            with self._turn:
                self._heard = new | self._heard
            raise

    def _whereabouts(self, names: Sequence[Name]) -> dict[Name, Sent]:
        """Ask the rows what other edges sent; where the database does not answer, the worker's judgement is enough."""
        try:
            found = names_of(self._database, names)
        except StoreUnavailable as error:
            log.warning("edge.rows_unavailable", error=str(error))
            return {}
        return {name: Sent(known.digest, Place.of(known.seq).partition, known.seq) for name, known in found.items()}

    def _on_sent(self, entries: Sequence[AnyEntry]) -> None:
        counted: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            if isinstance(entry, ObjectsEntry):
                self.lookup.apply(entry)
            elif isinstance(entry, SignalEntry):
                counted[entry.feed, "accepted"] += 1
            elif isinstance(entry, RejectionEntry):
                counted[entry.feed, "rejected"] += 1
        now = self._clock.now()
        with self._turn:
            self._heard |= {feed: now for feed, _ in counted}
        for (feed, outcome), count in counted.items():
            self._metrics.records.labels(feed=feed, outcome=outcome).inc(count)

    def _on_duplicates(self, counts: Mapping[str, int]) -> None:
        for feed, count in counts.items():
            self._metrics.records.labels(feed=feed, outcome="duplicate").inc(count)
        try:
            with self._database.write() as connection:
                risk.add_duplicates(connection, counts)
        except StoreUnavailable as error:  # a counter, on which nothing depends
            log.warning("duplicates.not_counted", reason=str(error))


class DoorRole(Role):
    """A role that takes records and answers requests: an edge or an api."""

    @whole
    def __init__(self, settings: Settings, clock: Clock | None) -> None:
        """Bind the address and make the doors.

        Raises:
            StoreUnavailable: as `Role`, and what `Doors` cannot do without.
            FileProblems: a mapping is wrong.
        """
        super().__init__(settings, clock)
        self.socket = listen(settings.host, settings.port)
        self.closing.callback(self.socket.close)
        self.settings = settings.model_copy(update={"port": self.socket.getsockname()[1]})
        doors = self.doors = Doors(self.settings, self.paths, self.database, self.clock, self.metrics)
        self.closing.callback(doors.intake.close)
        done = timedelta(hours=settings.inbox_done_hours)
        self.inbox_folder = self.paths.top / "inbox"
        retention = Retention(doors.raw, doors.vault, self.inbox_folder, doors.retention, self.clock, done=done)
        self.watch("retention", retention.enforce, RETENTION_SECONDS)
        self.watch("registry", doors.look_at_registry, REGISTRY_SECONDS)
        self.watch("heard", doors.note_heard, HEARD_SECONDS)
        self._brokers = Presence(settings.kafka.access())
        self.watch("brokers", self._brokers.look, BROKERS_SECONDS)

    def start(self) -> None:
        """Connect to the brokers and start the watches; raises StoreUnavailable."""
        own = f"admin@{socket.gethostname()}:{self.settings.data.resolve()}"  # each door has one: lists and audit tell them apart
        ensure_admin_token(self.settings.data, self.database, self.clock, own)
        self.doors.intake.start()
        super().start()

    def trouble(self) -> str:
        """Return why nothing is taken now, "" while everything is."""
        return self._brokers.away or self.doors.intake.trouble() or self.ended_watches()

    def unready(self) -> str:
        """Return why nobody is served now: what `/readyz` says. Credentials and names stand in the database."""
        return self.trouble() or super().unready()
