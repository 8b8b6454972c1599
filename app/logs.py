"""Structured logs on standard error: JSON lines for machines, coloured text on a terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

SECRET_NAMES = frozenset({"token", "secret", "password", "authorization", "cookie", "secrets", "key"})


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every field with a secret's name: the last line of defence, after not logging it."""
    for name in event:
        if name.lower() in SECRET_NAMES:
            event[name] = "[redacted]"
    return event


class Sparing:
    """Writes lines that strangers can cause, at most `most` in each `seconds`; the next one says how many were left out."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger, most: int = 20, seconds: float = 60.0) -> None:
        """Write to `log`; may be used from any thread."""
        self._log = log
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._since = -seconds
        self._written = 0
        self._left_out = 0

    def info(self, event: str, **fields: Any) -> None:
        """Write a line, or count it."""
        with self._lock:
            now = time.monotonic()
            if now - self._since >= self._seconds:
                self._since, self._written = now, 0
            if self._written >= self._most:
                self._left_out += 1
                return
            self._written += 1
            left_out, self._left_out = self._left_out, 0
        self._log.info(event, **fields, **({"left_out": left_out} if left_out else {}))


def configure(*, verbose: bool = False) -> None:
    """Set up structlog for the process; call once at its start."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


@contextmanager
def only_warnings() -> Iterator[None]:
    """Let a command that asks by the services' own parts write nothing but warnings of theirs, on standard error."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    try:
        with brokers_unheard():
            yield
    finally:
        structlog.configure(**before)


@contextmanager
def brokers_unheard() -> Iterator[None]:
    """Leave out what the client of the brokers logs, where an error tells in one sentence that they are away."""
    kafka = logging.getLogger("kafka")
    least = kafka.level
    kafka.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        kafka.setLevel(least)


class _Forward(logging.Handler):
    """Writes what libraries log as lines of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        structlog.get_logger(record.name).log(record.levelno, "library", said=record.getMessage(), exc_info=record.exc_info)


def forward_libraries(least: int = logging.WARNING) -> None:
    """Let libraries that log in Python's own way (Faust, Kafka's clients) be read too, from `least` on."""
    root = logging.getLogger()
    root.addHandler(_Forward())
    root.setLevel(least)
