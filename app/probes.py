"""The port of a role without an API: the metrics, and the probes of whoever supervises it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app

_STATUS: Final = {200: "200 OK", 503: "503 Service Unavailable"}


def readiness(unready: str, lacking: str) -> tuple[int, dict[str, str]]:
    """Return what `/readyz` answers: 503 with why work does not move (`unready`), else 200, with what is `lacking` though it moves."""
    if unready:
        return 503, {"status": "unavailable", "detail": unready}
    return 200, {"status": "ready"} | ({"detail": lacking} if lacking else {})


class ProbeServer:
    """Answers `/healthz` and `/readyz`, and everything else with the metrics, to whoever reaches the port."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, unready: Callable[[], str], lacking: Callable[[], str]) -> None:
        """Listen and answer from here on; raises OSError where that port cannot be had."""
        metrics = make_wsgi_app(registry)

        def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if path == "/healthz":
                return _answer(start, 200, {"status": "ok"})
            if path == "/readyz":
                return _answer(start, *readiness(unready(), lacking()))
            found: Iterable[bytes] = metrics(environ, start)
            return found

        server = _Server6 if ":" in host else _Server
        self._server = make_server(host, port, app, server, _Handler)
        self._thread = Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Say nothing: somebody asks every few seconds."""


def _answer(start: StartResponse, status: int, told: dict[str, str]) -> Iterable[bytes]:
    start(_STATUS[status], [("Content-Type", "application/json")])
    return [msgspec.json.encode(told)]
