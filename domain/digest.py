"""The digest of a signal's content: the same key with another digest is a revision or a conflict (decision 1)."""

from __future__ import annotations

import hashlib
from datetime import UTC

import msgspec

from domain.signals import Signal


def canonical_json(signal: Signal) -> bytes:
    """Return the signal as JSON with sorted keys and UTC times, so that equal content gives equal bytes.

    The order of keys in `attrs`, the offset that a time was written with and `1` for `1.0` in `value` make no difference.
    """
    value = None if signal.value is None else float(signal.value)
    plain = msgspec.structs.replace(signal, occurred_at=signal.occurred_at.astimezone(UTC), value=value)
    return msgspec.json.encode(plain, order="sorted")


def digest_of(signal: Signal) -> str:
    """Return the SHA-256 of the canonical content, 64 hexadecimal digits.

    >>> from datetime import datetime
    >>> one = Signal(id="a", source="iot", kind="gas.leak", occurred_at=datetime(2026, 3, 1, tzinfo=UTC), value=1)
    >>> digest_of(one) == digest_of(msgspec.structs.replace(one, value=1.0))
    True
    >>> digest_of(one) == digest_of(msgspec.structs.replace(one, severity=3))
    False
    """
    return hashlib.sha256(canonical_json(signal)).hexdigest()
