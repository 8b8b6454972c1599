"""The poison guard: a record that brings the process down twice is set aside, so that it cannot do so for ever.

Before a step the guard writes down which records are in it, after it that they are done; what a dead process left says where it died.
A batch that died is stepped record by record at the next start; a record that then dies by itself twice is quarantined. Stopping a
process by force in the middle of a batch therefore sets nothing aside.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import StoreCorrupt, StoreUnavailable
from domain.messages import both

DEATHS: Final = 2  # of one record alone
SECTOR: Final = 512  # bytes


class Mark(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is in a step (`first` 0: nothing), how often that record alone had died before, and what is set aside.

    `replays` counts takeovers that did not get through what is committed already (`streams.runtimes.partition_guard`).
    """

    first: int = 0
    last: int = 0
    deaths: int = 0
    quarantined: list[int] = msgspec.field(default_factory=list)
    replays: int = 0


def read_mark(written: bytes, where: str) -> Mark:
    """Return the mark that was written; raises StoreCorrupt, and names `where` it stands."""
    try:
        return msgspec.json.decode(written, type=Mark)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(both("store.mark_damaged", where=where, error=error)) from error


class Guard(ABC):
    """Knows what is in a step. `suspects` are the records of the step that died last, to be stepped one by one."""

    def __init__(self, mark: Mark) -> None:
        """Go on from the `mark` that the last process left."""
        self._mark = mark
        self.suspects = range(0)
        self._deaths = 0

    @property
    def quarantined(self) -> tuple[int, ...]:
        """The numbers of the records that are set aside, in the order in which they were."""
        return tuple(self._mark.quarantined)

    @property
    def entered(self) -> bool:
        """Whether a step is under way."""
        return self._mark.first != 0

    def cut(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield the ranges of places, ends excluded, that are stepped together: suspects alone, and what is set aside."""
        apart = {*self.suspects, *self.quarantined}
        start = 0
        for place, number in enumerate(numbers if apart else ()):
            if number in apart:
                if place > start:
                    yield start, place
                yield place, place + 1
                start = place + 1
        if start < len(numbers):
            yield start, len(numbers)

    def release(self, before: int) -> None:
        """Set nothing aside any more that stands before a number, since it never comes again; it is written with the next mark."""
        self._mark.quarantined = [number for number in self._mark.quarantined if number >= before]

    def forget(self) -> None:
        """The step under way ended for a reason that lies outside its records; the file is written at the next step."""
        self._mark.first = self._mark.last = 0

    def forgive(self) -> None:
        """As `forget`, and the next process is to know it too.

        Raises:
            StoreUnavailable: the disk does not take it.
        """
        self._write(0, 0, 0)

    def enter(self, first: int, last: int) -> None:
        """The records `first` to `last` are about to be stepped.

        Raises:
            StoreUnavailable: the disk does not take it.
        """
        deaths = self._deaths if first == last and first in self.suspects else 0
        self._write(first, last, deaths)

    def leave(self) -> None:
        """The step is done."""
        self._write(0, 0, 0)

    def died(self) -> int | None:
        """Take account of the step that was entered and not left; return the record that is now set aside, if one is.

        Raises:
            StoreUnavailable: the disk does not take it; the step is then still to be taken account of.
        """
        mark = self._mark
        if not mark.first:
            return None
        deaths = mark.deaths + 1 if mark.first == mark.last else 0
        aside = mark.first if deaths >= DEATHS else None
        suspects = range(mark.first, mark.last + 1) if aside is None else range(0)
        self._write(0, 0, 0, aside)
        self.suspects, self._deaths = suspects, 0 if aside is not None else deaths
        return aside

    def _write(self, first: int, last: int, deaths: int, aside: int | None = None) -> None:
        """Write the mark, with one more record that is set `aside`; nothing of it holds before it is written."""
        quarantined = self._mark.quarantined if aside is None else [*self._mark.quarantined, aside]
        mark = Mark(first=first, last=last, deaths=deaths, quarantined=quarantined, replays=self._mark.replays)
        self._put(msgspec.json.encode(mark))
        self._mark = mark

    @abstractmethod
    def _put(self, content: bytes) -> None:
        """Keep a written mark; raises StoreUnavailable where that is not possible now."""


class PoisonGuard(Guard):
    """Keeps its mark in one small file."""

    def __init__(self, path: Path) -> None:
        """Read what the last process left.

        Raises:
            StoreCorrupt: the file is not one of this guard.
        """
        self._path = path
        written = path.read_bytes() if path.exists() else b""
        self._size = len(written)  # of the file as it was last written or read; 0 where that is not certain
        super().__init__(read_mark(written, str(path)) if path.exists() else Mark())

    def _put(self, content: bytes) -> None:
        """Write over the old mark where both are of one sector: a disk writes that whole or not at all.

        It need not be synced each time, it is there for deaths of the process. A rename each time would make the disk wait for it all the
        same, twice in each step.
        """
        content = content.ljust(SECTOR)
        size, self._size = self._size, 0
        try:
            if len(content) == SECTOR == size:
                with self._path.open("r+b", buffering=0) as file:
                    file.write(content)
            else:
                self._replace(content)
        except OSError as error:
            raise StoreUnavailable(both("store.disk", where=self._path, error=error.strerror or error)) from error
        self._size = len(content)

    def _replace(self, content: bytes) -> None:
        """Put a file of another size, or a first one, in place as a whole."""
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with temporary.open("wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        temporary.replace(self._path)
