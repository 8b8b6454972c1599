"""What came before an activation in a partition of a cluster: its log, read once more, and what was worked out from that beforehand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from domain.errors import StoreCorrupt, StoreUnavailable
from domain.frames import BadFrame, Frame, decode
from domain.messages import both
from domain.partitions import Place
from domain.ports import FrameLog, Message
from domain.records import Record

AHEAD: Final = timedelta(minutes=5)  # by which an edge's clock may be ahead of the brokers'; what is more is cut
Taken = TypeVar("Taken")


class Patiently(Protocol):
    """Asks a store again for as long as it is away."""

    def __call__(self, ask: Callable[[], Taken]) -> Taken:
        """Return what `ask` does; raises StoreUnavailable where nobody waits any longer."""
        ...


class Admission(Protocol):
    """Decides what a frame brings in (`storage.stored_names.PartitionAdmission`)."""

    def __call__(self, offset: int, frame: Frame, received_at: datetime) -> list[Record]:
        """Return the records of the frame at `offset`, numbered by their places; raises StoreUnavailable."""
        ...

    def settled(self, upto: int) -> None:
        """The frames up to the offset `upto` are committed."""
        ...


def received_at(frame: Frame, appended_at: datetime, before: datetime | None) -> datetime:
    """Return when a frame counts as received: never earlier than the one `before`, nor far ahead of the brokers' time."""
    received = min(frame.received_at, appended_at + AHEAD)
    return received if before is None else max(received, before)


def at_once(ask: Callable[[], Taken]) -> Taken:
    """Ask once (`Patiently` of whoever can be told to come again)."""
    return ask()


class Judged(NamedTuple):
    """A frame as its partition judged it; `received_at` is that of all its records."""

    offset: int
    received_at: datetime
    records: list[Record]


def or_corrupt(name: str, found: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the parts of the stored back-fill `name`; raises StoreCorrupt where its store goes away meanwhile, so that the log is read.

    It is not waited for in the middle: somebody may have written another one by the time the store is back.
    """
    try:
        yield from found
    except StoreUnavailable as error:
        raise StoreCorrupt(both("snapshot.no_backfill", error=f"{name}: {error}")) from error


class LogHistory:
    """`domain.ports.History` of one partition. Everything below the record that is asked for has to be committed, or be in `log`."""

    def __init__(
        self,
        partition: int,
        log: FrameLog,
        admission: Callable[[int], Admission],
        worked_out: Callable[[str], Iterator[bytes] | None],
        patiently: Patiently = at_once,
        *,
        before_reading: Callable[[], object] = lambda: None,
        aside: Callable[[], Collection[int]] = tuple,
    ) -> None:
        """`worked_out` gives the parts of a stored back-fill; `before_reading` is called first, and sees to it that frames have their rows.

        `aside` are the numbers of records that have no effect here; where there are any, what others worked out is not taken up.
        """
        self._partition = partition
        self._log = log
        self._admission = admission
        self._worked_out = worked_out
        self._patiently = patiently
        self._before_reading = before_reading
        self._aside = aside
        self.busy = False  # whether somebody is being told of the past; may be read by any thread, as `told`
        self.told = 0  # records and parts so far: grows for as long as it goes on

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield the records with after < `seq` < before, in order; their `received_at` is not clamped by what came before the first.

        Raises:
            NotFound: some of them were deleted by retention.
            StoreUnavailable: nobody waits any longer for a store that is away.
        """
        self.busy = True
        try:
            end = Place.of(before)
            for judged in self.frames(Place.of(after + 1).offset, end.offset if end.nth else end.offset - 1):
                yield from (record for record in judged.records if after < record.seq < before)
        finally:
            self.busy = False

    def frames(self, first: int, last: int, received: datetime | None = None) -> Generator[Judged]:
        """Yield the frames from offset `first` to `last` without what was set aside; `received` is the time that was reached before them.

        Raises:
            NotFound, StoreUnavailable: as `records`.
        """
        self._before_reading()
        aside, admission = self._aside(), self._admission(self._partition)
        for offset, appended_at, body in self._messages(first, last):
            frame = decode(body)
            if isinstance(frame, BadFrame):  # a kept rejection, which has no effect but on the time
                received = appended_at if received is None else max(appended_at, received)
                continue
            received = received_at(frame, appended_at, received)
            records = self._patiently(partial(admission, offset, frame, received))
            self.told += len(records)
            yield Judged(offset, received, [record for record in records if record.seq not in aside])
            admission.settled(offset)

    @property
    def apart(self) -> bool:
        """Whether anything of the log has no effect here."""
        return bool(self._aside())

    def artifact(self, name: str) -> Iterator[bytes] | None:
        """Return the parts of a stored back-fill, which raise StoreCorrupt where it breaks off; raises StoreUnavailable as `records`."""
        found = None if self._aside() else self._patiently(partial(self._worked_out, name))
        return None if found is None else self._parts(name, found)

    def _parts(self, name: str, found: Iterator[bytes]) -> Iterator[bytes]:
        for part in or_corrupt(name, found):
            self.told += 1
            yield part

    def _messages(self, first: int, last: int) -> Iterator[Message]:
        """Yield messages; where the brokers were away it goes on from there."""
        reading: Generator[Message] | None = None

        def following() -> Message:
            nonlocal reading
            if reading is None:
                reading = self._log.read(self._partition, first, last)
            try:
                return next(reading)
            except StoreUnavailable:
                reading = None
                raise

        try:
            while first <= last:
                message = self._patiently(following)
                yield message
                first = message.offset + 1
        finally:
            if reading is not None:
                reading.close()
