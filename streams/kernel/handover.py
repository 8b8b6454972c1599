"""An object leaves the kernel: the pipeline takes it over with the signals that may still be inside its windows, and runs it from then on.

That is the kernel's answer to whatever it does not do: corrections and withdrawals, an id seen before, numbers that its sums cannot hold.
Handing over an object that need not be is harmless; so nothing here has to be sure, only careful.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from domain.records import Record, RulesetEntry, SignalEntry, TickEntry
from streams.kernel.engine import Kernel
from streams.pipeline import Pipeline
from streams.stages.windows import from_us


class Fetched(NamedTuple):
    """A signal found again by the handle that it was taken in with: its number in the journal, when it was received, and itself."""

    number: int
    received: int
    entry: SignalEntry


class Begun(NamedTuple):
    """How a watch began: the number of the first signal under it, and how many signals the object's indicators had taken before that."""

    number: int
    seen: Mapping[str, int]


class Watch(Protocol):
    """What has to be known of the objects whose scores the pipeline works out already."""

    def begun(self, slot: int) -> Begun | None:
        """Return how the watch over an object began; None where there is none."""
        ...

    def leave(self, slot: int, subject: str) -> None:
        """Forget the object: the pipeline runs all of it from here on."""
        ...


class Handover:
    """The way from a kernel to a pipeline that has the same rule set."""

    def __init__(self, kernel: Kernel, pipeline: Pipeline, watch: Watch, fetch: Callable[[int], Fetched]) -> None:
        """Start with every object in the kernel."""
        self._kernel = kernel
        self._pipeline = pipeline
        self._watch = watch
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
        signals = [self._fetch(handle) for handle in self._kernel.chain(slot)]
        begun = self._watch.begun(slot)
        if begun is None:
            if signals:
                self._pipeline.take_over([(each.number, each.entry) for each in signals], self._kernel.seen(slot), hits, now)
            return
        subject = signals[-1].entry.resolution.object_id
        self._watch.leave(slot, subject)
        self._pipeline.adopt(self._again(signals, begun, hits, now), subject)

    def _again(self, signals: list[Fetched], begun: Begun, hits: Mapping[str, int], now: int) -> Pipeline:
        """Return a pipeline that took the object as it was before its watch began, and then all signals since.

        So its contributions are what they would be, down to the last signal behind them, and nothing of them has to be kept for this.
        """
        first = next(place for place, each in enumerate(signals) if each.number >= begun.number)
        again = self._pipeline.fresh()
        start = signals[first - 1].received if first else signals[0].received
        again.step([Record(seq=1, received_at=from_us(start), entry=RulesetEntry(version=self._pipeline.ruleset.version))])
        if first:
            again.take_over([(each.number, each.entry) for each in signals[:first]], begun.seen, hits, start)
        for each in signals[first:]:
            again.step([Record(seq=each.number, received_at=from_us(each.received), entry=each.entry)])
        again.step([Record(seq=signals[-1].number + 1, received_at=from_us(now), entry=TickEntry())])
        return again
