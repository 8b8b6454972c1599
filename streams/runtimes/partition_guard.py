"""The poison guard of a partition of a cluster, whose mark every worker can read: a record that kills one worker must not kill them all.

While all goes well nothing is written. Where somebody died with the partition, whoever takes it over writes down the frame that it is
about to step, for the first few; where it dies too, its successor steps that frame record by record, and a record that then dies by
itself twice is set aside: after four deaths in all, whichever workers they were. Frames that are committed already are judged again
unwatched, unless nobody gets through them.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from domain.errors import Fenced
from domain.messages import both
from streams.runtimes.poison import Guard, Mark, read_mark

WATCHED: Final = 16  # frames behind those that are committed; a few of them may be judged before the first is committed
TRIED: Final = 2  # takeovers that did not get through what is committed, after which those frames are watched too


class Marks(Protocol):
    """Where the mark of one partition is kept (`storage.marks`)."""

    def read(self) -> tuple[int, bytes]:
        """Return how often the partition was taken over since somebody let go of it in order, and the mark; raises StoreUnavailable."""
        ...

    def write(self, epoch: int, takeovers: int, mark: bytes) -> None:
        """Put both in the place of what was there; raises Fenced and StoreUnavailable."""
        ...


def aside_by(marks: Marks) -> tuple[int, ...]:
    """Return the numbers of the records of a partition that are set aside, for others who read its log.

    Raises:
        StoreCorrupt: the mark is not one of this guard.
        StoreUnavailable: it cannot be read.
    """
    _, written = marks.read()
    return tuple(read_mark(written, "progress.mark").quarantined) if written else ()


class Onlooking:
    """`Marks` of a partition that somebody else has: what is set aside is known, and nothing is written.

    A guard over it watches nothing: whoever stands by, or answers a question, steps what is committed already.
    """

    def __init__(self, marks: Marks) -> None:
        """Look at `marks`."""
        self._marks = marks

    def read(self) -> tuple[int, bytes]:
        """Return the mark without what is under way; raises StoreCorrupt and StoreUnavailable."""
        _, written = self._marks.read()
        aside = read_mark(written, "progress.mark").quarantined if written else []
        return 1, msgspec.json.encode(Mark(quarantined=aside))

    def write(self, epoch: int, takeovers: int, mark: bytes) -> None:
        """Refuse; raises Fenced."""
        del epoch, takeovers, mark
        raise Fenced(both("partition.onlooker"))


class PartitionGuard(Guard):
    """Called by one thread at a time."""

    def __init__(self, marks: Marks, epoch: int) -> None:
        """Read what the last worker left, for the assignment `epoch`.

        Raises:
            StoreCorrupt: the mark is not one of this guard.
            StoreUnavailable: it cannot be read.
        """
        self._marks = marks
        self.epoch = epoch
        takeovers, written = marks.read()
        super().__init__(read_mark(written, "progress.mark") if written else Mark())
        self._takeovers = max(1, takeovers)
        self._left = WATCHED if self._takeovers > 1 else 0  # frames still to be watched
        self._tried = self._mark.replays
        self._replaying = True

    @property
    def watches(self) -> bool:
        """Whether the next step is written down."""
        return self._tried >= TRIED if self._replaying else self._left > 0

    def begin(self) -> int | None:
        """Take account of the worker before; return the record that is now set aside, if one is.

        Raises:
            Fenced: the partition is somebody else's by now.
            StoreUnavailable: call again.
        """
        if self._takeovers == 1:
            return None
        self._mark.replays = self._tried + 1
        if self._mark.first:
            return self.died()
        self._write(0, 0, 0)
        return None

    def enter(self, first: int, last: int) -> None:
        """The records `first` to `last` are about to be stepped.

        Raises:
            Fenced: the partition is somebody else's by now.
            StoreUnavailable: call again.
        """
        if self.watches:
            super().enter(first, last)

    def leave(self) -> None:
        """The step is done; raises as `enter`."""
        if self.entered:
            super().leave()

    def forgive(self) -> None:
        """The step under way ended for a reason that lies outside its records; raises as `enter`."""
        if self.entered:
            super().forgive()

    def replayed(self) -> None:
        """What is committed is judged again; raises as `enter`."""
        if self._replaying and self._mark.replays:
            self._mark.replays = 0
            self._write(0, 0, 0)
        self._replaying = False

    def judged(self) -> None:
        """A frame behind those was judged; raises as `enter`."""
        if self._left == 1:
            self._takeovers = 1
            self._write(0, 0, 0)
        self._left = max(0, self._left - 1)

    def let_go(self) -> None:
        """The next takeover is no death; what was to be watched still is. Raises as `enter`."""
        self._mark.replays = max(0, self._mark.replays - 1) if self._replaying else 0
        self._takeovers -= 1
        try:
            self._write(0, 0, 0)
        finally:
            self._takeovers += 1

    def _put(self, content: bytes) -> None:
        self._marks.write(self.epoch, self._takeovers, content)
