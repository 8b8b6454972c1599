"""The HTTP server around an application."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import uvicorn

from app.gate import AsgiApp, Credentials
from domain.ports import Clock
from storage.access import SqlCredentials
from storage.database import Database

GRACE = 10  # seconds that running requests get at the end
# Seconds for which a thread at work keeps the others waiting. An answer passes from thread to thread six times, and each time it would
# wait for as long behind a rule set that is being loaded or a batch that is being stepped.
TURN = 0.0005


class Served(Protocol):
    """What is served: `serve` as a whole, or a role of a cluster."""

    database: Database
    clock: Clock
    socket: socket.socket

    def asgi(self, credentials: Credentials) -> AsgiApp:
        """Return the routes behind the gate."""
        ...


class _Uvicorn(uvicorn.Server):
    """Ends at SIGINT and SIGTERM without raising them again: what comes after it still has files to close."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals while serving, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Server:
    """Serves one application on the socket that it bound; in this thread, or beside it."""

    def __init__(self, application: Served) -> None:
        """Make the routes; nothing listens before `run` or `start`."""
        credentials = SqlCredentials(application.database, application.clock.now)
        config = uvicorn.Config(
            application.asgi(credentials),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE,
            server_header=False,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._server = _Uvicorn(config)
        self._socket = application.socket
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until a signal (SIGINT, SIGTERM) or `stop`."""
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def start(self) -> None:
        """Serve in a thread of its own; return when it answers."""
        self._thread = threading.Thread(target=self.run, name="http", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)

    def stop(self) -> None:
        """End after the requests that are under way."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
