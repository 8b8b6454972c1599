"""For whom the present request reads: departments, or everybody where nobody said.

Whoever lets a request in says it once, before any of its code runs; the database that has walls of its own (PostgreSQL) puts every
reading transaction of the request behind them. The conditions of `app.views.scope` are the first wall, this is the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_departments: ContextVar[tuple[str, ...] | None] = ContextVar("departments", default=None)


@contextmanager
def reading_for(*departments: str) -> Iterator[None]:
    """Let what is read inside be read for these departments alone; for none of them where there are none."""
    token = _departments.set(departments)
    try:
        yield
    finally:
        _departments.reset(token)


def departments() -> tuple[str, ...] | None:
    """Return for whom is read, None for everybody."""
    return _departments.get()
