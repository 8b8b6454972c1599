"""Bytes to text by a mapping's declared encodings, strictly, and still one bad byte spoils one record only.

Undecodable bytes become lone surrogates (PEP 383), which no valid input can hold; the record that has one is rejected.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

# "gbk" and "gb2312" in the field mean whatever the sender's Windows wrote: GB18030 is the superset of both.
_SYNONYMS = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "utf8": "utf-8", "utf-8-sig": "utf-8"}
ENCODINGS = ("utf-8", "gb18030", "utf-16", "utf-16-le", "utf-16-be")
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_FEW = 8  # bad bytes that one damaged record may have in a short text
_ESCAPED = re.compile("[\ud800-\udfff]")
_WIDE = re.compile("[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded text and the encoding it was in; `damaged` where some bytes were not."""

    text: str
    encoding: str
    damaged: bool = False


def canonical_encoding(name: str) -> str:
    """Return the codec for a declared encoding.

    >>> canonical_encoding("GBK"), canonical_encoding("UTF-8-sig")
    ('gb18030', 'utf-8')
    """
    lower = name.strip().lower().replace("_", "-")
    return _SYNONYMS.get(lower, lower)


def is_damaged(text: str) -> bool:
    """Say whether `text` holds bytes that were not in its encoding.

    >>> is_damaged("烽燧"), is_damaged(bytes([0x41, 0xFF]).decode("utf-8", "surrogateescape"))
    (False, True)
    """
    return _ESCAPED.search(text) is not None


def to_bytes(text: str, encoding: str) -> bytes:
    """Return the bytes that `text` was decoded from."""
    return text.encode(encoding, "surrogateescape") if not encoding.startswith("utf-16") else text.encode(encoding, "surrogatepass")


def decode_text(body: bytes, declared: tuple[str, ...]) -> Text | None:
    """Return the text of `body` in the first declared encoding that fits, None where none does.

    A byte order mark decides, declared or not. UTF-8 with a few bad bytes among plenty of good multi-byte characters stays UTF-8:
    GB18030 would take such bytes and give nonsense. Otherwise an encoding fits wholly, or with one bad place in a hundred characters.
    """
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return _lenient(body[len(mark) :], encoding)
    encodings = tuple(canonical_encoding(name) for name in declared)
    for encoding in encodings:
        if encoding == "utf-16":
            continue  # without a byte order mark its byte order is a guess
        try:
            return Text(body.decode(encoding), encoding)
        except UnicodeDecodeError:
            if encoding == "utf-8" and (damaged := _lenient(body, encoding)) and _mostly_utf8(damaged.text):
                return damaged
    for encoding in encodings:
        if encoding not in {"utf-16", "utf-16-le", "utf-16-be"} and (damaged := _lenient(body, encoding)):
            return damaged
    return None


def _mostly_utf8(text: str) -> bool:
    """Chance does not make multi-byte UTF-8: eight good characters and four good for each bad byte decide."""
    bad = len(_ESCAPED.findall(text))
    good = len(_WIDE.findall(text)) - bad
    return good >= 8 and good >= 4 * bad


def _lenient(body: bytes, encoding: str) -> Text | None:
    """Decode with bad bytes escaped; None where more than one character in a hundred (and more than a few) is bad."""
    try:
        return Text(body.decode(encoding), encoding)
    except UnicodeDecodeError:
        if encoding.startswith("utf-16"):  # its codec cannot escape: an odd tail or a lone surrogate is marked instead
            text = body.decode(encoding, "replace").replace("�", "\udcff")
        else:
            text = body.decode(encoding, "surrogateescape")
    bad = len(_ESCAPED.findall(text))
    return Text(text, encoding, damaged=True) if bad <= max(_FEW, len(text) // 100) and 2 * bad < len(text) else None
