"""`fengsui worker`: the partitions that Faust assigns to this process, each through a pipeline of its own, committed with its offset."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import structlog

from app.clock import SystemClock
from app.cluster.stores import check_topics
from app.cluster.watching import Telling, measured, serve_metrics
from app.commit import Consequences, PartitionedCommit
from app.desk import Desk
from app.effects import EffectWriter
from app.inferring import Inferring
from app.links import load_or_make_key
from app.metrics import Metrics
from app.pipelines import make_pipeline
from app.rulebook import stored
from app.settings import Settings
from app.stores import open_database
from app.version import VERSION
from app.wiring import CALENDAR_YEARS
from domain.findings import Outcome
from domain.messages import both
from domain.ports import Clock, Grant, Letter, PartitionCommit
from domain.records import Record
from rules.ruleset import RuleSet
from storage.calendars import load_calendar
from storage.crashpoints import planted
from storage.datadir import DataDir
from storage.progress import SqlProgress
from storage.snapshots import Snapshot, SnapshotStore
from storage.stored_names import PartitionAdmission
from storage.tables import from_us, to_us
from streams.runtimes.faust_worker import Cluster, Host
from streams.runtimes.partitions import Kept, Parts

log = structlog.get_logger(__name__)


def over_several_objects(ruleset: RuleSet) -> tuple[str, ...]:
    """Return the rules whose answer needs the signals of several objects, by id: about an area, or by an indicator that is.

    With more than one partition no worker sees all of these.
    """
    shared = {name for name, indicator in ruleset.indicators.items() if indicator.by != "object"}
    found: set[str] = set()
    for rule in ruleset.rules:
        needed = ruleset.closure((*rule.when.indicators, *rule.says))
        if rule.by != "object" or shared.intersection(needed):
            found.add(rule.id)
    for rule in ruleset.rules:  # a rule over rules is one of them where one of those is
        if found.intersection(rule.when.rules):
            found.add(rule.id)
    return tuple(sorted(found))


def _with_plants(commit: PartitionCommit) -> PartitionCommit:
    """Return `commit`, or one with the planted defect of the campaign `chaos`."""
    if not planted("skip_frame"):
        return commit

    def skipping(grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()) -> Grant:
        return commit(grant, upto, *(([], [], []) if upto % 20 == 19 else (records, outcomes, letters)))

    return skipping


class PartitionStore:
    """`streams.runtimes.partitions.PartitionSnapshots` in a folder; a state of other software is not taken up, the log gives it anew."""

    def __init__(self, folder: Path) -> None:
        """Keep in `folder`, which is made where it is missing; workers that share it take partitions over quickly."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = SnapshotStore(folder)

    def save(self, kept: Kept) -> None:
        """Keep a snapshot; raises StoreUnavailable."""
        received = None if kept.received_at is None else to_us(kept.received_at)
        state = {"pipeline": kept.state, "offset": kept.offset, "received_at": received}
        self._store.save(Snapshot(position=kept.offset, ruleset="", software=VERSION, state=state))

    def load(self) -> Kept | None:
        """Return the newest sound snapshot of this version."""
        found = self._store.load().snapshot
        if found is None or found.software != VERSION:
            return None
        received = found.state["received_at"]
        return Kept(found.state["offset"], None if received is None else from_us(received), found.state["pipeline"])


class _StaleStore(PartitionStore):
    """The planted defect of the campaign `same-answer`: whoever takes the partition over lacks what the last spell brought."""

    _before: bytes | None = None

    def save(self, kept: Kept) -> None:
        """Keep the state that was given the last time."""
        state, self._before = self._before, kept.state
        super().save(replace(kept, state=kept.state if state is None else state))


class WorkerRole:
    """One worker; a context manager. Several run side by side, each with a data folder of its own."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, die: Callable[[int], Any] = os._exit) -> None:
        """Check the topics, open the database, make the parts.

        Raises:
            StoreUnavailable: brokers, topics, database or folder cannot be used; the message says what to do.
            FileProblems: a mapping or policy is wrong.
        """
        self.clock: Clock = clock or SystemClock()
        check_topics(settings)
        self.settings = settings
        self._folder = DataDir(settings.data)
        paths = self._folder.paths
        self.metrics = Metrics()
        self.database = open_database(settings, self.clock)
        self._inferring = Inferring(self.metrics)
        self._sets: dict[str, RuleSet] = {}
        self._committing = ThreadPoolExecutor(1, thread_name_prefix="commits")
        desk = Desk(load_calendar([self.clock.now().year + ahead for ahead in CALENDAR_YEARS], settings.calendars), settings.policies)
        writer = EffectWriter(base_url=settings.base_url, link_key=load_or_make_key(settings.link_key or paths.top / "link-key"))
        layout, access = settings.kafka.layout(), settings.kafka.access()
        self._partitions = layout.partitions
        topic = layout.topic("frames")
        shared = settings.kafka.snapshots or paths.top / "partitions"

        def place(partition: int) -> Path:
            return shared / f"{topic}-{partition}"

        telling = Telling(paths.top / "worker.json", self.metrics, self.clock, layout.partitions)
        parts = Parts(
            pipeline=lambda: make_pipeline(settings, self.load, None, self._inferring.engine),
            admission=lambda partition: PartitionAdmission(self.database, partition),
            snapshots=lambda partition: (_StaleStore if planted("stale_snapshot") else PartitionStore)(place(partition)),
            guard=lambda partition: place(partition) / "stepping",
            commit=_with_plants(
                measured(PartitionedCommit(self.database, Consequences(desk, writer, self.clock, self.metrics), self.clock), self.metrics)
            ),
            clock=self.clock,
            snapshot_every=settings.snapshot_every,
            on_set_aside=telling.set_aside,
            committing=self._committing,
        )
        cluster = Cluster(
            bootstrap=access.bootstrap,
            topic=topic,
            partitions=layout.partitions,
            group=f"{settings.kafka.prefix}-workers",
            owner=f"{socket.gethostname()}:{os.getpid()}",
            folder=paths.top / "faust",
            context=access.context(),
            mechanism=access.mechanism,
            user=access.user,
            password=access.password,
            session_seconds=settings.kafka.session_seconds,
            stuck_seconds=settings.kafka.stuck_seconds,
        )
        self.host = Host(cluster, parts, SqlProgress(self.database, self.clock), die=die, on_look=telling.look)

    def load(self, version: str) -> RuleSet:
        """Return a stored rule set without what cannot be judged in several partitions, which is named in the log.

        Raises:
            NotFound: the version is not in the database: the worker stops before the record that activates it.
        """
        if version not in self._sets:
            with self.database.read() as connection:
                whole = stored(connection, version)
            left_out = over_several_objects(whole) if self._partitions > 1 else ()
            if left_out:
                log.warning("rules.not_judged", detail=both("worker.groups", partitions=self._partitions, rules=", ".join(left_out)))
            self._sets[version] = replace(whole, rules=tuple(rule for rule in whole.rules if rule.id not in left_out))
        return self._sets[version]

    def run(self) -> None:
        """Work until SIGINT or SIGTERM."""
        self.host.run()

    def close(self) -> None:
        """Close the files, once nothing is being committed any more."""
        self._committing.shutdown()
        self._inferring.close()
        self.database.close()
        self._folder.close()

    def __enter__(self) -> Self:
        if self.settings.metrics_port:
            serve_metrics(self.metrics, self.settings.host, self.settings.metrics_port)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
