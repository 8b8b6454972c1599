"""A proxy before PostgreSQL that loses the connection at a COMMIT: before the server hears it, or before we hear back."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Literal, Self

COMMIT = b"COMMIT\0"
When = Literal["before", "after"]


class CuttingProxy:
    """Hands bytes on between clients and the server at `port`, until `cut` is set: then the next COMMIT costs its connection."""

    def __init__(self, port: int) -> None:
        """Listen on a free port of this machine."""
        self._server = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self.cut: When | None = None
        self.cuts = 0
        self._ended = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._door.close()

    def _accept(self) -> None:
        while not self._ended:
            with contextlib.suppress(OSError):
                client, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, contextlib.suppress(OSError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65_536)
                    if not data:
                        return
                    if ready is client and COMMIT in data and self.cut is not None:
                        self._lose(server, data)
                        return
                    (server if ready is client else client).sendall(data)

    def _lose(self, server: socket.socket, data: bytes) -> None:
        """Lose the connection; "after": the server has committed and said so, to nobody."""
        if self.cut == "after":
            server.sendall(data)
            server.recv(65_536)
        self.cut = None
        self.cuts += 1
