"""Pauses (停顿) while a rule set is read: where it is read beside other work, its reader asks at every small step whether to wait.

What is read does not depend on them, so they are no argument of any function: whoever has a set read says once what a pause is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_rest: ContextVar[Callable[[], object] | None] = ContextVar("rest", default=None)


def pause() -> None:
    """Mark a place at which reading may wait; microseconds of work lie between two."""
    rest = _rest.get()
    if rest is not None:
        rest()


@contextmanager
def paced(rest: Callable[[], object]) -> Iterator[None]:
    """Have `rest` called at every pause of what this thread reads within the block.

    >>> with paced(lambda: print("rests")):
    ...     pause()
    rests
    >>> pause()
    """
    before = _rest.set(rest)
    try:
        yield
    finally:
        _rest.reset(before)


def let_go(parts: list[Any]) -> None:
    """Empty a list of what nobody else holds, with a pause after each: freeing all at once holds every thread up."""
    while parts:
        parts.pop()
        pause()
