"""A message of another system's topic that kills the edge must not kill them all: what is in hand is written down where every edge sees it.

While all goes well that is once when a partition is given to an edge and once when it is let go of in order. Where an edge died with it,
whoever gets it next writes down what it is about to read, for the first few polls; where that dies too, its successor reads those messages
one by one, and one that then kills by itself twice is kept as a rejection: after four deaths in all, as with records that kill workers.
What is set aside is forgotten once the source's committed offset has passed it: it never comes again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import structlog

from connectors.inbound.envelope import Message
from domain.errors import Fenced, FengsuiError, StoreUnavailable
from storage.database import Database
from storage.source_marks import SourceMarks
from streams.runtimes.partition_guard import PartitionGuard

Take = Callable[[Sequence[Message]], object]
_log = structlog.get_logger(__name__)


class Watched:
    """One partition of a source from the time on at which an edge was given it (`connectors.kafka.sources.Held`). One thread at a time."""

    def __init__(
        self, database: Database, source: str, partition: int, take: Take, refuse: Callable[[Message], object], alone: threading.Lock
    ) -> None:
        """`take` and `refuse` raise StoreUnavailable. `alone` is that of the process: what dies beside a suspect would be one too."""
        self._alone = alone
        self._take = take
        self._refuse = refuse
        self._where = {"source": source, "partition": partition}
        marks = SourceMarks.taken(database, source, partition)
        self._guard = PartitionGuard(marks, marks.epoch)
        aside = self._guard.begin()
        self._guard.replayed()  # an edge has no state to build up
        self._begun = False
        if aside is not None:
            _log.critical("source.message_set_aside", offset=aside - 1, hint="it brought an edge down twice; it is kept", **self._where)

    def take(self, offsets: Sequence[int], messages: Sequence[Message]) -> None:
        """Take messages in their order, suspects one by one; what is set aside is refused unread.

        Raises:
            FengsuiError: not all of it was taken: come again with the same.
        """
        guard, numbers = self._guard, [offset + 1 for offset in offsets]  # 0 is nothing to a guard
        if numbers and not self._begun:  # what stands before is committed at the source
            guard.release(numbers[0])
            self._begun = True
        for start, end in guard.cut(numbers):
            if numbers[start] in guard.quarantined:
                self._refuse(messages[start])
                continue
            with self._alone if guard.watches else nullcontext():
                guard.enter(numbers[start], numbers[end - 1])
                try:
                    self._take(messages[start:end])
                except FengsuiError:
                    guard.forgive()
                    raise
                guard.leave()
        guard.judged()

    def let_go(self) -> None:
        """Leave it in order; where that cannot be written whoever comes next is careful for a while."""
        try:
            self._guard.let_go()
        except (Fenced, StoreUnavailable) as error:
            _log.warning("source.left_in_suspicion", error=str(error), **self._where)
