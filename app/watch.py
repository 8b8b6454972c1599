"""A thread that looks at something again and again: the rules folder, the inbox, silent feeds, what is over its time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from app.metrics import Metrics
from domain.errors import FengsuiError

log = structlog.get_logger(__name__)


class Watch(threading.Thread):
    """Looks again and again; of a folder a plain poll is right on every file system and costs a few reads a second."""

    def __init__(self, name: str, look: Callable[[], object], seconds: float, metrics: Metrics, end: threading.Event) -> None:
        """Call `look` every `seconds` until `end` is set; 0 never."""
        super().__init__(name=name, daemon=True)
        self._look = look
        self.seconds = seconds
        self._metrics = metrics
        self._end = end

    def run(self) -> None:
        """Look again and again; a folder that cannot be read now is looked at the next time."""
        told = ""
        while self.seconds > 0 and not self._end.wait(self.seconds):
            try:
                self._look()
            except (FengsuiError, OSError) as error:
                self._metrics.loop_errors.labels(loop=self.name).inc()
                if str(error) != told:  # what stays wrong is told once, however often it is looked at
                    told = str(error)
                    log.exception("watch.failed", watch=self.name)
            else:
                told = ""
