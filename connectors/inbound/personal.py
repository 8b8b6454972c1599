"""Personal information (个人信息) is replaced by keyed tokens at the edge; its values go no further than the raw record."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

from domain.identifiers import is_identity_number

PREFIX = "p:"
_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?![0-9A-Za-z])")
_IDENTITY = re.compile(r"(?<![0-9A-Za-z])[1-8][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_DIGITS = re.compile(r"[0-9]{3}")  # no number to be replaced has fewer in a row
_LEAST = 11  # characters of a mobile number, the shortest of them
_SHORTEST = 2  # characters of a value that is also replaced inside other texts: one character would hit everywhere


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
        """Return `p:` and 24 hexadecimal digits of an HMAC-SHA256 over the value without width, case, blanks and hyphens."""
        plain = re.sub(r"[\s\-]+", "", unicodedata.normalize("NFKC", value)).casefold()
        return PREFIX + hmac.new(self._key, plain.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:24]

    def scrub(self, text: str, known: tuple[str, ...] = ()) -> str:
        """Return `text` with mobile and identity numbers, and the `known` personal values, replaced by their tokens.

        >>> "13800138000" in Tokens(b"0" * 32).scrub("请回电13800138000，谢谢")
        False
        """
        for value in sorted(known, key=len, reverse=True) if known else ():
            if len(value) >= _SHORTEST and value in text:
                text = text.replace(value, self.token(value))
        if len(text) < _LEAST or _DIGITS.search(text) is None:
            return text
        text = _IDENTITY.sub(lambda found: self.token(found.group()) if is_identity_number(found.group().upper()) else found.group(), text)
        return _MOBILE.sub(lambda found: self.token(found.group()), text)
