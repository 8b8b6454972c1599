"""A proxy before PostgreSQL that loses the connection at a COMMIT: before the server hears it, or before we hear back."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Literal, Self

BEGIN = b"BEGIN"
COMMIT = b"COMMIT\0"  # the statement on its way there, and the server's word on its way back
When = Literal["before", "after", "with"]


class CuttingProxy:
    """Hands bytes on between clients and the server at `port`, until `cut` is set: then the next COMMIT costs its connection.

    "before": the server never hears it; "after": it has committed and said so, to nobody; "with": it hears it and is hit at once, and
    nobody knows. With `marks` only a transaction that carried all of these bytes is cut: `lost` is what it sent. `on_cut` is called
    between what the server heard and what the client learns, with the client's port; there is the place to kill the one or the other.
    """

    def __init__(self, port: int, *, marks: Sequence[bytes] = ()) -> None:
        """Listen on a free port of this machine."""
        self._server = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._marks = marks
        self._choosing = threading.Lock()
        self.port: int = self._door.getsockname()[1]
        self.on_cut: Callable[[int], object] = lambda _client: None
        self.cut: When | None = None
        self.cuts = 0
        self.lost = b""
        self.shut = False  # whether newcomers are sent away
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
        with client, contextlib.suppress(OSError):
            if self.shut:
                return
            with socket.create_connection(self._server) as server:
                self._hand_on(client, server)

    def _hand_on(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on until one side ends, or the connection is to be lost."""
        sent = bytearray()  # of the transaction under way from its beginning, while one is looked for
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(65_536)
                if not data:
                    return
                if ready is client and self.cut is not None and (sent or BEGIN in data):  # of one seen in part nobody knows what it brings
                    sent += data
                    if COMMIT in data:
                        when = self._choose(sent)
                        if when is not None:
                            self._lose(client, server, data, when)
                            return
                        sent.clear()
                (server if ready is client else client).sendall(data)

    def _choose(self, sent: bytearray) -> When | None:
        """Return how this COMMIT is to be lost, None for not at all; one connection alone gets it."""
        with self._choosing:
            when = self.cut
            if when is None or not all(mark in sent for mark in self._marks):
                return None
            self.cut = None
            self.lost = bytes(sent)
            return when

    def _lose(self, client: socket.socket, server: socket.socket, data: bytes, when: When) -> None:
        if when != "before":
            server.sendall(data)
        if when == "after":
            answer = b""
            while COMMIT not in answer:
                heard = server.recv(65_536)
                if not heard:
                    break
                answer += heard
        self.on_cut(client.getpeername()[1])
        self.cuts += 1
