"""The composition root: makes every part once, starts them in order, stops them in the opposite order."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import structlog

from app.admin_token import ensure_admin_token
from app.answers import Answers
from app.api.application import make_asgi
from app.approval import Approval
from app.clock import SystemClock
from app.commit import Commit, Consequences
from app.desk import Desk
from app.duty import DutyLoop
from app.effects import EffectWriter
from app.engine import ENGINE
from app.explaining import Asking
from app.gate import AsgiApp, Credentials
from app.history import JournalHistory
from app.links import load_or_make_key
from app.metrics import Metrics, Sample
from app.pipelines import feed_delays, load_mappings, make_pipeline
from app.privacy import Privacy
from app.retention import Retention
from app.rule_health import RuleHealth
from app.rulebook import Rulebook
from app.services import Services
from app.settings import Settings
from app.silence import SilenceWatch
from app.stores import open_database
from app.synced import offer, synced
from app.version import VERSION
from app.views.aside import aside
from app.views.duty import samples as duty_samples
from app.watch import Watch
from app.workshop import Workshop
from connectors.inbound.edge import Edge
from connectors.inbound.folder import Inbox, SetAside
from connectors.inbound.personal import Tokens
from connectors.outbound.egress import networks
from domain.errors import StoreUnavailable
from domain.messages import both
from domain.ports import Clock
from domain.records import AnyEntry, ObjectsEntry, Record, RejectionEntry, SignalEntry
from storage import intake_reads, progress, risk
from storage.calendars import load_calendar
from storage.crashpoints import reach
from storage.datadir import DataDir
from storage.identity import Identity
from storage.intake import Appender
from storage.journal import Journal
from storage.raw import RawStore
from storage.registry import MemoryObjectLookup
from storage.sealing import SEALING_KEY, open_seal
from storage.snapshots import Snapshot, SnapshotStore
from storage.vault import Vault
from streams.runtimes.embedded import Engine

CALENDAR_YEARS = range(-1, 3)  # around the year of the start: clocks look back a year and ahead two
RETENTION_SECONDS = 3600.0
SILENCE_SECONDS = 5.0
log = structlog.get_logger(__name__)


class Application:
    """Everything of `serve`, on one clock; a context manager from start to stop."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, lockstep: bool = False) -> None:
        """Open the data folder and make the parts; nothing runs before `start`.

        In `lockstep` (the demo) the duty loop and the watch over silent feeds work only inside `settle`, and no retention is enforced.

        Raises:
            StoreUnavailable: another process uses the folder or the port, or the file system cannot hold it.
            StoreCorrupt: a stored file is damaged.
            FileProblems: a mapping or policy is wrong.
        """
        wall = SystemClock()
        self.clock: Clock = clock or wall
        self.socket = listen(settings.host, settings.port)
        self.settings = settings.model_copy(update={"port": self.socket.getsockname()[1]})
        self._folder = DataDir(settings.data)
        paths = self._folder.paths
        self.metrics = Metrics()
        self._repeats: Counter[str] = Counter()
        self.database = open_database(settings, wall)
        self._refuse_cluster()
        self.journal = Journal.open(paths.journal)
        self._told = self.journal.head()  # the last record that the engine and the watch over silent feeds were told of
        identity = Identity.open(paths.identity, self.journal, first=self.journal.first())
        with self.database.read() as connection:
            self._lookup = MemoryObjectLookup.of(connection)
        mappings = load_mappings(settings.mappings)
        desk, writer = make_desk(settings, self.clock), make_writer(self.settings, paths.top)
        self.intake = Appender(self.journal, identity, self.clock, on_synced=self._on_synced, on_duplicates=self._on_duplicates)
        self._end = threading.Event()
        workshop = Workshop(paths, self._aside, feed_delays(mappings))
        approval = Approval(self.database, self.clock, needed=settings.approve_rules)
        self._rulebook = Rulebook(settings.rules, self.database, self.intake, self.metrics, workshop, approval, self._end)
        inferring = self._rulebook.inferring
        history = JournalHistory(self.journal, workshop.artifacts, self._aside)
        self.engine = Engine(
            make_pipeline(self.settings, self._rulebook.load, history, inferring.engine),
            self.journal,
            Commit(self.database, Consequences(desk, writer, self.clock, self.metrics)),
            append=self._append,
            clock=self.clock,
            snapshots=PipelineSnapshots(SnapshotStore(paths.snapshots), self.metrics),
            applied=self._applied,
            poison=paths.top / "stepping",
            snapshot_every=settings.snapshot_every,
            on_step=self.metrics.step_seconds.observe,
            on_quarantine=self._on_quarantine,
        )
        seal = open_seal(self.database, settings.sealing_key or paths.top / SEALING_KEY, make=settings.sealing_key is None)
        raw = RawStore(paths.raw, seal)

        def retention(feed: str) -> timedelta:
            return mappings[feed].retention if feed in mappings else timedelta(days=settings.retention_days)

        vault, personal_key = Vault(self.database, seal, retention), load_or_make_key(settings.personal_key or paths.top / "personal-key")
        self.silence = SilenceWatch(mappings, self.intake, self.clock)
        edge = Edge(
            self.intake,
            self._lookup,
            personal_key,
            keep_raw=raw.put,
            keep_personal=vault.keep,
            repeats=identity.repeats,
            on_taken=self.silence.heard,
        )
        settle = timedelta(seconds=settings.inbox_settle_seconds)
        self.inbox = Inbox(paths.top / "inbox", mappings, edge, self.clock, settle=settle, reach=reach, on_set_aside=self._on_set_aside)
        self.duty = DutyLoop(
            database=self.database,
            desk=desk,
            writer=writer,
            intake=self.intake,
            clock=self.clock,
            wall=wall,
            metrics=self.metrics,
            egress=networks(settings.egress.allow),
            attempt_seconds=settings.egress.attempt_seconds,
            lockstep=lockstep,
        )
        inbox, done = paths.top / "inbox", timedelta(hours=settings.inbox_done_hours)
        self.retention = Retention(raw, vault, inbox, retention, self.clock, done=done)
        watches = (
            Watch("rules", self._rulebook.look, settings.reload_seconds, self.metrics, self._end),
            Watch("inbox", self.inbox.scan, settings.inbox_seconds, self.metrics, self._end),
            Watch("silence", self.silence.look, 0 if lockstep else SILENCE_SECONDS, self.metrics, self._end),
            Watch("retention", self.retention.enforce, 0 if lockstep else RETENTION_SECONDS, self.metrics, self._end),
        )
        self._watches = [watch for watch in watches if watch.seconds > 0]
        self.health = RuleHealth(self.database, self._rulebook, mappings, self.engine.complete_from, self.engine.too_late)
        self.services = Services(
            settings=self.settings,
            clock=self.clock,
            database=self.database,
            journal=self.journal,
            intake=self.intake,
            engine=self.engine,
            edge=edge,
            privacy=Privacy(self.database, vault, Tokens(personal_key), raw, inbox, self.clock),
            mappings=mappings,
            rulebook=self._rulebook,
            asking=Asking(self.settings),
            health=self.health,
            desk=desk,
            writer=writer,
            answers=Answers(self.database, desk, writer, self.clock, self.metrics),
            metrics=self.metrics,
            duty=self.duty,
            lookup=self._lookup,
            trouble=self.trouble,
            aside=lambda: aside(self.journal, self.engine.quarantined(), self.inbox.set_aside()),
        )
        self.metrics.sources.append(self._samples)

    def start(self) -> None:
        """Start the engine (snapshot, then the rest of the journal), the rules, the duty loop and the watches."""
        ensure_admin_token(self.settings.data, self.database, self.clock)
        with self.database.read() as connection:
            told, position = intake_reads.feeds_status(connection), risk.applied_position(connection)
        self.silence.take_up(told, self.journal.read(position))
        self.engine.start()
        self._rulebook.start(watched=self.settings.reload_seconds > 0)
        self.duty.start()
        for thread in self._watches:
            thread.start()

    def stop(self) -> None:
        """Stop taking, finish what is under way, close the files."""
        self._end.set()
        for thread in self._watches:
            thread.join()
        self.duty.stop()
        self.intake.close()
        self.engine.stop()
        self._rulebook.close()
        self.journal.close()
        self.database.close()
        self.socket.close()
        self._folder.close()

    def asgi(self, credentials: Credentials) -> AsgiApp:
        """Return the routes behind the gate."""
        return make_asgi(self.services, credentials)

    def settle(self) -> datetime | None:
        """In lock-step: return when engine, duty loop and the watch over silent feeds have done all that is due at the clock's instant.

        The value is when the next timer or delivery is due.
        """
        while True:
            self._await_engine()
            before = self.activity()
            self.silence.look()
            upcoming = self.duty.work()
            self._await_engine()
            if self.activity() == before:
                return upcoming

    def _await_engine(self) -> None:
        """Wait for the engine where there is something to wait for: `wait_idle` would wake its thread for nothing.

        A sender has its receipt before the engine and the watch over silent feeds are told of the record.
        """
        while self._told < self.journal.head():
            if not self.intake.alive():
                raise RuntimeError("the appender has ended; see the log")
            time.sleep(0.001)
        if not self.engine.idle():
            self.engine.wait_idle()

    def activity(self) -> tuple[int, int]:
        """Return numbers that grow with everything that happens: journal head, and deeds of the duty loop."""
        return self.journal.head(), self.duty.done

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _on_synced(self, records: Sequence[Record]) -> None:
        counted: Counter[tuple[str, str]] = Counter()
        for record in records:
            match record.entry:
                case ObjectsEntry() as entry:
                    self._lookup.apply(entry)
                case SignalEntry() as entry:
                    counted[entry.feed, "revision" if entry.revision else "accepted"] += 1
                case RejectionEntry() as entry:
                    counted[entry.feed, "rejected"] += 1
        self.silence.saw(records)
        for (feed, outcome), count in counted.items():
            self.metrics.records.labels(feed=feed, outcome=outcome).inc(count)
        self.engine.take(records)
        self._told = records[-1].seq

    def _on_duplicates(self, counts: Mapping[str, int]) -> None:
        """Count repeats; where the database does not take the count now it is kept for the next time: intake goes on."""
        for feed, count in counts.items():
            self.metrics.records.labels(feed=feed, outcome="duplicate").inc(count)
        self._repeats.update(counts)
        try:
            with self.database.write() as connection:
                risk.add_duplicates(connection, self._repeats)
        except StoreUnavailable as error:
            log.warning("duplicates.kept", reason=str(error))
        else:
            self._repeats.clear()

    def trouble(self) -> str:
        """Return why work does not move, "" while it does: what `/readyz` says."""
        dead = [thread.name for thread in (*self._watches, self.duty) if not thread.is_alive()]
        if not self.intake.alive():
            return "the journal takes nothing more; restart the process"
        if not self._rulebook.active:
            return f"no rule set is active: {self.settings.rules} holds no sound one; see the log or `fengsui rules check`"
        return self.engine.trouble() or (f"not running: {', '.join(dead)}" if dead else "")

    def _refuse_cluster(self) -> None:
        """Raise StoreUnavailable where the database is a cluster's: this journal knows nothing of what stands there, and numbers anew."""
        with self.database.read() as connection:
            if progress.anywhere(connection):
                raise StoreUnavailable(both("cluster.no_serve", where=self.database.where))

    def _aside(self) -> tuple[int, ...]:
        return self.engine.quarantined()

    def _on_quarantine(self, seq: int) -> None:
        self.metrics.loop_errors.labels(loop="quarantine").inc()
        log.critical("record.quarantined", seq=seq)

    def _on_set_aside(self, _file: SetAside) -> None:
        self.metrics.loop_errors.labels(loop="inbox_file").inc()

    def _append(self, entries: Sequence[AnyEntry]) -> None:
        """Journal the engine's ticks; one that is asked for again after a time-out moves the same time, which changes nothing."""
        synced(offer(self.intake, entries))

    def _applied(self) -> int:
        with self.database.read() as connection:
            return risk.applied_position(connection)

    def _samples(self) -> list[Sample]:
        with self.database.read() as connection:
            found = duty_samples(connection, self.clock.now())
        return [
            *found,
            *self.health.samples(self.clock.now()),
            Sample("fengsui_journal_head", float(self.journal.head())),
            Sample("fengsui_journal_applied", float(self._applied())),
            Sample("fengsui_build_info", 1.0, (VERSION,)),
            Sample("fengsui_engine_compiled", float(ENGINE.compiled)),
        ]


