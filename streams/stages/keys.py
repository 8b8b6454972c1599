"""What windows are kept for: an object, an area or another group, with its windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from streams.stages.small import NOTHING, having, lacking
from streams.stages.windows import NEVER

if TYPE_CHECKING:
    from rules.ruleset import By
    from streams.stages.cells import Cell


class Key:
    """An object or an area with its windows; `clock` is its newest signal, `expires` when a window that follows it changes next.

    `beside` are the keys of one of its signals: most of its signals have the same, and share the mapping.
    """

    __slots__ = ("beside", "cells", "clock", "expires", "name", "scores")

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock = -NEVER
        self.expires = NEVER
        self.cells: Mapping[str, Cell] = NOTHING
        self.scores: Mapping[str, float] = NOTHING
        self.beside: Mapping[By, Key] = NOTHING

    def note(self, name: str, score: float) -> None:
        """Have a score of an indicator."""
        self.scores = having(self.scores, name, score)

    def lose(self, name: str) -> None:
        """Have no score of an indicator any more."""
        self.scores = lacking(self.scores, name)


def shared(keys: Mapping[By, Key]) -> Mapping[By, Key]:
    """Return a mapping equal to `keys`, which is the one of an earlier signal where there is such a one."""
    for first in keys.values():
        beside = first.beside
        if beside == keys:
            return beside
        first.beside = keys
        break
    return keys
