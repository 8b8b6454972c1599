"""A thread with an event loop of its own: what reads and writes topics beside everything else that a process does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class OwnLoop:
    """Runs one piece of work from `start` until that ends, which it has to once `closing` is set."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """`name` is the thread's; `work` is called in it."""
        self.closing = asyncio.Event()  # to be looked at in the loop
        self._work = work
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # there is one from `start` to the end
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def ended(self) -> bool:
        """Whether it does not run, though nobody closed it: it ended by itself, or was never started."""
        return not self._thread.is_alive() and not self._closed

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def call(self, what: Callable[[], object]) -> None:
        """Let something be done in the loop, where there still is one; from any thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(what)

    def close(self, seconds: float) -> None:
        """Set `closing` and wait so many seconds at most for the end of the work."""
        self._closed = True
        self.call(self.closing.set)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._work())
        self._loop.close()
