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
from app.cluster.role import Role, whole
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
from storage import risk
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
MakePipeline = Callable[[History | None], Pipeline]  # which counts back from the past that it is given
log = structlog.get_logger(__name__)


class WorkerRole(Role):
    """One worker."""

    @whole
    def __init__(self, settings: Settings, *, clock: Clock | None = None, die: Callable[[int], Any] = os._exit) -> None:
        """Make the parts; nothing runs before `start`. Raises as `Role`, and FileProblems where a mapping or policy is wrong."""
        super().__init__(settings, clock)
        kafka = settings.kafka
        layout, access = kafka.layout(), kafka.access()
        self._frames, self._groups = layout.topic("frames"), layout.topic("groups")
        self._inferring = Inferring(self.metrics)
        self.closing.callback(self._inferring.close)
        self._engines = Engines(settings, self.database, self._inferring)
        self._committing = ThreadPoolExecutor(COMMITS, thread_name_prefix="commits")
        self.closing.callback(self._committing.shutdown)
        self._post = Post(access, lambda name: f"{layout.prefix}.{name}", self._letters, self._strike)
        self._die = die
        make: dict[str, Make] = {}
        progress = SqlProgress(self.database, self.clock)
        standbys = Standbys(
            make,
            progress.standing,
            self._shelf,
            {name: KafkaTail(access, name) for name in (self._frames, self._groups)},
            kafka.standby_mb * 2**20,
            on_outcome=lambda outcome: self.metrics.standbys.labels(outcome=outcome).inc(),
        )
        count = layout.partitions * (2 if self._engines.several else 1)
        self._telling = Telling(self.paths.top / "worker.json", self.metrics, self.clock, count, standbys.told)
        self._rules_told = RulesTold(self.database)
        self.watch("rules_known", self._rules_told.write, WRITE_SECONDS)
        make |= self._makers()
        cluster = _cluster(settings, self._frames, self.paths.top / "faust", [name for name in make if name != self._frames])
        self.host = Host(cluster, make, progress, standbys=standbys if kafka.standby_mb else None, die=die, on_look=self.look)

    def _makers(self) -> dict[str, Make]:
        """Return by topic what makes its partitions: those of the frames, and with several of them those of groups."""
        engines, count = self._engines, self.settings.kafka.partitions
        commit, several = self._commit(), engines.several
        frames = self._parts(
            self._frames, commit, lambda past: mortal(engines.objects(past)), self._telling.set_aside, count if several else 0
        )
        groups = self._parts(self._groups, commit, engines.areas, self._set_aside_again, beside=engines.groups)
        found: dict[str, Make] = {self._frames: lambda grant, stopping: Partition(grant, frames, stopping)}
        if several:
            found[self._groups] = lambda grant, stopping: GroupPartition(grant, groups, stopping, count)
        return found

    def _parts(
        self,
        topic: str,
        commit: PartitionCommit,
        pipeline: MakePipeline,
        set_aside: Callable[[int], object],
        groups: int = 0,
        beside: MakePipeline | None = None,
    ) -> Parts:
        """Return what the partitions of a topic are made of."""
        kafka = self.settings.kafka
        return Parts(
            pipeline=pipeline,
            admission=lambda partition: PartitionAdmission(self.database, partition),
            snapshots=lambda partition: self._shelf(topic, partition),
            marks=lambda partition: SqlMarks(self.database, topic, partition),
            commit=commit,
            clock=self.clock,
            snapshot_every=self.settings.snapshot_every,
            snapshot_seconds=kafka.snapshot_seconds,
            on_set_aside=set_aside,
            committing=self._committing,
            groups=groups,
            spread_of=self._engines.spread_of,
            log=KafkaFrames(kafka.access(), self._frames),
            aside=lambda source: aside_by(SqlMarks(self.database, self._frames, source)),
            worked_out=self._engines.worked_out,
            beside=beside,
        )

    def _shelf(self, topic: str, partition: int) -> PartitionSnapshots:
        own = shelf_of(self.settings.kafka.snapshots, self.database, topic, partition)
        return StaleShelf(own) if planted("stale_snapshot") else own

    def _set_aside_again(self, _number: int) -> None:
        """Count what brought the engine down in a partition of groups; the record itself is one of the frames."""
        self.metrics.loop_errors.labels(loop="quarantine").inc()

    def _commit(self) -> PartitionCommit:
        """Return what writes down what follows from messages."""
        settings = self.settings
        outputs = Outputs(f"/fengsui/{settings.kafka.prefix}/{settings.namespace}", settings.kafka.partitions)
        tell: Tell = outputs if settings.kafka.outputs else lambda _grant, _upto, _found: ()
        desk, writer = make_desk(settings, self.clock), make_writer(settings, self.paths.top)
        consequences = Consequences(desk, writer, self.clock, self.metrics)
        return with_plants(measured(PartitionedCommit(self.database, consequences, self.clock, tell=tell), self.metrics, self._frames))

    def start(self) -> None:
        """Read the rules in force, before partitions stand still for it, and serve the metrics, where a port is named for them."""
        with self.database.read() as connection:
            version = risk.active_ruleset(connection)
        if version:
            self._engines.load(version)
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
