"""One connection to a server on this machine that stays open: the demo asks tens of thousands of times."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from domain.errors import ServerSaid
from domain.messages import both

KEPT = 2.0  # seconds of idleness after which a new connection is made: uvicorn closes an idle one after 5
PATIENCE = 600.0  # seconds for one request: nothing in lock-step may depend on how slow a machine is, and nothing hangs for ever


class Wire:
    """Asks one server, one request after the other; for one thread."""

    def __init__(self, url: str) -> None:
        """`url` is the server's address; nothing is connected before the first request."""
        parts = urlsplit(url)
        assert parts.hostname is not None, "an address of our own"
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
        self._used = 0.0

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the answer's body.

        Raises:
            ServerSaid: the answer is no success.
            OSError: there is no server.
        """
        if time.monotonic() - self._used > KEPT:
            self._connection.close()
        self._connection.request(method, path, body=body, headers=dict(headers or {}))
        response = self._connection.getresponse()
        content = response.read()
        self._used = time.monotonic()
        if response.status >= 300:
            raise ServerSaid(
                both("demo.failed", what=f"{method} {path}", status=response.status, said=content[:300].decode(errors="replace"))
            )
        return content

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
