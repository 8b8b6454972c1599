"""An object leaves the kernel: the pipeline takes it over with the signals that may still be inside its windows, and runs it from then on.

That is the kernel's answer to whatever it does not do: corrections and withdrawals, an id seen before, numbers that its sums cannot hold.
Handing over an object that need not be is harmless; so nothing here has to be sure, only careful.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from domain.records import SignalEntry
from streams.kernel.engine import Kernel
from streams.pipeline import Pipeline

Fetch = Callable[[int], tuple[int, SignalEntry]]
"""Finds a signal again by the handle that it was taken in with; returns its number and itself."""


class Handover:
    """The way from a kernel to a pipeline that has the same rule set."""

    def __init__(self, kernel: Kernel, pipeline: Pipeline, fetch: Fetch) -> None:
        """Start with every object in the kernel."""
        self._kernel = kernel
        self._pipeline = pipeline
        self._fetch = fetch
        self._taken: set[int] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, slot: int, hits: Mapping[str, int], now: int) -> None:
        """Let the pipeline run an object; `hits` are the times at which its rules with a cooldown hit, `now` the greatest time so far."""
        if slot in self._taken:
            return
        self._taken.add(slot)
        self._kernel.leave(slot)
        handles = self._kernel.chain(slot)
        if handles:
            self._pipeline.take_over([self._fetch(handle) for handle in handles], self._kernel.seen(slot), hits, now)
