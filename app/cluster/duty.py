"""`fengsui duty`: the duty loop of `serve` over the cluster's database; timers, escalations and deliveries.

Several may run. A timer fires in a transaction that holds it, a delivery is claimed by lease: whoever dies leaves nothing undone, and
nothing is done twice.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Final, Self

import msgspec
import structlog

from app.clock import SystemClock
from app.cluster.silence import ElectedSilence
from app.cluster.stores import another_schema, check_topics
from app.desk import Desk
from app.duty import DutyLoop
from app.effects import EffectWriter
from app.links import load_or_make_key
from app.metrics import Metrics
from app.pipelines import load_mappings
from app.settings import Settings
from app.stores import open_database
from app.version import VERSION
from app.watch import Watch
from app.wiring import CALENDAR_YEARS, SILENCE_SECONDS
from connectors.kafka.intake import KafkaIntake
from connectors.outbound.egress import networks
from domain.errors import StoreUnavailable
from domain.ports import Clock
from storage.admission import storable
from storage.calendars import load_calendar
from storage.datadir import DataDir

LOOK_SECONDS: Final = 1.0
SCHEMA_SECONDS: Final = 10.0
ENDED: Final = 70  # exit status: the supervisor starts the role anew
log = structlog.get_logger(__name__)


def make_desk(settings: Settings, clock: Clock) -> Desk:
    """Return what obligations are decided with; raises FileProblems."""
    return Desk(load_calendar([clock.now().year + ahead for ahead in CALENDAR_YEARS], settings.calendars), settings.policies)


def make_writer(settings: Settings, top: Path) -> EffectWriter:
    """Return what writes effects; `top` is the role's data folder, which has the key where the settings name none."""
    return EffectWriter(base_url=settings.base_url, link_key=load_or_make_key(settings.link_key or top / "link-key"))


class DutyRole:
    """One duty loop; a context manager from start to stop. Several run side by side, each with a data folder of its own."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Check the topics, open database and data folder, make the parts; nothing runs before `start`.

        Raises:
            StoreUnavailable: brokers, topics, database or folder cannot be used; the message says what to do.
            FileProblems: a policy is wrong.
        """
        wall = SystemClock()
        self.clock: Clock = clock or wall
        check_topics(settings)
        self.settings = settings
        self._folder = DataDir(settings.data)
        paths = self._folder.paths
        self.metrics = Metrics()
        self.database = open_database(settings, wall)
        kafka = settings.kafka
        # The name of a folder, which one process at a time has: what its predecessor had claimed is taken up again at once.
        self.owner = f"{socket.gethostname()}:{settings.data.resolve()}"
        self.intake = KafkaIntake(
            kafka.access(), kafka.layout().topic("frames"), kafka.partitions, self.clock, prepare=storable, by=self.owner
        )
        self.duty = DutyLoop(
            database=self.database,
            desk=make_desk(settings, self.clock),
            writer=make_writer(settings, paths.top),
            intake=self.intake,
            clock=self.clock,
            wall=wall,
            metrics=self.metrics,
            egress=networks(settings.egress.allow),
            attempt_seconds=settings.egress.attempt_seconds,
            owner=self.owner,
        )
        silence = ElectedSilence(self.database, load_mappings(settings.mappings), self.intake, self.clock, self.owner)
        self._end = threading.Event()
        self._watch = Watch("silence", silence.look, SILENCE_SECONDS, self.metrics, self._end)
        self._status = paths.top / "duty.json"

    def start(self) -> None:
        """Connect to the brokers and start the loop; raises StoreUnavailable."""
        self.intake.start()
        self.duty.start()
        self._watch.start()

    def stop(self) -> None:
        """Finish what is under way, close the files."""
        self._end.set()
        if self._watch.is_alive():
            self._watch.join()
        self.duty.stop()
        self.intake.close()
        self.database.close()
        self._folder.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, over: threading.Event) -> int:
        """Look after the loop until `over`; return 0 then, `ENDED` where the process has to be started anew.

        Raises:
            StoreUnavailable: the database got the tables of another version meanwhile.
        """
        looks = 0
        while not over.is_set():
            if not (self.duty.is_alive() and self._watch.is_alive()):
                log.critical("duty.loop_ended", hint="its log says why; started anew it takes up what was claimed")
                return ENDED
            if looks % round(SCHEMA_SECONDS / LOOK_SECONDS) == 0 and (found := another_schema(self.database)):
                raise StoreUnavailable(found)
            self._tell()
            looks += 1
            over.wait(LOOK_SECONDS)
        return 0

    def _tell(self) -> None:
        """Write down what was done: for whoever looks, and for a health check by the file's age."""
        told = {
            "at": self.clock.now(),
            "version": VERSION,
            "owner": self.owner,
            "done": self.duty.done,
            "attempts": self.duty.attempts,
            "kafka": "" if self.intake.alive() else "closed",
        }
        new = self._status.with_name(".duty.json.new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(told)))
        new.replace(self._status)
