"""`fengsui duty`: the duty loop of `serve` over the cluster's database; timers, escalations and deliveries.

Several may run. A timer fires in a transaction that holds it, a delivery is claimed by lease: whoever dies leaves nothing undone, and
nothing is done twice.
"""

from __future__ import annotations

import socket
import threading
from typing import Final

import structlog

from app.clock import SystemClock
from app.cluster.role import Role, tell, whole
from app.cluster.silence import ElectedSilence
from app.cluster.stores import another_schema
from app.duty import DutyLoop
from app.metrics import Sample
from app.pipelines import load_mappings
from app.settings import Settings
from app.views.duty import clock_samples
from app.wiring import SILENCE_SECONDS, make_desk, make_writer
from connectors.kafka.intake import KafkaIntake
from connectors.outbound.egress import networks
from domain.errors import StoreUnavailable
from domain.messages import both
from domain.ports import Clock
from storage.admission import storable

LOOK_SECONDS: Final = 1.0
SCHEMA_SECONDS: Final = 10.0
ENDED: Final = 70  # exit status: the supervisor starts the role anew
log = structlog.get_logger(__name__)


class DutyRole(Role):
    """One duty loop."""

    @whole
    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        """Make the parts; nothing runs before `start`. Raises as `Role`, and FileProblems where a policy is wrong."""
        super().__init__(settings, clock)
        kafka = settings.kafka
        # The name of a folder, which one process at a time has: what its predecessor had claimed is taken up again at once.
        self.owner = f"{socket.gethostname()}:{settings.data.resolve()}"
        self.intake = KafkaIntake(
            kafka.access(), kafka.layout().topic("frames"), kafka.partitions, self.clock, prepare=storable, by=self.owner
        )
        self.closing.callback(self.intake.close)
        self.duty = DutyLoop(
            database=self.database,
            desk=make_desk(settings, self.clock),
            writer=make_writer(settings, self.paths.top),
            intake=self.intake,
            clock=self.clock,
            wall=SystemClock(),
            metrics=self.metrics,
            egress=networks(settings.egress.allow),
            attempt_seconds=settings.egress.attempt_seconds,
            owner=self.owner,
        )
        self.closing.callback(self.duty.stop)
        silence = ElectedSilence(self.database, load_mappings(settings.mappings), self.intake, self.clock, self.owner)
        self.watch("silence", silence.look, SILENCE_SECONDS)
        self._status = self.paths.top / "duty.json"
        self.metrics.sources.append(self._samples)

    def start(self) -> None:
        """Connect to the brokers and start the loop; raises StoreUnavailable."""
        self.serve_metrics()
        self.intake.start()
        self.duty.start()
        super().start()

    def run(self, over: threading.Event) -> int:
        """Look after the loop and its way to the brokers until `over`; return 0 then, `ENDED` where the process has to be started anew.

        Raises:
            StoreUnavailable: the database got the tables of another version meanwhile.
        """
        looks = 0
        while not over.is_set():
            if not self.duty.is_alive() or not self.intake.alive() or self.ended_watches():
                log.critical("duty.loop_ended", hint="its log says why; started anew it takes up what was claimed")
                return ENDED
            if looks % round(SCHEMA_SECONDS / LOOK_SECONDS) == 0 and (found := another_schema(self.database)):
                raise StoreUnavailable(found)
            self._tell()
            looks += 1
            over.wait(LOOK_SECONDS)
        return 0

    def unready(self) -> str:
        """Return why timers and deliveries wait."""
        return (both("cluster.loop_ended") if not self.duty.is_alive() else self.intake.trouble()) or super().unready()

    def _tell(self) -> None:
        """Write down what was done."""
        told = {
            "owner": self.owner,
            "done": self.duty.done,
            "attempts": self.duty.attempts,
            "kafka": "" if self.intake.alive() else "closed",
        }
        tell(self._status, self.clock, told)

    def _samples(self) -> list[Sample]:
        with self.database.read() as connection:
            return clock_samples(connection, self.clock.now())
