"""What the pipeline may ask of the past: the journal, and what was worked out from it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import takewhile

from domain.ports import JournalReader
from domain.records import Record
from storage.artifacts import ArtifactStore


class JournalHistory:
    """`domain.ports.History` over a journal and a folder of artifacts."""

    def __init__(self, journal: JournalReader, artifacts: ArtifactStore, aside: Callable[[], Container[int]]) -> None:
        """`aside` says which records were set aside: they have no effect, here neither."""
        self._journal = journal
        self._artifacts = artifacts
        self._aside = aside

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield the records between two, in order."""
        aside = self._aside()
        for record in takewhile(lambda one: one.seq < before, self._journal.read(after)):
            if record.seq not in aside:
                yield record

    def artifact(self, name: str) -> Iterator[bytes] | None:
        """Return the parts of a stored back-fill."""
        return self._artifacts.frames(name)
