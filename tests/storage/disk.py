"""Disks that misbehave on purpose, made with means of the operating system where there are any."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes: writes end short and then fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


class StallingSync:
    """A sync that returns when it is let go; `started` is set while somebody waits in it."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def stall(self) -> None:
        """Hold the next syncs."""
        self.go.clear()
        self.started.clear()

    def __call__(self, descriptor: int) -> None:
        self.started.set()
        assert self.go.wait(20)
        os.fdatasync(descriptor)
