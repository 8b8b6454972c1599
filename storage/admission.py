"""What becomes of offered entries: identity decisions and numbers, before anything is written (decision 1).

No I/O but the index's lookup: the same offers at the same journal give the same plan. Nothing is remembered until the plan's records
are synced and told to the index, so a group that cannot be written leaves no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from domain.digest import canonical_json, digest_of
from domain.messages import text
from domain.ports import Offer, Receipt
from domain.records import AnyEntry, Record, RejectionEntry, SignalEntry
from domain.rejections import RAW_LIMIT
from domain.signals import Signal
from storage.identity import Key, Known, rejection_key

MAX_ENTRY = 32 * 1024 * 1024  # bytes, encoded; half of what a frame may hold
JUDGED = frozenset({"conflicting_content", "unknown_target"})  # reasons that only show here, in the order of what came in before

_encoder = msgspec.msgpack.Encoder()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to write, and what to answer once it is synced: one receipt per offer; `duplicates` counts by feed.

    `names` is what the signals among the records make known.
    """

    records: list[Record]
    receipts: list[Receipt]
    duplicates: Mapping[str, int]
    names: Mapping[Key, Known]


def storable(offer: Offer) -> tuple[Offer, int]:
    """Return the offer as it can be written, and its encoded size in bytes.

    JSON allows what the journal's format and UTF-8 do not (whole numbers beyond 64 bits, lone surrogates, endless nesting). A signal
    with such a value becomes a kept rejection of its own, so that it neither stops the journal nor the rest of its call.

    Raises:
        ValueError: an entry that is no signal cannot be written, or is larger than `MAX_ENTRY`.
    """
    entry = offer.entry
    try:
        size = len(_encoder.encode(entry))
    except (OverflowError, UnicodeEncodeError, RecursionError, TypeError) as error:
        if not isinstance(entry, SignalEntry):
            problem = f"an entry of type {type(entry).__name__} cannot be written: {error}"
            raise ValueError(problem) from error  # noqa: TRY004  its type is right, its content is not
        return storable(Offer(keep=offer.keep, entry=_rejection(entry, "bad_value", "", why=ascii(str(error))[1:-1])))
    if size <= MAX_ENTRY:
        return offer, size
    if not isinstance(entry, SignalEntry):
        problem = f"an entry of type {type(entry).__name__} has {size} bytes, at most {MAX_ENTRY} are legal; write it in parts"
        raise ValueError(problem)  # noqa: TRY004  its type is right, its size is not
    return storable(Offer(keep=offer.keep, entry=_rejection(entry, "too_large", "", size=str(size), most=str(MAX_ENTRY))))


class Names(Protocol):
    """What is known of keys; `storage.identity.Identity` is one."""

    def lookup(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """Return what is known of `keys`; unknown ones are left out. Raises StoreUnavailable."""
        ...


def admit(offers: Sequence[Offer], identity: Names, *, head: int, received_at: datetime, in_frame: bool = False) -> Plan:
    """Decide about `offers` in their order, numbering from `head` + 1.

    Where they are `in_frame`, which was answered for when it was sent, duplicates take a number too, and there are no receipts.
    A rejection that is kept already, or that its offer does not want kept, is answered and not written.

    Raises:
        StoreUnavailable: the index cannot be read.
    """
    known = identity.lookup(_keys(offers))
    records: list[Record] = []
    receipts: list[Receipt] = []
    duplicates: Counter[str] = Counter()
    names: dict[Key, Known] = {}
    for place, offer in enumerate(offers):
        seq = head + (place if in_frame else len(records)) + 1
        entry: AnyEntry = offer.entry
        if isinstance(entry, SignalEntry):
            key = (entry.feed, entry.signal.id)
            if not entry.digest:
                entry = msgspec.structs.replace(entry, digest=digest_of(entry.signal))
            before = known.get(key)
            if before is not None and before.digest == entry.digest:
                duplicates[entry.feed] += 1
                if not in_frame:
                    receipts.append(Receipt(status="duplicate", seq=before.seq))
                continue
            plain = before is None and not entry.signal.corrects and not entry.signal.withdraws  # nearly all are
            judged = entry if plain else _judged(entry, before, known, revisable=offer.revisable)
            if isinstance(judged, SignalEntry):
                known[key] = names[key] = Known(judged.digest, seq, judged.revision)
            entry = judged
        if isinstance(entry, RejectionEntry):
            key = rejection_key(entry)
            kept = known.get(key) or identity.lookup([key]).get(key)  # the journal's own reasons show only here, and are few
            if kept is not None or not offer.keep:
                if not in_frame:
                    receipts.append(_receipt(entry, kept.seq if kept is not None else 0))
                continue
            known[key] = Known("", seq)
        if not in_frame:
            receipts.append(_receipt(entry, seq))
        records.append(Record(seq=seq, received_at=received_at, entry=entry))
    return Plan(records=records, receipts=receipts, duplicates=duplicates, names=names)


def _keys(offers: Sequence[Offer]) -> list[Key]:
    """Return the keys that the decisions about `offers` depend on."""
    found: list[Key] = []
    for offer in offers:
        entry = offer.entry
        if isinstance(entry, SignalEntry):
            signal, feed = entry.signal, entry.feed
            if signal.id:
                found.append((feed, signal.id))
            if signal.corrects:
                found.append((feed, signal.corrects))
            if signal.withdraws:
                found.append((feed, signal.withdraws))
        elif isinstance(entry, RejectionEntry):
            found.append(rejection_key(entry))
    return found


def _judged(entry: SignalEntry, before: Known | None, known: Mapping[Key, Known], *, revisable: bool) -> SignalEntry | RejectionEntry:
    """Return the entry to journal for content that is not there yet; `before` is the key's newest content."""
    signal = entry.signal
    for target in (signal.corrects, signal.withdraws):
        if target and (entry.feed, target) not in known:
            return _rejection(entry, "unknown_target", "corrects" if target == signal.corrects else "withdraws", target=target)
    if before is None:
        return entry
    if revisable or signal.corrects == signal.id:  # a sender that names its own id says itself that it corrects it
        return msgspec.structs.replace(entry, revision=before.revision + 1)
    return _rejection(entry, "conflicting_content", "id", id=signal.id, seq=str(before.seq))


def _rejection(entry: SignalEntry, reason: str, field: str, **values: str) -> RejectionEntry:
    """Return the kept rejection of a signal, with the signal itself in canonical form so that it can be replayed."""
    return RejectionEntry(
        feed=entry.feed,
        batch=entry.batch,
        position=entry.position,
        reason=reason,
        field=field,
        message=text(f"journal.{reason}", **values),
        raw=_raw(entry.signal),
    )


def _raw(signal: Signal) -> bytes:
    """Return the signal as JSON, cut to what a rejection keeps; only its id where no JSON can hold it (its input is kept by hash)."""
    try:
        return canonical_json(signal)[:RAW_LIMIT]
    except (UnicodeEncodeError, RecursionError, TypeError):
        return ascii(signal.id).encode()


def _receipt(entry: AnyEntry, seq: int) -> Receipt:
    if isinstance(entry, RejectionEntry):
        return Receipt(status="rejected", seq=seq, reason=entry.reason, field=entry.field, message=entry.message)
    return Receipt(status="revision" if isinstance(entry, SignalEntry) and entry.revision else "accepted", seq=seq)
