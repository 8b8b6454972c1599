"""The one path from bytes to the journal, for HTTP and for the watched folder: decode, map, resolve, submit, and account for every record.

`Edge.take` returns only after the journal has synced what it acknowledged; an asynchronous caller runs it in a thread.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from connectors.inbound.canonical import TOLERANCE, read_signals
from connectors.inbound.decode import decode
from connectors.inbound.mapping import Mapped, Rejected, Result, Skipped, apply
from connectors.inbound.mapping_model import Mapping
from connectors.inbound.resolve import resolve
from domain.digest import digest_of
from domain.errors import StoreUnavailable
from domain.ports import Intake, ObjectLookup, Offer, Receipt
from domain.records import RejectionEntry, SignalEntry
from domain.rejections import RAW_LIMIT

CHUNK = 1_000  # records offered to the journal at once
_GRAVITY = ("rejected", "accepted", "revision", "duplicate", "skipped")  # which of a record's results speaks for it
_JOURNAL_REASONS = ("conflicting_content", "unknown_target")  # rejections of the journal itself: their raw form is the signal


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record; `seq` is its place in the journal (0 for a skipped one), `id` its signal's id where it has one."""

    position: int
    status: Literal["accepted", "revision", "duplicate", "rejected", "skipped"]
    id: str = ""
    seq: int = 0
    reason: str = ""
    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """The account of one input: `records` is the sum of the others. `batch` is the SHA-256 of the raw input."""

    feed: str
    batch: str
    results: tuple[RecordResult, ...]
    accepted: int
    revisions: int
    duplicates: int
    rejected: int
    skipped: int

    @property
    def records(self) -> int:
        """Return how many records the input held."""
        return len(self.results)

    def reasons(self) -> dict[str, int]:
        """Return how often each reason of a rejection or skip occurred, sorted by reason."""
        return dict(sorted(Counter(result.reason for result in self.results if result.reason).items()))


