"""`fengsui worker`: the partitions that Faust assigns to this process, each through a pipeline of its own, committed with its offset."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import structlog

from app.cluster.engines import Engines
from app.cluster.outputs import Outputs
from app.cluster.plants import StaleShelf, mortal, with_plants
from app.cluster.role import Role
from app.cluster.rules_known import WRITE_SECONDS, RulesTold
from app.cluster.shelves import shelf_of
from app.cluster.watching import Telling, measured
from app.commit import Consequences, PartitionedCommit, Tell
from app.inferring import Inferring
from app.settings import Settings
from app.wiring import make_desk, make_writer
from connectors.kafka.log import KafkaFrames, KafkaTail
from connectors.kafka.post import Item, Post
from domain.messages import both
from domain.ports import Clock, History, PartitionCommit
from storage import letters as mail
from storage.crashpoints import planted
from storage.marks import SqlMarks
from storage.progress import SqlProgress
from storage.stored_names import PartitionAdmission
from streams.pipeline import Pipeline
from streams.runtimes.faust_worker import STUCK, Cluster, Host, Slot
from streams.runtimes.group_partitions import GroupPartition
from streams.runtimes.keeping import PartitionSnapshots
from streams.runtimes.partition_guard import aside_by
from streams.runtimes.partitions import Partition, Parts
from streams.runtimes.standbys import Make, Standbys

COMMITS: Final = 4  # at once, of different partitions: most of the time they wait for the disk
LETTERS: Final = 100  # of one partition at a time; each may have megabytes
log = structlog.get_logger(__name__)


class WorkerRole(Role):
    """One worker."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, die: Callable[[int], Any] = os._exit) -> None:
        """Make the parts; nothing runs before `start`. Raises as `Role`, and FileProblems where a mapping or policy is wrong."""
        super().__init__(settings, clock)
        paths = self.paths
        self._inferring = Inferring(self.metrics)
        self.closing.callback(self._inferring.close)
        engines = Engines(settings, self.database, self._inferring)
        self._committing = ThreadPoolExecutor(COMMITS, thread_name_prefix="commits")
        self.closing.callback(self._committing.shutdown)
        layout, access = settings.kafka.layout(), settings.kafka.access()
        topic = layout.topic("frames")
        self._groups = layout.topic("groups")
        commit, frames = self._commit(settings, topic), KafkaFrames(access, topic)
        several = layout.partitions > 1
        self._post = Post(access, lambda name: f"{layout.prefix}.{name}", self._letters, self._strike)

        def shelf(topic: str, partition: int) -> PartitionSnapshots:
            own = shelf_of(settings.kafka.snapshots, self.database, topic, partition)
            return StaleShelf(own) if planted("stale_snapshot") else own

        self._die = die
        make: dict[str, Make] = {}
        progress = SqlProgress(self.database, self.clock)
        standbys = Standbys(
            make,
            progress.standing,
            shelf,
            {name: KafkaTail(access, name) for name in (topic, self._groups)},
            settings.kafka.standby_mb * 2**20,
            on_outcome=lambda outcome: self.metrics.standbys.labels(outcome=outcome).inc(),
        )
        telling = self._telling = Telling(
            paths.top / "worker.json", self.metrics, self.clock, layout.partitions * (2 if several else 1), standbys.told
        )

        self._rules_told = RulesTold(self.database)
        self.watch("rules_known", self._rules_told.write, WRITE_SECONDS)

        def parts(
            topic: str,
            pipeline: Callable[[History | None], Pipeline],
            set_aside: Callable[[int], object],
            groups: int = 0,
            beside: Callable[[History | None], Pipeline] | None = None,
        ) -> Parts:
            return Parts(
                pipeline=pipeline,
                admission=lambda partition: PartitionAdmission(self.database, partition),
                snapshots=lambda partition: shelf(topic, partition),
                marks=lambda partition: SqlMarks(self.database, topic, partition),
                commit=commit,
                clock=self.clock,
                snapshot_every=settings.snapshot_every,
                snapshot_seconds=settings.kafka.snapshot_seconds,
                on_set_aside=set_aside,
                committing=self._committing,
                groups=groups,
                spread_of=engines.spread_of,
                log=frames,
                aside=lambda source: aside_by(SqlMarks(self.database, layout.topic("frames"), source)),
                worked_out=engines.worked_out,
                beside=beside,
            )

        own = parts(
            topic,
            lambda past: mortal(engines.objects(past)),
            telling.set_aside,
            layout.partitions if several else 0,
        )
        groups = parts(
            self._groups,
            engines.areas,
            lambda _number: self.metrics.loop_errors.labels(loop="quarantine").inc(),
            beside=engines.groups,
        )
        make[topic] = lambda grant, stopping: Partition(grant, own, stopping)
        if several:
            make[self._groups] = lambda grant, stopping: GroupPartition(grant, groups, stopping, layout.partitions)
        cluster = _cluster(settings, topic, paths.top / "faust", [name for name in make if name != topic])
        self.host = Host(cluster, make, progress, standbys=standbys if settings.kafka.standby_mb else None, die=die, on_look=self.look)

    def _commit(self, settings: Settings, topic: str) -> PartitionCommit:
        """Return what writes down what follows from messages; `topic` is that of the frames."""
        outputs = Outputs(f"/fengsui/{settings.kafka.prefix}/{settings.namespace}", settings.kafka.partitions)
        tell: Tell = outputs if settings.kafka.outputs else lambda _grant, _upto, _found: ()
        desk, writer = make_desk(settings, self.clock), make_writer(settings, self.paths.top)
        consequences = Consequences(desk, writer, self.clock, self.metrics)
        return with_plants(measured(PartitionedCommit(self.database, consequences, self.clock, tell=tell), self.metrics, topic))

    def start(self) -> None:
        """Serve the metrics, where a port is named for them."""
        self.serve_metrics()
        super().start()

    def run(self) -> None:
        """Work until SIGINT or SIGTERM."""
        with self._post:
            self.host.run()

    def unready(self) -> str:
        """Return why partitions are not judged here; without rules nothing is."""
        return super().unready() or ("" if self.ruled else both("cluster.no_rules")) or self._telling.unready()

    def lacking(self) -> str:
        """Return how far it is behind, or that it has nothing to do."""
        return self._telling.lacking

    def look(self, partitions: Mapping[Slot, Partition], ends: Mapping[Slot, int]) -> None:
        """Tell how partitions stand; end where their letters stay, since rules about areas and groups would wait for them in silence."""
        self._telling.look(partitions, ends)
        self._rules_told.look(list(partitions.values()))
        if self._post.ended():
            log.critical("worker.ended", reason="the post has ended; its log says why", status=STUCK)
            self._die(STUCK)

    def _letters(self) -> list[Item]:
        """Return the letters of the partitions that are worked on here, for the post."""
        mine = set(self.host.partitions)
        with self.database.read() as connection:
            return [
                Item(kept.id, sender, kept.letter)
                for sender in mail.senders(connection)
                if sender in mine
                for kept in mail.waiting(connection, *sender, LETTERS)
            ]

    def _strike(self, ids: Sequence[int]) -> None:
        with self.database.write() as connection:
            mail.strike(connection, ids)


def _cluster(settings: Settings, topic: str, folder: Path, more: Sequence[str]) -> Cluster:
    """Return what Faust is told of the brokers; `more` are the topics beside that of the frames."""
    kafka, access = settings.kafka, settings.kafka.access()
    return Cluster(
        bootstrap=access.bootstrap,
        topic=topic,
        partitions=kafka.partitions,
        group=f"{kafka.prefix}-workers",
        owner=f"{socket.gethostname()}:{os.getpid()}",
        folder=folder,
        context=access.context(),
        mechanism=access.mechanism,
        user=access.user,
        password=access.password,
        session_seconds=kafka.session_seconds,
        stuck_seconds=kafka.stuck_seconds,
        more=tuple(more),
    )
