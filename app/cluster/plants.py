"""What the environment can plant in a worker (`storage.crashpoints.PLANTS`): a campaign that does not notice it proves nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from domain.findings import Outcome
from domain.packed import PackedState
from domain.ports import Grant, Letter, PartitionCommit
from domain.records import Record, SignalEntry
from storage.crashpoints import planted
from streams.pipeline import Pipeline
from streams.runtimes.keeping import Kept, PartitionSnapshots

DEADLY: Final = "deadly"  # the name of the signal that kills


def with_plants(commit: PartitionCommit) -> PartitionCommit:
    """Return `commit`, or one with the planted defect of the campaign `chaos`."""
    if not planted("skip_frame"):
        return commit

    def skipping(grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()) -> Grant:
        return commit(grant, upto, *(([], [], []) if upto % 20 == 19 else (records, outcomes, letters)))

    return skipping


class _Mortal(Pipeline):
    """A pipeline that a signal named `deadly` kills, as native code or a lack of memory would: there is nothing to catch."""

    def step(self, records: Sequence[Record], *, growing: bool = True) -> list[Outcome]:
        if any(isinstance(record.entry, SignalEntry) and record.entry.signal.id == DEADLY for record in records):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(records, growing=growing)


def mortal(pipeline: Pipeline) -> Pipeline:
    """Return `pipeline`, mortal where that is planted."""
    if planted("deadly_signal"):
        pipeline.__class__ = _Mortal
    return pipeline


def kill_if_deadly(body: bytes) -> None:
    """End the process where that is planted and a message has such a signal, as a parser in native code would."""
    if planted("deadly_signal") and f'"{DEADLY}"'.encode() in body:
        os.kill(os.getpid(), signal.SIGKILL)


class StaleShelf:
    """The planted defect of the campaign `same-answer`: whoever takes the partition over lacks what the last spell brought."""

    def __init__(self, shelf: PartitionSnapshots) -> None:
        """Keep on `shelf`."""
        self._shelf = shelf
        self._before: PackedState | None = None

    def save(self, kept: Kept) -> None:
        """Keep the state that was given the last time."""
        state, self._before = self._before, kept.state
        self._shelf.save(replace(kept, state=kept.state if state is None else state))

    def load(self) -> Kept | None:
        """Return what was kept."""
        return self._shelf.load()

    def newest(self) -> int | None:
        """Return its offset."""
        return self._shelf.newest()
