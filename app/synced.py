"""Waiting for the journal: never without an end.

What was queued may still be synced after the wait: whoever asks again has to be harmless, or has to go on waiting for the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from domain.errors import StoreUnavailable
from domain.messages import both
from domain.ports import Intake, Offer, Receipt
from domain.records import AnyEntry

PATIENCE = 30.0  # seconds; a sync takes milliseconds, a disk that needs longer than this is ill


def offer(intake: Intake, entries: Sequence[AnyEntry]) -> Future[list[Receipt]]:
    """Queue entries that no feed sent; raises StoreUnavailable where the queue is full."""
    return intake.submit([Offer(entry=entry) for entry in entries])


def synced(answer: Future[list[Receipt]], seconds: float | None = None) -> list[Receipt]:
    """Return the receipts once the disk has the entries.

    Raises:
        StoreUnavailable: the journal refused them, or did not sync them within `seconds` (`PATIENCE`): then they are still queued.
    """
    patience = PATIENCE if seconds is None else seconds
    try:
        return answer.result(patience)
    except TimeoutError as error:
        raise StoreUnavailable(both("journal.not_synced", seconds=f"{patience:g}")) from error


def refused(answer: Future[list[Receipt]]) -> bool:
    """Say whether the journal refused the entries for good: only then may they be offered again."""
    return answer.done() and answer.exception() is not None
