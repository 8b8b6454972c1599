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
from connectors.inbound.mapping import Mapped, Rejected, Result, Skipped, apply, tokenised
from connectors.inbound.mapping_model import Mapping
from connectors.inbound.personal import Tokens
from connectors.inbound.resolve import Resolver
from domain.digest import digest_of
from domain.errors import StoreUnavailable
from domain.identifiers import is_region_code
from domain.kinds import KINDS
from domain.messages import both
from domain.messages import text as say
from domain.objects import Resolution
from domain.personal import KeptRaw, PersonalValue
from domain.ports import Intake, ObjectLookup, Offer, Receipt
from domain.records import AnyEntry, RejectionEntry, SignalEntry
from domain.rejections import RAW_LIMIT
from domain.signals import Signal
from rules.problems import nearest

KeepPersonal = Callable[[str, datetime, Sequence[PersonalValue], Sequence[KeptRaw]], None]  # feed, instant of reception, what to keep
CHUNK = 1_000  # records offered to the journal at once
_GRAVITY = ("rejected", "accepted", "revision", "duplicate", "skipped")  # which of a record's results speaks for it
_JOURNAL_REASONS = ("conflicting_content", "unknown_target")  # rejections of the journal itself: their raw form is the signal


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record; `seq` is its place in the journal, `id` its signal's id where it has one.

    `seq` is 0 for a skipped one and for one that a replay refused again; a record that was rejected before has the `seq` of then.
    `message` says why it was rejected; of one that was taken, what somebody should look at: no object found, a wrong check digit.
    """

    position: int
    status: Literal["accepted", "revision", "duplicate", "rejected", "skipped"]
    id: str = ""
    seq: int = 0
    reason: str = ""
    field: str = ""
    message: str = ""
    resolved: bool = True  # False where it was taken and waits in the confirm queue


@dataclass(frozen=True, slots=True)
class Taken:
    """The account of one input: `records` is the sum of accepted, revisions, duplicates, rejected and skipped.

    `batch` is the SHA-256 of the raw input, of the first where several were taken together; `unresolved` of the accepted and revised
    ones wait in the confirm queue.
    """

    feed: str
    batch: str
    results: tuple[RecordResult, ...]
    accepted: int
    revisions: int
    duplicates: int
    rejected: int
    skipped: int
    unresolved: int

    @property
    def records(self) -> int:
        """Return how many records the input held."""
        return len(self.results)

    @property
    def too_large(self) -> str:
        """Return why nothing of an input over a limit was taken, "" for any other."""
        return next((result.message for result in self.results if result.reason == "input_too_large"), "")

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
        keep_personal: KeepPersonal | None = None,
        repeats: Callable[[Sequence[AnyEntry]], Sequence[bool]] = lambda entries: [False] * len(entries),
        on_taken: Callable[[Taken, datetime], object] = lambda _taken, _now: None,
        timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        """`personal_key` makes the tokens of personal fields, at least 16 bytes; `timeout` bounds the wait for one chunk's sync.

        `keep_raw` is given feed, instant of reception and raw input before anything of it is journalled; it keeps the input by its hash.
        `keep_personal` is given, likewise before, the personal values behind tokens and the bytes of rejected records; without it tokens
        stand for nothing that can be read again, and the journal holds those bytes itself.
        `repeats` says which entries the journal has already: what is told once more, as nightly full exports do, is no reason to keep a
        value longer, and brings none back that was erased.
        `on_taken` is told what became of an input once all of it is synced; it may raise StoreUnavailable.
        """
        self._keep_raw = keep_raw
        self._keep_personal = keep_personal
        self._repeats = repeats
        self._on_taken = on_taken
        self._intake = intake
        self._resolver = Resolver(lookup)
        self._key = personal_key
        self._timeout = timeout

    def take(self, mapping: Mapping, body: bytes, hint: str, now: datetime) -> Taken:
        """Take raw records of the feed of `mapping`; `hint` is a file name or content type.

        Raises:
            StoreUnavailable: the journal does not take writes; what was acknowledged before stays, sending again repeats nothing.
        """
        return self.take_each(mapping, [(body, hint)], now)

    def take_each(self, mapping: Mapping, inputs: Sequence[tuple[bytes, str]], now: datetime) -> Taken:
        """Take several inputs (body, hint) of the feed of `mapping`, offered together in their order: one account. Raises as `take`."""

        def pairs() -> Iterator[tuple[str, Result]]:
            for body, hint in inputs:
                if self._keep_raw is not None:
                    self._keep_raw(mapping.feed, now, body)
                batch = _digest(body)
                for result in apply(mapping, decode(body, hint, mapping.shape), now, self._key):
                    yield batch, result

        done = self._submit(mapping.feed, pairs(), now, revisable=mapping.revisable)
        return self._told(_account(mapping.feed, _digest(inputs[0][0]), done), now)

    def take_signals(
        self, feed: str, body: bytes, content_type: str, now: datetime, *, revisable: bool = False, tolerance: timedelta = TOLERANCE
    ) -> Taken:
        """Take canonical signals; `feed` comes from the sender's credential, never from the body (decision 1). Raises as `take`.

        The input is not kept beside the journal, which has all of it: mobile and identity numbers as tokens.
        """
        return self.take_signals_each(feed, [(body, content_type)], now, revisable=revisable, tolerance=tolerance)

    def take_signals_each(
        self, feed: str, inputs: Sequence[tuple[bytes, str]], now: datetime, *, revisable: bool = False, tolerance: timedelta = TOLERANCE
    ) -> Taken:
        """Take several inputs (body, content type) of canonical signals, offered together in their order: one account. Raises as `take`."""
        parts = ((_digest(body), self._signals(body, content_type, now, tolerance)) for body, content_type in inputs)
        pairs = ((batch, result) for batch, results in parts for result in results)
        done = self._submit(feed, pairs, now, revisable=revisable)
        return self._told(_account(feed, _digest(inputs[0][0]), done), now)

    def refuse(self, feed: str, body: bytes, message: str, now: datetime) -> Taken:
        """Keep an input as one rejection, because of `message`: one that no reader survives. Raises as `take`."""
        batch = _digest(body)
        pairs = iter([(batch, Rejected(0, "bad_structure", "", message, body))])
        return self._told(_account(feed, batch, self._submit(feed, pairs, now, revisable=False)), now)

    def _signals(self, body: bytes, content_type: str, now: datetime, tolerance: timedelta) -> Iterator[Result]:
        """Yield one result per canonical signal, without personal numbers."""
        tokens = Tokens(self._key)
        return (tokenised(result, tokens) for result in read_signals(body, content_type, now, tolerance))

    def replay(self, mapping: Mapping, rejections: Iterable[RejectionEntry], now: datetime) -> Taken:
        """Take kept rejections of the feed again, after its mapping was mended; one that still fails is not kept twice. Raises as `take`.

        There is one result per rejection, in order; a record that gives several signals is rejected while one of them is. A record
        longer than was kept with its rejection cannot be replayed from it: it is answered with its old reason.
        """
        entries = list(rejections)
        parts = [self._again(mapping, entry, now) for entry in entries]
        return self._replay(mapping.feed, entries, parts, now, revisable=mapping.revisable)

    def replay_signals(self, feed: str, rejections: Iterable[RejectionEntry], now: datetime, *, tolerance: timedelta = TOLERANCE) -> Taken:
        """Take rejections of canonical signals again: what lay in the future, or corrected a signal that was not there; as `replay`."""
        entries = list(rejections)
        parts = [_placed(entry, list(self._signals(entry.raw, "application/json", now, tolerance))) for entry in entries]
        return self._replay(feed, entries, parts, now, revisable=False)

    def _replay(
        self, feed: str, entries: Sequence[RejectionEntry], parts: Sequence[list[Result]], now: datetime, *, revisable: bool
    ) -> Taken:
        """Submit what each rejection gives now; one result per rejection."""
        pairs = ((entry.batch, result) for entry, results in zip(entries, parts, strict=True) for result in results)
        found = iter(self._submit(feed, pairs, now, revisable=revisable, keep=False))
        done = [min(islice(found, len(results)), key=lambda result: _GRAVITY.index(result.status)) for results in parts]
        return _account(feed, entries[0].batch if entries else "", done)

    def _told(self, taken: Taken, now: datetime) -> Taken:
        self._on_taken(taken, now)
        return taken

    def _again(self, mapping: Mapping, entry: RejectionEntry, now: datetime) -> list[Result]:
        """Return what a rejection gives now, by the mapping or, where it was sent in canonical form under the feed's name, as that."""
        signals = list(self._signals(entry.raw, "application/json", now, mapping.future))
        if entry.reason in _JOURNAL_REASONS or all(isinstance(result, Mapped) for result in signals):
            return _placed(entry, signals)
        return _placed(entry, list(apply(mapping, decode(entry.raw, "", mapping.shape), now, self._key)))

    def _submit(
        self, feed: str, pairs: Iterator[tuple[str, Result]], now: datetime, *, revisable: bool, keep: bool = True
    ) -> list[RecordResult]:
        """Offer (batch, result) pairs chunk by chunk, in order, each chunk after the one before is synced."""
        done: list[RecordResult] = []
        while chunk := list(islice(pairs, CHUNK)):
            told = [(batch, result) for batch, result in chunk if isinstance(result, Mapped) or (keep and isinstance(result, Rejected))]
            offers = [self._as_offer(feed, batch, result, revisable=revisable, keep=keep) for batch, result in told]
            self._keep(feed, now, told, offers)
            receipts = iter(self._offer(offers))
            resolutions = (offer.entry.resolution for offer in offers if isinstance(offer.entry, SignalEntry))
            for _, result in chunk:
                if isinstance(result, Skipped):
                    done.append(RecordResult(result.position, "skipped", reason=result.reason))
                elif isinstance(result, Rejected):
                    seq = next(receipts).seq if keep else 0
                    done.append(RecordResult(result.position, "rejected", "", seq, result.reason, result.field, result.message))
                else:
                    done.append(_taken(result, next(receipts), next(resolutions)))
        return done

    def _keep(self, feed: str, now: datetime, told: Sequence[tuple[str, Mapped | Rejected]], offers: Sequence[Offer]) -> None:
        """Keep the personal values and the refused bytes of what is about to be offered, but for what the journal has already."""
        if self._keep_personal is None or not any(result.personal or isinstance(result, Rejected) for _, result in told):
            return
        repeated = self._repeats([offer.entry for offer in offers])
        fresh = [pair for pair, again in zip(told, repeated, strict=True) if not again]
        values = [value for _, result in fresh for value in result.personal]
        raws = [KeptRaw(batch, result.position, result.raw[:RAW_LIMIT]) for batch, result in fresh if isinstance(result, Rejected)]
        if values or raws:
            self._keep_personal(feed, now, values, raws)

    def _as_offer(self, feed: str, batch: str, result: Mapped | Rejected, *, revisable: bool, keep: bool) -> Offer:
        """Return what is journalled for one result: the signal with its resolution, or the rejection."""
        if isinstance(result, Rejected):
            entry = RejectionEntry(
                feed=feed,
                batch=batch,
                position=result.position,
                reason=result.reason,
                field=result.field,
                message=result.message,
                raw=result.raw[:RAW_LIMIT] if self._keep_personal is None else b"",
            )
            return Offer(entry=entry)
        signal = result.signal
        resolution = self._resolver.resolve(signal.object, signal.text, signal.region)
        digest = digest_of(signal)
        return Offer(
            entry=SignalEntry(feed=feed, signal=signal, resolution=resolution, digest=digest, batch=batch, position=result.position),
            revisable=revisable,
            keep=keep,
        )

    def _offer(self, offers: Sequence[Offer]) -> list[Receipt]:
        """Submit and wait for the sync."""
        if not offers:
            return []
        try:
            return self._intake.submit(offers).result(self._timeout.total_seconds())
        except FutureTimeoutError as error:
            raise StoreUnavailable(both("journal.slow", seconds=f"{self._timeout.total_seconds():.0f}")) from error


