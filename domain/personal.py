"""Personal information (个人信息) as the core knows it: tokens, and the values that stand behind them in one erasable place."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"p:[0-9a-f]{24}(?![0-9a-f])")


class PersonalValue(NamedTuple):
    """A value and the token that stands for it everywhere else.

    `field` is the mapping's field, or `mobile` or `identity` for a number that was found inside a text.
    """

    token: str
    field: str
    value: str


class KeptRaw(NamedTuple):
    """The bytes of a rejected record, for as long as they may be kept; `batch` and `position` are those of its rejection."""

    batch: str
    position: int
    raw: bytes


def tokens_in(text: str) -> tuple[str, ...]:
    """Return the tokens in `text`, each once, in their order.

    >>> tokens_in("p:0123456789abcdef01234567 and p:0123456789abcdef01234567 and p:short")
    ('p:0123456789abcdef01234567',)
    """
    return tuple(dict.fromkeys(_TOKEN.findall(text)))