class Edge:
    """Takes inputs of any feed; safe to use from several threads."""

    def __init__(
        self,
        intake: Intake,
        lookup: ObjectLookup,
        personal_key: bytes,
        *,
        keep_raw: Callable[[str, datetime, bytes], str] | None = None,
        timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        """`personal_key` makes the tokens of personal fields, at least 16 bytes; `timeout` bounds the wait for one chunk's sync.

        `keep_raw` is given feed, instant of reception and raw input before anything of it is journalled; it keeps the input by its hash.
        """
        self._keep_raw = keep_raw
        self._intake = intake
        self._lookup = lookup
        self._key = personal_key
        self._timeout = timeout

    def take(self, mapping: Mapping, body: bytes, hint: str, now: datetime) -> Taken:
        """Take raw records of the feed of `mapping`; `hint` is a file name or content type.

        Raises:
            StoreUnavailable: the journal does not take writes; what was acknowledged before stays, sending again repeats nothing.
        """
        if self._keep_raw is not None:
            self._keep_raw(mapping.feed, now, body)
        results = apply(mapping, decode(body, hint, mapping.shape), now, self._key)
        batch = _digest(body)
        return _account(
            mapping.feed, batch, self._submit(mapping.feed, ((batch, result) for result in results), revisable=mapping.revisable)
        )

    def take_signals(
        self, feed: str, body: bytes, content_type: str, now: datetime, *, revisable: bool = False, tolerance: timedelta = TOLERANCE
    ) -> Taken:
        """Take canonical signals; `feed` comes from the sender's credential, never from the body (decision 1). Raises as `take`."""
        batch = _digest(body)
        results = read_signals(body, content_type, now, tolerance)
        return _account(feed, batch, self._submit(feed, ((batch, result) for result in results), revisable=revisable))

    def replay(self, mapping: Mapping, rejections: Iterable[RejectionEntry], now: datetime) -> Taken:
        """Take kept rejections of the feed again, after its mapping was mended; one that still fails is not kept twice. Raises as `take`.

        There is one result per rejection, in order; a record that gives several signals is rejected while one of them is. A record
        longer than was kept with its rejection cannot be replayed from it: it is answered with its old reason.
        """
        entries = list(rejections)
        parts = [self._again(mapping, entry, now) for entry in entries]
        pairs = ((entry.batch, result) for entry, results in zip(entries, parts, strict=True) for result in results)
        found = iter(self._submit(mapping.feed, pairs, revisable=mapping.revisable, keep=False))
        done = [min(islice(found, len(results)), key=lambda result: _GRAVITY.index(result.status)) for results in parts]
        return _account(mapping.feed, entries[0].batch if entries else "", done)

    def _again(self, mapping: Mapping, entry: RejectionEntry, now: datetime) -> list[Result]:
        if len(entry.raw) >= RAW_LIMIT or entry.position == 0:
            return [Rejected(entry.position, entry.reason, entry.field, entry.message, entry.raw)]
        if entry.reason in _JOURNAL_REASONS:
            found = list(read_signals(entry.raw, "application/json", now, mapping.future))
        else:
            found = list(apply(mapping, decode(entry.raw, "", mapping.shape), now, self._key))
        kept = Rejected(entry.position, entry.reason, entry.field, entry.message, entry.raw)
        return [replace(result, position=entry.position) for result in found] or [kept]

    def _submit(self, feed: str, pairs: Iterator[tuple[str, Result]], *, revisable: bool, keep: bool = True) -> list[RecordResult]:
        """Offer (batch, result) pairs chunk by chunk, in order, each chunk after the one before is synced."""
        done: list[RecordResult] = []
        while chunk := list(islice(pairs, CHUNK)):
            offers = [
                self._as_offer(feed, batch, result, revisable=revisable)
                for batch, result in chunk
                if isinstance(result, Mapped) or (keep and isinstance(result, Rejected))
            ]
            receipts = iter(self._offer(offers))
            for _, result in chunk:
                if isinstance(result, Skipped):
                    done.append(RecordResult(result.position, "skipped", reason=result.reason))
                elif isinstance(result, Rejected):
                    seq = next(receipts).seq if keep else 0
                    done.append(RecordResult(result.position, "rejected", "", seq, result.reason, result.field, result.message))
                else:
                    receipt = next(receipts)
                    done.append(
                        RecordResult(
                            result.position, receipt.status, result.signal.id, receipt.seq, receipt.reason, receipt.field, receipt.message
                        )
                    )
        return done

    def _as_offer(self, feed: str, batch: str, result: Mapped | Rejected, *, revisable: bool) -> Offer:
        """Return what is journalled for one result: the signal with its resolution, or the rejection with its raw form."""
        if isinstance(result, Rejected):
            entry = RejectionEntry(
                feed=feed,
                batch=batch,
                position=result.position,
                reason=result.reason,
                field=result.field,
                message=result.message,
                raw=result.raw[:RAW_LIMIT],
            )
            return Offer(entry=entry)
        signal = result.signal
        resolution = resolve(signal.object, signal.text, self._lookup, signal.region)
        digest = digest_of(signal)
        return Offer(
            entry=SignalEntry(feed=feed, signal=signal, resolution=resolution, digest=digest, batch=batch, position=result.position),
            revisable=revisable,
        )

    def _offer(self, offers: Sequence[Offer]) -> list[Receipt]:
        """Submit and wait for the sync."""
        if not offers:
            return []
        try:
            return self._intake.submit(offers).result(self._timeout.total_seconds())
        except FutureTimeoutError as error:
            raise StoreUnavailable(f"the journal did not sync within {self._timeout.total_seconds():.0f} s; send again") from error


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _account(feed: str, batch: str, done: Sequence[RecordResult]) -> Taken:
    """Return the account of one input's results."""
    counts = Counter(result.status for result in done)
    return Taken(
        feed,
        batch,
        tuple(done),
        accepted=counts["accepted"],
        revisions=counts["revision"],
        duplicates=counts["duplicate"],
        rejected=counts["rejected"],
        skipped=counts["skipped"],
    )