def _placed(entry: RejectionEntry, found: list[Result]) -> list[Result]:
    """Return what a kept rejection gives, in its place; itself where it cannot be read from what was kept of it."""
    if not 0 < len(entry.raw) < RAW_LIMIT or entry.position == 0 or not found:
        return [Rejected(entry.position, entry.reason, entry.field, entry.message, entry.raw)]
    return [replace(result, position=entry.position) for result in found]


def _taken(mapped: Mapped, receipt: Receipt, resolution: Resolution) -> RecordResult:
    """Return what became of a signal, with what somebody should look at."""
    fresh = receipt.status in {"accepted", "revision"}
    remarks = [receipt.message] if receipt.message else []
    if fresh and not resolution.object_id:
        remarks.append(say("intake.ambiguous_object" if resolution.candidates else "intake.no_such_object"))
    if fresh and resolution.code_valid is False:
        remarks.append(say("intake.bad_check_digit", value=mapped.signal.object.code))
    if fresh:
        remarks += _oddities(mapped.signal)
    return RecordResult(
        mapped.position,
        receipt.status,
        mapped.signal.id,
        receipt.seq,
        receipt.reason,
        receipt.field,
        "；".join(remarks),
        resolved=not fresh or bool(resolution.object_id),
    )


def _oddities(signal: Signal) -> list[str]:
    """Return what in a signal is legal and probably a slip: a kind near a known one (kinds are open), a region that is no code."""
    near = nearest(signal.kind, KINDS) if signal.kind not in KINDS else ""
    remarks = [say("intake.unknown_kind", value=signal.kind, near=near)] if near else []
    if signal.region and not is_region_code(signal.region):
        remarks.append(say("intake.odd_region", value=signal.region))
    return remarks


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
        unresolved=sum(not result.resolved for result in done),
    )