class PipelineSnapshots:
    """The engine's state in the snapshot store; a state of other software is not taken up, the journal gives it anew."""

    def __init__(self, store: SnapshotStore, metrics: Metrics) -> None:
        """Keep in `store` and say in `metrics` how far."""
        self._store = store
        self._metrics = metrics

    def save(self, position: int, state: bytes) -> None:
        """Keep the state after record `position`."""
        self._store.save(Snapshot(position=position, ruleset="", software=VERSION, state={"pipeline": state}))
        self._metrics.snapshot_position.set(position)

    def load(self) -> bytes | None:
        """Return the newest sound state of this software, None for a replay from the beginning."""
        found = self._store.load()
        for wrong in found.damaged:
            log.error("snapshot.damaged", reason=wrong)
        if found.snapshot is None or found.snapshot.software != VERSION:
            return None
        self._metrics.snapshot_position.set(found.snapshot.position)
        state: bytes = found.snapshot.state["pipeline"]
        return state


def make_desk(settings: Settings, clock: Clock) -> Desk:
    """Return what obligations are decided with; raises FileProblems."""
    return Desk(load_calendar([clock.now().year + ahead for ahead in CALENDAR_YEARS], settings.calendars), settings.policies)


def make_writer(settings: Settings, top: Path) -> EffectWriter:
    """Return what writes effects; `top` is the process's data folder, which has the key where the settings name none."""
    return EffectWriter(base_url=settings.base_url, link_key=load_or_make_key(settings.link_key or top / "link-key"))


def listen(host: str, port: int) -> socket.socket:
    """Bind before anything else: links name the port, and a second server on it is refused at once.

    Raises:
        StoreUnavailable: the port is taken or not for this account, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay off for named ones only: 40 ms for each answer on a kept connection.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise StoreUnavailable(both("serve.port", address=f"{host}:{port}", error=error.strerror or error)) from error
    return bound
