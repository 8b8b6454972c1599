"""What every role of a cluster is made of: a data folder, the database, metrics, and what it looks at again and again.

Parts are closed in the opposite order of their making, so that nothing is taken away from what still works with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import msgspec
import structlog

from app.clock import SystemClock
from app.cluster.stores import check_topics
from app.engine import ENGINE
from app.metrics import Metrics, Sample
from app.probes import ProbeServer
from app.settings import Settings
from app.stores import open_database
from app.version import VERSION
from app.watch import Watch
from domain.errors import StoreUnavailable
from domain.messages import both
from domain.ports import Clock
from storage import risk
from storage.datadir import DataDir

log = structlog.get_logger(__name__)
Given = ParamSpec("Given")
AnyRole = TypeVar("AnyRole", bound="Role")


def whole(make: Callable[Concatenate[AnyRole, Given], None]) -> Callable[Concatenate[AnyRole, Given], None]:
    """Let a role's constructor close what was opened so far where it fails."""

    @wraps(make)
    def making(self: AnyRole, /, *args: Given.args, **kwargs: Given.kwargs) -> None:
        with ExitStack() as undoing:
            undoing.callback(lambda: self.closing.close())  # noqa: PLW0108  # there is none yet
            make(self, *args, **kwargs)
            undoing.pop_all()

    return making


class Role:
    """One process of a cluster; a context manager from start to stop. Several may run side by side, each with a data folder of its own."""

    @whole
    def __init__(self, settings: Settings, clock: Clock | None) -> None:
        """Check the topics, open data folder and database; nothing runs before `start`.

        Raises:
            StoreUnavailable: brokers, topics, database or folder cannot be used; the message says what to do.
        """
        self.closing = ExitStack()
        self.clock: Clock = clock or SystemClock()
        self.durability = check_topics(settings)
        self.settings = settings
        folder = DataDir(settings.data)
        self.closing.callback(folder.close)
        self.paths = folder.paths
        self.metrics = Metrics()
        self.metrics.sources.append(
            lambda: [Sample("fengsui_build_info", 1.0, (VERSION,)), Sample("fengsui_engine_compiled", float(ENGINE.compiled))]
        )
        self.database = open_database(settings, SystemClock())
        self.closing.callback(self.database.close)
        self.ruled = False  # whether a rule set is in force, as far as was looked
        self._end = threading.Event()
        self._watches: list[Watch] = []

    def watch(self, name: str, look: Callable[[], object], seconds: float) -> None:
        """Call `look` every `seconds` from start to stop; 0 never."""
        if seconds > 0:
            self._watches.append(Watch(name, look, seconds, self.metrics, self._end))

    def start(self) -> None:
        """Start what looks again and again; a role starts its own parts first."""
        for thread in self._watches:
            thread.start()

    def stop(self) -> None:
        """Finish what is under way, close what was opened."""
        self._end.set()
        for thread in self._watches:
            if thread.is_alive():
                thread.join()
        self.closing.close()

    def __enter__(self) -> Self:
        with ExitStack() as undoing:
            undoing.callback(self.stop)
            self.start()
            undoing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ended_watches(self) -> str:
        """Return why work does not move where a thread of `watch` has ended, "" while all run."""
        dead = [thread.name for thread in self._watches if not thread.is_alive()]
        return f"not running: {', '.join(dead)}" if dead else ""

    def unready(self) -> str:
        """Return why work does not move, "" while it does: what `/readyz` says."""
        if ended := self.ended_watches():
            return ended
        try:
            with self.database.read() as connection:
                self.ruled = self.ruled or bool(risk.active_ruleset(connection))
        except StoreUnavailable as error:
            return str(error)
        return ""

    def lacking(self) -> str:
        """Return what is lacking though work moves, "" for nothing."""
        return ""

    def serve_metrics(self) -> None:
        """Serve the metrics and the probes on a port of their own where the settings name one, to whoever reaches it.

        They are numbers by partition, loop or department: no person, object or warning is in them.

        Raises:
            StoreUnavailable: the port is taken, or the address is not this machine's.
        """
        host, port = self.settings.host, self.settings.metrics_port
        if not port:
            return
        try:
            probes = ProbeServer(host, port, self.metrics.registry, self.unready, self.lacking)
        except OSError as error:
            raise StoreUnavailable(both("cluster.metrics_port", address=f"{host}:{port}", error=error.strerror or error)) from error
        self.closing.callback(probes.close)
        log.info("cluster.metrics", address=f"{host}:{port}")


def tell(file: Path, clock: Clock, told: Mapping[str, object]) -> None:
    """Write a status file anew, whole at every instant: for a health check by its age, and for whoever looks.

    A disk that does not take it stops no role, whose work lies in database and brokers: the file gets old, and the log says why.
    """
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_bytes(msgspec.json.format(msgspec.json.encode({"at": clock.now(), "version": VERSION, **told})))
        new.replace(file)
    except OSError as error:
        log.warning("cluster.status_not_written", file=str(file), error=error.strerror or repr(error))
