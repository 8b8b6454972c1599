"""Personal information (个人信息) is replaced by keyed tokens at the edge; its values go to the one erasable store and no further."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import msgspec

from domain.identifiers import is_identity_number
from domain.personal import PersonalValue
from domain.signals import Signal

PREFIX = "p:"
_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?![0-9A-Za-z])")
_IDENTITY = re.compile(r"(?<![0-9A-Za-z])[1-8][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_ABROAD = re.compile(r"\+?86(1[3-9][0-9]{9})")  # a mobile number with the code of its country
_BLANKS = re.compile(r"[\s\-]+")
_DIGITS = re.compile(r"[0-9]{3}")  # no number to be replaced has fewer in a row
_LEAST = 11  # characters of a mobile number, the shortest of them
_SHORTEST = 2  # characters of a value that is also replaced inside other texts: one character would hit everywhere
_SHORT = 6  # a value with fewer characters that begins or ends with a digit or letter is replaced only where no further one adjoins
_LONGEST = 10**20  # no number to be replaced is as great; str() refuses the greatest


def fold(text: str) -> str:
    """Return `text` without width, case, blanks and hyphens: two spellings of one value are one.

    >>> fold("１３８ 0013-8000"), fold("Li Lei")
    ('13800138000', 'lilei')
    """
    return _BLANKS.sub("", unicodedata.normalize("NFKC", text)).casefold()


def canonical(value: str) -> str:
    """Return the one spelling of a personal value that its token is made of: folded, a mobile number without +86.

    >>> canonical("+86 138-0013-8000")
    '13800138000'
    """
    folded = fold(value)
    abroad = _ABROAD.fullmatch(folded)
    return folded if abroad is None else abroad.group(1)


class Tokens:
    """Makes tokens with one secret key: the same value always gives the same token, and nobody without the key can make it.

    >>> tokens = Tokens(b"0" * 32)
    >>> tokens.token("138 0013 8000") == tokens.token("１３８００１３８０００")
    True
    """

    def __init__(self, key: bytes) -> None:
        """Take the key, at least 16 bytes; raises ValueError for a shorter one."""
        if len(key) < 16:
            raise ValueError(f"the key for personal tokens has {len(key)} bytes; it needs at least 16")
        self._key = key

    def token(self, value: str) -> str:
        """Return `p:` and 24 hexadecimal digits of an HMAC-SHA256 over the value's one spelling, `canonical`."""
        return PREFIX + hmac.new(self._key, canonical(value).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:24]

    def scrub(self, text: str, known: tuple[str, ...] = (), found: dict[str, PersonalValue] | None = None) -> str:
        """Return `text` with mobile and identity numbers, and the `known` personal values, replaced by their tokens.

        The numbers are added to `found`, by their tokens; who calls has the known values already.

        >>> "13800138000" in Tokens(b"0" * 32).scrub("请回电13800138000，谢谢")
        False
        """
        present = [value for value in known if len(value) >= _SHORTEST and value in text]
        if present:  # all in one pass: none is looked for in the token of another
            text = _any_of(present).sub(lambda hit: self.token(hit.group()), text)
        if len(text) < _LEAST or _DIGITS.search(text) is None:
            return text
        text = _IDENTITY.sub(
            lambda hit: self._noted(hit.group(), "identity", found) if is_identity_number(hit.group().upper()) else hit.group(), text
        )
        return _MOBILE.sub(lambda hit: self._noted(hit.group(), "mobile", found), text)

    def scrub_signal(self, signal: Signal, found: dict[str, PersonalValue]) -> Signal:
        """Return a canonical signal with the numbers in its text, names, address and attributes replaced; they are added to `found`."""
        changes: dict[str, Any] = {}
        for name in ("text", "attrs"):
            before = getattr(signal, name)
            after = self._scrub_any(before, found)
            if after != before:
                changes[name] = after
        named = signal.object
        parts = {name: self.scrub(getattr(named, name), (), found) for name in ("name", "address")}
        if (named.name, named.address) != (parts["name"], parts["address"]):
            changes["object"] = msgspec.structs.replace(named, **parts)
        return msgspec.structs.replace(signal, **changes) if changes else signal

    def _scrub_any(self, value: Any, found: dict[str, PersonalValue]) -> Any:
        """Replace numbers in a JSON value, names of attributes and whole numbers too. Decoding has bounded the depth."""
        if isinstance(value, str):
            return self.scrub(value, (), found)
        if isinstance(value, dict):
            return {self.scrub(name, (), found): self._scrub_any(one, found) for name, one in value.items()}
        if isinstance(value, list):
            return [self._scrub_any(one, found) for one in value]
        if isinstance(value, int | float) and abs(value) < _LONGEST and value == int(value):
            written = str(int(value))
            scrubbed = self.scrub(written, (), found)
            return value if scrubbed == written else scrubbed
        return value

    def _noted(self, value: str, field: str, found: dict[str, PersonalValue] | None) -> str:
        """Return the token of a number that was found, and note it."""
        token = self.token(value)
        if found is not None:
            found.setdefault(token, PersonalValue(token, field, value))
        return token


def _any_of(values: Iterable[str]) -> re.Pattern[str]:
    """Return what finds any of `values`, the longest that fits; a short one not in the middle of a number or word."""
    return re.compile("|".join(_whole(value) for value in sorted(values, key=len, reverse=True)))


def _whole(value: str) -> str:
    escaped = re.escape(value)
    if len(value) >= _SHORT:
        return escaped
    before = "(?<![0-9A-Za-z])" if value[0].isascii() and value[0].isalnum() else ""
    after = "(?![0-9A-Za-z])" if value[-1].isascii() and value[-1].isalnum() else ""
    return before + escaped + after
