"""The commits of one partition: in order, one at a time. What is judged while one runs is committed with the next one.

So a partition whose database is slow does not wait for it frame by frame, and what a commit costs by itself is paid less often the
more there is to do.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final

from domain.findings import Outcome
from domain.ports import Grant, Letter, PartitionCommit
from domain.records import Record

GATHERED: Final = 4  # frames of a commit; the poison guard watches more than two commits of them


@dataclass(slots=True)
class Batch:
    """What follows from some frames, the last of which is at the offset `upto`."""

    upto: int
    records: list[Record] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    frames: int = 0

    def take(self, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter]) -> None:
        """Take in what follows from one more frame."""
        self.upto = upto
        self.records += records
        self.outcomes += outcomes
        self.letters += letters
        self.frames += 1


class Commits:
    """Called by the one thread at a time that has the partition; the commits run in `behind`, or at once where there is none."""

    def __init__(self, commit: PartitionCommit, behind: Executor | None) -> None:
        """`commit` is asked until it did it or cannot do it any more; what it raises comes out of `add` and `settle` from then on."""
        self._commit = commit
        self._behind = behind
        self._changed = threading.Condition()
        self._running = False  # whether what waits will be committed without being asked for
        self._waiting: Batch | None = None
        self._ends: Future[Grant] | None = None
        self.grant: Grant | None = None  # as it was after the newest commit

    @property
    def under_way(self) -> bool:
        """Whether something is not known to be committed."""
        return self._ends is not None and not (self._ends.done() and self._ends.exception() is None)

    @property
    def failed(self) -> bool:
        """Whether a commit failed: `settle` says how."""
        return self._ends is not None and self._ends.done() and self._ends.exception() is not None

    def add(self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter]) -> None:
        """Commit what follows from the frame at the offset `upto`, behind everything that was added before it.

        `grant` is what is committed under where nothing is under way. Where enough waits already it returns when a commit is done.
        """
        if self._behind is None:
            self.grant = self._commit(grant, upto, records, outcomes, letters)
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._running or self._waiting is None or self._waiting.frames < GATHERED)
            if self._running:
                self._waiting = self._waiting or Batch(upto)
                self._waiting.take(upto, records, outcomes, letters)
                return
        batch = Batch(upto)
        batch.take(upto, records, outcomes, letters)
        self.grant, self._running = self.settle() or grant, True
        self._ends = self._behind.submit(self._run, self.grant, batch)

    def settle(self) -> Grant | None:
        """Wait until everything is committed; return the grant as it is then, None where nothing was added. Raises what a commit raised."""
        if self._ends is None:
            return None
        grant, self._ends = self._ends.result(), None
        return grant

    def _run(self, grant: Grant, batch: Batch | None) -> Grant:
        try:
            while batch is not None:
                grant = self._commit(grant, batch.upto, batch.records, batch.outcomes, batch.letters)
                with self._changed:
                    self.grant = grant
                    batch, self._waiting = self._waiting, None
                    self._running = batch is not None
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._running = False
                self._changed.notify_all()
        return grant
